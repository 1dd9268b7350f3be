"""What every table must hold, in plain Python: slow, obvious, and sharing no code with the assets.

Rows are dictionaries. A table equals another if it has the same rows as often, in whatever order.
"""

import math
import unicodedata
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa

Row: TypeAlias = dict[str, Any]

NAMESPACE = uuid.UUID("d3b5a6b2-9a52-4c6e-8a1d-6f0f3c1f7e25")  # published: other people's ids depend on it
PAUSE = timedelta(minutes=30)


def assert_same(got: pa.Table, want: Iterable[Row], schema: pa.Schema) -> None:
    """Integers, text and times are equal; fractions agree to a billionth."""
    assert got.schema.names == schema.names
    ours, theirs = ([_sortable(r, schema) for r in rows] for rows in (got.to_pylist(), want))
    exact, wanted = (Counter(repr(e) for e, _ in rows) for rows in (ours, theirs))
    assert exact == wanted, (
        f"too many: {list((exact - wanted).elements())[:3]}, missing: {list((wanted - exact).elements())[:3]}"
    )
    for (_, a), (row, b) in zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True):
        assert all(_close(x, y) for x, y in zip(a, b, strict=True)), f"{a} is not {b} in {row}"


def listens(raw: Sequence[Row]) -> list[Row]:
    """Each listen once, that of the first import, file and record."""
    found: dict[Any, Row] = {}
    for row in sorted(raw, key=lambda r: (r["import_id"], r["file"], r["record"]), reverse=True):
        credit, title = _normal(row["artist_name"]), _normal(row["recording_name"])
        played = row["ms_played"]
        listen = row | {
            "recording_id": row["recording_mbid"] or str(uuid.uuid5(NAMESPACE, f"recording\x1f{credit}\x1f{title}")),
            "artist_ids": row["artist_mbids"] or [str(uuid.uuid5(NAMESPACE, f"artist\x1f{credit}"))],
            "ended_at": None if played is None else row["listened_at"] + timedelta(milliseconds=played),
        }
        found[listen["day"], listen["user_id"], listen["listened_at"], listen["recording_id"]] = listen
    return list(found.values())


def sessions(listens: Sequence[Row], first: date, last: date) -> list[Row]:
    """The sessions that began from `first` to `last`, told by walking through what each listener heard."""
    found: list[list[Row]] = []
    for heard in _grouped(listens, "user_id").values():
        heard = sorted(heard, key=lambda r: r["listened_at"])
        full = {day for day, of_day in groupby(heard, lambda r: r["day"]) if _without_gap(day, list(of_day))}
        session: list[Row] = []
        for listen in heard:
            if session:
                late = listen["listened_at"] - session[-1]["listened_at"] > PAUSE
                midnight = listen["day"] != session[-1]["day"] and session[-1]["day"] in full
                if late or midnight:
                    found.append(session)
                    session = []
            session.append(listen)
        found.append(session)
    return [
        {
            "day": session[0]["day"],
            "user_id": session[0]["user_id"],
            "started_at": session[0]["listened_at"],
            "ended_at": max(r["ended_at"] or r["listened_at"] for r in session),
            "listens": len(session),
            "recordings": len({r["recording_id"] for r in session}),
            "ms_played": sum(r["ms_played"] or 0 for r in session),
        }
        for session in found
        if first <= session[0]["day"] <= last
    ]


def activity(listens: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """What each listener did on a day, listen by listen."""
    lengths = {r["recording_id"]: r["length_ms"] for r in recordings}
    found = []
    for (day, user), heard in _grouped(listens, "day", "user_id").items():
        timed = [r for r in heard if r["ms_played"] is not None]
        measured = [(r["ms_played"], lengths[r["recording_id"]]) for r in timed if lengths.get(r["recording_id"])]
        dates = [r["listened_at"].astimezone(ZoneInfo(r["time_zone"] or "UTC")).date() for r in heard]
        found.append(
            {
                "day": day,
                "user_id": user,
                "listens": len(heard),
                "recordings": len({r["recording_id"] for r in heard}),
                "ms_played": sum(r["ms_played"] for r in timed),
                "timed": len(timed),
                "skips": len([r for r in timed if r["ms_played"] < 30_000]),
                "measured": len(measured),
                "completions": len([1 for played, length in measured if Fraction(played, length) >= Fraction(9, 10)]),
                "first_date": min(dates),
                "last_date": max(dates),
            }
        )
    return found


def actives(activity: Sequence[Row], first: date, last: date) -> list[Row]:
    """The listeners of each day, counted anew for every window."""

    def listeners(day: date, days: int) -> int:
        return len({r["user_id"] for r in activity if timedelta(0) <= day - r["day"] < timedelta(days=days)})

    return [
        {
            "day": day,
            "daily": listeners(day, 1),
            "weekly": listeners(day, 7),
            "monthly": listeners(day, 30),
            "listens": sum(r["listens"] for r in activity if r["day"] == day),
            "ms_played": sum(r["ms_played"] for r in activity if r["day"] == day),
        }
        for day in _dates(first, last)
    ]


def retention(activity: Sequence[Row]) -> list[Row]:
    """The cohorts of all weeks but the newest, followed from week to week."""
    weeks = {(r["user_id"], begin(r["day"], "weekly")) for r in activity}
    newest = max((week for _, week in weeks), default=None)
    cohorts: dict[date, set[str]] = defaultdict(set)
    for user in {user for user, _ in weeks}:
        cohorts[min(week for who, week in weeks if who == user)].add(user)
    found = []
    for cohort, users in cohorts.items():
        week = cohort
        while newest and week < newest:
            there = [user for user in users if (user, week) in weeks]
            since = (week - cohort).days // 7
            found.append({"cohort_week": cohort, "weeks": since, "listeners": len(there), "cohort": len(users)})
            week += timedelta(days=7)
    return found


def streaks(activity: Sequence[Row]) -> list[Row]:
    """The streaks of each listener, told by walking through the dates on which they listened."""
    found = []
    for user, rows in _grouped(activity, "user_id").items():
        dates = {day for row in rows for day in _dates(row["first_date"], row["last_date"])}
        streaks: list[list[date]] = []
        for day in sorted(dates):
            if streaks and day - streaks[-1][-1] == timedelta(days=1):
                streaks[-1].append(day)
            else:
                streaks.append([day])
        longest = max(streaks, key=len)
        found.append(
            {
                "user_id": user,
                "current": len(streaks[-1]),
                "longest": len(longest),
                "longest_first_day": longest[0],
                "longest_last_day": longest[-1],
                "first_day": min(dates),
                "last_day": max(dates),
                "active_days": len(dates),
            }
        )
    return found


def plays(listens: Sequence[Row]) -> list[Row]:
    """How often and how long each listener heard each recording on a day."""
    return _counted(listens, "recording_id")


def artist_plays(listens: Sequence[Row]) -> list[Row]:
    """The same of artists: a listen counts once for each of its own."""
    return _counted([r | {"artist_id": a} for r in listens for a in r["artist_ids"]], "artist_id")


def names(listens: Sequence[Row]) -> list[Row]:
    """The name of each thing heard on a day, the greatest where there are several."""
    called: dict[Any, str] = {}
    for row in listens:
        told = [("recording", row["recording_id"], f"{row['artist_name']} – {row['recording_name']}")]
        if len(row["artist_ids"]) == 1:
            told.append(("artist", row["artist_ids"][0], row["artist_name"]))
        for entity, id, name in told:
            key = row["day"], entity, id
            called[key] = max(called.get(key, ""), name)
    return [{"day": d, "entity": e, "entity_id": i, "name": n} for (d, e, i), n in called.items()]


def chart(
    plays: Sequence[Row], artist_plays: Sequence[Row], names: Sequence[Row], period: str, first: date, last: date
) -> list[Row]:
    """The charts of the periods that begin from `first` to `last`."""
    heard = [r | {"entity": "recording", "entity_id": r["recording_id"]} for r in plays]
    heard += [r | {"entity": "artist", "entity_id": r["artist_id"]} for r in artist_plays]
    places: dict[Any, int] = {}
    found: list[Row] = []
    for (start, entity), of_period in _grouped(heard, lambda r: begin(r["day"], period), "entity").items():
        things = _grouped(of_period, "entity_id")
        order = sorted(things, key=lambda i: (-sum(r["plays"] for r in things[i]), i))
        for place, id in enumerate(order, start=1):
            places[start, entity, id] = place
            found.append(
                {
                    "period_start": start,
                    "entity": entity,
                    "entity_id": id,
                    "rank": place,
                    "plays": sum(r["plays"] for r in things[id]),
                    "ms_played": sum(r["ms_played"] or 0 for r in things[id]),
                    "listeners": len({r["user_id"] for r in things[id]}),
                }
            )
    charted = [r for r in found if first <= r["period_start"] <= last]
    for row in charted:
        before = begin(row["period_start"] - timedelta(days=1), period) if period != "all_time" else None
        known = [n for n in names if n["entity"] == row["entity"] and n["entity_id"] == row["entity_id"]]
        known = [n for n in known if begin(n["day"], period) in (before, row["period_start"])]
        row["previous_rank"] = places.get((before, row["entity"], row["entity_id"]))
        row["name"] = max(known, key=lambda n: (n["day"], n["name"]))["name"] if known else None
    return charted


def begin(day: date, period: str) -> date:
    """The first day of the period that a day is in."""
    return {
        "daily": day,
        "weekly": day - timedelta(days=day.weekday()),
        "monthly": date(day.year, day.month, 1),
        "yearly": date(day.year, 1, 1),
        "all_time": date(2002, 10, 1),
    }[period]


def word_counts(lyrics: Sequence[Row]) -> list[Row]:
    """How often each word is sung in each language, and in how many texts."""
    sung: Counter[Any] = Counter()
    works: Counter[Any] = Counter()
    for row in lyrics:
        found = [(row["language"], word) for word in words(row["text"] or "")]
        sung.update(found)
        works.update(set(found))
    return [{"language": k[0], "word": k[1], "occurrences": n, "works": works[k]} for k, n in sung.items()]


def words(text: str) -> list[str]:
    """Words, read a character at a time: letters and digits, marks after them, apostrophes between them."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    kinds = [unicodedata.category(c)[0] for c in text] + [""]
    found: list[str] = []
    word = ""
    for i, char in enumerate(text):
        starts = kinds[i] in ("L", "N")
        if starts or (word and kinds[i] == "M") or (word and char in "'’" and kinds[i + 1] in ("L", "N")):
            word += char
        elif word:
            found.append(word)
            word = ""
    return [*found, word] if word else found


def _normal(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _without_gap(day: date, heard: Sequence[Row]) -> bool:
    """Whether somebody who heard this on a day was never silent for longer than a pause since its midnight."""
    opening = datetime.combine(day, time(0), UTC)
    return all(b - a <= PAUSE for a, b in pairwise([opening, *(r["listened_at"] for r in heard)]))


def _dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _counted(listens: Sequence[Row], of: str) -> list[Row]:
    return [
        {"day": day, "user_id": user, of: id, "plays": len(heard), "ms_played": sum(r["ms_played"] or 0 for r in heard)}
        for (day, user, id), heard in _grouped(listens, "day", "user_id", of).items()
    ]


def _grouped(rows: Sequence[Row], *key: Any) -> dict[Any, list[Row]]:
    """Rows by columns, or by functions of rows."""
    found = defaultdict(list)
    for row in rows:
        parts = tuple(k(row) if callable(k) else row[k] for k in key)
        found[parts if len(parts) > 1 else parts[0]].append(row)
    return found


def _sortable(row: Row, schema: pa.Schema) -> tuple[Any, list[float]]:
    """What must be equal in a row, in an order in which None comes first, and its fractions."""
    fractions = [f.name for f in schema if pa.types.is_floating(f.type)]
    exact = [(row[n] is not None, row[n]) for n in schema.names if n not in fractions]
    return tuple((known, _plain(value) if known else 0) for known, value in exact), [row[n] for n in fractions]


def _order(row: tuple[Any, list[float]]) -> Any:
    return row[0], [(x is not None, x or 0.0) for x in row[1]]


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9) or (math.isnan(a) and math.isnan(b))
