"""Tables to test with: drawn by hypothesis, tricky ones written by hand, and a large one at random."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from assets.content.lyrics import LYRICS
from assets.events.imports import RAW_LISTENS
from tests.oracle import Row

LEAP = date(2024, 2, 28)  # the 29th follows, then a month's end
HALF_HOUR = timedelta(minutes=30)
INSTANT = timedelta(microseconds=1)
BEYOND = 2**53 + 1  # the first integer that a float cannot hold

USERS = ("ada", "Ada", "İpek", "i̇pek", "Groß", "é", "é", "हिन्दी", "愛🎧", "")
IDS = ("a", "B", "b", "é", "é", "ß", "हि", "🎵", "\ufeff", "\ue000")
TITLES = ("Straße", "STRASSE", " straße  ", "ｶﾞ", "ガ", "é", "é", "İ", "i̇", "ﬁn", "fin", "नमस्ते", "愛してる", "👩‍🎤", "ǰ")
TEXTS = "aAbB éé\u0301ÉΣςσİıßẞŒ愛हिन्दी -,'’\n\t\u00a0\u200b🎵Ǆ1٣²ⅷ\u0327ǰΐ"


def at(day: date, minutes: float = 0, microseconds: int = 0) -> datetime:
    """An instant of a day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(minutes=minutes, microseconds=microseconds)


def listen(when: datetime, user: str = "ada", recording: str = "a", **changes: Any) -> Row:
    """A row of `events/listens`."""
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
    """A row of `events/raw_listens`."""
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
        "origin": None,
        "client": None,
        "file": "listens.json",
        "record": record,
        "import_id": "0",
    }
    return row | changes


def run_of(start: datetime, step: timedelta, count: int, user: str = "ada", **changes: Any) -> list[Row]:
    """Listens one after another, as a playlist gives them."""
    return [listen(start + i * step, user, "ab"[i % 2], **changes) for i in range(count)]


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Rows of which no listener starts one recording twice at an instant, as in the lake."""
    return list({(r["user_id"], r["listened_at"], r["recording_id"]): r for r in rows}.values())


def instants(days: Sequence[date]) -> st.SearchStrategy[datetime]:
    """Half hours of days, each a microsecond early, sharp or late: midnight and pauses of exactly a gap among them."""
    return st.builds(
        lambda day, half, tick: at(day) + half * HALF_HOUR + tick * INSTANT,
        st.sampled_from(days),
        st.sampled_from((0, 1, 2, 24, 46, 47)),
        st.sampled_from((0, 1, -1)),
    )


played = st.sampled_from((None, 0, 1, 29_999, 240_000))


def raw_listens() -> st.SearchStrategy[list[Row]]:
    """Raw listens with repeats within a file, between files and between imports."""
    rows = st.lists(
        st.fixed_dictionaries(
            {
                "when": instants([LEAP]),
                "user": st.sampled_from(USERS[:3]),
                "ms_played": played,
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


def _recorded_once(rows: Sequence[Row]) -> list[Row]:
    return list({(r["import_id"], r["file"], r["record"]): r for r in rows}.values())


def listens(days: Sequence[date] = tuple(LEAP + timedelta(days=d) for d in range(4))) -> st.SearchStrategy[list[Row]]:
    """A few listens of many kinds."""
    row = st.fixed_dictionaries(
        {
            "when": instants(days),
            "user": st.sampled_from(USERS),
            "recording": st.sampled_from(IDS),
            "ms_played": st.one_of(played, st.just(BEYOND)),
            "artist_name": st.sampled_from(TITLES),
            "recording_name": st.sampled_from(TITLES),
            "artist_ids": st.sampled_from((["x"], ["y"], ["ß", "x"], ["x", "y", "愛"])),
        }
    )
    return st.lists(row, max_size=20).map(lambda drawn: distinct([listen(**d) for d in drawn]))


def evenings() -> st.SearchStrategy[list[Row]]:
    """Playlists long and short, some of them for days without a gap, overlapping or just not."""
    run = st.tuples(
        instants([LEAP + timedelta(days=d) for d in range(4)]),
        st.sampled_from([timedelta(0), INSTANT, timedelta(minutes=25), HALF_HOUR, HALF_HOUR + INSTANT]),
        st.sampled_from((1, 2, 3, 48, 49, 50, 97, 120)),
        st.sampled_from(USERS[:3]),
        st.sampled_from((None, timedelta(minutes=4), timedelta(hours=3))),
    )
    return st.lists(run, max_size=5).map(lambda runs: distinct([row for r in runs for row in _heard(*r)]))


def _heard(start: datetime, step: timedelta, count: int, user: str, length: timedelta | None) -> list[Row]:
    return [
        r
        | ({"ms_played": length // timedelta(milliseconds=1), "ended_at": r["listened_at"] + length} if length else {})
        for r in run_of(start, step, count, user)
    ]


def lyrics() -> st.SearchStrategy[list[Row]]:
    """Texts in several scripts, of known and unknown languages."""
    text = st.one_of(st.none(), st.text(st.sampled_from(TEXTS), max_size=12))
    return st.lists(st.tuples(st.sampled_from((None, "tr", "hi")), text), max_size=8).map(lambda drawn: sung(*drawn))


def sung(*texts: tuple[str | None, str | None]) -> list[Row]:
    """Rows of `content/lyrics` from languages and texts."""
    return [
        {
            "lyrics_id": i,
            "recording_id": None,
            "title": "Song",
            "artist_credit": "Artist",
            "language": language,
            "instrumental": text is None,
            "text": text,
        }
        for i, (language, text) in enumerate(texts)
    ]


def day_and_night(user: str, first: date, days: int) -> list[Row]:
    """A listener who never pauses: from the first midnight to the last, a listen every half hour."""
    return run_of(at(first), HALF_HOUR, 48 * days, user)


TRICKY_RAW = [
    raw(at(LEAP), 0, ms_played=1, recording_mbid="m1", artist_mbids=["y", "x"]),
    raw(at(LEAP), 1, ms_played=2, recording_mbid="m1"),  # the same line again, changed
    raw(at(LEAP), 0, ms_played=3, recording_mbid="m1", file="a.json"),  # an earlier file
    raw(at(LEAP), 0, ms_played=4, recording_mbid="m1", import_id="1", file=""),  # a later import
    raw(at(LEAP), 2, recording_mbid="m2"),  # two at one instant
    raw(at(LEAP), 3, "", recording_mbid="m1"),
    raw(at(LEAP, microseconds=-1), 4, recording_mbid="m1"),
    raw(at(LEAP), 5, artist_name="Straße", recording_name="é"),
    raw(at(LEAP), 6, artist_name="STRASSE ", recording_name="é"),  # the same in other letters
    raw(at(LEAP), 7, "é", artist_name="👩‍🎤", recording_name="हिन्दी"),
    raw(at(LEAP), 8, "é", artist_name="İ", recording_name="i̇"),
    raw(at(LEAP), 10, "é", artist_name="ǰ", recording_name="ΐ"),  # one letter each, until case is folded
    raw(at(LEAP), 9, ms_played=24 * 86_400_000, recording_mbid="m3"),
]
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
)


random.Random(1).shuffle(TRICKY_LISTENS)  # what belongs together lies in different shares


def table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Rows as a table of the lake."""
    return pa.Table.from_pylist(list(rows), schema)


def many_raw_listens(rows: int, users: int = 500, recordings: int = 2_000, days: int = 40, seed: int = 1) -> pa.Table:
    """Random raw listens, a tenth of them handed in twice; a few listeners and recordings make up most."""
    chance = np.random.default_rng(seed)
    once = rows * 10 // 11
    who, what = (_skewed(chance, n, once) for n in (users, recordings))
    midnight = int(at(LEAP).timestamp()) * 1_000_000
    when = midnight + chance.integers(0, days * 86_400_000_000, once)
    again = chance.permutation(once)[: rows - once]
    file = np.concatenate([np.zeros(once, int), np.ones(len(again), int)])
    who, what, when = (np.concatenate([x, x[again]]) for x in (who, what, when))
    listened_at = pa.array(when, pa.int64()).cast(pa.timestamp("us", "UTC"))
    ms = pa.array(chance.integers(0, 400_000, rows), mask=chance.random(rows) < 0.3)
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
        "origin": pa.nulls(rows, pa.string()),
        "client": pa.nulls(rows, pa.string()),
        "file": pa.array(np.char.add("file ", file.astype(str))),
        "record": pa.array(np.arange(rows)),
        "import_id": pa.array(file.astype(str)),
    }
    return pa.table(columns).select(RAW_LISTENS.names).cast(RAW_LISTENS)


def many_lyrics(texts: int, words: int = 3_000, seed: int = 1) -> pa.Table:
    """Random texts of forty words, some words far more common than others."""
    chance = np.random.default_rng(seed)
    lines = np.char.add("wörd", _skewed(chance, words, texts * 40).astype(str)).reshape(texts, 40).tolist()
    languages = [None, "de", "tr"]
    return table(sung(*((languages[i % 3], " ".join(line)) for i, line in enumerate(lines))), LYRICS)


def _skewed(chance: np.random.Generator, kinds: int, size: int) -> Any:
    """Numbers below `kinds`, the smaller ones more often, as with listeners and songs."""
    weights = 1 / np.arange(1, kinds + 1)
    return chance.choice(kinds, size, p=weights / weights.sum())
