"""Relationships: who follows whom, and who are friends, from when until when.

A follow has a direction; a friendship has none: told by one or by both, once or often, it is one. What is told is that
a relation began or ended, in whatever order it arrives; each spell of it is a row here. A spell begins with the first
beginning after an end, and ends with the first end after that. What begins and ends at one instant has ended, so that
nobody is followed who undid it at once. An end of which no beginning is told is a spell whose beginning is not known;
a beginning without a time comes before all others. What either of the two took back by its id alone has ended then, and
where no time of that is told, at the instant at which it began.
"""

from functools import partial

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import ascending, checks_of
from resources.frames.frame import Frame
from resources.frames.windows import windowed
from resources.schema import INSTANT, column, declare
from resources.sources.records.social import FOLLOW, FRIENDSHIP

FOLLOWS = pa.schema(
    [
        column("user_id", pa.string(), "who follows", personal=True),
        column("followed_id", pa.string(), "who is followed", personal=True),
        column("since", INSTANT, "when it began, where a source tells", unit="UTC", null=True),
        column("until", INSTANT, "when it ended, if it did", unit="UTC", null=True),
    ]
)
FRIENDSHIPS = pa.schema(
    [
        column("user_a", pa.string(), "one of the two, whose id comes first", personal=True),
        column("user_b", pa.string(), "the other", personal=True),
        column("since", INSTANT, "when it began, where a source tells", unit="UTC", null=True),
        column("until", INSTANT, "when it ended, if it did", unit="UTC", null=True),
    ]
)
PAIR = ["user_id", "other_id"]
EVENT = ["ends", "happened_at"]
TAKEN_BACK = ["deleted_id", "user_id", "deleted_at"]


def of_kind(relationships: nw.LazyFrame, relation: str) -> nw.LazyFrame:
    """What is told of one kind of relation."""
    return relationships.filter(nw.col("relation") == relation).select(*PAIR, *EVENT, "submitted_id")


def with_id(relationships: nw.LazyFrame) -> nw.LazyFrame:
    """What can be taken back by its id."""
    return relationships.filter(~nw.col("submitted_id").is_null())


def as_taken_back(deletions: nw.LazyFrame) -> nw.LazyFrame:
    """Deletions of what may be relationships."""
    return deletions.rename({"deleted_id": "submitted_id", "user_id": "by"})


def ends(relationships: nw.LazyFrame, deletions: nw.LazyFrame) -> nw.LazyFrame:
    """The end of each relation that one of the two took back, as the relation tells its beginning."""
    found = relationships.join(deletions, on="submitted_id", how="inner")
    by, began, at = nw.col("by"), nw.col("happened_at"), nw.col("deleted_at")
    found = found.filter((by == nw.col("user_id")) | (by == nw.col("other_id")))
    found = found.filter(~(began.is_null() & at.is_null()))
    early = at.is_null() | (~began.is_null() & (at < began))
    found = found.with_columns(at=nw.when(early).then(began).otherwise(at), ends=nw.lit(True))
    return found.drop("happened_at").rename({"at": "happened_at"}).select(*PAIR, *EVENT)


def told_of(relation: str, relationships: Frame, deletions: Frame) -> Frame:
    """All that is told of one kind of relation, its ends by deletions too."""
    told = relationships.select(*PAIR, *EVENT, "relation", "submitted_id").map(partial(of_kind, relation=relation))
    gone = deletions.select(*TAKEN_BACK).map(as_taken_back)
    return told.select(*PAIR, *EVENT).concat(told.map(with_id).per("submitted_id", ends, gone))


def without_direction(relationships: nw.LazyFrame) -> nw.LazyFrame:
    """The same pair whichever of the two tells of it."""
    one, other = (nw.col(c) for c in PAIR)
    return relationships.with_columns(
        user_id=nw.when(one <= other).then(one).otherwise(other),
        other_id=nw.when(one <= other).then(other).otherwise(one),
    )


def spells(relationships: nw.LazyFrame) -> nw.LazyFrame:
    """From when until when each pair was related."""
    at, order = nw.col("happened_at"), ["known", "happened_at", "end"]
    rows = relationships.with_columns(
        end=nw.when(nw.col("ends")).then(1).otherwise(0), known=nw.when(at.is_null()).then(0).otherwise(1)
    )
    rows = windowed(rows, PAIR, order, before=nw.col("end").shift(1))
    begins = nw.col("before").is_null() | ((nw.col("end") == 0) & (nw.col("before") == 1))
    rows = rows.with_columns(begins=nw.when(begins).then(1).otherwise(0))
    rows = windowed(rows, PAIR, order, spell=nw.col("begins").cum_sum())
    rows = rows.with_columns(
        since=nw.when(nw.col("end") == 0).then(at),
        until=nw.when(nw.col("end") == 1).then(at),
    )
    return rows.group_by(*PAIR, "spell").agg(nw.col("since").min(), nw.col("until").min())


def as_follows(found: nw.LazyFrame) -> nw.LazyFrame:
    """Spells under the names of follows."""
    return found.rename({"other_id": "followed_id"}).select(*FOLLOWS.names)


def as_friendships(found: nw.LazyFrame) -> nw.LazyFrame:
    """Spells under the names of friendships."""
    return found.rename({"user_id": "user_a", "other_id": "user_b"}).select(*FRIENDSHIPS.names)


INS = {n: dg.AssetIn(["events", n]) for n in ("raw_relationships", "raw_deletions")}


@dg.asset(
    key_prefix="events",
    ins=INS,
    metadata=declare(FOLLOWS, key=["user_id", "followed_id", "since"]),
)
def follows(raw_relationships: Frame, raw_deletions: Frame) -> Frame:
    """Who follows whom, and from when until when."""
    return told_of(FOLLOW, raw_relationships, raw_deletions).per(PAIR, spells).map(as_follows)


@dg.asset(
    key_prefix="events",
    ins=INS,
    metadata=declare(FRIENDSHIPS, key=["user_a", "user_b", "since"]),
)
def friendships(raw_relationships: Frame, raw_deletions: Frame) -> Frame:
    """Who are friends, each two once, and from when until when."""
    told = told_of(FRIENDSHIP, raw_relationships, raw_deletions)
    return told.map(without_direction).per(PAIR, spells).map(as_friendships)


checks = [
    checks_of(follows, ascending(("since", "until"))),
    checks_of(friendships, ascending(("user_a", "user_b"), ("since", "until"))),
]
