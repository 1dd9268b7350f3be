"""Social activities of the sandbox's listeners: friendships, follows, posts about listens, and tags of artists.

The format is ActivityStreams 2.0, with the same user names as the listens. Friends are those of the population.
`world.py` writes the activities to files.
"""

import html
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.random import Generator

from resources.sandbox.listeners import Ints, Listens, Population
from resources.sandbox.performers import Recording

HOST = "https://sandbox.example"  # reserved by RFC 2606
CONTEXT = "https://www.w3.org/ns/activitystreams"
FRIEND_OF = "http://purl.org/vocab/relationship/friendOf"
RECORDING_PAGE, ARTIST_PAGE = "https://musicbrainz.org/recording/", "https://musicbrainz.org/artist/"
MUTUAL_SHARE = 0.5  # of friendships are reported by both friends, the rest by one
FIRST_DAY_SHARE = 0.8  # of friendships and follows start on the first day, the rest at any time
ENDED_SHARE = 0.05  # of friendships and follows end
FOLLOWS = 2  # per listener
POST_SHARE = 0.01  # of listens are posted while they play
MENTION_SHARE, TAG_SHARE, SHARED_SHARE = 0.3, 0.8, 0.3  # of posts: mention a friend, have `tag`, are shared by a friend
RECOMMENDATION_SHARE = 0.002  # of listens: the recording is shared
ARTIST_TAG_SHARE = 0.004  # of listens: the listener tags the artist
FORM_TAG_SHARE = 0.5  # of tags are the form of the tune, if it has one; the rest describe the sound
SOUND_TAGS = ("baroque", "folk", "for dancing", "lively", "mellow", "melancholic", "session", "traditional")
DUPLICATE_SHARE = 0.02  # of activities are delivered twice
DAY_S = 86_400

Activity = dict[str, Any]


def activities(
    people: Population, recordings: Sequence[Recording], listens: Listens, start: int, end: int, rng: Generator
) -> list[tuple[int, Activity]]:
    """Return the activities from `start` to before `end`, in seconds since 1970, each with its time, in order."""
    timed = [*_relationships(people, start, end, rng), *_posts(people, recordings, listens, rng)]
    timed += _tag_assignments(people, recordings, listens, rng.spawn(1)[0])
    timed = [(at, activity) for at, activity in timed if at < end]
    duplicate = (rng.random(len(timed)) < DUPLICATE_SHARE).tolist()
    timed += [
        (min(at + 60, end - 1), activity) for (at, activity), twice in zip(timed, duplicate, strict=True) if twice
    ]
    return sorted(timed, key=lambda pair: (pair[0], pair[1]["id"]))


def _relationships(people: Population, start: int, end: int, rng: Generator) -> Iterator[tuple[int, Activity]]:
    """Yield friendships and follows, some of which end."""
    listeners = len(people.user_name)
    pairs = people.friends
    mutual = rng.random(len(pairs)) < MUTUAL_SHARE
    for n, (a, b, began, ended) in enumerate(_periods(pairs, start, end, rng)):
        one, other = (people.user_name[i] for i in (a, b))
        friends = {"type": "Relationship", "subject": _person(one), "relationship": FRIEND_OF, "object": _person(other)}
        create = _activity("Create", one, began, f"friendships/{n}", friends)
        yield began, create
        if mutual[n]:
            swapped = {**friends, "subject": _person(other), "object": _person(one)}
            yield began + 3_600, _activity("Create", other, began + 3_600, f"friendships/{n}/too", swapped)
        if ended:
            yield ended, _activity("Undo", one, ended, f"friendships/{n}/undo", create)
    picked = np.stack([np.repeat(np.arange(listeners), FOLLOWS), rng.integers(listeners, size=FOLLOWS * listeners)], 1)
    picked = np.unique(picked[picked[:, 0] != picked[:, 1]], axis=0)
    for n, (a, b, began, ended) in enumerate(_periods(picked, start, end, rng)):
        one, other = (people.user_name[i] for i in (a, b))
        follow = _activity("Follow", one, began, f"follows/{n}", _person(other))
        yield began, follow
        if ended:
            yield ended, _activity("Undo", one, ended, f"follows/{n}/undo", follow)


def _periods(pairs: Ints, start: int, end: int, rng: Generator) -> list[list[int]]:
    """Return rows of two listeners, the start of their relationship and its end, 0 if it does not end."""
    early = rng.random(len(pairs)) < FIRST_DAY_SHARE
    began = start + np.where(early, rng.integers(DAY_S, size=len(pairs)), rng.integers(end - start, size=len(pairs)))
    lasted = rng.integers(2 * 3_600, max(2 * 3_600 + 1, end - start), size=len(pairs))
    ended = np.where(rng.random(len(pairs)) < ENDED_SHARE, began + lasted, 0)
    periods: list[list[int]] = np.column_stack([pairs, began, ended]).tolist()
    return periods


def _posts(
    people: Population, recordings: Sequence[Recording], listens: Listens, rng: Generator
) -> Iterator[tuple[int, Activity]]:
    """Yield posts about the current listen, shares of posts, and shares of recordings."""
    friends: dict[int, list[int]] = {}
    for a, b in people.friends.tolist():
        friends.setdefault(a, []).append(b)
        friends.setdefault(b, []).append(a)
    posted, recommended = (rng.random(len(listens.listener)) < share for share in (POST_SHARE, RECOMMENDATION_SHARE))
    for n in np.flatnonzero(posted | recommended).tolist():
        listener, listened_at = int(listens.listener[n]), int(listens.listened_at[n])
        one, recording = people.user_name[listener], recordings[listens.recording[n]]
        own_friends = friends.get(listener, [])
        friend = people.user_name[own_friends[n % len(own_friends)]] if own_friends else None
        if recommended[n]:
            at = listened_at + 120
            yield at, _activity("Announce", one, at, f"shares/{n}", RECORDING_PAGE + recording.id)
        if posted[n]:
            at = listened_at + int(rng.integers(1, max(2, listens.ms_played[n] // 1000)))
            mentioned = friend if rng.random() < MENTION_SHARE else None
            note = _note(f"posts/{n}", one, at, recording, mentioned, tagged=rng.random() < TAG_SHARE)
            yield at, _activity("Create", one, at, f"posts/{n}/activity", note)
            if friend and rng.random() < SHARED_SHARE:
                later = at + int(rng.integers(60, DAY_S // 2))
                yield later, _activity("Announce", friend, later, f"posts/{n}/shares", note["id"])


def _tag_assignments(
    people: Population, recordings: Sequence[Recording], listens: Listens, rng: Generator
) -> Iterator[tuple[int, Activity]]:
    """Yield tags that some listeners give to artists: the form of the tune, or how it sounds."""
    for n in np.flatnonzero(rng.random(len(listens.listener)) < ARTIST_TAG_SHARE).tolist():
        one, recording = people.user_name[int(listens.listener[n])], recordings[listens.recording[n]]
        artist, form, at = recording.credit[0][0], recording.work.form, int(listens.listened_at[n]) + 90
        word = form if form and rng.random() < FORM_TAG_SHARE else SOUND_TAGS[rng.integers(len(SOUND_TAGS))]
        tag = {"type": "Hashtag", "href": f"{HOST}/tags/{quote(word)}", "name": f"#{word}"}
        target = {"type": "Person", "id": ARTIST_PAGE + artist.id, "name": artist.name}
        yield at, {**_activity("Add", one, at, f"tag_assignments/{n}", tag), "target": target}


def _note(name: str, author: str, at: int, recording: Recording, mentioned: str | None, tagged: bool) -> Activity:
    """Return a post about the current listen, in Mastodon's markup."""
    hashtag = f'<a href="{HOST}/tags/nowplaying" class="mention hashtag" rel="tag">#<span>nowplaying</span></a>'
    playing = html.escape(f"{recording.credited} – {recording.work.title}", quote=False)
    mention = f"@{mentioned} " if mentioned else ""
    note: Activity = {
        "id": f"{HOST}/{name}",
        "type": "Note",
        "attributedTo": _person(author),
        "published": _timestamp(at),
        "content": f"<p>{mention}{hashtag} {playing}</p>",
    }
    if tagged:
        note["tag"] = [{"type": "Hashtag", "href": f"{HOST}/tags/nowplaying", "name": "#nowplaying"}]
        note["tag"] += [{"type": "Mention", "name": f"@{mentioned}"}] if mentioned else []
    return note


def _activity(kind: str, actor: str, at: int, name: str, target: Any) -> Activity:
    return {
        "@context": CONTEXT,
        "id": f"{HOST}/{name}",
        "type": kind,
        "actor": _person(actor),
        "published": _timestamp(at),
        "object": target,
    }


def _person(name: str) -> dict[str, str]:
    """Return a person by name, as in the examples of the ActivityStreams vocabulary."""
    return {"type": "Person", "name": name}


def _timestamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
