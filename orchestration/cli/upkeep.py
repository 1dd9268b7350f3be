"""The command that removes what no reader of the lake needs and what newer events replace, and packs the intake's."""

from datetime import UTC, datetime

import click

from orchestration.instance.home import home_folder
from orchestration.instance.pruning import prune
from orchestration.jobs.maintenance import pack_intake, tidy
from resources.environments import data_folder
from resources.folders.landing import Landing
from resources.lake.lake import Lake
from resources.locks import sharing


@click.command()
def upkeep() -> None:
    """Remove files and events that nothing needs.

    It also packs the intake's small files.
    """
    lake = Lake(data_folder() / "lake").filled()
    with sharing(data_folder()):
        tidy(lake, print, print)  # without Dagster's records, which need room on the disk
        prune(home_folder(), datetime.now(UTC), print)
        pack_intake(Landing(root=str(data_folder() / "landing")), lake, print)
