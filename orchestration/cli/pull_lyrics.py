"""The command `pull-lyrics`: it pulls lyrics from LRCLIB and builds the lyrics tables."""

import click

from orchestration.cadence import BUILD_CATALOG
from orchestration.cli.number import Number
from orchestration.cli.runner import Runner
from orchestration.jobs.pulls import LYRICS
from resources.pulls.metadata import DEFAULT_LIMIT
from resources.services.lrclib import NAME
from resources.terminal import say

LIMIT = Number("number of recordings", "make pull-lyrics LIMIT=500", 1)


@click.command()
@click.option(
    "--limit", type=LIMIT, default=DEFAULT_LIMIT, show_default=True, help="Maximum number of recordings to request."
)
def pull_lyrics(limit: int) -> None:
    """Pull lyrics that the catalog lacks from LRCLIB.

    The most played recordings come first.
    """
    runner = Runner()
    runner.run("pull_lyrics", config={NAME: {"config": {"limit": limit}}})
    runner.run(BUILD_CATALOG, assets=sorted(runner.cadence.made_of(LYRICS)))
    say(runner.progress.total())
