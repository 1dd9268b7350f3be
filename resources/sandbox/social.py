"""What the sandbox's listeners tell: who befriends and follows whom, posts of what they just heard, tags of artists.

Activities as ActivityStreams 2.0 has them, with the names by which listens know the same people. Friends are those of
the population. What belongs here is what is told and when; in which file it arrives is for the world.
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

HOST = "https://sandbox.example"  # a name that RFC 2606 keeps free
CONTEXT = "https://www.w3.org/ns/activitystreams"
FRIEND_OF = "http://purl.org/vocab/relationship/friendOf"
RECORDING_PAGE, ARTIST_PAGE = "https://musicbrainz.org/recording/", "https://musicbrainz.org/artist/"
BY_BOTH = 0.5  # of friendships are told by both, the rest by one
AT_ONCE = 0.8  # of friendships and follows are told on the first day, the rest at any time
ENDED = 0.05  # of friendships and follows end again
FOLLOWED = 2  # others whom each listener picks to follow
POSTED = 0.01  # of listens are posted while they play
MENTIONED, TAGGED, PASSED_ON = 0.3, 0.8, 0.3  # of posts: mention a friend, have `tag`, are shared by a friend
RECOMMENDED = 0.002  # of listens: the recording is shared as such
LABELLED = 0.004  # of listens: who is heard is given a tag
BY_FORM = 0.5  # of tags name the form of the tune, where it has one; the rest say how it sounds
WORDS = ("baroque", "folk", "for dancing", "lively", "mellow", "melancholic", "session", "traditional")
TWICE = 0.02  # of activities are delivered twice
DAY = 86_400

Activity = dict[str, Any]


def activities(
    people: Population, recordings: Sequence[Recording], listens: Listens, start: int, end: int, rng: Generator
) -> list[tuple[int, Activity]]:
    """All that is told from `start` to before `end`, in seconds since 1970, by time, each with when."""
    told = [*_relations(people, start, end, rng), *_posts(people, recordings, listens, rng)]
    told += _taggings(people, recordings, listens, rng.spawn(1)[0])
    told = [(at, what) for at, what in told if at < end]
    again = rng.random(len(told)) < TWICE
    told += [(min(at + 60, end - 1), what) for (at, what), twice in zip(told, again.tolist(), strict=True) if twice]
    return sorted(told, key=lambda each: (each[0], each[1]["id"]))


def _relations(people: Population, start: int, end: int, rng: Generator) -> Iterator[tuple[int, Activity]]:
    """Friendships and follows, begun and sometimes ended."""
    listeners = len(people.user_name)
    pairs = people.friends
    both = rng.random(len(pairs)) < BY_BOTH
    for n, (a, b, began, ended) in enumerate(_spells(pairs, start, end, rng)):
        one, other = (people.user_name[i] for i in (a, b))
        friends = {"type": "Relationship", "subject": _person(one), "relationship": FRIEND_OF, "object": _person(other)}
        begins = _activity("Create", one, began, f"friendships/{n}", friends)
        yield began, begins
        if both[n]:
            swapped = {**friends, "subject": _person(other), "object": _person(one)}
            yield began + 3_600, _activity("Create", other, began + 3_600, f"friendships/{n}/too", swapped)
        if ended:
            yield ended, _activity("Undo", one, ended, f"friendships/{n}/undo", begins)
    picked = np.stack(
        [np.repeat(np.arange(listeners), FOLLOWED), rng.integers(listeners, size=FOLLOWED * listeners)], 1
    )
    picked = np.unique(picked[picked[:, 0] != picked[:, 1]], axis=0)
    for n, (a, b, began, ended) in enumerate(_spells(picked, start, end, rng)):
        one, other = (people.user_name[i] for i in (a, b))
        follow = _activity("Follow", one, began, f"follows/{n}", _person(other))
        yield began, follow
        if ended:
            yield ended, _activity("Undo", one, ended, f"follows/{n}/undo", follow)


def _spells(pairs: Ints, start: int, end: int, rng: Generator) -> list[list[int]]:
    """Pairs of people with when they became related and when that ended, 0 where it did not."""
    early = rng.random(len(pairs)) < AT_ONCE
    began = start + np.where(early, rng.integers(DAY, size=len(pairs)), rng.integers(end - start, size=len(pairs)))
    lasted = rng.integers(2 * 3_600, max(2 * 3_600 + 1, end - start), size=len(pairs))
    ended = np.where(rng.random(len(pairs)) < ENDED, began + lasted, 0)
    found: list[list[int]] = np.column_stack([pairs, began, ended]).tolist()
    return found


def _posts(
    people: Population, recordings: Sequence[Recording], listens: Listens, rng: Generator
) -> Iterator[tuple[int, Activity]]:
    """Posts of what is playing, and what is shared of it."""
    friends: dict[int, list[int]] = {}
    for a, b in people.friends.tolist():
        friends.setdefault(a, []).append(b)
        friends.setdefault(b, []).append(a)
    posted, recommended = (rng.random(len(listens.listener)) < share for share in (POSTED, RECOMMENDED))
    for n in np.flatnonzero(posted | recommended).tolist():
        who, heard_at = int(listens.listener[n]), int(listens.listened_at[n])
        one, recording = people.user_name[who], recordings[listens.recording[n]]
        near = friends.get(who, [])
        friend = people.user_name[near[n % len(near)]] if near else None
        if recommended[n]:
            at = heard_at + 120
            yield at, _activity("Announce", one, at, f"shares/{n}", RECORDING_PAGE + recording.id)
        if posted[n]:
            at = heard_at + int(rng.integers(1, max(2, listens.ms_played[n] // 1000)))
            mentioned = friend if rng.random() < MENTIONED else None
            note = _note(f"posts/{n}", one, at, recording, mentioned, tagged=rng.random() < TAGGED)
            yield at, _activity("Create", one, at, f"posts/{n}/activity", note)
            if friend and rng.random() < PASSED_ON:
                later = at + int(rng.integers(60, DAY // 2))
                yield later, _activity("Announce", friend, later, f"posts/{n}/shares", note["id"])


def _taggings(
    people: Population, recordings: Sequence[Recording], listens: Listens, rng: Generator
) -> Iterator[tuple[int, Activity]]:
    """Words that some put to the artist of what they hear: what kind of tune it is, or how it sounds to them."""
    for n in np.flatnonzero(rng.random(len(listens.listener)) < LABELLED).tolist():
        one, recording = people.user_name[int(listens.listener[n])], recordings[listens.recording[n]]
        artist, form, at = recording.credit[0][0], recording.work.form, int(listens.listened_at[n]) + 90
        word = form if form and rng.random() < BY_FORM else WORDS[rng.integers(len(WORDS))]
        tag = {"type": "Hashtag", "href": f"{HOST}/tags/{quote(word)}", "name": f"#{word}"}
        target = {"type": "Person", "id": ARTIST_PAGE + artist.id, "name": artist.name}
        yield at, {**_activity("Add", one, at, f"tag_assignments/{n}", tag), "target": target}


def _note(name: str, by: str, at: int, recording: Recording, mentioned: str | None, tagged: bool) -> Activity:
    """A post of what is playing, in the markup that Mastodon gives it."""
    hashtag = f'<a href="{HOST}/tags/nowplaying" class="mention hashtag" rel="tag">#<span>nowplaying</span></a>'
    playing = html.escape(f"{recording.credited} – {recording.work.title}", quote=False)
    to_whom = f"@{mentioned} " if mentioned else ""
    note: Activity = {
        "id": f"{HOST}/{name}",
        "type": "Note",
        "attributedTo": _person(by),
        "published": _written(at),
        "content": f"<p>{to_whom}{hashtag} {playing}</p>",
    }
    if tagged:
        note["tag"] = [{"type": "Hashtag", "href": f"{HOST}/tags/nowplaying", "name": "#nowplaying"}]
        note["tag"] += [{"type": "Mention", "name": f"@{mentioned}"}] if mentioned else []
    return note


def _activity(type: str, by: str, at: int, name: str, object: Any) -> Activity:
    return {
        "@context": CONTEXT,
        "id": f"{HOST}/{name}",
        "type": type,
        "actor": _person(by),
        "published": _written(at),
        "object": object,
    }


def _person(name: str) -> dict[str, str]:
    """Somebody by name, as the examples of the vocabulary have people."""
    return {"type": "Person", "name": name}


def _written(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
