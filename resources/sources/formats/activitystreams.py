"""ActivityStreams 2.0: activities of social networks such as Mastodon and the rest of the fediverse.

Source: https://www.w3.org/TR/activitystreams-core, https://www.w3.org/TR/activitystreams-vocabulary. A file has one
activity a line, or an outbox with `orderedItems`, as Mastodon's archive does. These activities are read:

- Follow, and Relationship (friendOf).
- Note, Article, Page and Question.
- Announce, and Like and Dislike of recordings.
- Add of a Hashtag to an artist of MusicBrainz.
- Undo, Update and Delete of the above. One that names its object by id alone, as Mastodon's Tombstones do, becomes a
  deletion of the record with that id in any file.

Other activities are skipped. The user id is the account (`ada@music.example`) in a usual profile address, else the
address, or the name if there is no address. Other personal fields of an actor or a server are not read.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from resources.sources.formats.jspf import RECORDING as RECORDING_PAGE
from resources.sources.records.feedback import HATE, LOVE, NEITHER, Feedback
from resources.sources.records.listen import (
    Malformed,
    MissingListener,
    SkippedRecord,
    mbid,
    optional_text,
    required_text,
)
from resources.sources.records.social import (
    FOLLOW,
    FRIENDSHIP,
    OF_ARTIST,
    PLAYLIST,
    POST,
    RECORDING,
    Deletion,
    Post,
    Relationship,
    Share,
    TagAssignment,
    between,
    id_of,
)
from resources.sources.text import post_text

NAME = "activitystreams"
EXPORT = "ActivityStreams 2.0"

POSTS = {"Note", "Article", "Page", "Question"}
PLAYLISTS = {"Playlist", "Collection", "OrderedCollection"}
OPINIONS = {"Like": LOVE, "Dislike": HATE}
FRIEND_OF = "friendof"  # of http://purl.org/vocab/relationship, to which the vocabulary refers
PUBLIC = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
PROFILE = re.compile(r"https?://([^/?#@\s]+)/(?:users/|u/|@)([^/?#@\s]+)/?")
PERSON_KEYS = {
    "Follow": ("object",),
    "Relationship": ("subject", "object"),
    "Mention": ("href", "name"),
    **dict.fromkeys(POSTS, ("attributedTo",)),
}
"""By type of object, the keys that name persons, besides `actor`."""
ARTIST_PAGE = re.compile(r"https?://(?:beta\.)?musicbrainz\.org/artist/([0-9a-fA-F-]{36})/?")
PLAYLIST_PAGE = re.compile(r"https?://(?:beta\.)?listenbrainz\.org/playlist/[0-9a-fA-F-]{36}/?")
MAX_POST_CHARS = 100_000  # with markup: Mastodon allows 500, others some thousands
MAX_TAGS = 1_000  # of a post
MAX_NAME_CHARS = 2_048  # of an address or a name
MENTIONED = "account in a mention"


Parsed: TypeAlias = Relationship | Post | Share | Feedback | TagAssignment | Deletion


def recognize(record: dict[str, Any]) -> bool:
    """Return whether a record has the keys of an activity."""
    return "type" in record and "actor" in record and ("object" in record or "@context" in record)


def parse(record: dict[str, Any], listener: str | None) -> Parsed:
    """Parse an activity. A given `listener` is the acting person, whatever the network calls them."""
    actor = account(record.get("actor"))
    if not (listener or actor):
        raise MissingListener("actor is missing")
    return _Activity(record, actor, listener).parse()


def account(value: object) -> str | None:
    """Return the account that an actor, a link or an address refers to, or None."""
    if isinstance(value, list):
        return account(value[0]) if value else None
    if isinstance(value, dict):
        accounts = (account(value.get(key)) for key in ("id", "href", "preferredUsername", "name"))
        return next(filter(None, accounts), None)
    name = _text(value, "an address")
    if name is None:
        return None
    if profile := PROFILE.fullmatch(name):
        return f"{profile[2]}@{profile[1].lower()}"
    return name.removeprefix("acct:").lstrip("@") or None


def addresses(account: str) -> list[str]:
    """Return the usual profile addresses of an account: the inverse of `account`."""
    name, _, host = account.rpartition("@")
    return [f"https://{host}/{form}{name}" for form in ("users/", "u/", "@")] if name and host else []


class _Activity:
    """One activity of one person."""

    def __init__(self, record: dict[str, Any], actor: str | None, listener: str | None) -> None:
        self.record, self.listener = record, listener
        self.actor = actor
        self.user_id: str = listener or actor or ""
        self.object = record.get("object")
        self.about = self.object if isinstance(self.object, dict) else {}

    def parse(self) -> Parsed:
        """Return the record that the activity contains."""
        kind, about = _type(self.record), _type(self.about)
        if kind == "Undo":
            return self._undo(about)
        if kind == "Follow":
            return self._follow(self.record, ends=False, at=_time(self.record, "published", "startTime"))
        if kind == "Announce":
            return self._share(self.record, withdrawn=False)
        if kind in OPINIONS:
            return self._opinion(self.object, OPINIONS[kind])
        if about == "Hashtag" and kind in ("Add", "Remove"):
            return self._tag_assignment(removed=kind == "Remove")
        if about == "Relationship" and kind in ("Create", "Add", "Delete", "Remove"):
            return self._friendship(self.about, ends=kind in ("Delete", "Remove"))
        if kind in ("Create", "Update") and about in POSTS:
            return self._post(edited=kind == "Update")
        if kind == "Delete" and about in {"Tombstone", *POSTS}:
            return self._deleted_post()
        if kind == "Delete" and not about:
            return self._deletion()
        if kind == "Create" and not self.about:
            raise Malformed("the created object is given by its id alone")
        raise SkippedRecord("an activity other than a follow, friendship, post, share, tag or opinion")

    def _undo(self, kind: str) -> Parsed:
        """Return the record of an undone activity."""
        if not kind:
            return self._deletion()
        if self.about.get("actor") is not None and account(self.about["actor"]) != self.actor:
            raise Malformed("it undoes an activity of another person")
        if kind == "Follow":
            return self._follow(self.about, ends=True, at=_time(self.record, "published", "endTime"))
        if kind == "Announce":
            return self._share(self.about, withdrawn=True)
        if kind in OPINIONS:
            return self._opinion(self.about.get("object"), NEITHER)
        created = self.about.get("object")
        if kind == "Relationship":
            return self._friendship(self.about, ends=True)
        if kind in ("Create", "Add") and isinstance(created, dict) and _type(created) == "Relationship":
            return self._friendship(created, ends=True)
        raise SkippedRecord("the undoing of an activity other than a follow, friendship, share or opinion")

    def _person(self, value: object, role: str) -> str:
        person = account(value)
        if not person:
            raise Malformed(f"{role} is missing")
        return self.user_id if person == self.actor else person

    def _follow(self, follow: dict[str, Any], ends: bool, at: datetime | None) -> Relationship:
        followed = self._person(follow.get("object"), "followed account")
        return between(self.user_id, followed, FOLLOW, ends, at, NAME, None if ends else _id(follow))

    def _friendship(self, relationship: dict[str, Any], ends: bool) -> Relationship:
        name = relationship.get("relationship")
        if not (isinstance(name, str) and name.strip().lower().endswith(FRIEND_OF)):
            raise SkippedRecord("a relationship other than a friendship")
        own_time = _time(relationship, "endTime" if ends else "startTime")
        one, other = (self._person(relationship.get(key), f"{key} of the friendship") for key in ("subject", "object"))
        submitted_id = None if ends else _id(relationship) or _id(self.record)
        return between(one, other, FRIENDSHIP, ends, own_time or _time(self.record, "published"), NAME, submitted_id)

    def _post(self, edited: bool) -> Post:
        post, record = self.about, self.record
        if not (_public(record) and _public(post)):
            raise SkippedRecord("a post that is not public")
        posted_at = _time(post, "published") or (None if edited else _time(record, "published"))
        if posted_at is None:
            raise Malformed("time of posting (published) is missing")
        updated_at = (_time(post, "updated") or _time(record, "published") or posted_at) if edited else posted_at
        content = _content(post)
        is_plain = str(post.get("mediaType") or "").startswith(("text/plain", "text/markdown"))
        words, links = (post_text.tidy(content), []) if is_plain else post_text.plain(content)
        mentions, hashtags = self._tags(post, words)
        artist, title = post_text.now_playing(words) or (None, None)
        linked_id = next((match[1] for match in map(RECORDING_PAGE.search, [*links, words]) if match), None)
        now_playing = "nowplaying" in hashtags or artist is not None
        return Post(
            post_id=_id(post) or id_of(self.user_id, posted_at.isoformat(), content),
            user_id=self.user_id,
            posted_at=posted_at,
            updated_at=max(updated_at, posted_at),
            text=words,
            mentions=tuple(mentions),
            hashtags=tuple(hashtags),
            artist_name=artist,
            recording_name=title,
            recording_mbid=mbid(linked_id) if now_playing else None,
            is_deleted=False,
            source=NAME,
        )

    def _tags(self, post: dict[str, Any], words: str) -> tuple[list[str], list[str]]:
        """Return the accounts that a post mentions and its hashtags, from its `tag` field, else from its text."""
        field = post.get("tag")
        if field is None:
            host = (self.actor or "").rpartition("@")[2] if "@" in (self.actor or "") else ""
            names = (m if "@" in m or not host else f"{m}@{host}" for m in post_text.mentions(words))
            return post_text.once(self._person(m, MENTIONED) for m in names), post_text.hashtags(words)
        tags = [tag for tag in (field if isinstance(field, list) else [field]) if isinstance(tag, dict)]
        if len(tags) > MAX_TAGS:
            raise Malformed(f"more than {MAX_TAGS:,} tags")
        people = (self._person(tag, MENTIONED) for tag in tags if _type(tag) == "Mention")
        hashtags = (_text(tag.get("name"), "a hashtag") or "" for tag in tags if _type(tag) == "Hashtag")
        return post_text.once(people), post_text.once(map(post_text.hashtag, hashtags))

    def _deletion(self) -> Deletion:
        address = _address(self.object)
        if address is None:
            raise Malformed("id of the deleted object is missing")
        if account(address) == self.actor:
            raise Malformed("it deletes an account: to erase a listener's data run `make erase`")
        return Deletion(self.user_id, id_of(address), _time(self.record, "published"), NAME)

    def _deleted_post(self) -> Post | Deletion:
        posted_at, post_id = _time(self.about, "published"), _id(self.about)
        if posted_at is None or post_id is None:
            return self._deletion()
        updated_at = max(posted_at, _time(self.record, "published") or posted_at)
        return Post(post_id, self.user_id, posted_at, updated_at, "", (), (), None, None, None, True, NAME)

    def _share(self, announce: dict[str, Any], withdrawn: bool) -> Share:
        shared_at = _time(announce, "published")
        if shared_at is None:
            raise Malformed("time of sharing (published) is missing")
        if not _public(announce):
            raise SkippedRecord("a share that is not public")
        entity, entity_id = _entity(announce.get("object"))
        share_id = _id(announce) or id_of(self.user_id, shared_at.isoformat(), entity, entity_id)
        return Share(share_id, self.user_id, shared_at, entity, entity_id, withdrawn, NAME)

    def _tag_assignment(self, removed: bool) -> TagAssignment:
        """Return a tag of an artist. Mastodon adds hashtags to profiles with the same activity: these are skipped."""
        target = self.record.get("target")
        page = ARTIST_PAGE.fullmatch(_address(target) or "")
        if not page:
            raise SkippedRecord("a hashtag of something other than an artist")
        artist = mbid(page[1])
        if not artist:
            raise Malformed("the artist has no valid MBID")
        if removed:
            raise Malformed("the removal of a tag is not supported")
        name = _text(target.get("name"), "the artist's name") if isinstance(target, dict) else None
        tag = required_text(_text(self.about.get("name"), "a hashtag"), "name of the hashtag").removeprefix("#")
        at = _time(self.record, "published")
        return TagAssignment(
            self.user_id, name, f"{OF_ARTIST}{artist}", required_text(tag, "hashtag"), at and at.date(), NAME
        )

    def _opinion(self, subject: object, score: int) -> Feedback:
        entity, entity_id = _entity(subject)
        if entity != RECORDING:
            raise SkippedRecord("an opinion on something other than a recording")
        return Feedback(self.user_id, entity_id, None, None, None, score, _time(self.record, "published"), NAME)


def _entity(value: object) -> tuple[str, str]:
    """Return the kind and the id of a shared or liked object."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    kind = _type(value) if isinstance(value, dict) else ""
    address = _address(value)
    if address is None:
        raise Malformed("id of the shared or liked object is missing")
    if page := RECORDING_PAGE.fullmatch(address):
        if recording := mbid(page[1]):
            return RECORDING, recording
        raise Malformed("the recording has no valid MBID")
    if kind in PLAYLISTS or PLAYLIST_PAGE.fullmatch(address):
        return PLAYLIST, address
    if kind and kind not in POSTS:
        raise SkippedRecord("about something other than a recording, a playlist or a post")
    return POST, id_of(address)


def _type(value: dict[str, Any]) -> str:
    """Return the type of an object, of several the first, or an empty text."""
    kind = value.get("type")
    if isinstance(kind, list):
        kind = next(iter(kind), None)
    return kind if isinstance(kind, str) else ""


def _address(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("id") or value.get("href") or value.get("url")
    return _text(value, "an address")


def _id(value: dict[str, Any]) -> str | None:
    address = _address({"id": value.get("id")})
    return id_of(address) if address else None


def _text(value: object, field: str) -> str | None:
    stripped = optional_text(value, field)
    if stripped and len(stripped) > MAX_NAME_CHARS:
        raise Malformed(f"{field} longer than {MAX_NAME_CHARS:,} characters")
    return stripped


def _content(post: dict[str, Any]) -> str:
    """Return the content of a post in its first language, or an empty text."""
    content = post.get("content")
    languages = post.get("contentMap")
    if content is None and isinstance(languages, dict):
        content = next(iter(languages.values()), None)
    if content is not None and not isinstance(content, str):
        raise Malformed("content is not text")
    if content and len(content) > MAX_POST_CHARS:
        raise Malformed(f"content longer than {MAX_POST_CHARS:,} characters")
    return optional_text(content, "content") or ""


def _public(value: dict[str, Any]) -> bool:
    """Return whether an object is addressed to the public. Without any addressee it is."""
    audiences = [value[key] for key in ("to", "cc", "audience") if value.get(key)]
    return not audiences or bool(PUBLIC & set(_addressees(audiences)))


def _addressees(audiences: list[Any]) -> Iterator[str]:
    for audience in audiences:
        if isinstance(audience, list):
            yield from (address for address in audience if isinstance(address, str))
        elif isinstance(audience, str):
            yield audience


def _time(value: dict[str, Any], *keys: str) -> datetime | None:
    """Parse the first of these times that is present, without a zone as UTC."""
    key = next((key for key in keys if value.get(key) is not None), None)
    if key is None:
        return None
    try:
        at = datetime.fromisoformat(value[key].strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        raise Malformed(f"{key} is not a time such as 2024-05-06T07:08:09Z") from None
