"""Relationships: follows and friendships, with the time of their beginning and end.

A follow has a direction, a friendship has none: records of either or both friends are one friendship. Raw records say
that a relationship began or ended, and arrive in any order. Each period of a relationship is a row:

- It begins with the first beginning after an end, and ends with the first end after that.
- If it begins and ends at one instant, it has ended, so that an undone follow is not left open.
- An end without a beginning is a period with an unknown beginning. A beginning without a time is the earliest.
- If either of the two deletes the record by its id, the relationship ends at that time. Without a time of deletion, it
  ends at the instant at which it began.
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
        column("user_id", pa.string(), "follower", personal=True),
        column("followed_id", pa.string(), "followed user", personal=True),
        column("since", INSTANT, "beginning, null if unknown", unit="UTC", null=True),
        column("until", INSTANT, "end, null if it has not ended", unit="UTC", null=True),
    ]
)
FRIENDSHIPS = pa.schema(
    [
        column("user_a", pa.string(), "friend whose id sorts first", personal=True),
        column("user_b", pa.string(), "other friend", personal=True),
        column("since", INSTANT, "beginning, null if unknown", unit="UTC", null=True),
        column("until", INSTANT, "end, null if it has not ended", unit="UTC", null=True),
    ]
)
PAIR = ["user_id", "other_id"]
EVENT = ["ends", "happened_at"]
DELETION = ["deleted_id", "user_id", "deleted_at"]


def of_kind(relationships: nw.LazyFrame, relation: str) -> nw.LazyFrame:
    """Return the records of one kind of relationship."""
    return relationships.filter(nw.col("relation") == relation).select(*PAIR, *EVENT, "submitted_id")


def with_id(relationships: nw.LazyFrame) -> nw.LazyFrame:
    """Return the records that can be deleted by an id."""
    return relationships.filter(~nw.col("submitted_id").is_null())


def rename_deletions(deletions: nw.LazyFrame) -> nw.LazyFrame:
    """Rename the id of deletions to that of relationships, and their user to `by`."""
    return deletions.rename({"deleted_id": "submitted_id", "user_id": "by"})


def ends(relationships: nw.LazyFrame, deletions: nw.LazyFrame) -> nw.LazyFrame:
    """Return the end of each relationship whose record one of the two deleted, never before its beginning."""
    deleted = relationships.join(deletions, on="submitted_id", how="inner")
    by, began, at = nw.col("by"), nw.col("happened_at"), nw.col("deleted_at")
    deleted = deleted.filter((by == nw.col("user_id")) | (by == nw.col("other_id")))
    deleted = deleted.filter(~(began.is_null() & at.is_null()))
    early = at.is_null() | (~began.is_null() & (at < began))
    deleted = deleted.with_columns(at=nw.when(early).then(began).otherwise(at), ends=nw.lit(True))
    return deleted.drop("happened_at").rename({"at": "happened_at"}).select(*PAIR, *EVENT)


def beginnings_and_ends(relation: str, relationships: Frame, deletions: Frame) -> Frame:
    """Return all beginnings and ends of one kind of relationship, including ends by deletion."""
    records = relationships.select(*PAIR, *EVENT, "relation", "submitted_id").map(partial(of_kind, relation=relation))
    renamed = deletions.select(*DELETION).map(rename_deletions)
    return records.select(*PAIR, *EVENT).concat(records.map(with_id).per("submitted_id", ends, renamed))


def without_direction(relationships: nw.LazyFrame) -> nw.LazyFrame:
    """Order each pair by id, so that it is equal for records of either friend."""
    one, other = (nw.col(c) for c in PAIR)
    return relationships.with_columns(
        user_id=nw.when(one <= other).then(one).otherwise(other),
        other_id=nw.when(one <= other).then(other).otherwise(one),
    )


def periods(relationships: nw.LazyFrame) -> nw.LazyFrame:
    """Return each period in which a pair was related: `since` and `until`."""
    at, order = nw.col("happened_at"), ["known", "happened_at", "end"]
    rows = relationships.with_columns(
        end=nw.when(nw.col("ends")).then(1).otherwise(0), known=nw.when(at.is_null()).then(0).otherwise(1)
    )
    rows = windowed(rows, PAIR, order, before=nw.col("end").shift(1))
    begins = nw.col("before").is_null() | ((nw.col("end") == 0) & (nw.col("before") == 1))
    rows = rows.with_columns(begins=nw.when(begins).then(1).otherwise(0))
    rows = windowed(rows, PAIR, order, period=nw.col("begins").cum_sum())
    rows = rows.with_columns(
        since=nw.when(nw.col("end") == 0).then(at),
        until=nw.when(nw.col("end") == 1).then(at),
    )
    return rows.group_by(*PAIR, "period").agg(nw.col("since").min(), nw.col("until").min())


def as_follows(periods: nw.LazyFrame) -> nw.LazyFrame:
    """Return periods with the columns of follows."""
    return periods.rename({"other_id": "followed_id"}).select(*FOLLOWS.names)


def as_friendships(periods: nw.LazyFrame) -> nw.LazyFrame:
    """Return periods with the columns of friendships."""
    return periods.rename({"user_id": "user_a", "other_id": "user_b"}).select(*FRIENDSHIPS.names)


INS = {n: dg.AssetIn(["events", n]) for n in ("raw_relationships", "raw_deletions")}


@dg.asset(
    key_prefix="events",
    ins=INS,
    metadata=declare(FOLLOWS, key=["user_id", "followed_id", "since"]),
)
def follows(raw_relationships: Frame, raw_deletions: Frame) -> Frame:
    """Follows with their beginning and end, one row per period."""
    return beginnings_and_ends(FOLLOW, raw_relationships, raw_deletions).per(PAIR, periods).map(as_follows)


@dg.asset(
    key_prefix="events",
    ins=INS,
    metadata=declare(FRIENDSHIPS, key=["user_a", "user_b", "since"]),
)
def friendships(raw_relationships: Frame, raw_deletions: Frame) -> Frame:
    """Friendships with their beginning and end, one row per pair and period."""
    records = beginnings_and_ends(FRIENDSHIP, raw_relationships, raw_deletions)
    return records.map(without_direction).per(PAIR, periods).map(as_friendships)


checks = [
    checks_of(follows, ascending(("since", "until"))),
    checks_of(friendships, ascending(("user_a", "user_b"), ("since", "until"))),
]
