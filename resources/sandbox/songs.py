"""Songs: real lyrics, in the public domain by age, for tunes that the catalog has without words.

The catalog finds the lyrics by title. All were printed before 1900, by authors who died before 1920 or are unknown.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("songs.txt")  # title, author and year of the words, a blank line, the words
SONG, VERSE = "\n===\n", "\n\n"


@dataclass(frozen=True)
class Song:
    """The lyrics of a song as lines, with an empty one between verses."""

    title: str
    words_by: str  # author and year; "traditional" if unknown
    words: str


@functools.cache
def songs() -> dict[str, Song]:
    """Return all songs by `key` of their titles."""
    by_key = {}
    for text in FILE.read_text("utf-8").split(SONG):
        head, words = text.strip().split(VERSE, 1)
        title, words_by = head.split("\n")
        by_key[key(title)] = Song(title, words_by, words)
    return by_key


def key(title: str) -> str:
    """Return a title in its form for comparison: words in lower case, without a leading article."""
    return re.sub(r"^(the|an?) ", "", " ".join(re.findall(r"[a-z']+", title.lower())))
