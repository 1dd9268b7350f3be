"""Match keys and blocking keys: the keys by which each catalog recording is found.

Names are matched every day with a catalog that rarely changes. Its keys are stored and sorted once per change, so that
the cost of a day depends on its names alone.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of
from assets.matching import FIRST_CREDITED, ISRC, MBID, RECORDING_COLUMNS, VERSION, blocking_keys_of, key_of, name_texts
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.text.names import Name, parse_name

MATCH_KEYS = pa.schema(
    [
        column("key", pa.string(), "number of a match rule, and the id, ISRC or name to match"),
        *RECORDING_COLUMNS,
        column("candidates", pa.int64(), "number of recordings with the key; the row has the one released first"),
    ]
)
BLOCKING_KEYS = pa.schema(
    [
        column("key", pa.string(), "some letters of artist credit and title, and all numbers in them"),
        column("credit_words", pa.string(), "normalized words of the artist credit"),
        column("title_words", pa.string(), "normalized words of the title"),
        *RECORDING_COLUMNS,
    ]
)

MAX_CANDIDATES = 500  # recordings of one blocking key; with more, comparing costs much and finds little
NO_DATE = "9999"  # sorts a recording without a release date after all others
CATALOG = ["recording_id", "artist_ids", "artist_credit", "title", "isrcs", "first_release_date", "merged_ids"]
_KEYED = pa.schema([f for f in MATCH_KEYS if f.name != "candidates"])


def build_match_keys(recordings: pa.Table) -> pa.Table:
    """Map: return the exact keys of each recording."""
    rows = [
        (key, *recording)
        for recording, isrcs, merged in _catalog(recordings)
        for key in {
            *(key_of(MBID, mbid) for mbid in (recording[0], *merged)),
            *(key_of(ISRC, isrc) for isrc in isrcs),
            *(key_of(level, text) for level, text in name_texts(recording[2], recording[3])),
            *_catalog_only_keys(parse_name(recording[2], recording[3])),
        }
    ]
    return as_table(rows, _KEYED)


def first_released(keys: nw.LazyFrame) -> nw.LazyFrame:
    """Keep one recording for each key, that of the earliest release, and count all: thousands can share a name."""
    counts = keys.group_by("key").agg(candidates=nw.len())
    first = keys.unique(["key"], keep="first", order_by=["released", "recording_id"])
    return first.join(counts, on="key", how="inner").select(MATCH_KEYS.names)


def build_blocking_keys(recordings: pa.Table) -> pa.Table:
    """Map: return the blocking keys of each recording, with its words."""
    rows = []
    for recording, *_ in _catalog(recordings):
        name = parse_name(recording[2], recording[3])
        words = " ".join(name.lead), " ".join(name.title)
        rows += [(key, *words, *recording) for key in blocking_keys_of(name)]
    return as_table(rows, BLOCKING_KEYS)


def selective(keys: nw.LazyFrame) -> nw.LazyFrame:
    """Drop the keys that more than `MAX_CANDIDATES` recordings share.

    This keeps the work proportional to the number of names instead of its square. A recording that loses a key, such
    as "the" with "sym", can still be found by its other keys.
    """
    few = keys.group_by("key").agg(candidates=nw.len()).filter(nw.col("candidates") <= MAX_CANDIDATES)
    return keys.join(few.select("key"), on="key", how="inner").select(BLOCKING_KEYS.names)


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(MATCH_KEYS, key=["key"]),
)
def match_keys(recordings: Frame) -> Frame:
    """Exact keys of catalog recordings: MusicBrainz ids, ISRCs and normalized names, one row per key."""
    keys = recordings.select(*CATALOG).map(build_match_keys, schema=_KEYED, kernel="arrow")
    return keys.per("key", first_released)


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(BLOCKING_KEYS, key=["key", "recording_id"]),
)
def blocking_keys(recordings: Frame) -> Frame:
    """Blocking keys of catalog recordings, by which misspelled names find candidates to compare with."""
    keys = recordings.select(*CATALOG).map(build_blocking_keys, schema=BLOCKING_KEYS, kernel="arrow")
    return keys.per("key", selective)


checks = [
    checks_of(match_keys),
    checks_of(blocking_keys),
]


def _catalog_only_keys(name: Name) -> Iterator[str]:
    """Yield the keys by which a submitted name with less or more detail finds a recording.

    A recording of several artists is found by the first one. A recording that is no version, such as live or remix,
    is found by names of its versions.
    """
    if not name.has_single_artist:
        yield key_of(FIRST_CREDITED, name.first_artist_key)
    if not name.version:
        yield key_of(VERSION, name.any_version_key)


def _catalog(recordings: pa.Table) -> Iterator[tuple[tuple[Any, ...], list[str], list[str]]]:
    """Yield for each recording the values of `RECORDING_COLUMNS`, its ISRCs and the ids merged into it."""
    for row in recordings.to_pylist():
        recording = (row["recording_id"], row["artist_ids"], row["artist_credit"], row["title"])
        yield (*recording, row["first_release_date"] or NO_DATE), row["isrcs"], row["merged_ids"] or []
