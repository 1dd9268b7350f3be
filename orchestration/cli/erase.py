"""The command that erases a person from everything the platform keeps."""

import sys

import click

from orchestration.cli.runner import Runner
from orchestration.privacy.erasure import UNKNOWN, forget, refuse_bucket
from resources.environments import data_folder
from resources.errors import TuttiError


@click.command()
@click.option("--listener", default="", help="The person's name, exactly as tables have it.")
@click.option("--yes", "sure", is_flag=True, help="Erase without a question.")
def erase(listener: str, sure: bool) -> None:
    """Erase a person from everything kept.

    Then what counted them is rebuilt.
    """
    if not (listener := listener.strip()):
        raise TuttiError("whom? name the person: make erase LISTENER=ada")
    refuse_bucket()
    if not data_folder().exists():
        raise TuttiError(UNKNOWN)
    print(f"This removes {listener} from every table and every version before now, from files handed in, from")
    print("exports and from Dagster's history. Time travel of all tables ends today. It cannot be taken back.")
    if not sure and (not sys.stdin.isatty() or input("Type the name again to go on: ") != listener):
        raise TuttiError("nothing was erased: type the name again when asked, or say that you are sure (YES=1)")
    runner = Runner()
    done = runner.run("erase_listener", config={"erase": {"config": {"listener": listener}}})
    for event in done.filter_events(lambda event: event.event_type_value == "STEP_OUTPUT"):
        for what, count in event.step_output_data.metadata.items():
            print(f"  {what.replace('_', ' ')}: {count.value:,}")
    runner.take({})
    forget(data_folder())
    print(f"\nNothing here names {listener} any more; what counted them was made again. Not reached: backups, copies")
    print("outside this folder, what a browser remembers of the launchpad, and a token, which still lets listens in.")
