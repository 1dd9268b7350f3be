"""The command that exports everything the platform keeps of a person."""

import click

from orchestration.cli.runner import Runner
from resources.environments import open_lake
from resources.errors import TuttiError


@click.command()
@click.option("--listener", default="", help="The person's name, exactly as tables have it.")
def export(listener: str) -> None:
    """Export everything kept of a person as a zip.

    It imports to the same listens.
    """
    if not (listener := listener.strip()):
        raise TuttiError("whose data? name the person: make export LISTENER=ada")
    open_lake().filled()
    Runner().run("export_listener", config={"export": {"config": {"listener": listener}}})
