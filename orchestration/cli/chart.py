"""The command that prints the chart of all time."""

import click

from assets.derived.charts import CHART
from resources.environments import data_folder, open_lake
from resources.errors import TuttiError

PLACES = 10


@click.command()
def chart() -> None:
    """Print the chart of all time.

    Until a day was closed there is none: the newest year's is printed.
    """
    lake = open_lake()
    rows, of = lake.scan("derived/charts_all_time", CHART).table().to_pylist(), "all time"
    if not rows and (years := lake.scan("derived/charts_yearly", CHART).table().to_pylist()):
        newest = max(row["period_start"] for row in years)
        rows, of = [row for row in years if row["period_start"] == newest], str(newest.year)
    if not rows:
        raise TuttiError(
            f"there is no chart in {data_folder()} yet: import your history, or see the demo's with "
            "`make chart DATA=data/demo`"
        )
    for entity in ("recording", "artist"):
        print(f"\n{entity}s by plays, of {of}")
        for row in sorted((r for r in rows if r["entity"] == entity), key=lambda r: r["rank"])[:PLACES]:
            name, hours = (row["name"] or row["entity_id"])[:60], row["ms_played"] / 3_600_000
            plays = "play " if row["plays"] == 1 else "plays"
            counted = f"{row['plays']:7,} {plays} {hours:7,.1f} h, listeners: {row['listeners']:,}"
            print(f"{row['rank']:4d}. {name:60s} {counted}")
