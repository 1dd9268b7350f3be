"""The command `maintenance`: it removes unneeded files and events, and packs the files of the scrobble endpoint."""

import click

from orchestration.jobs.maintenance import STEPS, Targets
from resources.artifacts.artifacts import Artifacts
from resources.environments import artifacts_of, data_folder, home_folder, landing_of, open_lake
from resources.errors import TuttiError
from resources.locks import shared_lock
from resources.terminal import say


@click.command()
def maintenance() -> None:
    """Remove unneeded files and check artifacts.

    It removes outdated table files and superseded events of Dagster's history, and packs the small files of the
    scrobble endpoint.
    """
    data, failed = data_folder(), list[TuttiError]()
    lake, artifacts = open_lake().require_tables(), Artifacts(artifacts_of(data))
    targets = Targets(lake, landing_of(data), artifacts, home_folder(), say, say)
    with shared_lock(data):
        for step in STEPS:
            try:
                step(targets)
            except TuttiError as error:  # run the other steps all the same
                failed.append(error)
    if failed:
        raise failed[0]
