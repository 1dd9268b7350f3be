"""ListenBrainz's Spark dump: Parquet files of listens as its own statistics read them.

It names neither listener nor client: `user_id` is a number, which gets ListenBrainz's name before it so that nobody
else is called that. `recording_mbid` is ListenBrainz's match where it has one, else what the client submitted.
"""

from datetime import UTC, datetime
from typing import Any

from resources.sources.records.listen import Listen, Malformed, Nameless, mbid, mbids, needed, text

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
    """Whether a record has the shape of this format."""
    return {"listened_at", "user_id", "artist_name", "recording_name"} <= record.keys()


def parse(record: dict[str, Any], listener: str | None) -> Listen:
    """The listen a row tells of; the listener given goes before the row's own number."""
    number = record.get("user_id")
    if not listener and type(number) is not int:
        raise Nameless("it does not say whose listen it is")
    at = record.get("listened_at")
    if not isinstance(at, datetime):
        raise Malformed("no listened_at" if at is None else "listened_at is not a time")
    return Listen(
        user_id=listener or f"{NAME}:{number}",
        listened_at=at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC),
        ms_played=None,
        source=NAME,
        time_zone=None,
        artist_name=needed(record.get("artist_name"), "artist_name"),
        recording_name=needed(record.get("recording_name"), "recording_name"),
        release_name=text(record.get("release_name"), "release_name"),
        recording_mbid=mbid(record.get("recording_mbid")),
        artist_mbids=mbids(record.get("artist_credit_mbids")),
        isrc=None,
        source_ref=None,
        client=None,
    )
