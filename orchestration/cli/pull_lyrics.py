"""The command that pulls lyrics, and builds the tables made of them."""

import click

from orchestration.cadence import CONTENT
from orchestration.cli.number import Number
from orchestration.cli.runner import Runner
from orchestration.jobs.pulls import LYRICS
from resources.pulls.metadata import USUAL
from resources.services.lrclib import NAME

MOST = Number("number of recordings", "make pull-lyrics MOST=500", 1)


@click.command()
@click.option("--most", type=MOST, default=USUAL, show_default=True, help="Recordings to ask for, at most.")
def pull_lyrics(most: int) -> None:
    """Pull lyrics from LRCLIB, most played recordings first."""
    runner = Runner()
    runner.run("pull_lyrics", config={NAME: {"config": {"most": most}}})
    runner.run(CONTENT, assets=sorted(runner.cadence.made_of(LYRICS)))
    print(runner.progress.total())
