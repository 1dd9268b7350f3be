"""The command that pulls metadata which the catalog lacks, and builds the catalog of it."""

import click

from orchestration.cadence import BUILD_CATALOG
from orchestration.cli.number import Number
from orchestration.cli.runner import Runner
from resources.pulls.metadata import USUAL
from resources.services.musicbrainz import NAME

LIMIT = Number("number of recordings", "make pull-metadata LIMIT=500", 1)


@click.command()
@click.option("--limit", type=LIMIT, default=USUAL, show_default=True, help="Entities of each kind, at most.")
def pull_metadata(limit: int) -> None:
    """Pull what the catalog lacks from MusicBrainz."""
    runner = Runner()
    done = runner.run("pull_metadata", config={NAME: {"config": {"limit": limit}}})
    counts = {key: value.value for key, value in done.filter_events(_is_output)[0].step_output_data.metadata.items()}
    if not counts["files"]:
        print("The catalog has all of it that MusicBrainz knows: it stays as it is.")
        return
    runner.run(BUILD_CATALOG)
    left = f"{counts['left']:,} are left for the next pull. " if counts["left"] else ""
    print(f"{runner.progress.total()}\n{left}Listens known by their names alone find the new recordings")
    print("when their days are made again: make backfill FROM=first day TO=last day")


def _is_output(event: object) -> bool:
    return getattr(event, "event_type_value", None) == "STEP_OUTPUT"
