"""Recording matches: the catalog recording of each submitted name, with the match rule and its confidence.

There is one row for each distinct set of submitted fields (names, MBIDs, ISRC) and day. All other assets use these
matches. Matching is a join: names and recordings have keys, and equal keys are candidates. Exact keys come first. A
name without an exact match gets candidates by blocking keys, which are then compared for typos.

A name without a match gets an id made of its names, and counts in the same way everywhere.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of, well_formed
from assets.events.name_ids import artist_id, name_id, recording_id
from assets.imports.name_key import NAME_KEY, SUBMITTED, as_text
from assets.matching import (
    FIRST_CREDITED,
    FUZZY,
    ISRC,
    MBID,
    RECORDING_COLUMNS,
    VERSION,
    blocking_keys_of,
    key_of,
    name_texts,
)
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import as_table, column
from resources.text.names import count_typos, normalize, parse_name

RECORDING_MATCHES = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the listens"),
        NAME_KEY,
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("recording_mbid", pa.string(), "MusicBrainz recording as submitted", null=True),
        column("isrc", pa.string(), "International Standard Recording Code as submitted", null=True),
        column("artist_mbids", pa.list_(pa.string()), "MusicBrainz artists as submitted, empty if not submitted"),
        column("recording_id", pa.string(), "MusicBrainz recording, else a UUID of artist credit and title"),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, else one UUID of the artist credit"),
        column("rule", pa.string(), "match rule: mbid, isrc, name, qualifier, fuzzy, version or unmapped"),
        column("confidence", pa.float64(), "confidence of the match, from 0 to 1"),
        column("artist_credit", pa.string(), "artist credit in the catalog", null=True),
        column("title", pa.string(), "title in the catalog", null=True),
        column("name_id", pa.string(), "UUID of first artist and title, equal for all of their spellings"),
    ]
)

# The rules, the surest first, with the confidence of a match with one candidate. The figures order the rules and
# separate sure matches from likely ones. They are not frequencies.
RULES = (
    ("mbid", 1.0),  # the source gives the recording
    ("isrc", 0.98),  # a few codes belong to two recordings
    ("name", 0.95),  # credit and title are equal except for case and white space
    ("name", 0.9),  # also except for diacritics, script, punctuation and the place of guests
    ("qualifier", 0.8),  # also except for guests, the order of artists, and remarks such as "2011 Remaster"
    ("qualifier", 0.6),  # also except for all artists after the first, since some exports have one artist per album
    ("fuzzy", 0.7),  # equal except for a typo; two typos are less sure
    ("version", 0.4),  # a version (live, remix, demo) of which the catalog has only the original recording
)
SHARED = 0.6  # factor of the confidence if several recordings match equally; the earliest release is taken
SECOND_TYPO = 0.15  # subtracted from the confidence
MAX_TYPOS = 2  # in credit and title together

ON_DAY = ["day", NAME_KEY.name]
_TEXT = [(c, pa.string()) for c in SUBMITTED]  # empty if absent, and a list as one text
NAMES = pa.schema([RECORDING_MATCHES.field("day"), NAME_KEY, *_TEXT])
KEYED = pa.schema([("key", pa.string()), ("level", pa.int64()), NAME_KEY])
BLOCKED = pa.schema([("key", pa.string()), ("credited", pa.string()), ("titled", pa.string()), NAME_KEY])
ARTISTS = pa.schema([("key", pa.string()), ("artist_id", pa.string())])
CANDIDATES = pa.schema(
    [NAME_KEY, ("level", pa.int64()), ("candidates", pa.int64()), ("typos", pa.int64()), *RECORDING_COLUMNS]
)


def identify(rows: Frame, recording_matches: Frame, *columns: str) -> Frame:
    """Add columns of the matches of rows, which have `day` and `name_key`. They are null without a match."""
    return rows.per(ON_DAY, join_matches, recording_matches.select(*ON_DAY, *columns))


def join_matches(rows: nw.LazyFrame, matches: nw.LazyFrame) -> nw.LazyFrame:
    """Join rows with the matches of their names."""
    return rows.join(matches, on=ON_DAY, how="left")


def distinct_names_by_day(rows: pa.Table) -> pa.Table:
    """Return each name of each day once, as text. A field without a column counts as absent."""
    first = _first(rows, ON_DAY)
    texts = [as_text(first[n]) if n in first.column_names else pa.repeat("", len(first)) for n in SUBMITTED]
    return pa.table([*(first[n] for n in ON_DAY), *texts], NAMES)


def distinct_names(names: pa.Table) -> pa.Table:
    """Return each name once, on one of its days."""
    return _first(names, [NAME_KEY.name])


def _first(rows: pa.Table, key: list[str]) -> pa.Table:
    """Return the first row of each key."""
    numbered = rows.select(key).append_column("row", pa.array(range(len(rows)), pa.int64()))
    return rows.take(numbered.group_by(key, use_threads=False).aggregate([("row", "min")])["row_min"])


def exact_keys(names: pa.Table) -> pa.Table:
    """Map: return the exact keys of each name, one row per rule."""
    rows = [(key, level, name_key) for name_key, *name in _submitted(names) for level, key in _exact_keys(*name)]
    return as_table(rows, KEYED)


def find_exact(names: nw.LazyFrame, keys: nw.LazyFrame) -> nw.LazyFrame:
    """Reduce: return the recordings that share an exact key with a name."""
    candidates = names.join(keys, on="key", how="inner")
    return candidates.with_columns(typos=nw.lit(0)).select(CANDIDATES.names)


def without_exact(names: nw.LazyFrame, candidates: nw.LazyFrame) -> nw.LazyFrame:
    """Return the names without a candidate by an exact key, except for one of another version."""
    sure = candidates.filter(nw.col("level") < VERSION)
    return names.join(sure, on=NAME_KEY.name, how="anti")


def blocking_keys_of_names(names: pa.Table) -> pa.Table:
    """Map: return the blocking keys and the words of each name without an MBID."""
    rows = []
    for name_key, artist, title, mbid, *_ in _submitted(names):
        if mbid:
            continue
        name = parse_name(artist, title)
        rows += [(key, " ".join(name.lead), " ".join(name.title), name_key) for key in blocking_keys_of(name)]
    return as_table(rows, BLOCKED)


def pair_with_recordings(names: nw.LazyFrame, keys: nw.LazyFrame) -> nw.LazyFrame:
    """Return the pairs of a name and a recording that share a blocking key."""
    return names.join(keys, on="key", how="inner")


def score(pairs: pa.Table) -> pa.Table:
    """Return the pairs that differ by at most `MAX_TYPOS` typos, as rows of `CANDIDATES`."""
    from rapidfuzz.distance import OSA
    from rapidfuzz.process import cpdist

    # A fast edit distance (in C) discards most pairs. The slower rules of `_typos` decide about the rest.
    words = {n: pairs[n].to_pylist() for n in ("credited", "titled", "credit_words", "title_words")}
    near = [True] * len(pairs)
    for submitted, in_catalog in (("credited", "credit_words"), ("titled", "title_words")):
        distances = cpdist(words[submitted], words[in_catalog], scorer=OSA.distance, score_cutoff=2 * MAX_TYPOS)
        near = [n and d <= 2 * MAX_TYPOS for n, d in zip(near, distances.tolist(), strict=True)]
    rows, typos = [], []
    for row, close in enumerate(near):
        if close:
            count = _typos(*(words[n][row].split() for n in ("credited", "credit_words", "titled", "title_words")))
            if count is not None:
                rows.append(row)
                typos.append(count)
    similar = pairs.take(pa.array(rows, pa.int64()))
    columns = {
        "level": pa.repeat(FUZZY, len(rows)),
        "candidates": pa.repeat(1, len(rows)),  # `_match` counts the equally near ones, once they are together
        "typos": pa.array(typos, pa.int64()),
    }
    return pa.table([columns[n] if n in columns else similar[n] for n in CANDIDATES.names], CANDIDATES)


def choose(names: pa.Table, candidates: pa.Table) -> pa.Table:
    """Return the match of each name: its best candidate, independent of the order of arrival."""
    by_name: dict[int, list[tuple[Any, ...]]] = {}
    for name_key, *candidate in zip(*(candidates[n].to_pylist() for n in CANDIDATES.names), strict=True):
        by_name.setdefault(name_key, []).append(tuple(candidate))
    rows = []
    for name_key, *name in _submitted(distinct_names(names)):
        artist, title, mbid, isrc, artists = name
        submitted = (artist, title, mbid or None, isrc or None, artists.split())
        rows.append((name_key, *submitted, *_match(name, by_name.get(name_key, [])), name_id(artist, title)))
    matches = as_table(rows, RECORDING_MATCHES.remove(0))
    places = pc.index_in(names[NAME_KEY.name], matches[NAME_KEY.name])  # a name has one match on all its days
    return matches.take(places).add_column(0, RECORDING_MATCHES.field("day"), names["day"])


def match_names(rows: Frame, keys: Frame, blocking: Frame) -> Frame:
    """Match the names of rows, which have `day`, `name_key` and some of `SUBMITTED`.

    `keys` is the table `content/match_keys`, `blocking` is `content/blocking_keys`.
    """
    days = rows.map(distinct_names_by_day, schema=NAMES, kernel="arrow")  # within each part, to shuffle fewer rows
    days = days.per(ON_DAY, distinct_names_by_day, schema=NAMES, kernel="arrow").persist()
    names = days.per(NAME_KEY.name, distinct_names, schema=NAMES, kernel="arrow").persist()
    exact = names.map(exact_keys, schema=KEYED, kernel="arrow").per("key", find_exact, keys).persist()
    others = names.per(NAME_KEY.name, without_exact, exact.select("level", NAME_KEY.name))
    blocked = others.map(blocking_keys_of_names, schema=BLOCKED, kernel="arrow")
    pairs = blocked.per("key", pair_with_recordings, blocking)
    fuzzy = pairs.map(score, schema=CANDIDATES, kernel="arrow")
    return days.per(NAME_KEY.name, choose, exact.concat(fuzzy), schema=RECORDING_MATCHES, kernel="arrow")


def artist_names(recordings: pa.Table) -> pa.Table:
    """Map: return the normalized name of each artist who is credited alone, as rows of `ARTISTS`."""
    credited = zip(recordings["artist_credit"].to_pylist(), recordings["artist_ids"].to_pylist(), strict=True)
    return as_table([(normalize(credit), ids[0]) for credit, ids in credited if len(ids) == 1], ARTISTS)


def unambiguous_artists(artists: nw.LazyFrame) -> nw.LazyFrame:
    """Return the artist of each name that only one artist has."""
    names = artists.group_by("key").agg(artist_id=nw.col("artist_id").min(), last=nw.col("artist_id").max())
    return names.filter(nw.col("artist_id") == nw.col("last")).select(*ARTISTS.names)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_listens": dg.AssetIn(["events", "raw_listens"]),
        "match_keys": dg.AssetIn(["content", "match_keys"]),
        "blocking_keys": dg.AssetIn(["content", "blocking_keys"]),
    },
    **daily(RECORDING_MATCHES, key=ON_DAY, order=["artist_name", "recording_name"]),
)
def recording_matches(raw_listens: Frame, match_keys: Frame, blocking_keys: Frame) -> Frame:
    """Catalog recordings of the names submitted on a day, with match rule and confidence."""
    return match_names(raw_listens.select(*ON_DAY, *SUBMITTED), match_keys, blocking_keys)


checks = [checks_of(recording_matches, well_formed("recording_id"))]


def _exact_keys(artist: str, title: str, mbid: str, isrc: str, _: str) -> Iterator[tuple[int, str]]:
    """Yield the exact keys of a name, each with its rule."""
    if mbid:
        yield MBID, key_of(MBID, mbid)
        return  # an MBID is surer than any name
    if isrc:
        yield ISRC, key_of(ISRC, isrc)
    yield from ((level, key_of(level, text)) for level, text in name_texts(artist, title))
    name = parse_name(artist, title)
    if name.has_single_artist:
        yield FIRST_CREDITED, key_of(FIRST_CREDITED, name.recording_key)
    if name.version:
        yield VERSION, key_of(VERSION, name.any_version_key)


def _match(name: Sequence[str], candidates: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return recording, artists, rule, confidence, and artist credit and title in the catalog."""
    artist, title, mbid, _, artists = name
    for row in sorted(candidates, key=lambda c: (c[0], c[2], c[7], c[3])):
        level, equal, typos, matched_id, artist_ids, credit, catalog_title, _ = row
        rule, confidence = RULES[level]
        if level == FUZZY:
            names = {(c[5], c[6]) for c in candidates if c[0] == FUZZY and c[2] == typos}
            if len({parse_name(*credit_and_title).recording_key for credit_and_title in names}) > 1:
                continue  # equally near to different names
            equal = len({c[3] for c in candidates if c[0] == FUZZY and c[2] == typos})
            confidence -= SECOND_TYPO * max(0, typos - 1)
        return matched_id, artist_ids, rule, confidence * (SHARED if equal > 1 else 1), credit, catalog_title
    credited = artists.split() or [artist_id(artist)]
    if mbid:
        return mbid, credited, *RULES[MBID], None, None
    return recording_id(artist, title), credited, "unmapped", 0.0, None, None


def _typos(credit: list[str], known_credit: list[str], title: list[str], known_title: list[str]) -> int | None:
    """Count the typos between a name and a recording's names, or return None if there are too many.

    The more letters the title has, the more typos are allowed in the credit, and vice versa.
    """
    in_credit = count_typos(credit, known_credit, sum(map(len, title)))
    in_title = count_typos(title, known_title, sum(map(len, credit)))
    total = MAX_TYPOS + 1 if in_credit is None or in_title is None else in_credit + in_title
    return total if total <= MAX_TYPOS else None


def _submitted(names: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the key and the submitted fields of each name."""
    return zip(*(names[n].to_pylist() for n in (NAME_KEY.name, *SUBMITTED)), strict=True)
