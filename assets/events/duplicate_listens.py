"""Duplicate listens: raw listen records that duplicate another record, the record they duplicate, and the rule.

A listener plays one song at a time, but it is often recorded by two feeds, for example a player's history and a
scrobbler, or an import and the scrobble endpoint. A feed is a source and the program that submits to it. A feed records
each play once, so within a feed only records of the same instant are duplicates, and a repeated song stays two listens.
Between two feeds, records of one listener are duplicates if they have the same subject and match best:

1. `start_match`: they start within ten seconds, the usual difference of clocks and networks, or within a minute if a
   feed has minutes only. Each must be the nearest record of its feed to the other, so that a song played twice and
   recorded by two feeds is two listens.
2. `end_start_match`: one feed records the start and the other the end, as some scrobblers do. Among the records without
   a `start_match`, one starts when the other ends.

Two records have the same subject if they have the same recording, or the same first artist and title. So a record with
an MBID matches one with names only, even if the catalog lacks the recording. Of two equally near records, the one of
the same recording is nearer.

The canonical record is the one of the feed that records more, and within a feed the one with an MBID. The result
depends only on the records of the day and its neighbors, not on their order of arrival.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import checks_of
from assets.events.recording_matches import identify
from assets.imports.listens import ended_at
from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily, dates, on_days, with_neighbors
from resources.frames.frame import Frame
from resources.schema import INSTANT, column

DUPLICATE_LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the duplicate's start of play"),
        column("user_id", pa.string(), "listener", personal=True),
        column("recording_id", pa.string(), "recording of the duplicate"),
        column("listened_at", INSTANT, "start of play in the duplicate", unit="UTC"),
        column("source", pa.string(), "source of the duplicate"),
        column("client", pa.string(), "program that submitted the duplicate", null=True),
        column("file", pa.string(), "file of the duplicate, with its path in an archive"),
        column("record", pa.int64(), "line number from 1, or index from 0 in a JSON array"),
        column("import_id", pa.string(), "import of the duplicate"),
        column("rule", pa.string(), "matching rule: exact_time, start_match or end_start_match"),
        column("canonical_listened_at", INSTANT, "start of play in the canonical record", unit="UTC"),
        column("canonical_source", pa.string(), "source of the canonical record"),
        column("canonical_client", pa.string(), "program that submitted the canonical record", null=True),
        column("canonical_file", pa.string(), "file of the canonical record"),
        column("canonical_record", pa.int64(), "line number or index of the canonical record"),
        column("canonical_import_id", pa.string(), "import of the canonical record"),
    ]
)
# Sources by how much they record, the best first. Players that record played time in milliseconds come first, since
# their start of play is exact. Then scrobbles in rich formats, before Last.fm's, which drops players and lengths.
# Spotify's account data and some tables of Last.fm's have minutes only. Other sources follow in alphabetical order.
MINUTE_SOURCES = ("lastfm_minutes", "spotify_account")
SOURCES = ("spotify", "listenbrainz", "scrobble", "maloja", "panoscrobbler", "lastfm", "librefm", *MINUTE_SOURCES)
TOLERANCE = timedelta(seconds=10)
MINUTE_TOLERANCE = timedelta(seconds=60)
MAX_PLAY = timedelta(hours=2)  # a longer play was paused, so that its end cannot be computed
ROUNDS = 3  # of pairing; few, so that a decision reaches over hours, never beyond the neighboring days
SAME_INSTANT, SAME_START, END_FOR_START = RULES = ("exact_time", "start_match", "end_start_match")

RECORD = ["day", "user_id", "listened_at", "source", "client", *BY_ARRIVAL]  # the columns that identify a raw listen
SUBJECT = ["recording_id", "name_id"]  # records with the same value in one of these have the same subject
COMPARED = [*RECORD, "ms_played", "recording_mbid", *SUBJECT]


def ambiguous(raw: nw.LazyFrame) -> nw.LazyFrame:
    """Keep the raw listens of listeners with more than one feed, or with two records of a feed at one instant.

    Other listeners have no duplicates. This saves most of the work, since most listeners have one feed.
    """
    matched = raw.filter(~nw.col("recording_id").is_null(), ~nw.col("name_id").is_null())
    client = nw.col("client")
    matched = matched.with_columns(program=nw.when(client.is_null()).then(nw.lit("")).otherwise(client))
    instants = matched.group_by("user_id", "listened_at", "source", "program").agg(times=nw.len())
    users = instants.group_by("user_id").agg(
        nw.col("times").max(),
        first_source=nw.col("source").min(),
        last_source=nw.col("source").max(),
        first_program=nw.col("program").min(),
        last_program=nw.col("program").max(),
    )
    one_feed = (nw.col("first_source") == nw.col("last_source")) & (nw.col("first_program") == nw.col("last_program"))
    selected = users.filter(~one_feed | (nw.col("times") > 1)).select("user_id")
    return matched.join(selected, on="user_id", how="semi").select(COMPARED)


def with_feeds(records: pa.Table) -> pa.Table:
    """Add `feed`, which sorts the best feeds first, `by_name`, whether a record lacks an MBID, and `ended_at`."""
    sources = records["source"].to_pylist()
    clients = pc.fill_null(records["client"], "").to_pylist()
    ranks = {s: f"{SOURCES.index(s) if s in SOURCES else len(SOURCES):02d}{s}" for s in set(sources)}
    feeds = [f"{ranks[s]}\x1f{c}" for s, c in zip(sources, clients, strict=True)]
    short = pc.less_equal(records["ms_played"], MAX_PLAY // timedelta(milliseconds=1))
    records = records.append_column("feed", pa.array(feeds, pa.string()))
    records = records.append_column("by_name", pc.is_null(records["recording_mbid"]))
    return records.append_column("ended_at", pc.if_else(short, ended_at(records), pa.scalar(None, INSTANT)))


def find_duplicates(records: pa.Table) -> pa.Table:
    """Return the duplicates among the records of whole listeners, each with its canonical record."""
    import numpy as np

    records = with_feeds(records)
    records = records.filter(pa.array(_may_repeat(records), pa.bool_()))
    if not len(records):
        return DUPLICATE_LISTENS.empty_table()
    records = records.sort_by([(c, "ascending") for c in ("user_id", "listened_at", "feed", "by_name", *BY_ARRIVAL)])
    subjects, feed = [_numbered(records, "user_id", name) for name in SUBJECT], _numbered(records, "feed")
    at, ended = (records[c].cast(pa.int64()).fill_null(-1).to_numpy() for c in ("listened_at", "ended_at"))
    minutes = pc.is_in(records["source"], pa.array(MINUTE_SOURCES)).to_numpy()

    first = _first_of([_classes(subject, at, feed) for subject in subjects])
    repeated = first != np.arange(len(records))
    duplicates, canonicals = [np.flatnonzero(repeated)], [first[repeated]]
    rules = [np.zeros(len(duplicates[0]), np.int64)]

    once = np.flatnonzero(~repeated)
    pairs, clock = _Pairs(feed[once]), np.unique(at[once], return_inverse=True)
    for number, when in ((1, at), (2, ended)):
        near = [_near(subject[once], clock, when[once], minutes[once]) for subject in subjects]
        # Of two equally near, the same recording goes before the same names.
        near = [(a, b, len(subjects) * distance + n) for n, (a, b, distance) in enumerate(near)]
        a, b = pairs.pair(*(np.concatenate(x) for x in zip(*near, strict=True)))
        worse = np.where(feed[once][a] > feed[once][b], a, b)
        duplicates.append(once[worse])
        canonicals.append(once[a + b - worse])
        rules.append(np.full(len(a), number))
    duplicate, canonical, rule = (np.concatenate(x) for x in (duplicates, canonicals, rules))
    best = np.lexsort((feed[canonical], duplicate))  # of several canonical records, the one of the best feed
    best = best[_begins(duplicate[best])]
    duplicate, canonical, rule = (x[best] for x in (duplicate, canonical, rule))
    canonical_of = np.arange(len(records))
    canonical_of[duplicate] = canonical
    while (canonical_of[canonical] != canonical).any():  # a canonical record may be a duplicate itself
        canonical = canonical_of[canonical]
    return _rows(records, duplicate, canonical, rule)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_listens": dg.AssetIn(["events", "raw_listens"], partition_mapping=with_neighbors()),
        "recording_matches": dg.AssetIn(["events", "recording_matches"], partition_mapping=with_neighbors()),
    },
    **daily(DUPLICATE_LISTENS, key=BY_ARRIVAL, order=["user_id", "listened_at"]),
)
def duplicate_listens(context: dg.AssetExecutionContext, raw_listens: Frame, recording_matches: Frame) -> Frame:
    """Duplicate listen records by UTC day, each with its canonical record and the matching rule."""
    first, last = dates(context.partition_key_range)
    raw = raw_listens.select(*RECORD, "ms_played", "recording_mbid", NAME_KEY.name)
    candidates = identify(raw, recording_matches, *SUBJECT).persist().per("user_id", ambiguous)
    duplicates = candidates.per("user_id", find_duplicates, schema=DUPLICATE_LISTENS, kernel="arrow")
    return duplicates.map(partial(on_days, first=first, last=last))


checks = [checks_of(duplicate_listens)]


def _may_repeat(records: pa.Table) -> Any:
    """Return which records have a subject that another feed has, or that their own feed has twice at an instant."""
    import numpy as np

    feed, at = _numbered(records, "feed"), records["listened_at"].cast(pa.int64()).to_numpy()
    repeats = np.zeros(len(records), bool)
    for subject in (_numbered(records, "user_id", name) for name in SUBJECT):
        first, last = np.full(len(records), len(records)), np.full(len(records), -1)
        np.minimum.at(first, subject, feed)
        np.maximum.at(last, subject, feed)
        instants = _classes(subject, at, feed)
        repeats |= (first != last)[subject] | (np.bincount(instants)[instants] > 1)
    return repeats


class _Pairs:
    """Pairs of records. A record is paired with at most one record of each other feed."""

    def __init__(self, feed: Any) -> None:
        import numpy as np

        self.feed = feed
        self.feeds = int(feed.max()) + 1
        self.taken = np.empty(0, np.int64)

    def pair(self, a: Any, b: Any, distance: Any) -> tuple[Any, Any]:
        """Pair the candidates that are each other's nearest, in a few rounds, and return both sides.

        Nearest is the smallest `distance`, of equal ones the earlier record. A paired record is no candidate for the
        other's feed in later rounds.
        """
        import numpy as np

        differ = self.feed[a] != self.feed[b]
        both = (a[differ], b[differ]), (b[differ], a[differ]), (distance[differ],) * 2
        a, b, distance = (np.concatenate(x) for x in both)
        pairs: list[tuple[Any, Any]] = []
        for _ in range(ROUNDS):
            slot, other_slot = a * self.feeds + self.feed[b], b * self.feeds + self.feed[a]
            free = ~(np.isin(slot, self.taken) | np.isin(other_slot, self.taken))
            a, b, distance, slot, other_slot = (x[free] for x in (a, b, distance, slot, other_slot))
            if not len(a):
                break
            order = np.lexsort((b, distance, slot))
            nearest = order[_begins(slot[order])]
            chosen = a[nearest] * (len(self.feed)) + b[nearest]
            mutual = nearest[np.isin(b[nearest] * len(self.feed) + a[nearest], chosen)]
            self.taken = np.concatenate([self.taken, slot[mutual], other_slot[mutual]])
            once = mutual[a[mutual] < b[mutual]]
            pairs.append((a[once], b[once]))
        none = np.empty(0, np.int64)
        first, second = (np.concatenate([none, *(pair[n] for pair in pairs)]) for n in range(2))
        return first, second


def _near(subject: Any, clock: tuple[Any, Any], when: Any, minutes: Any) -> tuple[Any, Any, Any]:
    """Return pairs of records with the same subject of which the second starts near `when` of the first.

    `when` is an instant per record in microseconds, below zero if unknown. `clock` has all instants in order, and the
    index of each record's start among them. The third array is the distance in microseconds.
    """
    import numpy as np

    coarse, fine = (t // timedelta(microseconds=1) for t in (MINUTE_TOLERANCE, TOLERANCE))
    instants, number = clock
    place = subject * (len(instants) + 1)
    order = np.argsort(place + number)
    starts = (place + number)[order]
    low = np.searchsorted(starts, place + np.searchsorted(instants, when - coarse))
    high = np.searchsorted(starts, place + np.searchsorted(instants, when + coarse, side="right"))
    counts = np.where(when >= 0, high - low, 0)
    a = np.repeat(np.arange(len(subject)), counts)
    b = order[np.arange(len(a)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)]
    distance = np.abs(instants[number[b]] - when[a])
    close = (a != b) & (distance <= np.where(minutes[a] | minutes[b], coarse, fine))
    return a[close], b[close], distance[close]


def _begins(values: Any) -> Any:
    """Return which of sorted values differ from the one before."""
    import numpy as np

    begins = np.ones(len(values), bool)
    begins[1:] = values[1:] != values[:-1]
    return begins


def _numbered(rows: pa.Table, *columns: str) -> Any:
    """Return a number for each row, equal for equal text in these columns, and in the order of the text."""
    joined = pc.binary_join_element_wise(*(rows[c] for c in columns), "\x1f").combine_chunks().dictionary_encode()
    places = pc.rank(joined.dictionary).to_numpy().astype("int64") - 1
    return places[joined.indices.to_numpy()]


def _classes(*values: Any) -> Any:
    """Return a number for each row, equal if all these values are equal."""
    import numpy as np

    order = np.lexsort(values)
    begins = np.logical_or.reduce([_begins(v[order]) for v in values])
    classes = np.empty(len(order), np.int64)
    classes[order] = np.cumsum(begins) - 1
    return classes


def _first_of(classifications: Sequence[Any]) -> Any:
    """Return for each row the first row that it is connected with. Rows are connected by a common class."""
    import numpy as np

    first, before = np.arange(len(classifications[0])), None
    while before is None or (first != before).any():
        before = first
        for classes in classifications:
            least = np.full(len(first), len(first))
            np.minimum.at(least, classes, first)
            first = least[classes]
    return first


def _rows(records: pa.Table, duplicate: Any, canonical: Any, rule: Any) -> pa.Table:
    """Return the rows of the table for pairs of records, by index, and the index of each rule."""
    import numpy as np

    duplicates, canonicals = records.take(pa.array(duplicate)), records.take(pa.array(canonical))
    columns = [
        pa.array(np.array(RULES, object)[rule], pa.string())
        if n == "rule"
        else canonicals[n.removeprefix("canonical_")]
        if n.startswith("canonical_")
        else duplicates[n]
        for n in DUPLICATE_LISTENS.names
    ]
    return pa.table(columns, DUPLICATE_LISTENS)
