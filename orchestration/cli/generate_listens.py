"""The command `generate-listens`: it fills an empty lake with simulated listens, for benchmarks."""

import os

import click

from assets.events.listens import LISTENS
from assets.events.name_ids import artist_id, recording_id
from orchestration.cli.number import Number
from resources.environments import PROJECT, data_folder, open_lake
from resources.locks import shared_lock
from resources.sandbox.listen_generator import write
from resources.terminal import say

LISTENS_COUNT = Number("number of listens", "make generate-listens LISTENS=20000000", 1)


@click.command()
@click.option(
    "--listens",
    type=LISTENS_COUNT,
    required=True,
    help="Approximate number to generate, for example 20_000_000.",
)
def generate_listens(listens: int) -> None:
    """Fill an empty lake with simulated listens.

    Use it for benchmarks. Default folder: data/generated, unless TUTTI_DATA_DIR is set.
    """
    # The default is a folder of its own, so that generated listens never mix with real ones by accident.
    os.environ["TUTTI_DATA_DIR"] = os.environ.get("TUTTI_DATA_DIR") or str(PROJECT / "data" / "generated")
    lake = open_lake()
    with shared_lock(data_folder()):
        written = write(lake, "events/listens", LISTENS, _ids, listens=listens)
    say(f"Generated {written.rows:,} listens in {lake.root / 'events' / 'listens'}.")
    say("Materialize its downstream assets. Do not rebuild events/listens itself: that deletes these rows.")


def _ids(artist: str, title: str) -> tuple[str, str]:
    return recording_id(artist, title), artist_id(artist)
