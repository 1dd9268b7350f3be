"""The command that removes what no reader of the lake needs and what newer events replace, and packs the intake's."""

import click

from orchestration.instance.home import home_folder
from orchestration.jobs.maintenance import STEPS, Kept
from resources.environments import data_folder, environment
from resources.errors import TuttiError
from resources.locks import sharing


@click.command()
def upkeep() -> None:
    """Remove files and events that nothing needs.

    It also packs the intake's small files and checks artifacts.
    """
    found = environment("laptop")  # all environments keep their data in the same places
    lake, failed = found["io_manager"].lake.filled(), list[TuttiError]()
    kept = Kept(lake, found["landing"], found["artifacts"].artifacts, home_folder(), print, print)
    with sharing(data_folder()):
        for step in STEPS:
            try:
                step(kept)
            except TuttiError as error:  # the other steps are not to blame
                failed.append(error)
    if failed:
        raise failed[0]
