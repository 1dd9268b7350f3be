"""ActivityStreams 2.0: what social networks tell of their people, Mastodon and the rest of the fediverse among them.

Source: https://www.w3.org/TR/activitystreams-core, https://www.w3.org/TR/activitystreams-vocabulary. One activity a
line, or an outbox with `orderedItems`, as Mastodon's archive has one. Of the vocabulary are read: Follow, Relationship
(friendOf), Note and its kin, Announce, Like and Dislike of recordings, Add of a Hashtag to an artist of MusicBrainz,
and Undo, Update and Delete of these; other activities are passed over. An Undo or a Delete may tell what it takes back
by its id alone, as Mastodon's Tombstones do: it is a deletion then, wherever and whenever that was told.

A person is known by the account (`ada@music.example`) that the usual addresses of profiles hold, else by the address,
or by the name alone where there is no address. The personal fields of an actor or a server are not read.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from resources.sources.formats.jspf import RECORDING as RECORDING_PAGE
from resources.sources.records.feedback import HATE, LOVE, NEITHER, Feedback
from resources.sources.records.listen import Malformed, Nameless, PassedOver, mbid, needed, text
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
FRIEND_OF = "friendof"  # of http://purl.org/vocab/relationship, which the vocabulary refers to
PUBLIC = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
PROFILE = re.compile(r"https?://([^/?#@\s]+)/(?:users/|u/|@)([^/?#@\s]+)/?")
WHOM = {
    "Follow": ("object",),
    "Relationship": ("subject", "object"),
    "Mention": ("href", "name"),
    **dict.fromkeys(POSTS, ("attributedTo",)),
}
"""By the type of an object, the keys under which it names persons, beside its `actor`."""
ARTIST_PAGE = re.compile(r"https?://(?:beta\.)?musicbrainz\.org/artist/([0-9a-fA-F-]{36})/?")
PLAYLIST_PAGE = re.compile(r"https?://(?:beta\.)?listenbrainz\.org/playlist/[0-9a-fA-F-]{36}/?")
LONGEST_POST = 100_000  # characters, markup included; Mastodon allows 500, others some thousands
MOST_TAGS = 1_000  # of a post
LONGEST_NAME = 2_048  # characters of an address or a name


Told: TypeAlias = Relationship | Post | Share | Feedback | TagAssignment | Deletion


def recognize(record: dict[str, Any]) -> bool:
    """Whether a record has the shape of an activity."""
    return "type" in record and "actor" in record and ("object" in record or "@context" in record)


def parse(record: dict[str, Any], listener: str | None) -> Told:
    """What an activity tells of; the listener given is who acts, whatever the network calls that person."""
    doer = account(record.get("actor"))
    if not (listener or doer):
        raise Nameless("no actor")
    return _Activity(record, doer, listener).told()


def account(value: object) -> str | None:
    """Whom an actor, a link or an address means."""
    if isinstance(value, list):
        return account(value[0]) if value else None
    if isinstance(value, dict):
        told = (account(value.get(key)) for key in ("id", "href", "preferredUsername", "name"))
        return next(filter(None, told), None)
    found = _text(value, "an address")
    if found is None:
        return None
    if profile := PROFILE.fullmatch(found):
        return f"{profile[2]}@{profile[1].lower()}"
    return found.removeprefix("acct:").lstrip("@") or None


def addresses(account: str) -> list[str]:
    """The usual addresses of the profile of an account, which `account` reads."""
    name, _, host = account.rpartition("@")
    return [f"https://{host}/{form}{name}" for form in ("users/", "u/", "@")] if name and host else []


class _Activity:
    """One activity, by one person."""

    def __init__(self, record: dict[str, Any], doer: str | None, listener: str | None) -> None:
        self.record, self.listener = record, listener
        self.doer = doer
        self.user_id: str = listener or doer or ""
        self.object = record.get("object")
        self.about = self.object if isinstance(self.object, dict) else {}

    def told(self) -> Told:
        """What it tells of."""
        kind, about = _type(self.record), _type(self.about)
        if kind == "Undo":
            return self._undone(about)
        if kind == "Follow":
            return self._follow(self.record, ends=False, at=_time(self.record, "published", "startTime"))
        if kind == "Announce":
            return self._share(self.record, taken_back=False)
        if kind in OPINIONS:
            return self._opinion(self.object, OPINIONS[kind])
        if about == "Hashtag" and kind in ("Add", "Remove"):
            return self._tagging(taken_off=kind == "Remove")
        if about == "Relationship" and kind in ("Create", "Add", "Delete", "Remove"):
            return self._friendship(self.about, ends=kind in ("Delete", "Remove"))
        if kind in ("Create", "Update") and about in POSTS:
            return self._post(edited=kind == "Update")
        if kind == "Delete" and about in {"Tombstone", *POSTS}:
            return self._taken_back()
        if kind == "Delete" and not about:
            return self._deletion()
        if kind == "Create" and not self.about:
            raise Malformed("it tells what it is about by its id alone")
        raise PassedOver("an activity that tells of no follow, friendship, post, share or recording")

    def _undone(self, kind: str) -> Told:
        """What is told by taking an activity back."""
        if not kind:
            return self._deletion()
        if self.about.get("actor") is not None and account(self.about["actor"]) != self.doer:
            raise Malformed("it takes back what another did")
        if kind == "Follow":
            return self._follow(self.about, ends=True, at=_time(self.record, "published", "endTime"))
        if kind == "Announce":
            return self._share(self.about, taken_back=True)
        if kind in OPINIONS:
            return self._opinion(self.about.get("object"), NEITHER)
        created = self.about.get("object")
        if kind == "Relationship":
            return self._friendship(self.about, ends=True)
        if kind in ("Create", "Add") and isinstance(created, dict) and _type(created) == "Relationship":
            return self._friendship(created, ends=True)
        raise PassedOver("the end of an activity that tells of no follow, friendship, share or recording")

    def _who(self, value: object, what: str) -> str:
        found = account(value)
        if not found:
            raise Malformed(f"it does not say who {what}")
        return self.user_id if found == self.doer else found

    def _follow(self, follow: dict[str, Any], ends: bool, at: datetime | None) -> Relationship:
        whom = self._who(follow.get("object"), "is followed")
        return between(self.user_id, whom, FOLLOW, ends, at, NAME, None if ends else _id(follow))

    def _friendship(self, relationship: dict[str, Any], ends: bool) -> Relationship:
        name = relationship.get("relationship")
        if not (isinstance(name, str) and name.strip().lower().endswith(FRIEND_OF)):
            raise PassedOver("a relationship that is no friendship")
        own = _time(relationship, "endTime" if ends else "startTime")
        one, other = (self._who(relationship.get(key), "is a friend") for key in ("subject", "object"))
        submitted_id = None if ends else _id(relationship) or _id(self.record)
        return between(one, other, FRIENDSHIP, ends, own or _time(self.record, "published"), NAME, submitted_id)

    def _post(self, edited: bool) -> Post:
        post, record = self.about, self.record
        if not (_public(record) and _public(post)):
            raise PassedOver("a post that is not public")
        posted_at = _time(post, "published") or (None if edited else _time(record, "published"))
        if posted_at is None:
            raise Malformed("it does not say when it was posted")
        told_at = (_time(post, "updated") or _time(record, "published") or posted_at) if edited else posted_at
        content = _content(post)
        is_plain = str(post.get("mediaType") or "").startswith(("text/plain", "text/markdown"))
        words, links = (post_text.tidy(content), []) if is_plain else post_text.plain(content)
        mentions, hashtags = self._tags(post, words)
        artist, title = post_text.now_playing(words) or (None, None)
        linked = next((found[1] for found in map(RECORDING_PAGE.search, [*links, words]) if found), None)
        plays = "nowplaying" in hashtags or artist is not None
        return Post(
            post_id=_id(post) or id_of(self.user_id, posted_at.isoformat(), content),
            user_id=self.user_id,
            posted_at=posted_at,
            told_at=max(told_at, posted_at),
            text=words,
            mentions=tuple(mentions),
            hashtags=tuple(hashtags),
            artist_name=artist,
            recording_name=title,
            recording_mbid=mbid(linked) if plays else None,
            taken_back=False,
            source=NAME,
        )

    def _tags(self, post: dict[str, Any], words: str) -> tuple[list[str], list[str]]:
        """Whom a post mentions and its hashtags: as it tells them, else as its text does."""
        told = post.get("tag")
        if told is None:
            host = (self.doer or "").rpartition("@")[2] if "@" in (self.doer or "") else ""
            named = (m if "@" in m or not host else f"{m}@{host}" for m in post_text.mentions(words))
            return post_text.once(self._who(m, "is mentioned") for m in named), post_text.hashtags(words)
        tags = [tag for tag in (told if isinstance(told, list) else [told]) if isinstance(tag, dict)]
        if len(tags) > MOST_TAGS:
            raise Malformed(f"more than {MOST_TAGS:,} tags")
        people = (self._who(tag, "is mentioned") for tag in tags if _type(tag) == "Mention")
        names = (_text(tag.get("name"), "a hashtag") or "" for tag in tags if _type(tag) == "Hashtag")
        return post_text.once(people), post_text.once(map(post_text.hashtag, names))

    def _deletion(self) -> Deletion:
        address = _address(self.object)
        if address is None:
            raise Malformed("it does not say what it takes back")
        if account(address) == self.doer:
            raise Malformed("it deletes an account: `make erase` forgets a person")
        return Deletion(self.user_id, id_of(address), _time(self.record, "published"), NAME)

    def _taken_back(self) -> Post | Deletion:
        posted_at, post_id = _time(self.about, "published"), _id(self.about)
        if posted_at is None or post_id is None:
            return self._deletion()
        told_at = max(posted_at, _time(self.record, "published") or posted_at)
        return Post(post_id, self.user_id, posted_at, told_at, "", (), (), None, None, None, True, NAME)

    def _share(self, announce: dict[str, Any], taken_back: bool) -> Share:
        shared_at = _time(announce, "published")
        if shared_at is None:
            raise Malformed("it does not say when it was shared")
        if not _public(announce):
            raise PassedOver("a share that is not public")
        entity, entity_id = _entity(announce.get("object"))
        share_id = _id(announce) or id_of(self.user_id, shared_at.isoformat(), entity, entity_id)
        return Share(share_id, self.user_id, shared_at, entity, entity_id, taken_back, NAME)

    def _tagging(self, taken_off: bool) -> TagAssignment:
        """Mastodon adds hashtags to profiles by the same activity: what is tagged tells them apart."""
        whom = self.record.get("target")
        page = ARTIST_PAGE.fullmatch(_address(whom) or "")
        if not page:
            raise PassedOver("a hashtag of something else than an artist")
        artist = mbid(page[1])
        if not artist:
            raise Malformed("the artist has no valid MBID")
        if taken_off:
            raise Malformed("tags that are taken off again are not kept")
        name = _text(whom.get("name"), "the artist's name") if isinstance(whom, dict) else None
        tag = needed(_text(self.about.get("name"), "a hashtag"), "name of the hashtag").removeprefix("#")
        at = _time(self.record, "published")
        return TagAssignment(self.user_id, name, f"{OF_ARTIST}{artist}", needed(tag, "hashtag"), at and at.date(), NAME)

    def _opinion(self, of: object, score: int) -> Feedback:
        entity, entity_id = _entity(of)
        if entity != RECORDING:
            raise PassedOver("an opinion on something else than a recording")
        given = _time(self.record, "published")
        return Feedback(self.user_id, entity_id, None, None, None, score, given, NAME)


def _entity(value: object) -> tuple[str, str]:
    """What is shared or liked: its kind and id."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    kind = _type(value) if isinstance(value, dict) else ""
    address = _address(value)
    if address is None:
        raise Malformed("it does not say of what")
    if page := RECORDING_PAGE.fullmatch(address):
        if recording := mbid(page[1]):
            return RECORDING, recording
        raise Malformed("the recording has no valid MBID")
    if kind in PLAYLISTS or PLAYLIST_PAGE.fullmatch(address):
        return PLAYLIST, address
    if kind and kind not in POSTS:
        raise PassedOver("about something else than a recording, a playlist or a post")
    return POST, id_of(address)


def _type(value: dict[str, Any]) -> str:
    """The type of an object; of several the first."""
    found = value.get("type")
    if isinstance(found, list):
        found = next(iter(found), None)
    return found if isinstance(found, str) else ""


def _address(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("id") or value.get("href") or value.get("url")
    return _text(value, "an address")


def _id(value: dict[str, Any]) -> str | None:
    found = _address({"id": value.get("id")})
    return id_of(found) if found else None


def _text(value: object, what: str) -> str | None:
    found = text(value, what)
    if found and len(found) > LONGEST_NAME:
        raise Malformed(f"{what} longer than {LONGEST_NAME:,} characters")
    return found


def _content(post: dict[str, Any]) -> str:
    """The content of a post, in the language it puts first; none is empty."""
    content = post.get("content")
    languages = post.get("contentMap")
    if content is None and isinstance(languages, dict):
        content = next(iter(languages.values()), None)
    if content is not None and not isinstance(content, str):
        raise Malformed("content is not text")
    if content and len(content) > LONGEST_POST:
        raise Malformed(f"content longer than {LONGEST_POST:,} characters: no post is")
    return text(content, "content") or ""


def _public(value: dict[str, Any]) -> bool:
    """Whether everybody may read it; what says nothing of who may is for all."""
    told = [value[key] for key in ("to", "cc", "audience") if value.get(key)]
    return not told or bool(PUBLIC & set(_addressed(told)))


def _addressed(told: object) -> Iterator[str]:
    if isinstance(told, list):
        for each in told:
            if isinstance(each, list):
                yield from (e for e in each if isinstance(e, str))
            elif isinstance(each, str):
                yield each


def _time(value: dict[str, Any], *keys: str) -> datetime | None:
    """The first time that is told; one without a zone counts as UTC."""
    told = next((value[key] for key in keys if value.get(key) is not None), None)
    if told is None:
        return None
    try:
        found = datetime.fromisoformat(told.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (AttributeError, ValueError, OverflowError):
        raise Malformed("a time that is none") from None
