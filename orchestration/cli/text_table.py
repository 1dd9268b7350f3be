"""Tables for the terminal: columns as wide as they need, names cut to what an 80-column terminal has left."""

from collections.abc import Sequence

from resources.sources.readers.archive import printable

WIDTH = 80
BETWEEN = " – "  # artist and title


def lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines: columns to the right, the last one, a name, to the left and cut."""
    *numbers, _ = zip(header, *rows, strict=True)
    widths = [max(map(len, column)) for column in numbers]
    left = WIDTH - sum(widths) - 2 * len(widths)
    found = []
    for *cells, name in (header, *rows):
        aligned = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        found.append("  ".join([*aligned, cut(escaped(name), left)]))
    return found


def escaped(name: str) -> str:
    """Return a name as any terminal can show it; of artist and title each by itself."""
    return BETWEEN.join(map(printable, name.split(BETWEEN)))


def cut(name: str, width: int) -> str:
    """Cut a name to a width: of artist and title, the artist first."""
    if len(name) <= width:
        return name
    artist, between, title = name.partition(BETWEEN)
    left = width - len(between) - len(title) - 1
    if between and left > 0:
        return f"{artist[:left].rstrip()}…{between}{title}"
    return name[: width - 1] + "…"


def duration(ms: int) -> str:
    """Return a time listened; sources that know no times give 0."""
    if not ms:
        return "time unknown"
    minutes = ms / 60_000
    return f"{minutes:,.0f} min" if minutes < 60 else f"{minutes / 60:,.1f} h"
