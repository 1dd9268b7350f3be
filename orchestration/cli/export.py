"""The command `export`: it exports all data of a listener."""

import click

from orchestration.cli.runner import Runner
from resources.environments import open_lake
from resources.errors import TuttiError


@click.command()
@click.option("--listener", metavar="NAME", default="", help="Listener to export, exactly as in `user_id` columns.")
def export(listener: str) -> None:
    """Export all data of a listener as a zip.

    Importing the zip again gives the same listens.
    """
    if not (listener := listener.strip()):
        raise TuttiError("no listener given. Name one: `make export LISTENER=ada`")
    open_lake().require_tables()
    Runner().run("export_listener", config={"export": {"config": {"listener": listener}}})
