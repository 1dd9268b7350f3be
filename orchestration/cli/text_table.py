"""Tables for an 80-column terminal."""

from collections.abc import Sequence

from resources.text.printable import printable

WIDTH = 80
BETWEEN = " – "  # artist and title


def lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table. Columns are right-aligned, except for the last one: a name, truncated to fit."""
    *numbers, _ = zip(header, *rows, strict=True)
    widths = [max(map(len, column)) for column in numbers]
    name_width = WIDTH - sum(widths) - 2 * len(widths)
    table = []
    for *cells, name in (header, *rows):
        aligned = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        table.append("  ".join([*aligned, cut(escaped(name), name_width)]))
    return table


def escaped(name: str) -> str:
    """Return a name with characters escaped that a terminal cannot show, artist and title separately."""
    return BETWEEN.join(map(printable, name.split(BETWEEN)))


def cut(name: str, width: int) -> str:
    """Truncate a name to a width. The artist is truncated before the title."""
    if len(name) <= width:
        return name
    artist, between, title = name.partition(BETWEEN)
    left = width - len(between) - len(title) - 1
    if between and left > 0:
        return f"{artist[:left].rstrip()}…{between}{title}"
    return name[: width - 1] + "…"


def duration(ms: int) -> str:
    """Return a time listened as text. A source without times gives 0."""
    if not ms:
        return "time unknown"
    minutes = ms / 60_000
    if minutes < 1:
        return "under 1 min"
    return f"{minutes:,.0f} min" if minutes < 60 else f"{minutes / 60:,.1f} h"
