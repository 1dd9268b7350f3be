"""Test tables: drawn by Hypothesis, tricky ones written by hand, and large random ones."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from assets.content.lyrics import LYRICS
from assets.content.recordings import RECORDINGS
from assets.events.imports import RAW_LISTENS
from assets.imports.app_events import RAW_APP_EVENTS
from assets.imports.deletions import RAW_DELETIONS
from assets.imports.name_key import name_keys
from assets.imports.posts import RAW_POSTS
from assets.imports.relationships import RAW_RELATIONSHIPS
from assets.imports.shares import RAW_SHARES
from assets.imports.tag_assignments import RAW_TAG_ASSIGNMENTS
from tests.oracle import Row

LEAP = date(2024, 2, 28)  # February 29 follows, then the end of the month
HALF_HOUR = timedelta(minutes=30)
INSTANT = timedelta(microseconds=1)
BEYOND = 2**53 + 1  # the first integer that a float cannot represent

USERS = ("ada", "Ada", "İpek", "i̇pek", "Groß", "é", "é", "हिन्दी", "愛🎧", "")
IDS = ("a", "B", "b", "é", "é", "ß", "हि", "🎵", "\ufeff", "\ue000")
TITLES = ("Straße", "STRASSE", " straße  ", "ｶﾞ", "ガ", "é", "é", "İ", "i̇", "ﬁn", "fin", "नमस्ते", "愛してる", "👩‍🎤", "ǰ")
ZONES = (None, "Pacific/Kiritimati", "Pacific/Honolulu", "America/New_York", "Asia/Kathmandu", "Europe/Istanbul")
TEXTS = "aAbB éé\u0301ÉΣςσİıßẞŒ愛हिन्दी -,'’\n\t\u00a0\u200b🎵Ǆ1٣²ⅷ\u0327ǰΐカー々月รัไม้가[]"


def at(day: date, minutes: float = 0, microseconds: int = 0) -> datetime:
    """Return an instant of a day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(minutes=minutes, microseconds=microseconds)


def listen(when: datetime, user: str = "ada", recording: str = "a", **changes: Any) -> Row:
    """Return a row of `events/listens`."""
    row = {
        "day": when.date(),
        "user_id": user,
        "recording_id": recording,
        "listened_at": when,
        "ms_played": None,
        "source": "test",
        "time_zone": None,
        "artist_name": "Artist",
        "recording_name": "Song",
        "release_name": None,
        "artist_ids": ["x"],
        "ended_at": None,
    }
    return row | changes


def raw(when: datetime, record: int, user: str = "ada", **changes: Any) -> Row:
    """Return a row of `events/raw_listens`."""
    row = {
        "day": when.date(),
        "user_id": user,
        "listened_at": when,
        "ms_played": None,
        "source": "test",
        "time_zone": "Europe/Istanbul",
        "artist_name": "Artist",
        "recording_name": "Song",
        "release_name": None,
        "recording_mbid": None,
        "artist_mbids": [],
        "isrc": None,
        "source_ref": None,
        "client": None,
        "file": "listens.json",
        "record": record,
        "import_id": "0",
    }
    return row | changes


def app_event(when: datetime, record: int, event: str = "play", user: str = "ada", **changes: Any) -> Row:
    """Return a row of `events/raw_app_events`."""
    row = {
        "day": when.date(),
        "user_id": user,
        "at": when,
        "event": event,
        "event_id": f"e{record}",
        "recording_mbid": None,
        "artist_name": None,
        "recording_name": None,
        "release_name": None,
        "position_ms": None,
        "to_ms": None,
        "query": None,
        "playlist": None,
        "page": None,
        "client": "Player",
        "client_version": None,
        "schema_version": None,
        "extra": None,
        "shape": "event\tstring\tread\ntimestamp\tstring\tread",
        "file": "events.jsonl",
        "record": record,
        "import_id": "0",
    }
    return row | changes


def catalog_recording(recording_id: str, credit: str, title: str, **changes: Any) -> Row:
    """Return a row of `content/recordings`."""
    row = {
        "recording_id": recording_id,
        "title": title,
        "artist_credit": credit,
        "artist_ids": [f"artist of {recording_id}"],
        "release_id": None,
        "length_ms": None,
        "isrcs": [],
        "first_release_date": None,
        "provenance": "test",
        "credited_names": [credit],
        "join_phrases": [""],
        "tags": [],
        "tag_counts": [],
        "genres": [],
        "merged_ids": [],
    }
    return row | changes


def recording(recording_id: str, length_ms: int | None) -> Row:
    """Return a row of `content/recordings` of which only the length matters."""
    return catalog_recording(recording_id, "Artist", "Song", length_ms=length_ms)


def run_of(start: datetime, step: timedelta, count: int, user: str = "ada", **changes: Any) -> list[Row]:
    """Return listens at regular intervals, as of a playlist."""
    return [listen(start + i * step, user, "ab"[i % 2], **changes) for i in range(count)]


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Drop rows so that no listener starts a recording twice at one instant, as in the lake."""
    return list({(r["user_id"], r["listened_at"], r["recording_id"]): r for r in rows}.values())


def instants(days: Sequence[date]) -> st.SearchStrategy[datetime]:
    """Draw half hours of days, exact or a microsecond off, among them midnight and pauses of exactly a gap."""
    return st.builds(
        lambda day, half, tick: at(day) + half * HALF_HOUR + tick * INSTANT,
        st.sampled_from(days),
        st.sampled_from((0, 1, 2, 24, 46, 47)),
        st.sampled_from((0, 1, -1)),
    )


durations_ms = st.sampled_from((None, 0, 1, 29_999, 240_000))


def raw_listens() -> st.SearchStrategy[list[Row]]:
    """Draw raw listens with repeats within a file, between files and between imports."""
    rows = st.lists(
        st.fixed_dictionaries(
            {
                "when": instants([LEAP]),
                "user": st.sampled_from(USERS[:3]),
                "ms_played": durations_ms,
                "artist_name": st.sampled_from(TITLES),
                "recording_name": st.sampled_from(TITLES),
                "recording_mbid": st.sampled_from((None, None, "m1")),
                "artist_mbids": st.sampled_from(([], ["x"], ["y", "x"])),
                "import_id": st.sampled_from("01"),
                "file": st.sampled_from(("a.json", "b.zip/é")),
            }
        ),
        max_size=20,
    )
    return rows.map(lambda drawn: [raw(record=i % 12, **d) for i, d in enumerate(drawn)]).map(_recorded_once)


UNKNOWN_MBIDS = ("a0e8b8e4-7f2b-4d43-9f6c-0d8c3c1f7e25", "f1d4b6c0-3b1a-4c53-8f07-5c2d9e6a7b18")  # in no catalog
FEEDS = (
    *(("spotify", None), ("lastfm", None), ("spotify_account", None)),
    *(("scrobble", "a"), ("listenbrainz", "a"), ("listenbrainz", "b")),
)


def feeds(
    days: Sequence[date] = (LEAP, LEAP + timedelta(days=1), LEAP + timedelta(days=2)),
) -> st.SearchStrategy[list[Row]]:
    """Draw plays as recorded by several feeds: seconds apart, by their ends, repeated or missing, and near midnight."""
    fields = st.fixed_dictionaries(
        {
            "feed": st.sampled_from(FEEDS),
            "off": st.sampled_from((0, 0, 1, -3, 5, 10, 11, -30, 60, 180, 185)),
            "ms_played": st.sampled_from((None, 0, 180_000, 7_200_000, 7_200_001)),
            "import_id": st.sampled_from("01"),
            "artist_name": st.sampled_from(("Artist", "artist feat. Ö")),
            "recording_mbid": st.sampled_from((None, None, *UNKNOWN_MBIDS)),
        }
    )
    play = st.tuples(
        st.sampled_from(days),
        st.sampled_from((0, 1, 3, 6, 600, 1320, 1436, 1439)),
        st.sampled_from(USERS[:2]),
        st.sampled_from(("Song", "Song (Live)", "Unheard Of")),
        st.lists(fields, min_size=1, max_size=5),
    )
    return st.lists(play, max_size=6).map(_recorded_by_feeds)


def _recorded_by_feeds(plays: Sequence[tuple[date, int, str, str, list[Row]]]) -> list[Row]:
    rows = []
    for day, minute, user, title, fields in plays:
        for t in fields:
            source, client = t["feed"]
            when = at(day, minute) + timedelta(seconds=t["off"])
            more = {n: t[n] for n in ("ms_played", "import_id", "artist_name", "recording_mbid")}
            rows.append(raw(when, len(rows), user, recording_name=title, source=source, client=client, **more))
    return rows


EVENT_NAMES = (
    "play",
    "play",
    "play",
    "pause",
    "pause",
    "seek",
    "skip",
    "like",
    "Add to Playlist",
    "pageView",
    "Ünknown",
)
SHAPES = (
    "event\tstring\tread",
    "event\tstring\tread\nposition_ms\tinteger\tread",
    "é\tarray\textra\nip\tstring\tpersonal",
)


def app_events(
    days: Sequence[date] = (LEAP, LEAP + timedelta(days=1), LEAP + timedelta(days=2)),
) -> st.SearchStrategy[list[Row]]:
    """Draw application events: at one instant, hours apart and near midnight, some of them repeated and changed."""
    row = st.fixed_dictionaries(
        {
            "when": st.builds(
                lambda day, minute, ms: at(day, minute) + timedelta(milliseconds=ms),
                st.sampled_from(days),
                st.sampled_from((0, 1, 2, 3, 4, 8, 719, 720, 721, 1436, 1439)),
                st.sampled_from((0, 0, 1)),
            ),
            "event": st.sampled_from(EVENT_NAMES),
            "user": st.sampled_from(USERS[:2]),
            "about": st.sampled_from(
                (
                    {"recording_mbid": "a"},
                    {"recording_mbid": "a"},
                    {"recording_mbid": "B"},
                    {"artist_name": "Artist", "recording_name": "Song"},
                    {"artist_name": "Artist", "recording_name": "Never played"},
                    {},
                )
            ),
            "position_ms": st.sampled_from((None, 0, 60_000, 240_000)),
            "to_ms": st.sampled_from((None, 0, 239_000)),
            "client": st.sampled_from((None, "Player", "Player")),
            "shape": st.sampled_from(SHAPES),
            "event_id": st.integers(0, 30).map(lambda n: f"e{n}"),
            "import_id": st.sampled_from("01"),
        }
    )
    return st.lists(row, max_size=30).map(
        lambda drawn: [app_event(record=n, **d.pop("about"), **d) for n, d in enumerate(map(dict, drawn))]
    )


CATALOG = [
    catalog_recording("c1", "Artist", "Song", isrcs=["GBAAA0000001"], first_release_date="1999"),
    catalog_recording("c2", "The Artists & Others", "Another Song, No. 2"),
    catalog_recording("c3", "The Artists & Others", "Another Song, No. 3", first_release_date="2001-05"),
    catalog_recording("c4", "Straße", "É", first_release_date="2001"),
    catalog_recording("c5", "Straße", "É", first_release_date="2000-12-31", isrcs=["GBAAA0000001"]),
    catalog_recording("c6", "Björk feat. Someone", "Longer Title of a Song (Live)"),
    catalog_recording("c7", "Björk", "Longer Title of a Song", merged_ids=["m2"]),
    catalog_recording("m1", "ガ", "नमस्ते"),
    catalog_recording("c8", "Björka", "Longer Title of a Songs"),
    catalog_recording("c9", "愛してる", "!!!"),
]
SPELLINGS = (
    *(("Artist", "Song"), ("ARTIST ", "Song (Live at Wembley 1986)"), ("Artst", "Song")),
    *(("Artist", "Song - 2011 Remaster"), ("Artists", "Another Song 2"), ("Artists & Others", "Another Song 4")),
    *(("The Artists and Others", "Anothr Song, No. 3"), ("Others & the Artists", "Another Song No. 2")),
    *(("strasse", "e"), ("Bjork", "Longer Title of a Song"), ("Bjoerk", "Longer Titel of a Sonk")),
    *(("Björk ft. Someone Else", "Longer Title of a Song [Live]"), ("Björk", "Longer Title of a Song (Demo)")),
    *(
        ("ガ", "नमस्ते"),
        ("愛してる", "!!!"),
        ("愛してる", "???"),
        ("Nobody", "Nothing"),
        ("Björk", "Longer Title of a Songss"),
    ),
)


def names() -> st.SearchStrategy[list[Row]]:
    """Draw raw listens of two days whose names are spelled in many ways."""
    row = st.fixed_dictionaries(
        {
            "when": instants([LEAP, LEAP + timedelta(days=1)]),
            "name": st.one_of(st.sampled_from(SPELLINGS), st.tuples(st.sampled_from(TITLES), st.sampled_from(TITLES))),
            "recording_mbid": st.sampled_from((None, None, None, "m1", "m2")),
            "isrc": st.sampled_from((None, None, None, "GBAAA0000001", "GBAAA0000002")),
            "artist_mbids": st.sampled_from(([], ["x"], ["y", "x"])),
        }
    )
    return st.lists(row, max_size=20).map(
        lambda drawn: [
            raw(
                record=n,
                artist_name=d["name"][0],
                recording_name=d["name"][1],
                **{k: v for k, v in d.items() if k != "name"},
            )
            for n, d in enumerate(drawn)
        ]
    )


def _with_arrival(fields: Row, record: int) -> Row:
    return {"source": "test", "file": "a.jsonl", "import_id": "0"} | fields | {"record": record}


def relationship(record: int, one: str, other: str, when: datetime | None, **changes: Any) -> Row:
    """Return a row of `events/raw_relationships`."""
    day = when.date() if when else date(2002, 9, 30)
    fields = {"day": day, "user_id": one, "other_id": other, "relation": "follow", "ends": False, "happened_at": when}
    return _with_arrival(fields | {"submitted_id": None} | changes, record)


def relationships() -> st.SearchStrategy[list[Row]]:
    """Draw records of a few users: begun and ended in any order, repeated, by either of two, at one instant."""
    fields = st.tuples(
        st.sampled_from([(a, b) for a in USERS[:4] for b in USERS[:4] if a != b]),
        st.sampled_from(("follow", "friendship", "friendship")),
        st.booleans(),
        st.one_of(st.none(), st.sampled_from([at(LEAP, n) for n in (0, 1, 2, 3, 1440)])),
        st.sampled_from((None, *IDS[:3])),
    )

    def rows(drawn: list[Any]) -> list[Row]:
        return [
            relationship(n, *pair, when, relation=kind, ends=ends and when is not None, submitted_id=id)
            for n, (pair, kind, ends, when, id) in enumerate(drawn)
        ]

    return st.lists(fields, max_size=20).map(rows)


def deletion(record: int, by: str, id: str, when: datetime | None = None) -> Row:
    """Return a row of `events/raw_deletions`."""
    return _with_arrival({"user_id": by, "deleted_id": id, "deleted_at": when}, record)


def share(record: int, when: datetime, **changes: Any) -> Row:
    """Return a row of `events/raw_shares`."""
    fields = {"day": when.date(), "share_id": "s1", "user_id": "ada", "shared_at": when, "entity": "post"}
    return _with_arrival(fields | {"entity_id": "p1", "is_deleted": False} | changes, record)


def shares() -> st.SearchStrategy[list[Row]]:
    """Draw a few shares, repeated, some of them withdrawn."""
    row = st.fixed_dictionaries(
        {
            "when": instants([LEAP, LEAP + timedelta(days=1)]),
            "share_id": st.sampled_from(IDS[:4]),
            "user_id": st.sampled_from(USERS[:3]),
            "entity_id": st.sampled_from(IDS[:3]),
            "is_deleted": st.sampled_from((False, False, True)),
        }
    )
    return st.lists(row, max_size=20).map(lambda drawn: [share(n, **d) for n, d in enumerate(drawn)])


def post(record: int, when: datetime, name: tuple[str, str] | None = None, **changes: Any) -> Row:
    """Return a row of `events/raw_posts`, with the name of a recording that is playing."""
    artist, title = name or (None, None)
    fields = {
        "day": when.date(),
        "post_id": "p1",
        "user_id": "ada",
        "posted_at": when,
        "updated_at": when,
        "text": f"{record}: #nowplaying {artist} – {title}",
        "mentions": [],
        "hashtags": ["nowplaying"],
        "artist_name": artist,
        "recording_name": title,
        "recording_mbid": None,
        "is_deleted": False,
    }
    return _with_arrival(fields | changes, record)


def posts() -> st.SearchStrategy[list[Row]]:
    """Draw a few posts, edited, repeated and deleted, of recordings spelled in many ways."""
    row = st.fixed_dictionaries(
        {
            "when": instants([LEAP, LEAP + timedelta(days=1)]),
            "name": st.one_of(st.none(), st.sampled_from((*SPELLINGS, *pairwise(TITLES)))),
            "recording_mbid": st.sampled_from((None, None, None, "m1", "m2")),
            "updated_at": st.sampled_from([at(LEAP, 60 * n) for n in range(2, 5)]),
            "post_id": st.sampled_from(IDS),
            "user_id": st.sampled_from(USERS[:3]),
            "mentions": st.sampled_from(([], ["é"], ["ada", "愛🎧"])),
            "is_deleted": st.sampled_from((False, False, False, True)),
            "import_id": st.sampled_from("01"),
        }
    )  # fmt: skip
    return st.lists(row, max_size=20).map(lambda drawn: [post(n, **d) for n, d in enumerate(drawn)])


def tag_assignment(record: int, artist: str | None, tag: str, on: date | None = LEAP, **changes: Any) -> Row:
    """Return a row of `events/raw_tag_assignments`."""
    fields = {"day": on or date(2002, 10, 1), "user_id": "ada", "artist_name": artist, "source_ref": "hetrec:artist:1"}
    return _with_arrival(fields | {"tag": tag, "tagged_on": on} | changes, record)


def tag_assignments() -> st.SearchStrategy[list[Row]]:
    """Draw tags of artists in the catalog and of others, some of them repeated."""
    row = st.fixed_dictionaries(
        {
            "artist": st.sampled_from((None, "Artist", " ARTIST", "Straße", "愛してる", "Nobody", *TITLES[:4])),
            "tag": st.sampled_from(TITLES),
            "on": st.sampled_from((None, LEAP, LEAP + timedelta(days=1))),
            "user_id": st.sampled_from(USERS[:3]),
            "source_ref": st.sampled_from(
                ("hetrec:artist:1", "hetrec:artist:2", f"musicbrainz:artist:{uuid.UUID(int=7)}")
            ),
        }
    )
    return st.lists(row, max_size=20).map(lambda drawn: [tag_assignment(n, **d) for n, d in enumerate(drawn)])


def _recorded_once(rows: Sequence[Row]) -> list[Row]:
    return list({(r["import_id"], r["file"], r["record"]): r for r in rows}.values())


def listens(days: Sequence[date] = tuple(LEAP + timedelta(days=d) for d in range(4))) -> st.SearchStrategy[list[Row]]:
    """Draw a few listens of many kinds."""
    row = st.fixed_dictionaries(
        {
            "when": instants(days),
            "user": st.sampled_from(USERS),
            "recording": st.sampled_from(IDS),
            "ms_played": st.one_of(durations_ms, st.just(BEYOND)),
            "artist_name": st.sampled_from(TITLES),
            "recording_name": st.sampled_from(TITLES),
            "artist_ids": st.sampled_from((["x"], ["y"], ["ß", "x"], ["x", "y", "愛"], ["y", "x", "y"])),
            "time_zone": st.sampled_from(ZONES),
        }
    )
    return st.lists(row, max_size=20).map(lambda drawn: distinct([listen(**d) for d in drawn]))


def habits() -> st.SearchStrategy[list[Row]]:
    """Draw listens on some days of some weeks, in various time zones."""
    visit = st.builds(
        lambda day, week, minute, user, zone: listen(
            at(LEAP + timedelta(days=day + 7 * week), minute), user, time_zone=zone
        ),
        st.integers(0, 11),
        st.sampled_from((0, 0, 0, 1, 2, 4, 5)),
        st.sampled_from((0, 1, 12 * 60, 24 * 60 - 1)),
        st.sampled_from(USERS[:3]),
        st.sampled_from(ZONES),
    )
    return st.lists(visit, max_size=30).map(distinct)


def evenings() -> st.SearchStrategy[list[Row]]:
    """Draw playlists long and short, some without a gap for days, overlapping or adjacent."""
    run = st.tuples(
        instants([LEAP + timedelta(days=d) for d in range(4)]),
        st.sampled_from([timedelta(0), INSTANT, timedelta(minutes=25), HALF_HOUR, HALF_HOUR + INSTANT]),
        st.sampled_from((1, 2, 3, 48, 49, 50, 97, 120)),
        st.sampled_from(USERS[:3]),
        st.sampled_from((None, timedelta(minutes=4), timedelta(hours=3))),
    )
    return st.lists(run, max_size=5).map(lambda runs: distinct([row for r in runs for row in _with_lengths(*r)]))


def _with_lengths(start: datetime, step: timedelta, count: int, user: str, length: timedelta | None) -> list[Row]:
    return [
        r
        | ({"ms_played": length // timedelta(milliseconds=1), "ended_at": r["listened_at"] + length} if length else {})
        for r in run_of(start, step, count, user)
    ]


def lyrics() -> st.SearchStrategy[list[Row]]:
    """Draw texts in several scripts, of known and unknown languages."""
    text = st.one_of(st.none(), st.text(st.sampled_from(TEXTS), max_size=12))
    return st.lists(st.tuples(st.sampled_from((None, "tr", "hi", "fr")), text), max_size=8).map(
        lambda drawn: sung(*drawn)
    )


CONTENTS = ("", "ab", "é", "\U0001f3b5", None)  # hashes of files; null if unreadable


def audio_file(path: str, content: str | None, recording_id: str | None = None) -> Row:
    """Return a row of `content/audio_files` with the columns that features need."""
    # A file with broken tags can still be analyzed.
    error = "cannot be read: Permission denied" if content is None else "broken tags"
    return {"path": path, "content_sha256": content, "recording_id": recording_id, "error": error}


def audio_analysis(
    content: str, tempo: float | None = None, beats: Sequence[float] = (), error: str | None = None
) -> Row:
    """Return a row of `content/audio_analyses`."""
    features = {} if error else {"duration_s": 1.5, "tempo_bpm": tempo, "beats": list(beats), "mfcc_mean": [BEYOND / 7]}
    return {"content_sha256": content, "version": 1, "error": error} | features


def audio() -> st.SearchStrategy[list[list[Row]]]:
    """Draw files, some with equal content, and analyses of some contents."""
    files = st.dictionaries(st.sampled_from(IDS), st.tuples(st.sampled_from(CONTENTS), st.sampled_from((None, "m1"))))
    analyses = st.dictionaries(
        st.sampled_from(CONTENTS[:-1]),
        st.tuples(
            st.one_of(st.none(), st.floats(20, 400)),
            st.lists(st.floats(0, 1e3), max_size=3),
            st.sampled_from((None, None, "broken")),
        ),
    )
    return st.tuples(files, analyses).map(
        lambda t: [
            [audio_file(path, *fields) for path, fields in t[0].items()],
            [audio_analysis(content, *fields) for content, fields in t[1].items()],
        ]
    )


def many_audio(count: int) -> tuple[list[Row], list[Row]]:
    """Return files, two of each content, and an analysis of each content."""
    files = [audio_file(f"{n}.flac", f"{n // 2:x}", f"m{n}" if n % 3 else None) for n in range(count)]
    return files, [audio_analysis(f"{n:x}", 60 + n % 100, [0.5, n / 7]) for n in range(count // 2)]


TRICKY_AUDIO = [
    [audio_file(path, content) for path, content in zip(IDS, CONTENTS * 2, strict=True)],
    [audio_analysis("", 120.5, [0.5, 1.0]), audio_analysis("ab", error="broken"), audio_analysis("elsewhere", 60)],
]


def sung(*texts: tuple[str | None, str | None]) -> list[Row]:
    """Return rows of `content/lyrics` from languages and texts."""
    return [
        {
            "lyrics_id": f"lrclib/{i}",
            "source": "lrclib",
            "origin": str(i),
            "recording_id": None,
            "title": "Song",
            "artist_credit": "Artist",
            "status": "words" if text else "instrumental",
            "instrumental": not text,
            "synced": bool(text) and i % 3 == 0,
            "text": text,
            "lrc": backwards(text) if text and i % 3 == 0 else None,
            "language": language,
            "language_confidence": None,
            "fetched_at": None,
            "is_preferred": i % 5 != 4,
        }
        for i, (language, text) in enumerate(texts)
    ]


def backwards(text: str) -> str:
    """Return a text in LRC format, one second per line, the last line first."""
    return "\n".join(reversed([f"[00:{n:02}.00]{line}" for n, line in enumerate(text.split("\n"))]))


def day_and_night(user: str, first: date, days: int) -> list[Row]:
    """Return a listen every half hour from the first midnight to the last."""
    return run_of(at(first), HALF_HOUR, 48 * days, user)


TRICKY_RAW = [
    raw(at(LEAP), 0, ms_played=1, recording_mbid="m1", artist_mbids=["y", "x"]),
    raw(at(LEAP), 1, ms_played=2, recording_mbid="m1"),  # the same line changed
    raw(at(LEAP), 0, ms_played=3, recording_mbid="m1", file="a.json"),  # an earlier file
    raw(at(LEAP), 0, ms_played=4, recording_mbid="m1", import_id="1", file=""),  # a later import
    raw(at(LEAP), 2, recording_mbid="m2"),  # two at one instant
    raw(at(LEAP), 3, "", recording_mbid="m1"),
    raw(at(LEAP, microseconds=-1), 4, recording_mbid="m1"),
    raw(at(LEAP), 5, artist_name="Straße", recording_name="é"),
    raw(at(LEAP), 6, artist_name="STRASSE ", recording_name="é"),  # the same in other letters
    raw(at(LEAP), 7, "é", artist_name="👩‍🎤", recording_name="हिन्दी"),
    raw(at(LEAP), 8, "é", artist_name="İ", recording_name="i̇"),
    raw(at(LEAP), 10, "é", artist_name="ǰ", recording_name="ΐ"),  # one letter each, several after case folding
    raw(at(LEAP), 9, ms_played=24 * 86_400_000, recording_mbid="m3"),
]
SECOND = timedelta(seconds=1)
TRICKY_FEEDS = [
    *[raw(at(LEAP, 3 * n), n, source="spotify", ms_played=180_000) for n in range(4)],  # looped, by two feeds
    *[raw(at(LEAP, 3 * n) + 4 * SECOND, 10 + n, source="lastfm", file="b") for n in range(4)],
    *[raw(at(LEAP, 60 + 0.1 * n), 20 + n, source="spotify") for n in range(3)],  # three of one feed, seconds apart
    raw(at(LEAP, 60) + 5 * SECOND, 23, source="lastfm"),  # between two
    *[
        raw(at(LEAP, 24 * 60) + s * SECOND, 30 + n, source=f)
        for n, (s, f) in enumerate(((-4, "lastfm"), (4, "spotify")))
    ],
    raw(at(LEAP, 24 * 60 - 60), 40, "bob", source="spotify", ms_played=7_200_000),  # ends on the next day
    raw(at(LEAP, 24 * 60 + 60), 41, "bob", source="lastfm"),
    *[raw(at(LEAP, 5) + 8 * n * SECOND, 50 + n, "ed", source="listenbrainz", client=c) for n, c in enumerate("abca")],
    *[raw(at(LEAP, 90), 60 + n, "é", source=s) for n, s in enumerate(("other", "lastfm", "spotify", "spotify"))],
    # Of one instant and feed: the last has the same subject as each of the others, which differ.
    raw(at(LEAP, 120), 70, "cy", source="listenbrainz", recording_mbid="z"),
    raw(at(LEAP, 120), 71, "cy", source="listenbrainz", recording_name="Unheard Of"),
    raw(at(LEAP, 120), 72, "cy", source="listenbrainz", recording_name="Unheard Of", recording_mbid="z"),
    # An id and names by two feeds, of a recording in no catalog; names of another recording at the same time.
    raw(at(LEAP, 180), 73, "cy", source="listenbrainz", recording_name="Unheard Of", recording_mbid="y"),
    raw(at(LEAP, 180) + 2 * SECOND, 74, "cy", source="lastfm", recording_name="Unheard Of - 2011 Remaster"),
    raw(at(LEAP, 180) + 2 * SECOND, 75, "cy", source="lastfm", recording_name="Another"),
    # One has the recording of one record and the names of another at the same instant.
    raw(at(LEAP, 240), 76, "cy", source="listenbrainz", recording_name="Unheard Of", recording_mbid="x"),
    raw(at(LEAP, 240), 77, "cy", source="lastfm", recording_name="Unheard Of", recording_mbid="w"),
    raw(at(LEAP, 240), 78, "cy", source="lastfm", recording_name="Another", recording_mbid="x"),
]
TRICKY_APP_EVENTS = [
    app_event(at(LEAP, 10), 0, recording_mbid="a", position_ms=0),  # to the end, as the next one shows
    app_event(at(LEAP, 15), 1, recording_mbid="B", position_ms=0),
    app_event(at(LEAP, 15), 2, "skip", recording_mbid="a", position_ms=266_666),  # at one instant with the next play
    app_event(at(LEAP, 16), 3, "pause", recording_mbid="B", position_ms=60_000),
    app_event(at(LEAP, 16 + 720), 4, recording_mbid="B"),  # resumed after twelve hours
    app_event(at(LEAP, 17 + 720), 5, "pause", recording_mbid="B"),
    app_event(at(LEAP, 17 + 1440, 1000), 6, recording_mbid="B"),  # new after a millisecond more
    app_event(at(LEAP, 18 + 1440), 7, "seek", recording_mbid="B", position_ms=1, to_ms=266_000),
    app_event(at(LEAP, 19 + 1440), 8, "skip"),
    app_event(at(LEAP, 19 + 1440), 9, "skip"),
    app_event(at(LEAP, 1439), 10, user="bob", recording_mbid="ß", position_ms=None),
    app_event(at(LEAP, 2 * 1440 - 1), 11, "skip", "bob", position_ms=24 * 86_400_000),  # a day later, to the minute
    app_event(at(LEAP, 1439), 12, user="bob", client=None, recording_mbid="a"),
    app_event(at(LEAP, 2 * 1440 - 1, 1000), 13, "skip", "bob", client=None),  # a millisecond too late
    *[app_event(at(LEAP, 20, n), 14, "Like", "é", import_id=i) for n, i in ((1, "0"), (0, "1"), (0, "2"))],
    app_event(at(LEAP, 1440), 14, "like", "é"),  # the same id on another day
    app_event(at(LEAP, 21), 15, "Add to Playlist", "é", extra='{"new": [1, 2]}', playlist="愛"),
    app_event(at(LEAP, 22), 16, "addToPlaylist", "é", artist_name="Artist", recording_name="Song"),
    app_event(at(LEAP, 23), 17, "???", "é", client="愛", client_version="2", shape=SHAPES[2]),
    app_event(at(LEAP, 24), 18, "seek", "é", artist_name="Nobody", recording_name="Nowhere", to_ms=1),
    app_event(at(LEAP, 25), 19, "play", "é", artist_name="Nobody", recording_name="Nowhere"),
]
LISTENED_NAMES = [
    raw(at(LEAP + timedelta(days=n), 5), n) for n in range(2)
]  # "Artist" and "Song", which recording_matches has
TRICKY_RELATIONSHIPS = [
    *[
        relationship(n, *p, at(LEAP, n), relation="friendship")
        for n, p in enumerate((("ada", "Ada"), ("Ada", "ada")) * 2)
    ],
    relationship(10, "é", "é", None, relation="friendship"),  # without a time; then begun, ended twice, begun
    relationship(11, "é", "é", at(LEAP, 5), relation="friendship"),
    *[relationship(12 + n, "é", "é", at(LEAP, 6 + n), relation="friendship", ends=True) for n in range(2)],
    relationship(14, "é", "é", at(LEAP, 9), relation="friendship"),
    relationship(20, "ada", "愛🎧", at(LEAP, 1), ends=True),  # without a beginning
    relationship(21, "愛🎧", "ada", at(LEAP, 1)),
    relationship(22, "愛🎧", "ada", at(LEAP, 1), ends=True),  # at once
    relationship(23, "", "ada", at(LEAP, 2)),
    relationship(24, "", "ada", at(LEAP, 1), ends=True),
    relationship(25, "", "ada", None),
    *[relationship(30 + n, "ada", "Ada", at(LEAP, n), submitted_id="a") for n in range(3)],  # deleted by its id
    relationship(40, "Ada", "é", None, submitted_id="B"),
    relationship(41, "é", "Ada", at(LEAP, 3), submitted_id="B", relation="friendship"),  # by either of the two
    relationship(42, "c", "d", at(LEAP, 3), submitted_id="a"),  # by neither
    relationship(43, "愛🎧", "ada", None, submitted_id="a"),
    relationship(44, "ada", "c", at(LEAP, 1), submitted_id="b", ends=True),
]
DELETED = [
    deletion(0, "ada", "a"),
    deletion(1, "ada", "a", at(LEAP, 2)),  # repeated, with a time
    deletion(2, "Ada", "B", at(LEAP, 1)),
    deletion(3, "é", "B", at(LEAP, -60)),  # before anything
    deletion(4, "ada", "b", at(LEAP, 2_000)),
    deletion(5, "nobody", "s1"),  # of a share by others
    deletion(6, "ada", "unknown"),
    deletion(7, "ada", "linked"),
    deletion(8, "ada", "s2", at(LEAP)),
]
TRICKY_SHARES = [
    *[share(n, at(LEAP, n)) for n in range(3)],
    share(3, at(LEAP), user_id="é", is_deleted=True),
    share(4, at(LEAP), user_id="é"),
    share(5, at(LEAP), share_id="s2", entity="recording", entity_id="愛"),
    share(6, at(LEAP), share_id="s2", entity="recording", entity_id="b"),
]
TRICKY_POSTS = [
    post(0, at(LEAP)),
    *[post(10 + n, at(LEAP, n), name, post_id=f"spelled {n}") for n, name in enumerate(SPELLINGS)],
    *[post(50 + n, at(LEAP), ("Artist", "Song"), updated_at=at(LEAP, n % 3), post_id="edited") for n in range(6)],
    post(60, at(LEAP), ("Artist", "Song"), post_id="edited", user_id="another's", mentions=["ada", "é"]),
    post(61, at(LEAP), ("Artist", "Song"), post_id="deleted"),
    post(62, at(LEAP), post_id="deleted", is_deleted=True, text=""),
    post(63, at(LEAP), post_id="linked", recording_mbid="m1"),
    post(64, at(LEAP), ("Artist", "Song"), post_id="linked too", recording_mbid="m2", user_id=""),
]
TRICKY_TAG_ASSIGNMENTS = [
    tag_assignment(n, name, tag, None if n % 3 else LEAP + timedelta(days=n))
    for n, (name, tag) in enumerate(
        (artist, word)
        for artist in (None, "Artist", "artist ", "Straße", "愛してる", "Nobody")
        for word in ("Pop", " pop", "é")
    )
]
TRICKY_NAMES = [raw(at(LEAP, n), n, artist_name=a, recording_name=t) for n, (a, t) in enumerate(SPELLINGS)]
TRICKY_LISTENS = distinct(
    [
        *day_and_night("three days", LEAP, 3),
        *run_of(at(LEAP, 12 * 60), HALF_HOUR, 150, "from noon"),
        *run_of(at(LEAP, 31), HALF_HOUR, 150, "a minute late"),
        *run_of(at(LEAP, microseconds=1), HALF_HOUR + INSTANT, 100, "always a gap"),
        *run_of(at(LEAP, 24 * 60, -1), timedelta(0), 2, "on the stroke"),
        *run_of(at(LEAP, 24 * 60), INSTANT, 3, "on the stroke"),
        listen(at(LEAP), "long ago", ended_at=at(LEAP, 60 * 24 * 24), ms_played=24 * 86_400_000),
        listen(at(LEAP, 30), "long ago", ended_at=at(LEAP, 31), ms_played=60_000),
        *[listen(at(LEAP, n), "a tie", id) for n, id in enumerate([*IDS, *IDS])],
        *[listen(at(LEAP + timedelta(days=1), n), "a tie", id) for n, id in enumerate(reversed(IDS[:4]))],
        *[listen(at(LEAP, n), user, "ß", ms_played=BEYOND) for user in USERS for n in range(2)],
        *[listen(at(LEAP, n), "names", artist_name=name, recording_name=name) for n, name in enumerate(TITLES)],
        *[listen(at(LEAP + timedelta(days=2), n), "names", recording_name=name) for n, name in enumerate(TITLES[:4])],
        listen(at(LEAP, 7), "a duo", "duo", artist_ids=["x", "y"]),
        listen(at(LEAP, 9), "a duo", "twice named", artist_ids=["x", "y", "x"]),
        listen(at(LEAP + timedelta(days=1), 7), "a duo", "duo", artist_ids=["y"], artist_name="Y"),
        listen(at(LEAP + timedelta(days=3), 7), "a duo", "duo", artist_ids=["y", "x"]),
        *[listen(at(date(year, 12, 31), 1439), "years", str(year)) for year in (2022, 2023, 2024)],
        *[listen(at(date(year, 1, 1)), "years", "again") for year in (2023, 2024, 2025)],
    ]
)
TRICKY_LYRICS = sung(
    ("tr", "Işık İstanbul ışık, İ1 i̇1"),
    (None, "Straße STRASSE straẞe"),
    ("hi", "हिन्दी हिन्दी नमस्ते"),
    ("en", "don't don’t 'tis rock''n'roll y'all' e\u0301 é"),
    ("ja", "愛してる 愛してる\u3000愛"),
    ("en", "ǰΐ J\u030cΪ\u0301"),
    ("en", "🎵la la\u200bla🎵 Σας σασ ²ⅷ٣"),
    ("en", None),
    (None, ""),
    (None, "straße"),
    ("fr", "L’amour qu'aujourd'hui j'ai, quelqu'un l''a\n[Refrain : L’amour]\nl'amour [l'amour]"),
    ("it", "dell'amore po' c'è un'anima"),
    ("en", "l'amour qu'il a"),
    ("ja", "LOVEしてるね、ハート々 カー 3月ー"),
    ("zh", "月亮代表我的心 心"),
    ("th", "รักเธอ ไม่มี ๑๒"),
    ("ko", "사랑해 너를 사랑해"),
    ("az", "Iİıi ISTI"),
)


LENGTHS = [
    recording("a", 266_666),  # 240,000 ms are slightly more than nine tenths of it
    recording("B", 266_667),  # and slightly less than nine tenths of this
    recording("b", None),
    recording("é", 1),
    recording("ß", BEYOND),
    recording("🎵", 0),
    recording("\ufeff", 33_333),
    recording("never played", 1),
]
random.Random(1).shuffle(TRICKY_LISTENS)  # so that equal keys are in different partitions


def table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Return rows as a table of the lake, raw rows with their name keys."""
    result = pa.Table.from_pylist(list(rows), schema)
    without_key = "name_key" in schema.names and not any("name_key" in row for row in rows)
    return with_name_keys(result.drop_columns("name_key"), schema) if without_key else result


def with_name_keys(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add the name keys to raw rows, as an import does."""
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    return pa.table(columns | {"name_key": name_keys(columns)}).select(schema.names).cast(schema)


def many_raw_listens(rows: int, users: int = 500, recordings: int = 2_000, days: int = 40, seed: int = 1) -> pa.Table:
    """Return random raw listens, a tenth of them twice, most of a few listeners and recordings."""
    rng = np.random.default_rng(seed)
    once = rows * 10 // 11
    who, what = (_skewed(rng, n, once) for n in (users, recordings))
    midnight = int(at(LEAP).timestamp()) * 1_000_000
    when = midnight + rng.integers(0, days * 86_400_000_000, once)
    again = rng.permutation(once)[: rows - once]
    file = np.concatenate([np.zeros(once, int), np.ones(len(again), int)])
    who, what, when = (np.concatenate([x, x[again]]) for x in (who, what, when))
    listened_at = pa.array(when, pa.int64()).cast(pa.timestamp("us", "UTC"))
    ms = pa.array(rng.integers(0, 400_000, rows), mask=rng.random(rows) < 0.3)
    mbids = np.array([str(uuid.UUID(int=n)) for n in range(recordings)])
    columns = {
        "day": listened_at.cast(pa.date32()),
        "user_id": pa.array(np.char.add("user ", who.astype(str))),
        "listened_at": listened_at,
        "ms_played": ms,
        "source": pa.repeat("test", rows),
        "time_zone": pa.nulls(rows, pa.string()),
        "artist_name": pa.array(np.char.add("Artist ", (what % 300).astype(str))),
        "recording_name": pa.array(np.char.add("Song ", what.astype(str))),
        "release_name": pa.nulls(rows, pa.string()),
        "recording_mbid": pa.array(mbids[what], mask=what % 3 == 0),
        "artist_mbids": pa.array([[] if n % 3 else [f"artist {n % 300}", f"artist {n % 7}"] for n in what.tolist()]),
        "isrc": pa.nulls(rows, pa.string()),
        "source_ref": pa.nulls(rows, pa.string()),
        "client": pa.nulls(rows, pa.string()),
        "file": pa.array(np.char.add("file ", file.astype(str))),
        "record": pa.array(np.arange(rows)),
        "import_id": pa.array(file.astype(str)),
    }
    return with_name_keys(pa.table(columns), RAW_LISTENS)


def many_app_events(rows: int, users: int = 500, recordings: int = 2_000, days: int = 40, seed: int = 1) -> pa.Table:
    """Return random application events, some with equal ids, most of a few listeners and recordings."""
    rng = np.random.default_rng(seed)
    who, what = (_skewed(rng, n, rows) for n in (users, recordings))
    midnight = int(at(LEAP).timestamp()) * 1_000_000
    when = pa.array(midnight + rng.integers(0, days * 86_400_000, rows) * 1_000, pa.int64())
    happened = when.cast(pa.timestamp("us", "UTC"))
    event = np.array(("play", "pause", "seek", "skip", "like", "search"))[rng.integers(0, 6, rows)]
    mbids = np.array([str(uuid.UUID(int=n)) for n in range(recordings)])
    columns = {
        "day": happened.cast(pa.date32()),
        "user_id": pa.array(np.char.add("user ", who.astype(str))),
        "at": happened,
        "event": pa.array(event),
        "event_id": pa.array((np.arange(rows) // 2).astype(str)),
        "recording_mbid": pa.array(mbids[what], mask=what % 3 == 0),
        "artist_name": pa.array(np.char.add("Artist ", (what % 300).astype(str))),
        "recording_name": pa.array(np.char.add("Song ", what.astype(str))),
        "position_ms": pa.array(rng.integers(0, 400_000, rows), mask=rng.random(rows) < 0.3),
        "to_ms": pa.array(rng.integers(0, 400_000, rows), mask=event != "seek"),
        "client": pa.array(np.char.add("Player ", (who % 3).astype(str))),
        "client_version": pa.array((who % 5).astype(str)),
        "shape": pa.array(np.array(SHAPES)[rng.integers(0, len(SHAPES), rows)]),
        "file": pa.repeat("events.jsonl", rows),
        "record": pa.array(np.arange(rows)),
        "import_id": pa.repeat("0", rows),
    }
    nulls = {f.name: pa.nulls(rows, f.type) for f in RAW_APP_EVENTS if f.name not in columns}
    return with_name_keys(pa.table(columns | nulls), RAW_APP_EVENTS)


def many_recordings(count: int, seed: int = 1) -> pa.Table:
    """Return some recordings of the random raw listens, some with other spellings, most with a length."""
    lengths = np.random.default_rng(seed).integers(0, 400_000, count).tolist()
    rows = [
        catalog_recording(
            str(uuid.UUID(int=n)),
            f"{'Artst' if n % 7 == 0 else 'Artist'} {n % 300}",
            f"Song {n}",
            length_ms=length if length > 20_000 else None,
        )
        for n, length in enumerate(lengths)
    ]
    return table(rows, RECORDINGS)


def many_lyrics(texts: int, words: int = 3_000, seed: int = 1) -> pa.Table:
    """Return random texts of forty words, some words far more common than others."""
    rng = np.random.default_rng(seed)
    lines = np.char.add("wörd", _skewed(rng, words, texts * 40).astype(str)).reshape(texts, 40).tolist()
    languages = [None, "de", "tr"]
    return table(sung(*((languages[i % 3], " ".join(line)) for i, line in enumerate(lines))), LYRICS)


def many_relationships(count: int, users: int = 3_000, seed: int = 1) -> pa.Table:
    """Return random relationships of random users, a third of them ends, some without a time."""
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, users, count), rng.integers(1, users, count)
    instants = int(at(LEAP).timestamp()) * 1_000_000 + rng.integers(0, 1_000, count) * 60_000_000
    ends = rng.random(count) < 0.3
    happened_at = pa.array(instants, mask=~ends & (rng.random(count) < 0.1)).cast(pa.timestamp("us", "UTC"))
    columns = {
        "day": pa.repeat(pa.scalar(LEAP, pa.date32()), count),
        "user_id": pa.array(np.char.add("user ", one.astype(str))),
        "other_id": pa.array(np.char.add("user ", ((one + other % 5 + 1) % users).astype(str))),
        "relation": pa.array(np.where(rng.random(count) < 0.5, "follow", "friendship")),
        "ends": pa.array(ends),
        "happened_at": happened_at,
        "submitted_id": pa.array(np.arange(count).astype(str), mask=ends | (rng.random(count) < 0.1)),
    }
    return pa.table(columns | _arrivals(count)).select(RAW_RELATIONSHIPS.names).cast(RAW_RELATIONSHIPS)


def many_deletions(count: int, users: int = 3_000, seed: int = 1) -> pa.Table:
    """Return random deletions, some of records of the same user."""
    rng = np.random.default_rng(seed)
    instants = int(at(LEAP).timestamp()) * 1_000_000 + rng.integers(0, 1_000, count) * 60_000_000
    what = rng.integers(0, count, count)
    by = np.where(rng.random(count) < 0.5, what % 500, rng.integers(0, users, count))
    columns = {
        "user_id": pa.array(np.char.add("user ", by.astype(str))),
        "deleted_id": pa.array(what.astype(str)),
        "deleted_at": pa.array(instants, mask=rng.random(count) < 0.3).cast(pa.timestamp("us", "UTC")),
    }
    return pa.table(columns | _arrivals(count)).select(RAW_DELETIONS.names).cast(RAW_DELETIONS)


def many_shares(count: int, seed: int = 1) -> pa.Table:
    """Return random shares, many of them repeated, some withdrawn."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, count * 2 // 3, count)
    columns = {
        "day": pa.repeat(pa.scalar(LEAP, pa.date32()), count),
        "share_id": pa.array(which.astype(str)),
        "user_id": pa.array(np.char.add("user ", (which % 500).astype(str))),
        "shared_at": pa.array(int(at(LEAP).timestamp()) * 1_000_000 + which).cast(pa.timestamp("us", "UTC")),
        "entity": pa.repeat("post", count),
        "entity_id": pa.array((which % 1_000).astype(str)),
        "is_deleted": pa.array(rng.random(count) < 0.05),
    }
    return pa.table(columns | _arrivals(count)).select(RAW_SHARES.names).cast(RAW_SHARES)


def many_posts(count: int, seed: int = 1) -> pa.Table:
    """Return random posts, many of them edited, of recordings of the random raw listens."""
    rng = np.random.default_rng(seed)
    which, what = rng.integers(0, count * 2 // 3, count), _skewed(rng, 2_000, count)
    posted = int(at(LEAP).timestamp()) * 1_000_000 + which
    silent = which % 4 == 0
    columns = {
        "day": pa.repeat(pa.scalar(LEAP, pa.date32()), count),
        "post_id": pa.array(which.astype(str)),
        "user_id": pa.array(np.char.add("user ", (which % 500).astype(str))),
        "posted_at": pa.array(posted).cast(pa.timestamp("us", "UTC")),
        "updated_at": pa.array(posted + rng.integers(0, 3, count)).cast(pa.timestamp("us", "UTC")),
        "text": pa.array(np.char.add("text ", np.arange(count).astype(str))),
        "mentions": pa.array([[f"user {n % 7}", "é"] if n % 5 == 0 else [] for n in which.tolist()]),
        "hashtags": pa.array([["nowplaying"]] * count),
        "artist_name": pa.array(np.char.add("Artist ", (what % 300).astype(str)), mask=silent),
        "recording_name": pa.array(np.char.add("Song ", what.astype(str)), mask=silent),
        "recording_mbid": pa.nulls(count, pa.string()),
        "is_deleted": pa.array(rng.random(count) < 0.05),
    }
    return with_name_keys(pa.table(columns | _arrivals(count)), RAW_POSTS)


def many_tag_assignments(count: int, seed: int = 1) -> pa.Table:
    """Return random tags of a few hundred artists."""
    rng = np.random.default_rng(seed)
    artist = _skewed(rng, 400, count)
    columns = {
        "day": pa.repeat(pa.scalar(LEAP, pa.date32()), count),
        "user_id": pa.array(np.char.add("user ", rng.integers(0, 300, count).astype(str))),
        "artist_name": pa.array(np.char.add("Artist ", artist.astype(str)), mask=artist % 9 == 0),
        "source_ref": pa.array(np.char.add("test:artist:", artist.astype(str))),
        "tag": pa.array(np.char.add("Wörd ", _skewed(rng, 200, count).astype(str))),
        "tagged_on": pa.array(rng.integers(12_000, 15_000, count).astype(np.int32), mask=artist % 5 == 0).cast(
            pa.date32()
        ),
    }
    return pa.table(columns | _arrivals(count)).select(RAW_TAG_ASSIGNMENTS.names).cast(RAW_TAG_ASSIGNMENTS)


def _arrivals(count: int) -> dict[str, Any]:
    """Return the arrival columns of records, each with its own line."""
    same = {"source": "test", "file": "a.jsonl", "import_id": "0"}
    return {n: pa.repeat(v, count) for n, v in same.items()} | {"record": pa.array(np.arange(count))}


def _skewed(rng: np.random.Generator, kinds: int, size: int) -> Any:
    """Draw numbers below `kinds`, small ones more often, as with listeners and songs."""
    weights = 1 / np.arange(1, kinds + 1)
    return rng.choice(kinds, size, p=weights / weights.sum())
