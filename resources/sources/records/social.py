"""The records of social activity: relationships, posts, shares, tag assignments and deletions."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from resources.sources.records.listen import Malformed

FOLLOW, FRIENDSHIP = RELATIONSHIPS = ("follow", "friendship")  # a follow has a direction, a friendship has none
RECORDING, PLAYLIST, POST = SHARED = ("recording", "playlist", "post")
OF_ARTIST = "musicbrainz:artist:"  # prefix of a tag assignment's source_ref if the source provides the artist's MBID


@dataclass(frozen=True, slots=True)
class Relationship:
    """The start or the end of a follow or a friendship."""

    user_id: str
    other_id: str
    relation: str  # FOLLOW or FRIENDSHIP
    ends: bool
    happened_at: datetime | None  # aware, UTC, never None for an end
    source: str
    submitted_id: str | None = None  # the id by which a later deletion refers to it


def between(
    one: str, other: str, relation: str, ends: bool, at: datetime | None, source: str, submitted_id: str | None = None
) -> Relationship:
    """Build a Relationship. Raises Malformed if both persons are the same, or an end has no time."""
    if one == other:
        raise Malformed(f"both persons of the {relation} are the same")
    if ends and at is None:
        raise Malformed(f"the time of the end of a {relation} is missing")
    return Relationship(one, other, relation, ends, at, source, submitted_id)


@dataclass(frozen=True, slots=True)
class Post:
    """One version of a post, or its deletion."""

    post_id: str
    user_id: str
    posted_at: datetime  # aware, UTC
    updated_at: datetime  # when this version was posted, edited or deleted
    text: str
    mentions: tuple[str, ...]
    hashtags: tuple[str, ...]
    artist_name: str | None  # of the recording that the post names as playing
    recording_name: str | None
    recording_mbid: str | None  # if the post links to it
    is_deleted: bool
    source: str


@dataclass(frozen=True, slots=True)
class Share:
    """A share (repost) of a recording, a playlist or a post, or the withdrawal of one."""

    share_id: str
    user_id: str
    shared_at: datetime  # aware, UTC
    entity: str  # one of SHARED
    entity_id: str  # the MBID of a recording, a playlist's own identifier or the id of a post
    is_deleted: bool
    source: str


@dataclass(frozen=True, slots=True)
class TagAssignment:
    """A tag that a person gave to an artist."""

    user_id: str
    artist_name: str | None
    source_ref: str  # the source's own id of the artist, or OF_ARTIST and its MBID
    tag: str
    tagged_on: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """The deletion of an earlier record that is identified by its id alone."""

    user_id: str
    deleted_id: str  # of a post, a share or a relationship
    deleted_at: datetime | None  # aware, UTC
    source: str


def id_of(*parts: str) -> str:
    """Return a UUIDv5 (RFC 9562) of an address, or of all fields of a record without one.

    The address itself is not stored, because it often names its author.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\x1f".join(parts)))
