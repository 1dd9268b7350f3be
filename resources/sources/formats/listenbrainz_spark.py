"""ListenBrainz's Spark dump: Parquet files of listens for its own statistics.

It names neither listener nor client. `user_id` is a number, which gets the prefix "listenbrainz:" so that it cannot
equal another listener's name. `recording_mbid` is ListenBrainz's match if there is one, else the client's value.
"""

from datetime import UTC, datetime
from typing import Any

from resources.sources.records.listen import (
    Listen,
    Malformed,
    MissingListener,
    mbid,
    mbids,
    optional_text,
    required_text,
)

NAME = "listenbrainz"
EXPORT = "ListenBrainz"

COLUMNS = frozenset(
    {
        "listened_at",
        "user_id",
        "recording_msid",
        "artist_name",
        "release_name",
        "recording_name",
        "recording_mbid",
        "artist_credit_mbids",
    }
)


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of this format."""
    return {"listened_at", "user_id", "artist_name", "recording_name"} <= record.keys()


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """Parse a listen. `listener` takes precedence over the row's user number."""
    number = record.get("user_id")
    if not listener and type(number) is not int:
        raise MissingListener("the listen does not name its listener")
    at = record.get("listened_at")
    if not isinstance(at, datetime):
        raise Malformed("listened_at is missing" if at is None else "listened_at is not a time")
    return Listen(
        user_id=listener or f"{NAME}:{number}",
        listened_at=at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC),
        ms_played=None,
        source=NAME,
        time_zone=None,
        artist_name=required_text(record.get("artist_name"), "artist_name"),
        recording_name=required_text(record.get("recording_name"), "recording_name"),
        release_name=optional_text(record.get("release_name"), "release_name"),
        recording_mbid=mbid(record.get("recording_mbid")),
        artist_mbids=mbids(record.get("artist_credit_mbids")),
        isrc=None,
        source_ref=None,
        client=None,
    )
