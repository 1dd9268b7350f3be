"""What people of a network do beside listening, as their source tells it: whom they follow, what they post and tag."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from resources.sources.records.listen import Malformed

FOLLOW, FRIENDSHIP = RELATIONSHIPS = ("follow", "friendship")  # one has a direction, the other has none
RECORDING, PLAYLIST, POST = SHARED = ("recording", "playlist", "post")
OF_ARTIST = "musicbrainz:artist:"  # begins the source_ref of a tag_assignment whose source knows the artist's MBID


@dataclass(frozen=True, slots=True)
class Relationship:
    """That one person follows or befriends another, or no longer does."""

    user_id: str
    other_id: str
    relation: str  # FOLLOW or FRIENDSHIP
    ends: bool
    happened_at: datetime | None  # aware, UTC; an end always has a time
    source: str
    submitted_id: str | None = None  # by which it may be taken back


def between(
    one: str, other: str, relation: str, ends: bool, at: datetime | None, source: str, submitted_id: str | None = None
) -> Relationship:
    """What is told of two people; Malformed where it is of one, or an end without a time."""
    if one == other:
        raise Malformed("it tells of one person where there must be two")
    if ends and at is None:
        raise Malformed("it does not say when it ended")
    return Relationship(one, other, relation, ends, at, source, submitted_id)


@dataclass(frozen=True, slots=True)
class Post:
    """A post as it read at some time, or that it was taken back."""

    post_id: str
    user_id: str
    posted_at: datetime  # aware, UTC
    told_at: datetime  # when it came to read so: posted or edited
    text: str
    mentions: tuple[str, ...]
    hashtags: tuple[str, ...]
    artist_name: str | None  # of what it says is playing
    recording_name: str | None
    recording_mbid: str | None  # where it links to one
    taken_back: bool
    source: str


@dataclass(frozen=True, slots=True)
class Share:
    """That a person passed on a recording, a playlist or a post, or took that back."""

    share_id: str
    user_id: str
    shared_at: datetime  # aware, UTC
    entity: str  # one of SHARED
    entity_id: str  # MBID of a recording, a playlist's own identifier, the id of a post
    taken_back: bool
    source: str


@dataclass(frozen=True, slots=True)
class TagAssignment:
    """A word that a person put to an artist."""

    user_id: str
    artist_name: str | None
    source_ref: str  # the source's own id of the artist, or OF_ARTIST and its MBID
    tag: str
    tagged_on: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """That a person took back what was told under an id, whatever that was: known by its id alone."""

    user_id: str
    deleted_id: str  # of a post, a share or a relation
    deleted_at: datetime | None  # aware, UTC
    source: str


def id_of(*told: str) -> str:
    """An id of what has an address, as RFC 9562 makes one of it; or of all that is told, where it has none.

    Addresses name their author more often than not, so that they are not kept.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\x1f".join(told)))
