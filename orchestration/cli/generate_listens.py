"""The command that fills an empty lake with listens of simulated listeners, for benchmarks."""

import os

import click

from assets.events.listens import LISTENS
from assets.events.name_ids import artist_id, recording_id
from orchestration.cli.number import Number
from resources.environments import PROJECT, data_folder, open_lake
from resources.locks import sharing
from resources.sandbox.listen_generator import write

MANY = Number("number of listens", "make generate-listens LISTENS=20000000", 1)


@click.command()
@click.option("--listens", type=MANY, required=True, help="About how many, as 20_000_000.")
def generate_listens(listens: int) -> None:
    """Fill an empty lake with simulated listens."""
    # Never among a person's own listens, unless that is where somebody says.
    os.environ["TUTTI_DATA_DIR"] = os.environ.get("TUTTI_DATA_DIR") or str(PROJECT / "data" / "generated")
    lake = open_lake()
    with sharing(data_folder()):
        written = write(lake, "events/listens", LISTENS, _ids, listens=listens)
    print(f"{written.rows:,} listens are in {lake.root / 'events' / 'listens'}. No file tells of them:")
    print("materialize what follows from events/listens, not events/listens itself.")


def _ids(artist: str, title: str) -> tuple[str, str]:
    return recording_id(artist, title), artist_id(artist)
