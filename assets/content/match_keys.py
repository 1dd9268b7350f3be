"""Match keys and blocking keys: the keys by which each catalog recording is found, rebuilt when the catalog changes.

Names are matched every day against a catalog that rarely changes. Its keys are stored, sorted, so that a day costs as
much as its names do.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of
from assets.matching import FIRST_CREDITED, ISRC, KNOWN, MBID, VERSION, key_of, named, parts
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.text.names import Name, parse_name

MATCH_KEYS = pa.schema(
    [
        column("key", pa.string(), "a rule, and what it finds recordings by"),
        *KNOWN,
        column("candidates", pa.int64(), "how many recordings have the key; this one is of the earliest release"),
    ]
)
BLOCKING_KEYS = pa.schema(
    [
        column("key", pa.string(), "a part of the letters of credit and title, and all numbers in them"),
        column("credit_words", pa.string(), "the words of the credit"),
        column("title_words", pa.string(), "the words of the title"),
        *KNOWN,
    ]
)

CAP = 500  # recordings that share a part of their letters with so many others are told apart by other parts
LAST = "9999"  # a release without a date comes after all others
CATALOG = ["recording_id", "artist_ids", "artist_credit", "title", "isrcs", "first_release_date", "merged_ids"]
_KEYED = pa.schema([f for f in MATCH_KEYS if f.name != "candidates"])


def known_keys(recordings: pa.Table) -> pa.Table:
    """Map: the exact keys of each recording."""
    rows = [
        (found, *known)
        for known, isrcs, merged in _catalog(recordings)
        for found in {
            *(key_of(MBID, id) for id in (known[0], *merged)),
            *(key_of(ISRC, isrc) for isrc in isrcs),
            *(key_of(level, text) for level, text in named(known[2], known[3])),
            *_known_alone(parse_name(known[2], known[3])),
        }
    ]
    return as_table(rows, _KEYED)


def one_for_each_key(known: nw.LazyFrame) -> nw.LazyFrame:
    """The recording of the earliest release for each key, and how many have it: names can be shared by thousands."""
    counts = known.group_by("key").agg(candidates=nw.len())
    first = known.unique(["key"], keep="first", order_by=["released", "recording_id"])
    return first.join(counts, on="key", how="inner").select(MATCH_KEYS.names)


def known_parts(recordings: pa.Table) -> pa.Table:
    """Map: parts of each recording's letters, and its words."""
    rows = []
    for known, *_ in _catalog(recordings):
        name = parse_name(known[2], known[3])
        rows += [(part, " ".join(name.lead), " ".join(name.title), *known) for part in parts(name)]
    return as_table(rows, BLOCKING_KEYS)


def telling(known: nw.LazyFrame) -> nw.LazyFrame:
    """The parts that no more recordings have than a name can be compared with.

    A part that more have is passed over, so that work grows with the names and not with their square: "the" beside
    "sym" says little, and what is in it is found by its other parts or not at all.
    """
    few = known.group_by("key").agg(candidates=nw.len()).filter(nw.col("candidates") <= CAP)
    return known.join(few.select("key"), on="key", how="inner").select(BLOCKING_KEYS.names)


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(MATCH_KEYS, key=["key"]),
)
def match_keys(recordings: Frame) -> Frame:
    """What each recording of the catalog is found by: ids, codes and names."""
    known = recordings.select(*CATALOG).map(known_keys, schema=_KEYED, kernel="arrow")
    return known.per("key", one_for_each_key)


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(BLOCKING_KEYS, key=["key", "recording_id"]),
)
def blocking_keys(recordings: Frame) -> Frame:
    """By which parts of its letters each recording of the catalog is found, however a name is misspelled."""
    known = recordings.select(*CATALOG).map(known_parts, schema=BLOCKING_KEYS, kernel="arrow")
    return known.per("key", telling)


checks = [
    checks_of(match_keys),
    checks_of(blocking_keys),
]


def _known_alone(name: Name) -> Iterator[str]:
    """What a recording is found by that a name says less of, or more.

    By its first artist, if it has others; by its title, for who names a version of it, if it is none itself.
    """
    if not name.has_single_artist:
        yield key_of(FIRST_CREDITED, name.first_artist_key)
    if not name.version:
        yield key_of(VERSION, name.any_version_key)


def _catalog(recordings: pa.Table) -> Iterator[tuple[tuple[Any, ...], list[str], list[str]]]:
    """What is kept of each recording, its codes, and the ids that were merged into it."""
    for row in recordings.to_pylist():
        known = (row["recording_id"], row["artist_ids"], row["artist_credit"], row["title"])
        yield (*known, row["first_release_date"] or LAST), row["isrcs"], row["merged_ids"] or []
