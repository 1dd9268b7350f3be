"""What every table must hold, in plain Python: slow, obvious, and sharing no code with the assets.

Rows are dictionaries. A table equals another if it has the same rows as often, in whatever order.
"""

import hashlib
import math
import struct
import unicodedata
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import combinations, groupby, pairwise
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa

from resources.text.names import Name, count_typos, parse_name

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


def recording_matches(raw: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Every name compared with every recording; how text is read is shared with the assets, and tested by tables."""
    names = {(r["day"], *(_told(r))): r for r in raw}
    return [
        {c: row[c] for c in ("day", "artist_name", "recording_name", "recording_mbid", "isrc", "artist_mbids")}
        | _identity(row, recordings)
        | {"name_key": _name_key(row), "name_id": _name_id(row)}
        for row in names.values()
    ]


def _name_key(row: Row) -> int:
    """The first 64 bits of a SHA-256 of what was submitted, as a signed number."""
    *given, artists = _told(row)
    text = "\0".join([*(field or "" for field in given), " ".join(artists)])
    number: int
    (number,) = struct.unpack(">q", hashlib.sha256(text.encode()).digest()[:8])
    return number


def _name_id(row: Row) -> str:
    """First artist and title, as they are compared."""
    name = parse_name(row["artist_name"], row["recording_name"])
    return str(uuid.uuid5(NAMESPACE, f"name\x1f{name.first_artist_key}"))


def _told(row: Row) -> tuple[Any, ...]:
    return (row["artist_name"], row["recording_name"], row["recording_mbid"], row["isrc"], tuple(row["artist_mbids"]))


def _identity(row: Row, recordings: Sequence[Row]) -> Row:
    """The recording that fits by the surest rule, of several the one released first."""
    credit, title = row["artist_name"], row["recording_name"]
    name, mbid = parse_name(credit, title), row["recording_mbid"]
    known = [(r, parse_name(r["artist_credit"], r["title"])) for r in recordings]
    of = name.recording_key
    by_several = [(r, k) for r, k in known if name.has_single_artist and not k.has_single_artist]
    named = [r for r in recordings if mbid in (r["recording_id"], *r["merged_ids"])]
    fitting: list[tuple[str, float, list[Row]]] = [("mbid", 1.0, named)]
    if not mbid:
        text = _normal(credit), _normal(title)
        fitting += [
            ("isrc", 0.98, [r for r in recordings if row["isrc"] and row["isrc"] in r["isrcs"]]),
            ("name", 0.95, [r for r in recordings if (_normal(r["artist_credit"]), _normal(r["title"])) == text]),
            ("name", 0.9, [r for r, k in known if k.letters_key == name.letters_key]),
            ("qualifier", 0.8, [r for r, k in known if k.recording_key == of]),
            ("qualifier", 0.6, [r for r, k in by_several if k.first_artist_key == of]),
        ]
        near = [(typos, r, k) for r, k in known if (typos := _typos(name, k)) is not None]
        fewest = min((typos for typos, _, _ in near), default=0)
        nearest = [(r, k.recording_key) for typos, r, k in near if typos == fewest]
        if len({recording for _, recording in nearest}) == 1:
            fitting.append(("fuzzy", 0.7 if fewest < 2 else 0.55, [r for r, _ in nearest]))
        plain = [r for r, k in known if name.version and not k.version and k.any_version_key == name.any_version_key]
        fitting.append(("version", 0.4, plain))
    for rule, confidence, found in fitting:
        if found:
            best = min(found, key=lambda r: (r["first_release_date"] or "9999", r["recording_id"]))
            return {
                "recording_id": best["recording_id"],
                "artist_ids": best["artist_ids"],
                "rule": rule,
                "confidence": confidence * (0.6 if len(found) > 1 else 1),
                "artist_credit": best["artist_credit"],
                "title": best["title"],
            }
    own = str(uuid.uuid5(NAMESPACE, f"recording\x1f{_normal(credit)}\x1f{_normal(title)}"))
    return {
        "recording_id": mbid or own,
        "artist_ids": row["artist_mbids"] or [str(uuid.uuid5(NAMESPACE, f"artist\x1f{_normal(credit)}"))],
        "rule": "mbid" if mbid else "unmapped",
        "confidence": 1.0 if mbid else 0.0,
        "artist_credit": None,
        "title": None,
    }


def _typos(ours: Name, theirs: Name) -> int | None:
    """The typos between two recordings, if they share letters at an end of credit and title, or all of either."""
    (credit, title), (other_credit, other_title) = (
        ["".join(w for w in words if not w.isdigit() and w != "the") for words in (n.lead, n.title)]
        for n in (ours, theirs)
    )
    ends = [_ends(a, b) for a, b in ((credit, other_credit), (title, other_title))]
    if not (all(ends) or credit == other_credit or title == other_title):
        return None
    one = count_typos(ours.lead, theirs.lead, sum(map(len, ours.title)))
    two = count_typos(ours.title, theirs.title, sum(map(len, ours.lead)))
    return None if one is None or two is None or one + two > 2 else one + two


def _ends(a: str, b: str) -> bool:
    return bool({a[:3], a[-3:]} & {b[:3], b[-3:]})


TO_THE_MINUTE = ("lastfm_minutes", "spotify_account")
SOURCES = ("spotify", "listenbrainz", "scrobble", "maloja", "panoscrobbler", "lastfm", "librefm", *TO_THE_MINUTE)


def replaced(raw: Sequence[Row], recording_matches: Sequence[Row], first: date, last: date) -> list[Row]:
    """The records of these days that tell once more of a listen, each with the one it gives way to."""
    ids = {(r["day"], *_told(r)): (r["recording_id"], r["name_id"]) for r in recording_matches}
    named = [
        r | {"recording_id": about[0], "about": about, "feed": _feed(r)}
        for r in raw
        if (about := ids.get((r["day"], *_told(r))))
    ]
    named.sort(key=lambda r: (r["listened_at"], r["recording_mbid"] is None, r["import_id"], r["file"], r["record"]))
    found: list[tuple[Row, Row, str]] = []
    for heard in _grouped(named, "user_id").values():
        once: list[Row] = []
        for left in _grouped(heard, "feed", "listened_at").values():
            while left:
                kept = left.pop(0)
                same = [kept]
                for row in same:  # and what is about the same as those
                    more = [r for r in left if _about_the_same(row, r)]
                    left = [r for r in left if r not in more]
                    same += more
                once.append(kept)
                found += [(row, kept, "exact_time") for row in same[1:]]
        feeds = sorted({r["feed"] for r in once})
        partners: dict[int, list[tuple[Any, Row, str]]] = defaultdict(list)
        rows: dict[int, Row] = {}
        for better, worse in combinations(feeds, 2):
            for ours, theirs, rule in _paired(*([r for r in once if r["feed"] == x] for x in (better, worse))):
                partners[id(theirs)].append((better, ours, rule))
                rows[id(theirs)] = theirs
        for key, all_of_it in partners.items():
            _, winner, rule = min(all_of_it, key=lambda p: p[0])
            found.append((rows[key], winner, rule))
    winners = {id(loser): winner for loser, winner, _ in found}
    for n, (loser, winner, rule) in enumerate(found):
        while id(winner) in winners:
            winner = winners[id(winner)]
        found[n] = loser, winner, rule
    canonical_columns = ("listened_at", "source", "client", "file", "record", "import_id")
    return [
        loser | {"rule": rule} | {f"canonical_{c}": winner[c] for c in canonical_columns}
        for loser, winner, rule in found
        if first <= loser["day"] <= last
    ]


def _about_the_same(a: Row, b: Row) -> bool:
    return any(x == y for x, y in zip(a["about"], b["about"], strict=True))


def _feed(row: Row) -> tuple[int, str, str]:
    rank = SOURCES.index(row["source"]) if row["source"] in SOURCES else len(SOURCES)
    return rank, row["source"], row["client"] or ""


def _paired(ours: list[Row], theirs: list[Row]) -> list[tuple[Row, Row, str]]:
    """The records of two feeds that are one listen."""
    found: list[tuple[Row, Row, str]] = []
    for rule, wait in (("start_match", _wait_for_start), ("end_start_match", _wait_for_end)):
        for _ in range(3):
            near = {
                (i, j): (w, a["recording_id"] != b["recording_id"])
                for i, a in enumerate(ours)
                for j, b in enumerate(theirs)
                if (w := wait(a, b)) is not None
            }
            mutual = [
                (ours[i], theirs[j])
                for i, j in near
                if j == min((w, theirs[y]["listened_at"], y) for (x, y), w in near.items() if x == i)[2]
                and i == min((w, ours[x]["listened_at"], x) for (x, y), w in near.items() if y == j)[2]
            ]
            found += [(a, b, rule) for a, b in mutual]
            ours = [r for r in ours if all(r is not a for a, _ in mutual)]
            theirs = [r for r in theirs if all(r is not b for _, b in mutual)]
    return found


def _close_enough(a: Row, b: Row, wait: timedelta) -> timedelta | None:
    if not _about_the_same(a, b):
        return None
    minutes = a["source"] in TO_THE_MINUTE or b["source"] in TO_THE_MINUTE
    return wait if wait <= timedelta(seconds=60 if minutes else 10) else None


def _wait_for_start(a: Row, b: Row) -> timedelta | None:
    return _close_enough(a, b, abs(a["listened_at"] - b["listened_at"]))


def _wait_for_end(a: Row, b: Row) -> timedelta | None:
    waits = []
    for x, y in ((a, b), (b, a)):
        if x["ms_played"] is not None and x["ms_played"] <= 7_200_000:
            waits.append(abs(x["listened_at"] + timedelta(milliseconds=x["ms_played"]) - y["listened_at"]))
    return min((w for w in waits if _close_enough(a, b, w) is not None), default=None)


def listens(raw: Sequence[Row], recording_matches: Sequence[Row], replaced: Sequence[Row]) -> list[Row]:
    """Each listen once: what did not give way, with what was decided of its names."""
    gone = {(r["import_id"], r["file"], r["record"]) for r in replaced}
    ids = {(r["day"], *_told(r)): r for r in recording_matches}
    return [
        row
        | {c: ids[row["day"], *_told(row)][c] for c in ("recording_id", "artist_ids")}
        | {"ended_at": None if (ms := row["ms_played"]) is None else row["listened_at"] + timedelta(milliseconds=ms)}
        for row in raw
        if (row["import_id"], row["file"], row["record"]) not in gone
    ]


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


def daily_listening(listens: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
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
                "with_duration": len(timed),
                "skips": len([r for r in timed if r["ms_played"] < 30_000]),
                "with_track_length": len(measured),
                "completions": len([1 for played, length in measured if Fraction(played, length) >= Fraction(9, 10)]),
                "first_date": min(dates),
                "last_date": max(dates),
            }
        )
    return found


def app_events(raw: Sequence[Row], recording_matches: Sequence[Row]) -> list[Row]:
    """Each application event once, with its name spelled as all are and the recording it is about."""
    ids = {(r["day"], *_told(r)): r["recording_id"] for r in recording_matches}
    found = []
    for (day, *_), told in _grouped(raw, "day", "user_id", "event_id").items():
        row = min(told, key=lambda r: (r["at"], r["import_id"], r["file"], r["record"]))
        names = (row["artist_name"] or "", row["recording_name"] or "", None, None, ())
        about = row["recording_mbid"] or ids.get((day, *names))
        found.append(row | {"event": _spelt_alike(row["event"]), "recording_id": about})
    return found


def _spelt_alike(event: str) -> str:
    """Small letters and digits, read a character at a time; one underscore for whatever is between words."""
    words, word, before = [], "", ""
    for char in event:
        ends = not char.isalnum() or ("A" <= char <= "Z" and ("a" <= before <= "z" or "0" <= before <= "9"))
        if ends and word:
            words.append(word)
            word = ""
        word += char if char.isalnum() else ""
        before = char
    return "_".join([*words, word] if word else words).casefold() or event


def app_event_schema(raw: Sequence[Row]) -> list[Row]:
    """How many records of a program have each field."""
    counts: Counter[Any] = Counter()
    for row in raw:
        for line in row["shape"].split("\n"):
            counts[row["day"], *line.split("\t"), row["client"], row["client_version"]] += 1
    names = ("day", "field", "type", "outcome", "client", "client_version")
    return [dict(zip(names, key, strict=True)) | {"events": n} for key, n in counts.items()]


APP_COUNTS = {
    "play": "plays",
    "pause": "pauses",
    "seek": "seeks",
    "skip": "skips",
    "like": "likes",
    "dislike": "dislikes",
    "search": "searches",
    "add_to_playlist": "playlist_adds",
    "page_view": "page_views",
}


def daily_app_usage(events: Sequence[Row], recordings: Sequence[Row], first: date, last: date) -> list[Row]:
    """What each person did on these days, told by walking through what they pressed."""
    lengths = {r["recording_id"]: r["length_ms"] for r in recordings}
    began: dict[Any, list[Row]] = defaultdict(list)
    for (user, _), pressed in _grouped(events, "user_id", lambda r: r["client"] or "").items():
        for play in _plays(pressed):
            began[play["day"], user].append(play)
    found = []
    for (day, user), done in _grouped(events, "day", "user_id").items():
        if first <= day <= last:
            row = {"day": day, "user_id": user, "events": len(done)}
            row |= {name: sum(r["event"] == event for r in done) for event, name in APP_COUNTS.items()}
            plays = began[day, user]
            ended = [p for p in plays if p["ended"]]
            measured = [(p, length) for p in ended if (length := lengths.get(p["recording"]))]
            row |= {
                "others": sum(r["event"] not in APP_COUNTS for r in done),
                "plays_started": len(plays),
                "plays_ended": len(ended),
                "skipped": sum(p["skipped"] for p in ended),
                "with_track_length": len(measured),
                "completed": sum(Fraction(p["reached"], length) >= Fraction(9, 10) for p, length in measured),
            }
            found.append(row)
    return found


def _plays(pressed: Sequence[Row]) -> list[Row]:
    """The plays of a player, from event to event."""
    turns = ("skip", "pause", "play", "seek")
    rows = [r | {"ms": _milliseconds(r["at"])} for r in pressed if r["event"] in turns]
    rows.sort(key=lambda r: (r["ms"], turns.index(r["event"]), r["event_id"]))
    found: list[Row] = []
    playing, place = False, None
    for before, row in zip([None, *rows], rows, strict=False):
        play = found[-1] if found else None
        late = play is not None and row["ms"] - play["ms"] > 86_400_000
        open_ = play is not None and not late and not play["skipped"]
        if play and open_ and playing and place is not None and before is not None:
            play["reached"] = max(play["reached"], place + row["ms"] - before["ms"])
        goes_on = (
            before is not None
            and before["event"] in ("pause", "seek")
            and _recording(before) == _recording(row)
            and row["ms"] - before["ms"] <= 43_200_000
            and row["position_ms"] != 0
        )
        if row["event"] == "play" and not goes_on:
            if play and not late:
                play["ended"] = True
            fresh = {"day": row["day"], "recording": _recording(row), "ms": row["ms"], "reached": 0}
            found.append(fresh | {"ended": False, "skipped": False})
            playing, place = True, row["position_ms"] or 0
            continue
        if row["event"] in ("pause", "seek", "skip") and play and open_:
            play["reached"] = max(play["reached"], row["position_ms"] or 0)
        if row["event"] == "play":
            playing, place = True, row["position_ms"]
        elif row["event"] == "seek":
            place = row["to_ms"]
        elif row["event"] == "pause":
            playing = False
        elif play and open_:
            play["skipped"] = play["ended"] = True
    return found


def _recording(row: Row) -> str:
    return row["recording_id"] or f"{row['artist_name'] or ''}\x1f{row['recording_name'] or ''}"


def _milliseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def active_listeners(activity: Sequence[Row], first: date, last: date) -> list[Row]:
    """The listeners of each day whose month has any, counted again for every window."""

    def listeners(day: date, days: int) -> int:
        return len({r["user_id"] for r in activity if timedelta(0) <= day - r["day"] < timedelta(days=days)})

    return [
        {
            "day": day,
            "dau": listeners(day, 1),
            "wau": listeners(day, 7),
            "mau": listeners(day, 30),
            "listens": sum(r["listens"] for r in activity if r["day"] == day),
            "ms_played": sum(r["ms_played"] for r in activity if r["day"] == day),
        }
        for day in _dates(first, last)
        if listeners(day, 30)
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
            found.append(
                {"cohort_week": cohort, "weeks_since": since, "retained": len(there), "cohort_size": len(users)}
            )
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
                "latest_streak": len(streaks[-1]),
                "longest": len(longest),
                "longest_first_day": longest[0],
                "longest_last_day": longest[-1],
                "first_day": min(dates),
                "last_day": max(dates),
                "active_days": len(dates),
            }
        )
    return found


def recording_plays(listens: Sequence[Row]) -> list[Row]:
    """How often and how long each listener heard each recording on a day."""
    return _counted(listens, "recording_id")


def artist_plays(listens: Sequence[Row]) -> list[Row]:
    """The same of artists: a listen counts once for each of its own, also for one whom the credit names twice."""
    return _counted([r | {"artist_id": a} for r in listens for a in set(r["artist_ids"])], "artist_id")


def display_names(listens: Sequence[Row]) -> list[Row]:
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


CAP = 3  # plays of a listener and day that count where they are bounded


def chart(
    plays: Sequence[Row],
    artist_plays: Sequence[Row],
    names: Sequence[Row],
    period: str,
    first: date,
    last: date,
    most: int = CAP,
) -> list[Row]:
    """The charts of the periods that begin from `first` to `last`, with at most so many plays of a listener a day."""
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
                    "plays_capped": sum(min(r["plays"], most) for r in things[id]),
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


def spells(relationships: Sequence[Row], deletions: Sequence[Row], relation: str, names: tuple[str, str]) -> list[Row]:
    """From when until when two people were related, told by walking through what was told of them, whoever told it."""
    pairs: dict[Any, list[Any]] = defaultdict(list)
    ends = [
        r | {"ends": True, "happened_at": max(filter(None, (r["happened_at"], gone["deleted_at"])))}
        for r in relationships
        for gone in deletions
        if gone["deleted_id"] == r["submitted_id"] and gone["user_id"] in (r["user_id"], r["other_id"])
        if r["happened_at"] or gone["deleted_at"]
    ]
    for r in [*relationships, *ends]:
        if r["relation"] == relation:
            pair = (r["user_id"], r["other_id"])
            pair = tuple(sorted(pair)) if relation == "friendship" else pair  # type: ignore[assignment]
            pairs[pair].append((r["happened_at"] or datetime.min.replace(tzinfo=UTC), r["ends"], r["happened_at"]))
    found = []
    for (one, other), told in pairs.items():
        since: list[Any] = []  # of the spell that is on; empty before the first
        on, ended = False, False
        for _, ends, at in sorted(told, key=lambda t: t[:2]):
            if ends and (on or not ended):
                found.append(
                    {names[0]: one, names[1]: other, "since": min(filter(None, since), default=None), "until": at}
                )
                since, on, ended = [], False, True
            elif not ends:
                since.append(at)
                on = True
        if on:
            found.append(
                {names[0]: one, names[1]: other, "since": min(filter(None, since), default=None), "until": None}
            )
    return found


def shares(raw: Sequence[Row], deletions: Sequence[Row]) -> list[Row]:
    """Each share once, unless a record takes it back."""
    found = []
    gone = {(r["user_id"], r["deleted_id"]) for r in deletions}
    for (_, user, id), told in _grouped(raw, "day", "user_id", "share_id").items():
        if not any(r["taken_back"] for r in told) and (user, id) not in gone:
            found.append(min(told, key=lambda r: (r["shared_at"], r["entity"], r["entity_id"], *_place(r))))
    return found


def posts(raw: Sequence[Row], deletions: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Each post as it was told last, unless a record takes it back, and which recording it says is playing."""
    found = []
    gone = {(r["user_id"], r["deleted_id"]) for r in deletions}
    for (_, user, id), told in _grouped(raw, "day", "user_id", "post_id").items():
        if any(r["taken_back"] for r in told) or (user, id) in gone:
            continue
        last = max(told, key=lambda r: (r["told_at"], *_place(r)))
        playing: Row = dict.fromkeys(("recording_id", "rule", "confidence"))
        if last["recording_name"] or last["recording_mbid"]:
            names = {n: last[n] or "" for n in ("artist_name", "recording_name")}
            playing = _identity(last | names | {"isrc": None, "artist_mbids": []}, recordings)
        found.append(last | playing)
    return found


def tag_assignments(raw: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Each tag assignment once: of the artist by MBID, else by a catalog name that only one artist has, else by name
    or the source's number."""
    called: dict[str, set[str]] = defaultdict(set)
    for r in recordings:
        if len(r["artist_ids"]) == 1:
            called[_normal(r["artist_credit"])].add(r["artist_ids"][0])
    found = []
    for row in raw:
        known = called.get(_normal(row["artist_name"] or ""), set())
        own = str(uuid.uuid5(NAMESPACE, f"artist\x1f{_normal(row['artist_name'] or row['source_ref'])}"))
        id = min(known) if len(known) == 1 else own
        if row["source_ref"].startswith("musicbrainz:artist:"):
            id = row["source_ref"].split(":")[2]
        found.append(row | {"entity": "artist", "entity_id": id, "tag": _normal(row["tag"])})
    return [
        told[0]
        | {
            c: min((r[c] for r in told if r[c] is not None), default=None)
            for c in ("artist_name", "tagged_on", "source")
        }
        for told in _grouped(found, "user_id", "entity_id", "tag").values()
    ]


def _place(row: Row) -> tuple[Any, ...]:
    return row["import_id"], row["file"], row["record"]


def lyrics_lines(lyrics: Sequence[Row]) -> list[Row]:
    """The lines of each text; those with times are a second each."""
    return [
        {
            "lyrics_id": row["lyrics_id"],
            "line": n + 1,
            "at_ms": n * 1000 if row["lrc"] else None,
            "text": " ".join(line.split()) if row["lrc"] else line,
        }
        for row in lyrics
        if row["text"]
        for n, line in enumerate(row["text"].split("\n"))
    ]


def audio_features(files: Sequence[Row], analyses: Sequence[Row]) -> list[Row]:
    """What was heard of each file's content; of one that could not be read or was not listened to, that."""
    heard = {a["content_sha256"]: a for a in analyses}
    missed = {"error": "it was gone or changed when it was to be listened to: it is the next time"}
    return [f | heard.get(f["content_sha256"], missed if f["content_sha256"] is not None else {}) for f in files]


def word_counts(lyrics: Sequence[Row]) -> list[Row]:
    """How often each word is sung in each language, and in how many texts, of those that count."""
    sung: Counter[Any] = Counter()
    works: Counter[Any] = Counter()
    for row in lyrics:
        if row["is_preferred"]:
            found = [(row["language"], word) for word in words(row["text"] or "", row["language"])]
            sung.update(found)
            works.update(set(found))
    return [{"language": k[0], "word": k[1], "occurrences": n, "works": works[k]} for k, n in sung.items()]


UNSPACED = ("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA", "THAI", "IDEOGRAPHIC ITERATION")  # as Unicode names them


def words(text: str, language: str | None) -> list[str]:
    """Words, read a character at a time: letters and digits, marks after them, apostrophes between them.

    Where words have no spaces between them, each two signs; in French and Italian an apostrophe ends a word.
    """
    text = unicodedata.normalize("NFC", text)
    lines = [x for x in text.split("\n") if not (x[:1] == "[" and x[-1:] == "]" and x.count("]") == 1 and len(x) > 1)]
    text = "\n".join(lines)
    if language in ("tr", "az"):
        text = text.replace("I", "ı").replace("İ", "i")
    text = unicodedata.normalize("NFC", text.casefold().replace("’", "'").replace("ʼ", "'"))
    found: list[str] = []
    word, signs = "", list[str]()

    def end() -> None:
        nonlocal word
        if word:
            found.append(word)
        if signs:
            found.extend([a + b for a, b in pairwise(signs)] or signs)
        word = ""
        signs.clear()

    for char, after in zip(text, text[1:] + " ", strict=False):
        mark = unicodedata.category(char)[0] == "M"
        if mark and signs:
            signs[-1] += char
        elif mark and word:
            word += char
        elif _is_letter(char) and unicodedata.name(char, "").startswith(UNSPACED):
            if word:
                end()
            signs.append(char)
        elif _is_letter(char):
            if signs:
                end()
            word += char
        elif char == "'" and word and _is_letter(after) and not unicodedata.name(after, "").startswith(UNSPACED):
            word += char
            if language in ("fr", "it"):
                end()
        else:
            end()
    end()
    if language == "fr":
        found = _together(found)
    return found


def _together(found: list[str]) -> list[str]:
    """With what is one word for all its apostrophe."""
    text = "\n".join(["", *found, ""]).replace("\naujourd'\nhui\n", "\naujourd'hui\n")
    return text.split("\n")[1:-1]


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in ("L", "N")


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
