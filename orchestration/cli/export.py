"""The command `export`: it exports all data of a listener."""

import click

from assets.events.daily_listening import DAILY_LISTENING
from orchestration.cli.runner import Runner
from orchestration.privacy.erasure import no_data
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
    lake = open_lake().require_tables()
    try:
        Runner().run("export_listener", config={"export": {"config": {"listener": listener}}})
    except TuttiError as error:
        if (unknown := no_data("this listener")) not in str(error):
            raise
        names = lake.scan("events/daily_listening", DAILY_LISTENING).select(["user_id"]).table()["user_id"]
        raise TuttiError(
            f"{str(error).replace(unknown, no_data(repr(listener)))}. "
            f"Listeners with listens: {len(names.unique()):,} (`user_id` in events/daily_listening)"
        ) from None
