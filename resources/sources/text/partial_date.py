"""Parse and format partial dates, such as a year alone.

MusicBrainz often has only the year, or the year and month, and sometimes the day and month without a year. It writes
an unknown part before a known one as question marks: https://musicbrainz.org/doc/Style/Partial_dates. Years are of the
proleptic Gregorian calendar. 0 means unknown, as in file tags.
"""

import re
from calendar import monthrange
from typing import NamedTuple

FORM = re.compile(r"(\?{4}|\d{4}|-\d{3,4})(?:-(\?{2}|\d{2})(?:-(\?{2}|\d{2}))?)?", re.ASCII)
LEAP_YEAR = 2000


class PartialDate(NamedTuple):
    """A date of which at least one part is known."""

    year: int | None
    month: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        """Format it in MusicBrainz's shortest form: 2005, 2005-03, 2005-03-09, 2005-??-09 or ????-03-09."""
        year = "????" if self.year is None else f"{self.year:04d}"
        month, day = ("??" if part is None else f"{part:02d}" for part in (self.month, self.day))
        if self.day is not None:
            return f"{year}-{month}-{day}"
        return year if self.month is None else f"{year}-{month}"


def parse(text: str) -> PartialDate | None:
    """Parse a partial date. Return None if all parts are unknown. Raises `ValueError` if it is not a date."""
    if not text.strip():
        return None
    match = FORM.fullmatch(text.strip())
    if not match:
        raise ValueError(f"not a partial date: {text[:40]!r}")
    year, month, day = (int(part) or None if part and "?" not in part else None for part in match.groups())
    if month is not None and month > 12:
        raise ValueError(f"invalid month: {text!r}")
    if day is not None and day > (monthrange(_year_like(year), month)[1] if month else 31):
        raise ValueError(f"invalid day: {text!r}")
    if year is month is day is None:
        return None
    return PartialDate(year, month, day)


def _year_like(year: int | None) -> int:
    """Return a year with the same month lengths: the calendar repeats after 400 years, and Python's begins at 1."""
    return LEAP_YEAR + (year or 0) % 400
