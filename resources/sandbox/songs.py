"""Words of songs whose tunes the catalog has without words: real ones, in the public domain by age.

What belongs here: titles, words and who wrote them. The tunes come from the catalog, which finds its songs by title.
All words were printed before 1900, by people who died before 1920 or are unknown.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("songs.txt")  # a title, who wrote the words and when, a blank line, the words
SONG, VERSE = "\n===\n", "\n\n"


@dataclass(frozen=True)
class Song:
    """The words of a song: lines, with an empty one between verses."""

    title: str
    words_by: str  # writer and year; "traditional" if nobody knows
    words: str


@functools.cache
def songs() -> dict[str, Song]:
    """Return all songs by `key` of their titles."""
    found = {}
    for text in FILE.read_text("utf-8").split(SONG):
        head, words = text.strip().split(VERSE, 1)
        title, words_by = head.split("\n")
        found[key(title)] = Song(title, words_by, words)
    return found


def key(title: str) -> str:
    """Return a title as songs are compared: words in lower case, without articles at its beginning."""
    return re.sub(r"^(the|an?) ", "", " ".join(re.findall(r"[a-z']+", title.lower())))
