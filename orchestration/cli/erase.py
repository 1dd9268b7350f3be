"""The command `erase`: it removes a listener from all data."""

import sys

import click

from orchestration.cli.runner import Runner
from orchestration.privacy.erasure import end_erasure, no_data, refuse_bucket, traced
from resources.environments import data_folder, open_lake
from resources.errors import TuttiError
from resources.terminal import say


@click.command()
@click.option("--listener", metavar="NAME", default="", help="Listener to erase, exactly as in `user_id` columns.")
@click.option("--yes", "confirmed", is_flag=True, help="Skip the confirmation.")
def erase(listener: str, confirmed: bool) -> None:
    """Erase a listener from all data, permanently.

    Then the tables that counted the listener are rebuilt. If it is interrupted, run the same command again to resume.
    """
    if not (listener := listener.strip()):
        raise TuttiError("no listener given. Name one: `make erase LISTENER=ada`")
    refuse_bucket()
    if not data_folder().exists() or not traced(listener, data_folder()):
        open_lake().require_tables()
        raise TuttiError(no_data(repr(listener)))
    say(f"This removes {listener} from every table, landed file and export, and from Dagster's history.")
    say("Older versions of all tables become unreadable. This cannot be undone.")
    if not confirmed:
        if not sys.stdin.isatty():
            raise TuttiError("nothing was erased. Type the name when asked, or skip the question with YES=1")
        if input("Type the name again to confirm: ") != listener:
            raise TuttiError("the names differ: nothing was erased")
    runner = Runner()
    config = {"listener": listener, "listener_again": listener, "rebuilds": True}
    result = runner.run("erase_listener", config={"erase": {"config": config}})
    for event in result.filter_events(lambda event: event.event_type_value == "STEP_OUTPUT"):
        for name, count in event.step_output_data.metadata.items():
            if count.value:
                say(f"  {name.replace('_', ' ')}: {count.value:,}")
    runner.import_and_build({})
    end_erasure(data_folder(), listener)
    say()
    say(f"Erased {listener} and rebuilt the tables that counted them. Tutti cannot reach these, so remove them:")
    say("backups, copies outside this folder, launchpad forms in your browser, and the listener's scrobble token.")
