"""The command `pull-metadata`: it pulls metadata from MusicBrainz and builds the catalog."""

import click

from orchestration.cadence import BUILD_CATALOG
from orchestration.cli.number import Number
from orchestration.cli.runner import Runner
from resources.pulls.metadata import DEFAULT_LIMIT
from resources.services.musicbrainz import NAME
from resources.terminal import say

LIMIT = Number("number of recordings", "make pull-metadata LIMIT=500", 1)


@click.command()
@click.option(
    "--limit",
    type=LIMIT,
    default=DEFAULT_LIMIT,
    show_default=True,
    help="Maximum entries of each kind to request.",
)
def pull_metadata(limit: int) -> None:
    """Pull metadata that the catalog lacks from MusicBrainz.

    The most played recordings come first.
    """
    runner = Runner()
    result = runner.run("pull_metadata", config={NAME: {"config": {"limit": limit}}})
    counts = {key: value.value for key, value in result.filter_events(_is_output)[0].step_output_data.metadata.items()}
    if not counts["files"]:
        say("MusicBrainz has no metadata that the catalog lacks. Nothing changed.")
        return
    runner.run(BUILD_CATALOG)
    say(runner.progress.total())
    if counts["left"]:
        say(f"{counts['left']:,} missing entries are left. Run the same command again to pull more.")
    say("Listens without an MBID are matched to the new recordings when you rebuild their days, for example:")
    say("make backfill FROM=2024-01-01 TO=2024-12-31")


def _is_output(event: object) -> bool:
    return getattr(event, "event_type_value", None) == "STEP_OUTPUT"
