"""The command `maintenance`: it removes unneeded files and events, and packs the files of the scrobble endpoint."""

import click

from orchestration.instance.home import home_folder
from orchestration.jobs.maintenance import STEPS, Kept
from resources.artifacts.artifacts import Artifacts
from resources.environments import artifacts_of, data_folder, landing_of, open_lake
from resources.errors import TuttiError
from resources.locks import sharing


@click.command()
def maintenance() -> None:
    """Remove files and events that nothing needs.

    It also packs the scrobble endpoint's small files and checks artifacts.
    """
    data, failed = data_folder(), list[TuttiError]()
    lake, artifacts = open_lake().filled(), Artifacts(artifacts_of(data))
    kept = Kept(lake, landing_of(data), artifacts, home_folder(), print, print)
    with sharing(data):
        for step in STEPS:
            try:
                step(kept)
            except TuttiError as error:  # the other steps are not to blame
                failed.append(error)
    if failed:
        raise failed[0]
