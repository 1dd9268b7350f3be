"""Identities: which recording of the catalog a submitted name is, by which rule, and how sure that is.

One row for each name that was submitted on a day: what the source tells to know a recording by. This asset decides for
every other. It joins rather than compares: a name emits keys, those of recordings wait for it, equal keys meet, and
only those are looked at. Exact keys come first; a name without one is looked for by parts of its letters.

The unmapped keep an id made of their names, and count everywhere as the others do.
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
from assets.matching import FIRST_CREDITED, FUZZY, ISRC, KNOWN, MBID, VERSION, key_of, named, parts
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import as_table, column
from resources.text.names import count_typos, normalize, parse_name

RECORDING_MATCHES = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which it was heard"),
        NAME_KEY,
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("recording_mbid", pa.string(), "MusicBrainz recording as submitted", null=True),
        column("isrc", pa.string(), "International Standard Recording Code as submitted", null=True),
        column("artist_mbids", pa.list_(pa.string()), "MusicBrainz artists as submitted; empty where not told"),
        column("recording_id", pa.string(), "MusicBrainz recording, else a UUID of artist credit and title"),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, else one UUID of the artist credit"),
        column("rule", pa.string(), "mbid, isrc, name, qualifier, fuzzy, version or unmapped: how it was found"),
        column("confidence", pa.float64(), "how sure that is, from 0 to 1"),
        column("artist_credit", pa.string(), "the artists as the catalog credits them", null=True),
        column("title", pa.string(), "title in the catalog", null=True),
        column(
            "name_id", pa.string(), "UUID of first artist and title, however they are spelled and whatever they name"
        ),
    ]
)

# The rules, the surest first, and what each is worth where one recording fits. The figures order the rules and tell
# sure from likely; they are no frequencies.
RULES = (
    ("mbid", 1.0),  # the source says which recording
    ("isrc", 0.98),  # codes are now and then given to two recordings
    ("name", 0.95),  # credit and title are the same but for case and white space
    ("name", 0.9),  # but for diacritics, script, punctuation and where guests are named
    ("qualifier", 0.8),  # but for guests, the order of artists, and remarks such as "2011 Remaster"
    ("qualifier", 0.6),  # but for all artists after the first: some exports know one artist for each album
    ("fuzzy", 0.7),  # but for a typo; two are worth less
    ("version", 0.4),  # a version (live, remix, demo) of which the catalog has only the plain recording
)
SHARED = 0.6  # times as sure, where several recordings fit equally: that of the earliest release is taken
SECOND_TYPO = 0.15  # less sure
EDITS = 2  # typos in credit and title together

ON_DAY = ["day", NAME_KEY.name]
_TEXT = [(c, pa.string()) for c in SUBMITTED]  # absent is empty, and a list is one text
NAMES = pa.schema([RECORDING_MATCHES.field("day"), NAME_KEY, *_TEXT])
KEYED = pa.schema([("key", pa.string()), ("level", pa.int64()), NAME_KEY])
SPELLED = pa.schema([("key", pa.string()), ("credited", pa.string()), ("titled", pa.string()), NAME_KEY])
ARTISTS = pa.schema([("key", pa.string()), ("artist_id", pa.string())])
CANDIDATES = pa.schema([NAME_KEY, ("level", pa.int64()), ("candidates", pa.int64()), ("typos", pa.int64()), *KNOWN])


def identify(rows: Frame, recording_matches: Frame, *columns: str) -> Frame:
    """Add what was decided of the names of rows, which have `day` and `name_key`; null where nothing was."""
    return rows.per(ON_DAY, as_decided, recording_matches.select(*ON_DAY, *columns))


def as_decided(rows: nw.LazyFrame, decided: nw.LazyFrame) -> nw.LazyFrame:
    """Join rows with what was decided of their names."""
    return rows.join(decided, on=ON_DAY, how="left")


def names_on_days(rows: pa.Table) -> pa.Table:
    """Return each name of each day once, as text; a field for which there is no column counts as absent."""
    once = _first(rows, ON_DAY)
    given = [as_text(once[n]) if n in once.column_names else pa.repeat("", len(once)) for n in SUBMITTED]
    return pa.table([*(once[n] for n in ON_DAY), *given], NAMES)


def once_ever(names: pa.Table) -> pa.Table:
    """Return each name once, on one of its days."""
    return _first(names, [NAME_KEY.name])


def _first(rows: pa.Table, key: list[str]) -> pa.Table:
    """Return the first row of each key."""
    numbered = rows.select(key).append_column("row", pa.array(range(len(rows)), pa.int64()))
    return rows.take(numbered.group_by(key, use_threads=False).aggregate([("row", "min")])["row_min"])


def exact_keys(names: pa.Table) -> pa.Table:
    """Map: what a name can be found by, one row for each rule."""
    rows = [(key, level, name) for name, *given in _of_each(names) for level, key in _exact(*given)]
    return as_table(rows, KEYED)


def meet(names: nw.LazyFrame, known: nw.LazyFrame) -> nw.LazyFrame:
    """Reduce: the recordings that share a key with a name."""
    found = names.join(known, on="key", how="inner")
    return found.with_columns(typos=nw.lit(0)).select(CANDIDATES.names)


def without(names: nw.LazyFrame, found: nw.LazyFrame) -> nw.LazyFrame:
    """The names that no exact key found, but for one of another version."""
    sure = found.filter(nw.col("level") < VERSION)
    return names.join(sure, on=NAME_KEY.name, how="anti")


def spelled(names: pa.Table) -> pa.Table:
    """Map: parts of a name's letters, and its words, where the source does not say which recording it is."""
    rows = []
    for key, artist, title, mbid, *_ in _of_each(names):
        if mbid:
            continue
        name = parse_name(artist, title)
        rows += [(part, " ".join(name.lead), " ".join(name.title), key) for part in parts(name)]
    return as_table(rows, SPELLED)


def compare(names: nw.LazyFrame, known: nw.LazyFrame) -> nw.LazyFrame:
    """The recordings that share a part with a name."""
    return names.join(known, on="key", how="inner")


def score(pairs: pa.Table) -> pa.Table:
    """The pairs of which a typo or two make one of the other."""
    from rapidfuzz.distance import OSA
    from rapidfuzz.process import cpdist

    # By C for all pairs: within a few letters at all? By our own rules for the few that are.
    words = {n: pairs[n].to_pylist() for n in ("credited", "titled", "credit_words", "title_words")}
    near = [True] * len(pairs)
    for ours, theirs in (("credited", "credit_words"), ("titled", "title_words")):
        far = cpdist(words[ours], words[theirs], scorer=OSA.distance, score_cutoff=2 * EDITS)
        near = [n and d <= 2 * EDITS for n, d in zip(near, far.tolist(), strict=True)]
    rows, typos = [], []
    for row, close in enumerate(near):
        if close:
            found = _typos(*(words[n][row].split() for n in ("credited", "credit_words", "titled", "title_words")))
            if found is not None:
                rows.append(row)
                typos.append(found)
    alike = pairs.take(pa.array(rows, pa.int64()))
    columns = {
        "level": pa.repeat(FUZZY, len(rows)),
        "candidates": pa.repeat(1, len(rows)),  # of all that are as near is told once they are together
        "typos": pa.array(typos, pa.int64()),
    }
    return pa.table([columns[n] if n in columns else alike[n] for n in CANDIDATES.names], CANDIDATES)


def decide(names: pa.Table, candidates: pa.Table) -> pa.Table:
    """The identity of each name: of its candidates the best, in an order that no arrival can change."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for key, *candidate in zip(*(candidates[n].to_pylist() for n in CANDIDATES.names), strict=True):
        found.setdefault(key, []).append(tuple(candidate))
    rows = []
    for key, *name in _of_each(once_ever(names)):
        artist, title, mbid, isrc, artists = name
        given = (artist, title, mbid or None, isrc or None, artists.split())
        rows.append((key, *given, *_identity(name, found.get(key, [])), name_id(artist, title)))
    known = as_table(rows, RECORDING_MATCHES.remove(0))
    places = pc.index_in(names[NAME_KEY.name], known[NAME_KEY.name])  # a name has one identity on all its days
    return known.take(places).add_column(0, RECORDING_MATCHES.field("day"), names["day"])


def decided(rows: Frame, keys: Frame, known_parts: Frame) -> Frame:
    """The recording_matches of the names of rows, which have `day`, `name_key` and some of `SUBMITTED`."""
    days = rows.map(names_on_days, schema=NAMES, kernel="arrow")  # fewer where they are, before they travel
    days = days.per(ON_DAY, names_on_days, schema=NAMES, kernel="arrow").persist()
    names = days.per(NAME_KEY.name, once_ever, schema=NAMES, kernel="arrow").persist()
    exact = names.map(exact_keys, schema=KEYED, kernel="arrow").per("key", meet, keys).persist()
    lost = names.per(NAME_KEY.name, without, exact.select("level", NAME_KEY.name))
    pairs = lost.map(spelled, schema=SPELLED, kernel="arrow").per("key", compare, known_parts)
    fuzzy = pairs.map(score, schema=CANDIDATES, kernel="arrow")
    return days.per(NAME_KEY.name, decide, exact.concat(fuzzy), schema=RECORDING_MATCHES, kernel="arrow")


def known_artists(recordings: pa.Table) -> pa.Table:
    """Map: the name under which each artist is credited alone."""
    credited = zip(recordings["artist_credit"].to_pylist(), recordings["artist_ids"].to_pylist(), strict=True)
    return as_table([(normalize(credit), ids[0]) for credit, ids in credited if len(ids) == 1], ARTISTS)


def one_artist_for_each_name(known: nw.LazyFrame) -> nw.LazyFrame:
    """The artist whom a name alone tells: of two who share it, it tells neither."""
    found = known.group_by("key").agg(artist_id=nw.col("artist_id").min(), last=nw.col("artist_id").max())
    return found.filter(nw.col("artist_id") == nw.col("last")).select(*ARTISTS.names)


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
    """Which recording each name submitted on a day is, by which rule and how surely."""
    return decided(raw_listens.select(*ON_DAY, *SUBMITTED), match_keys, blocking_keys)


checks = [checks_of(recording_matches, well_formed("recording_id"))]


def _exact(artist: str, title: str, mbid: str, isrc: str, _: str) -> Iterator[tuple[int, str]]:
    """The keys of a name, each with its rule."""
    if mbid:
        yield MBID, key_of(MBID, mbid)
        return  # the source knows better than any name
    if isrc:
        yield ISRC, key_of(ISRC, isrc)
    yield from ((level, key_of(level, text)) for level, text in named(artist, title))
    name = parse_name(artist, title)
    if name.has_single_artist:
        yield FIRST_CREDITED, key_of(FIRST_CREDITED, name.recording_key)
    if name.version:
        yield VERSION, key_of(VERSION, name.any_version_key)


def _identity(name: Sequence[str], candidates: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Recording, artists, rule, confidence, and what the catalog calls it."""
    artist, title, mbid, _, artists = name
    for row in sorted(candidates, key=lambda c: (c[0], c[2], c[7], c[3])):
        level, fitting, typos, id, ids, credit, called, _ = row
        rule, confidence = RULES[level]
        if level == FUZZY:
            others = {(c[5], c[6]) for c in candidates if c[0] == FUZZY and c[2] == typos}
            if len({parse_name(*other).recording_key for other in others}) > 1:
                continue  # as near to one as to another: the name does not tell
            fitting = len({c[3] for c in candidates if c[0] == FUZZY and c[2] == typos})
            confidence -= SECOND_TYPO * max(0, typos - 1)
        return id, ids, rule, confidence * (SHARED if fitting > 1 else 1), credit, called
    credited = artists.split() or [artist_id(artist)]
    if mbid:
        return mbid, credited, *RULES[MBID], None, None
    return recording_id(artist, title), credited, "unmapped", 0.0, None, None


def _typos(credit: list[str], known_credit: list[str], title: list[str], known_title: list[str]) -> int | None:
    """How many typos make a recording's names of a name; the letters of one part vouch for the other."""
    in_credit = count_typos(credit, known_credit, sum(map(len, title)))
    in_title = count_typos(title, known_title, sum(map(len, credit)))
    total = EDITS + 1 if in_credit is None or in_title is None else in_credit + in_title
    return total if total <= EDITS else None


def _of_each(names: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The key of each name and what was submitted."""
    return zip(*(names[n].to_pylist() for n in (NAME_KEY.name, *SUBMITTED)), strict=True)
