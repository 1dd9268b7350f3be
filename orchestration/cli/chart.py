"""The command that prints a chart."""

import click

from assets.derived.charts import DAILY_CAP, ENTITIES
from orchestration.cli import ranking, text_table
from orchestration.cli.number import Number
from orchestration.cli.ranking import ALL_TIME, Place, Ranking
from resources.environments import data_folder, open_lake
from resources.errors import TuttiError

LIMIT = Number("number of places", "make chart LIMIT=20", 1, default=10)
HEADER = ("", "move", "plays", "listeners", "time", "name")


@click.command()
@click.option("--limit", type=LIMIT, default="", help="Places to print. Default: 10.")
@click.option(
    "--period", type=click.Choice(ranking.NAMES), default=ALL_TIME, show_default=True, help="Newest of these."
)
def chart(limit: int, period: str) -> None:
    """Print the chart of all time, or the newest of a period.

    Until a day was closed, there is no chart of all time: the newest year's is printed.
    """
    lake = open_lake()
    found = ranking.read(lake, period) or (ranking.read(lake, "yearly") if period == ALL_TIME else None)
    if not found:
        raise TuttiError(
            f"there is no chart in {data_folder()} yet: import your history, or see the demo's with "
            "`make chart DATA=data/demo`"
        )
    for line in report(found, limit):
        print(line)


def report(found: Ranking, limit: int) -> list[str]:
    """Return a chart's lines: a table of recordings, one of artists, and what their columns mean."""
    lines = []
    for entity in ENTITIES:
        rows = [_row(place, bool(found.compared_with)) for place in found.places(entity, limit)]
        if rows:
            lines += ["", f"{entity.capitalize()}s of {found.title}", *text_table.lines(HEADER, rows)]
    lines.append("")
    if found.compared_with:
        since = "before" if found.title == "all time" else "of"
        lines.append(f"move: places up or down from the chart {since} {found.compared_with}")
    if found.capped:
        lines.append(f"plays: of one listener and day at most {DAILY_CAP} count; time: of all plays")
    return lines


def _row(place: Place, compared: bool) -> tuple[str, ...]:
    numbers = (f"{place.rank}.", _movement(place) if compared else "", f"{place.plays:,}", f"{place.listeners:,}")
    return (*numbers, text_table.duration(place.ms_played), place.name)


def _movement(place: Place) -> str:
    if place.before is None:
        return "new"
    return f"{place.before - place.rank:+,}" if place.before != place.rank else "="
