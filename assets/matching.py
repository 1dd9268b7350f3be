"""Matching: the keys by which submitted names are matched with catalog recordings.

Submitted names and recordings both get their keys from these functions. A name and a recording with an equal key are
candidates for a match. Exact keys come first. A name without an exact match is compared by blocking keys, of which a
typo leaves at least one unchanged.
"""

from collections.abc import Iterator

import pyarrow as pa

from resources.schema import column
from resources.text.names import Name, normalize, numbers, parse_name

RECORDING_COLUMNS = [
    column("recording_id", pa.string(), "MusicBrainz recording"),
    column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
    column("artist_credit", pa.string(), "artist credit in the catalog"),
    column("title", pa.string(), "title in the catalog"),
    column("released", pa.string(), "date of the first release, or 9999 if it is unknown"),
]
"""The columns of a catalog recording that match keys and blocking keys carry."""

# The rules that build keys, the surest first. `assets.events.recording_matches` gives the confidence of each.
MBID, ISRC, TEXT, LETTERS, RECORDING, FIRST_CREDITED, FUZZY, VERSION = range(8)
# In a name of six letters or more, one typo leaves the first or the last three letters unchanged.
END_LETTERS = 3


def key_of(level: int, text: str) -> str:
    """Return the key of a rule, by its number, for a text."""
    return f"{level}\x1f{text}"


def name_texts(artist: str, title: str) -> Iterator[tuple[int, str]]:
    """Yield for each exact rule of names its number and the text that its key is made of."""
    name = parse_name(artist, title)
    yield TEXT, f"{normalize(artist)}\x1f{normalize(title)}"
    yield LETTERS, name.letters_key
    yield RECORDING, name.recording_key


def blocking_keys_of(name: Name) -> set[str]:
    """Return the blocking keys of a name: the whole credit, the whole title, and pairs of their first or last letters.

    Each contains all numbers of the name, since numbers must be equal.
    """
    credit, title = ("".join(w for w in words if not w.isdigit() and w != "the") for words in (name.lead, name.title))
    digits = "\x1f".join(numbers((*name.lead, *name.title)))
    n = END_LETTERS
    ends = {f"{a}\x1f{t}" for a in (credit[:n], credit[-n:]) for t in (title[:n], title[-n:])}
    return {f"{key}\x1f{digits}" for key in (f"credit\x1f{credit}", f"title\x1f{title}", *ends)}
