"""Matching: the keys by which names and catalog recordings meet.

A submitted name and a recording both get keys from these functions. Equal keys are candidates for a match: exact keys
first, and for a name without one, blocking keys, which typos leave unchanged.
"""

from collections.abc import Iterator

import pyarrow as pa

from resources.schema import column
from resources.text.names import Name, normalize, numbers, parse_name

KNOWN = [
    column("recording_id", pa.string(), "MusicBrainz recording"),
    column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
    column("artist_credit", pa.string(), "the artists as the catalog credits them"),
    column("title", pa.string(), "title in the catalog"),
    column("released", pa.string(), "date of the first release; what sorts after every date, where it is unknown"),
]
"""The columns of a catalog recording that match keys and blocking keys carry."""

# The rules, by which a key is built. `assets.events.recording_matches` gives the confidence of each.
MBID, ISRC, TEXT, LETTERS, RECORDING, FIRST_CREDITED, FUZZY, VERSION = range(8)
PART = 3  # letters at either end of a name: one typo leaves either whole in a name of six letters or more


def key_of(level: int, text: str) -> str:
    """Return the key of a rule for a text."""
    return f"{level}\x1f{text}"


def named(artist: str, title: str) -> Iterator[tuple[int, str]]:
    """Yield the exact keys of a credit and a title, each with its rule."""
    name = parse_name(artist, title)
    yield TEXT, f"{normalize(artist)}\x1f{normalize(title)}"
    yield LETTERS, name.letters_key
    yield RECORDING, name.recording_key


def parts(name: Name) -> set[str]:
    """Return the blocking keys of a name: the whole credit, the whole title, and pairs of their first or last letters.

    Each contains all numbers of the name, since numbers must be equal.
    """
    credit, title = ("".join(w for w in words if not w.isdigit() and w != "the") for words in (name.lead, name.title))
    same = "\x1f".join(numbers((*name.lead, *name.title)))
    ends = {f"{a}\x1f{t}" for a in (credit[:PART], credit[-PART:]) for t in (title[:PART], title[-PART:])}
    return {f"{key}\x1f{same}" for key in (f"credit\x1f{credit}", f"title\x1f{title}", *ends)}
