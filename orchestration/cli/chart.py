"""The command `chart`: it prints the most played recordings and artists."""

from typing import Any

import click

from assets.derived.charts import DAILY_CAP, ENTITIES
from orchestration.cli import ranking, text_table
from orchestration.cli.number import Number
from orchestration.cli.ranking import ALL_TIME, Place, Ranking
from resources.environments import PROJECT, data_folder, open_lake
from resources.errors import TuttiError
from resources.terminal import say

LIMIT = Number("number of ranks", "make chart LIMIT=20", 1, default=10)
HEADER = ("", "move", "plays", "listeners", "time", "name")


class Period(click.ParamType):
    """The name of a chart's period. Raises `TuttiError` for any other value."""

    name = "period"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return `value` if it is a period."""
        if value in ranking.NAMES:
            return value
        raise TuttiError(
            f"unknown period {value!r}: expected {', '.join(ranking.NAMES[:-1])} or {ranking.NAMES[-1]}, "
            "for example `make chart PERIOD=weekly`"
        )


@click.command()
@click.option("--limit", type=LIMIT, default="", help="Ranks to print. Default: 10.")
@click.option(
    "--period",
    type=Period(),
    default=ALL_TIME,
    show_default=True,
    help=f"Period of the chart, one of {', '.join(ranking.NAMES)}. The newest one is printed.",
)
def chart(limit: int, period: str) -> None:
    """Print the most played recordings and artists.

    If the all-time chart is not built yet, the newest yearly chart is printed.
    """
    lake = open_lake()
    ranked = ranking.read(lake, period) or (ranking.read(lake, "yearly") if period == ALL_TIME else None)
    if not ranked:
        demo = PROJECT / "data" / "demo"
        first = "" if (demo / "lake").is_dir() else "run `make demo` and "
        advice = f"Import your history, or {first}print the demo's chart: `make chart DATA=data/demo`"
        if data_folder() == demo:
            advice = "Run `make demo`"
        raise TuttiError(f"no chart in {data_folder()} yet. {advice}")
    for line in report(ranked, limit):
        say(line)


def report(ranked: Ranking, limit: int) -> list[str]:
    """Return the lines of a chart: a table of recordings, a table of artists, and notes on the columns."""
    lines = []
    for entity in ENTITIES:
        rows = [_row(place, bool(ranked.compared_with)) for place in ranked.places(entity, limit)]
        if rows:
            lines += ["", f"{entity.capitalize()}s of {ranked.title}", *text_table.lines(HEADER, rows)]
    lines.append("")
    if ranked.compared_with:
        since = "before" if ranked.title == "all time" else "of"
        lines.append(f"move: places up or down from the chart {since} {ranked.compared_with}")
    if ranked.capped:
        lines.append(f"plays: at most {DAILY_CAP} per listener and day count. time: of all plays")
    return lines


def _row(place: Place, compared: bool) -> tuple[str, ...]:
    numbers = (f"{place.rank}.", _movement(place) if compared else "", f"{place.plays:,}", f"{place.listeners:,}")
    return (*numbers, text_table.duration(place.ms_played), place.name)


def _movement(place: Place) -> str:
    if place.before is None:
        return "new"
    return f"{place.before - place.rank:+,}" if place.before != place.rank else "="
