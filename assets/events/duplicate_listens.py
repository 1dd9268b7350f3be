"""Replaced listens: raw listens that tell once more of a listen that another record tells of, and which record that is.

A listener hears one song at a time, but often by two feeds: a player's own history and a scrobbler, an import and the
live door. A feed is a source (the live door is one) and the program that submits to it. What a feed tells, it tells
once for each play, so within a feed only records of one instant are one listen, and a song played again stays two.
Between two feeds, records of one listener are one listen where they are about the same and fit nobody else better:

1. They start together: within ten seconds, which is what clocks and network differ by; within a minute where a feed
   tells minutes only. Each must be the nearest of the other's feed to the other, so that a song heard twice, by two
   feeds, is two listens.
2. One tells the start and the other the end, as some scrobblers do: among those without such a partner, one starts when
   the other ends.

Records are about the same if they are of the same recording, or if first artist and title are the same: one feed tells
the MBID of what the other only names, and the catalog need not know it. Of two equally near, that of the same
recording is nearer.

Of two, that of the feed that knows more stays as it is, within a feed that which tells an MBID. All is decided by the
records themselves, whatever order they came in, and by those of the day and its neighbors.
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
        column("day", pa.date32(), "UTC day on which the replaced record says the listen began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("recording_id", pa.string(), "what it is about, as its names or its id tell"),
        column("listened_at", INSTANT, "start of play, as the replaced record has it", unit="UTC"),
        column("source", pa.string(), "its format"),
        column("client", pa.string(), "the program that submitted it", null=True),
        column("file", pa.string(), "name of its file, and of its member in an archive"),
        column("record", pa.int64(), "its line from 1, or index from 0 in a JSON array"),
        column("import_id", pa.string(), "its import"),
        column("rule", pa.string(), "same instant, same start or end for start: why both are one listen"),
        column("canonical_listened_at", INSTANT, "start of play, as the record has it that it gave way to", unit="UTC"),
        column("canonical_source", pa.string(), "the format of that record, which is a listen"),
        column("canonical_client", pa.string(), "the program that submitted that record", null=True),
        column("canonical_file", pa.string(), "name of that record's file"),
        column("canonical_record", pa.int64(), "that record's line or index"),
        column("canonical_import_id", pa.string(), "that record's import"),
    ]
)
# Which feed knows more, the first the most. Players that tell to the millisecond how long they played come first: their
# start is their own. Then what scrobblers sent, the richer formats before Last.fm's, which drops what it was told of
# players and of lengths. Spotify's account data and some tables of Last.fm's tell minutes. Sources unknown here come
# after, in alphabetical order.
TO_THE_MINUTE = ("lastfm_minutes", "spotify_account")
SOURCES = ("spotify", "listenbrainz", "scrobble", "maloja", "panoscrobbler", "lastfm", "librefm", *TO_THE_MINUTE)
TOGETHER = timedelta(seconds=10)
TOGETHER_TO_THE_MINUTE = timedelta(seconds=60)
LONGEST = timedelta(hours=2)  # of a play whose end is looked for: what is longer was paused, and its end tells nothing
ROUNDS = 3  # in which neighbors pair up; few, so that a decision reaches hours and never beyond the neighboring days
SAME_INSTANT, SAME_START, END_FOR_START = RULES = ("exact_time", "start_match", "end_start_match")

OWN = ["day", "user_id", "listened_at", "source", "client", *BY_ARRIVAL]  # what is kept of a raw listen
ABOUT = ["recording_id", "name_id"]  # one of these is the same in what is about the same
HEARD = [*OWN, "ms_played", "recording_mbid", *ABOUT]


def contested(raw: nw.LazyFrame) -> nw.LazyFrame:
    """Keep the raw listens of listeners who have more than one feed, or one feed twice at an instant.

    All else is decided by that: most listeners have one feed.
    """
    heard = raw.filter(~nw.col("recording_id").is_null(), ~nw.col("name_id").is_null())
    client = nw.col("client")
    heard = heard.with_columns(program=nw.when(client.is_null()).then(nw.lit("")).otherwise(client))
    instants = heard.group_by("user_id", "listened_at", "source", "program").agg(times=nw.len())
    users = instants.group_by("user_id").agg(
        nw.col("times").max(),
        first_source=nw.col("source").min(),
        last_source=nw.col("source").max(),
        first_program=nw.col("program").min(),
        last_program=nw.col("program").max(),
    )
    one_feed = (nw.col("first_source") == nw.col("last_source")) & (nw.col("first_program") == nw.col("last_program"))
    doubtful = users.filter(~one_feed | (nw.col("times") > 1)).select("user_id")
    return heard.join(doubtful, on="user_id", how="semi").select(HEARD)


def with_feeds(heard: pa.Table) -> pa.Table:
    """Add the feed of each listen, named so that feeds that know more come first, whether it lacks an MBID, its end."""
    sources = heard["source"].to_pylist()
    clients = pc.fill_null(heard["client"], "").to_pylist()
    ranks = {s: f"{SOURCES.index(s) if s in SOURCES else len(SOURCES):02d}{s}" for s in set(sources)}
    feeds = [f"{ranks[s]}\x1f{c}" for s, c in zip(sources, clients, strict=True)]
    short = pc.less_equal(heard["ms_played"], LONGEST // timedelta(milliseconds=1))
    heard = heard.append_column("feed", pa.array(feeds, pa.string()))
    heard = heard.append_column("by_name", pc.is_null(heard["recording_mbid"]))
    return heard.append_column("ended_at", pc.if_else(short, ended_at(heard), pa.scalar(None, INSTANT)))


def replaced(heard: pa.Table) -> pa.Table:
    """The records of whole listeners that give way, each with the one it gives way to."""
    import numpy as np

    heard = with_feeds(heard)
    heard = heard.filter(pa.array(_told_twice(heard), pa.bool_()))
    if not len(heard):
        return DUPLICATE_LISTENS.empty_table()
    heard = heard.sort_by([(c, "ascending") for c in ("user_id", "listened_at", "feed", "by_name", *BY_ARRIVAL)])
    about, feed = [_numbered(heard, "user_id", what) for what in ABOUT], _numbered(heard, "feed")
    at, ended = (heard[c].cast(pa.int64()).fill_null(-1).to_numpy() for c in ("listened_at", "ended_at"))
    minutes = pc.is_in(heard["source"], pa.array(TO_THE_MINUTE)).to_numpy()

    first = _first_of([_classes(same, at, feed) for same in about])
    repeated = first != np.arange(len(heard))
    loser, winner = [np.flatnonzero(repeated)], [first[repeated]]
    rule = [np.zeros(len(loser[0]), np.int64)]

    once = np.flatnonzero(~repeated)
    paired, clock = _Pairs(feed[once]), np.unique(at[once], return_inverse=True)
    for number, when in ((1, at), (2, ended)):
        near = [_near(same[once], clock, when[once], minutes[once]) for same in about]
        near = [(a, b, len(about) * wait + n) for n, (a, b, wait) in enumerate(near)]  # the same recording before names
        a, b = paired.pair(*(np.concatenate(x) for x in zip(*near, strict=True)))
        later = np.where(feed[once][a] > feed[once][b], a, b)
        loser.append(once[later])
        winner.append(once[a + b - later])
        rule.append(np.full(len(a), number))
    lost, won, why = (np.concatenate(x) for x in (loser, winner, rule))
    best = np.lexsort((feed[won], lost))  # of several, that of the feed that knows most
    best = best[_begins(lost[best])]
    lost, won, why = (x[best] for x in (lost, won, why))
    gives_way_to = np.arange(len(heard))
    gives_way_to[lost] = won
    while (gives_way_to[won] != won).any():  # which gave way itself
        won = gives_way_to[won]
    return _rows(heard, lost, won, why)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_listens": dg.AssetIn(["events", "raw_listens"], partition_mapping=with_neighbors()),
        "recording_matches": dg.AssetIn(["events", "recording_matches"], partition_mapping=with_neighbors()),
    },
    **daily(DUPLICATE_LISTENS, key=BY_ARRIVAL, order=["user_id", "listened_at"]),
)
def duplicate_listens(context: dg.AssetExecutionContext, raw_listens: Frame, recording_matches: Frame) -> Frame:
    """Duplicate records of listens by UTC day, each with the record that it duplicates."""
    first, last = dates(context.partition_key_range)
    raw = raw_listens.select(*OWN, "ms_played", "recording_mbid", NAME_KEY.name)
    doubtful = identify(raw, recording_matches, *ABOUT).persist().per("user_id", contested)
    given_way = doubtful.per("user_id", replaced, schema=DUPLICATE_LISTENS, kernel="arrow")
    return given_way.map(partial(on_days, first=first, last=last))


checks = [checks_of(duplicate_listens)]


def _told_twice(heard: pa.Table) -> Any:
    """Which records are about what another feed tells of as well, or what their own tells twice of an instant."""
    import numpy as np

    feed, at = _numbered(heard, "feed"), heard["listened_at"].cast(pa.int64()).to_numpy()
    twice = np.zeros(len(heard), bool)
    for same in (_numbered(heard, "user_id", what) for what in ABOUT):
        first, last = np.full(len(heard), len(heard)), np.full(len(heard), -1)
        np.minimum.at(first, same, feed)
        np.maximum.at(last, same, feed)
        instants = _classes(same, at, feed)
        twice |= (first != last)[same] | (np.bincount(instants)[instants] > 1)
    return twice


class _Pairs:
    """Records paired with one of each other feed at most."""

    def __init__(self, feed: Any) -> None:
        import numpy as np

        self.feed = feed
        self.feeds = int(feed.max()) + 1
        self.taken = np.empty(0, np.int64)

    def pair(self, a: Any, b: Any, wait: Any) -> tuple[Any, Any]:
        """Pair those of the candidates that are nearest to each other; in a few rounds, as nearer ones are taken.

        Whom to `wait` for least is nearest; of two equally near, the earlier one.
        """
        import numpy as np

        apart = self.feed[a] != self.feed[b]
        a, b, wait = (np.concatenate(x) for x in ((a[apart], b[apart]), (b[apart], a[apart]), (wait[apart],) * 2))
        found: list[tuple[Any, Any]] = []
        for _ in range(ROUNDS):
            ours, theirs = a * self.feeds + self.feed[b], b * self.feeds + self.feed[a]
            free = ~(np.isin(ours, self.taken) | np.isin(theirs, self.taken))
            a, b, wait, ours, theirs = (x[free] for x in (a, b, wait, ours, theirs))
            if not len(a):
                break
            order = np.lexsort((b, wait, ours))
            nearest = order[_begins(ours[order])]
            chosen = a[nearest] * (len(self.feed)) + b[nearest]
            mutual = nearest[np.isin(b[nearest] * len(self.feed) + a[nearest], chosen)]
            self.taken = np.concatenate([self.taken, ours[mutual], theirs[mutual]])
            once = mutual[a[mutual] < b[mutual]]
            found.append((a[once], b[once]))
        none = np.empty(0, np.int64)
        first, second = (np.concatenate([none, *(f[n] for f in found)]) for n in range(2))
        return first, second


def _near(same: Any, clock: tuple[Any, Any], when: Any, minutes: Any) -> tuple[Any, Any, Any]:
    """Pairs about the same of which the second starts about `when` is of the first, and by how much.

    The clock is all instants in order, and which of them each starts at. An instant below zero is not known.
    """
    import numpy as np

    coarse, fine = (t // timedelta(microseconds=1) for t in (TOGETHER_TO_THE_MINUTE, TOGETHER))
    instants, number = clock
    place = same * (len(instants) + 1)
    order = np.argsort(place + number)
    starts = (place + number)[order]
    low = np.searchsorted(starts, place + np.searchsorted(instants, when - coarse))
    high = np.searchsorted(starts, place + np.searchsorted(instants, when + coarse, side="right"))
    many = np.where(when >= 0, high - low, 0)
    a = np.repeat(np.arange(len(same)), many)
    b = order[np.arange(len(a)) - np.repeat(np.cumsum(many) - many, many) + np.repeat(low, many)]
    wait = np.abs(instants[number[b]] - when[a])
    close = (a != b) & (wait <= np.where(minutes[a] | minutes[b], coarse, fine))
    return a[close], b[close], wait[close]


def _begins(values: Any) -> Any:
    """Which of sorted values are not like the one before."""
    import numpy as np

    begins = np.ones(len(values), bool)
    begins[1:] = values[1:] != values[:-1]
    return begins


def _numbered(rows: pa.Table, *columns: str) -> Any:
    """A number for each row, the same where columns of text are the same, and in their order."""
    joined = pc.binary_join_element_wise(*(rows[c] for c in columns), "\x1f").combine_chunks().dictionary_encode()
    places = pc.rank(joined.dictionary).to_numpy().astype("int64") - 1
    return places[joined.indices.to_numpy()]


def _classes(*values: Any) -> Any:
    """A number for each row, the same where all these are."""
    import numpy as np

    order = np.lexsort(values)
    begins = np.logical_or.reduce([_begins(v[order]) for v in values])
    classes = np.empty(len(order), np.int64)
    classes[order] = np.cumsum(begins) - 1
    return classes


def _first_of(ways: Sequence[Any]) -> Any:
    """For each row the first that is with it in a class of one of the ways to class them, or through others."""
    import numpy as np

    first, before = np.arange(len(ways[0])), None
    while before is None or (first != before).any():
        before = first
        for classes in ways:
            least = np.full(len(first), len(first))
            np.minimum.at(least, classes, first)
            first = least[classes]
    return first


def _rows(heard: pa.Table, lost: Any, won: Any, why: Any) -> pa.Table:
    import numpy as np

    ours, theirs = heard.take(pa.array(lost)), heard.take(pa.array(won))
    columns = [
        pa.array(np.array(RULES, object)[why], pa.string())
        if n == "rule"
        else theirs[n.removeprefix("canonical_")]
        if n.startswith("canonical_")
        else ours[n]
        for n in DUPLICATE_LISTENS.names
    ]
    return pa.table(columns, DUPLICATE_LISTENS)
