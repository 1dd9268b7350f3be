"""Recording keys: what each recording of the catalogue can be found by, made when the catalogue changes.

Names are looked for every day in a catalogue that hardly changes: its keys wait for them, sorted, so that a day costs
what its names cost. Names and recordings both emit keys, by these functions, and equal keys meet: exact ones, surest
first; for a name without one, parts of its letters, which typos left whole.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.text.names import Name, normal, numbers, taken_apart

KNOWN = [
    column("recording_id", pa.string(), "MusicBrainz recording"),
    column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, in the order of the credit"),
    column("artist_credit", pa.string(), "the artists as the catalogue credits them"),
    column("title", pa.string(), "title in the catalogue"),
    column("released", pa.string(), "date of the first release; what sorts after every date, where it is unknown"),
]
RECORDING_KEYS = pa.schema(
    [
        column("key", pa.string(), "a rule, and what it finds recordings by"),
        *KNOWN,
        column("fitting", pa.int64(), "how many recordings have the key; this one is of the earliest release"),
    ]
)
RECORDING_PARTS = pa.schema(
    [
        column("key", pa.string(), "a part of the letters of credit and title, and all numbers in them"),
        column("known_credited", pa.string(), "the words of the credit"),
        column("known_titled", pa.string(), "the words of the title"),
        *KNOWN,
    ]
)

# How a name can be found; `assets.events.identities` tells what each is worth.
MBID, ISRC, TEXT, LETTERS, RECORDING, FIRST_CREDITED, FUZZY, VERSION = range(8)
CAP = 500  # recordings that share a part of their letters with so many others are told apart by other parts
PART = 3  # letters at either end of a name: one typo leaves either whole in a name of six letters or more
LAST = "9999"  # a release without a date comes after all others
CATALOGUE = ["recording_id", "artist_ids", "artist_credit", "title", "isrcs", "first_release_date", "merged_ids"]
_KEYED = pa.schema([f for f in RECORDING_KEYS if f.name != "fitting"])


def key_of(level: int, text: str) -> str:
    """A key of a rule."""
    return f"{level}\x1f{text}"


def named(artist: str, title: str) -> Iterator[tuple[int, str]]:
    """What a credit and a title are found by, by rule."""
    name = taken_apart(artist, title)
    yield TEXT, f"{normal(artist)}\x1f{normal(title)}"
    yield LETTERS, name.letters
    yield RECORDING, name.recording


def parts(name: Name) -> set[str]:
    """The parts by which a name with typos is found: the whole credit, the whole title, or an end of either.

    Numbers are in each of them, since they must be equal.
    """
    credit, title = ("".join(w for w in words if not w.isdigit() and w != "the") for words in (name.lead, name.title))
    same = "\x1f".join(numbers((*name.lead, *name.title)))
    ends = {f"{a}\x1f{t}" for a in (credit[:PART], credit[-PART:]) for t in (title[:PART], title[-PART:])}
    return {f"{key}\x1f{same}" for key in (f"credit\x1f{credit}", f"title\x1f{title}", *ends)}


def known_keys(recordings: pa.Table) -> pa.Table:
    """Map: the exact keys of each recording."""
    rows = [
        (found, *known)
        for known, isrcs, merged in _catalogue(recordings)
        for found in {
            *(key_of(MBID, id) for id in (known[0], *merged)),
            *(key_of(ISRC, isrc) for isrc in isrcs),
            *(key_of(level, text) for level, text in named(known[2], known[3])),
            *_known_alone(taken_apart(known[2], known[3])),
        }
    ]
    return as_table(rows, _KEYED)


def one_for_each_key(known: nw.LazyFrame) -> nw.LazyFrame:
    """The recording of the earliest release for each key, and how many have it: names can be shared by thousands."""
    fitting = known.group_by("key").agg(fitting=nw.len())
    first = known.unique(["key"], keep="first", order_by=["released", "recording_id"])
    return first.join(fitting, on="key", how="inner").select(RECORDING_KEYS.names)


def known_parts(recordings: pa.Table) -> pa.Table:
    """Map: parts of each recording's letters, and its words."""
    rows = []
    for known, *_ in _catalogue(recordings):
        name = taken_apart(known[2], known[3])
        rows += [(part, " ".join(name.lead), " ".join(name.title), *known) for part in parts(name)]
    return as_table(rows, RECORDING_PARTS)


def telling(known: nw.LazyFrame) -> nw.LazyFrame:
    """The parts that no more recordings have than a name can be compared with.

    A part that more have is passed over, so that work grows with the names and not with their square: "the" beside
    "sym" says little, and what is in it is found by its other parts or not at all.
    """
    few = known.group_by("key").agg(fitting=nw.len()).filter(nw.col("fitting") <= CAP)
    return known.join(few.select("key"), on="key", how="inner").select(RECORDING_PARTS.names)


@dg.asset(
    key_prefix="events",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(RECORDING_KEYS, key=["key"]),
)
def recording_keys(recordings: Frame) -> Frame:
    """What each recording of the catalogue is found by: ids, codes and names."""
    known = recordings.select(*CATALOGUE).map(known_keys, schema=_KEYED, kernel="arrow")
    return known.per("key", one_for_each_key)


@dg.asset(
    key_prefix="events",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(RECORDING_PARTS, key=["key", "recording_id"]),
)
def recording_parts(recordings: Frame) -> Frame:
    """By which parts of its letters each recording of the catalogue is found, however a name is misspelt."""
    known = recordings.select(*CATALOGUE).map(known_parts, schema=RECORDING_PARTS, kernel="arrow")
    return known.per("key", telling)


checks = [
    checks_of(recording_keys),
    checks_of(recording_parts),
]


def _known_alone(name: Name) -> Iterator[str]:
    """What a recording is found by that a name says less of, or more.

    By its first artist, if it has others; by its title, for who names a version of it, if it is none itself.
    """
    if not name.alone:
        yield key_of(FIRST_CREDITED, name.first_credited)
    if not name.version:
        yield key_of(VERSION, name.any_version)


def _catalogue(recordings: pa.Table) -> Iterator[tuple[tuple[Any, ...], list[str], list[str]]]:
    """What is kept of each recording, its codes, and the ids that were merged into it."""
    for row in recordings.to_pylist():
        known = (row["recording_id"], row["artist_ids"], row["artist_credit"], row["title"])
        yield (*known, row["first_release_date"] or LAST), row["isrcs"], row["merged_ids"] or []
