"""Partial dates: as much of a date as is known.

MusicBrainz knows of many things only the year, or the year and month, and of some the day and month but no year; it
writes what is in between and unknown as question marks: https://musicbrainz.org/doc/Style/Partial_dates. Years are of
the Gregorian calendar, carried back as far as need be; 0 stands for unknown, as in tags of files.
"""

import re
from calendar import monthrange
from typing import NamedTuple

FORM = re.compile(r"(\?{4}|\d{4}|-\d{3,4})(?:-(\?{2}|\d{2})(?:-(\?{2}|\d{2}))?)?", re.ASCII)
LEAP = 2000  # a year in which every day and month there is occurs


class PartialDate(NamedTuple):
    """What is known of a date; at least one part is."""

    year: int | None
    month: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        """As MusicBrainz writes it, in the shortest way: 2005, 2005-03, 2005-03-09, 2005-??-09 or ????-03-09."""
        year = "????" if self.year is None else f"{self.year:04d}"
        month, day = ("??" if part is None else f"{part:02d}" for part in (self.month, self.day))
        if self.day is not None:
            return f"{year}-{month}-{day}"
        return year if self.month is None else f"{year}-{month}"


def parse(text: str) -> PartialDate | None:
    """The date a text tells; None where it tells that nothing is known. Raises `ValueError` for what is no date."""
    if not text.strip():
        return None
    found = FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"no partial date: {text[:40]!r}")
    year, month, day = (int(part) or None if part and "?" not in part else None for part in found.groups())
    if month is not None and month > 12:
        raise ValueError(f"no month: {text!r}")
    if day is not None and day > (monthrange(_alike(year), month)[1] if month else 31):
        raise ValueError(f"no day: {text!r}")
    if year is month is day is None:
        return None
    return PartialDate(year, month, day)


def _alike(year: int | None) -> int:
    """A year whose months are as long: the calendar repeats itself after 400, and Python's begins with 1."""
    return LEAP + (year or 0) % 400
