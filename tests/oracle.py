"""The expected rows of every table, in plain Python: slow, obvious, and without code of the assets.

Rows are dictionaries. Two tables are equal if they have the same rows equally often, in any order.
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

NAMESPACE = uuid.UUID("d3b5a6b2-9a52-4c6e-8a1d-6f0f3c1f7e25")  # must never change: published ids depend on it
PAUSE = timedelta(minutes=30)


def assert_same(actual: pa.Table, expected: Iterable[Row], schema: pa.Schema) -> None:
    """Assert that integers, text and times are equal, and fractions equal to a billionth."""
    assert actual.schema.names == schema.names
    ours, theirs = ([_sortable(r, schema) for r in rows] for rows in (actual.to_pylist(), expected))
    exact, wanted = (Counter(repr(e) for e, _ in rows) for rows in (ours, theirs))
    assert exact == wanted, (
        f"too many: {list((exact - wanted).elements())[:3]}, missing: {list((wanted - exact).elements())[:3]}"
    )
    for (_, a), (row, b) in zip(sorted(ours, key=_order), sorted(theirs, key=_order), strict=True):
        assert all(_close(x, y) for x, y in zip(a, b, strict=True)), f"{a} is not {b} in {row}"


def recording_matches(raw: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Compare every name with every recording. Only the parsing of names is shared with the assets."""
    names = {(r["day"], *(_submitted(r))): r for r in raw}
    return [
        {c: row[c] for c in ("day", "artist_name", "recording_name", "recording_mbid", "isrc", "artist_mbids")}
        | _match(row, recordings)
        | {"name_key": _name_key(row), "name_id": _name_id(row)}
        for row in names.values()
    ]


def _name_key(row: Row) -> int:
    """Return the first 64 bits of a SHA-256 of the submitted fields, as a signed number."""
    *fields, artists = _submitted(row)
    text = "\0".join([*(field or "" for field in fields), " ".join(artists)])
    number: int
    (number,) = struct.unpack(">q", hashlib.sha256(text.encode()).digest()[:8])
    return number


def _name_id(row: Row) -> str:
    """Return a UUID of first artist and title, normalized for comparison."""
    name = parse_name(row["artist_name"], row["recording_name"])
    return str(uuid.uuid5(NAMESPACE, f"name\x1f{name.first_artist_key}"))


def _submitted(row: Row) -> tuple[Any, ...]:
    return (row["artist_name"], row["recording_name"], row["recording_mbid"], row["isrc"], tuple(row["artist_mbids"]))


def _match(row: Row, recordings: Sequence[Row]) -> Row:
    """Return the recording that matches by the surest rule, of several the one released first."""
    credit, title = row["artist_name"], row["recording_name"]
    name, mbid = parse_name(credit, title), row["recording_mbid"]
    catalog = [(r, parse_name(r["artist_credit"], r["title"])) for r in recordings]
    of = name.recording_key
    by_several = [(r, k) for r, k in catalog if name.has_single_artist and not k.has_single_artist]
    by_id = [r for r in recordings if mbid in (r["recording_id"], *r["merged_ids"])]
    matches: list[tuple[str, float, list[Row]]] = [("mbid", 1.0, by_id)]
    if not mbid:
        text = _normal(credit), _normal(title)
        matches += [
            ("isrc", 0.98, [r for r in recordings if row["isrc"] and row["isrc"] in r["isrcs"]]),
            ("name", 0.95, [r for r in recordings if (_normal(r["artist_credit"]), _normal(r["title"])) == text]),
            ("name", 0.9, [r for r, k in catalog if k.letters_key == name.letters_key]),
            ("qualifier", 0.8, [r for r, k in catalog if k.recording_key == of]),
            ("qualifier", 0.6, [r for r, k in by_several if k.first_artist_key == of]),
        ]
        near = [(typos, r, k) for r, k in catalog if (typos := _typos(name, k)) is not None]
        fewest = min((typos for typos, _, _ in near), default=0)
        nearest = [(r, k.recording_key) for typos, r, k in near if typos == fewest]
        if len({recording for _, recording in nearest}) == 1:
            matches.append(("fuzzy", 0.7 if fewest < 2 else 0.55, [r for r, _ in nearest]))
        plain = [r for r, k in catalog if name.version and not k.version and k.any_version_key == name.any_version_key]
        matches.append(("version", 0.4, plain))
    for rule, confidence, candidates in matches:
        if candidates:
            best = min(candidates, key=lambda r: (r["first_release_date"] or "9999", r["recording_id"]))
            return {
                "recording_id": best["recording_id"],
                "artist_ids": best["artist_ids"],
                "rule": rule,
                "confidence": confidence * (0.6 if len(candidates) > 1 else 1),
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
    """Count the typos between two names that share the letters at one end of credit and title, or all of one of them.

    Return None for other names, and for more than two typos.
    """
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


def duplicate_listens(raw: Sequence[Row], recording_matches: Sequence[Row], first: date, last: date) -> list[Row]:
    """Return the duplicate records of these days, each with its canonical record."""
    ids = {(r["day"], *_submitted(r)): (r["recording_id"], r["name_id"]) for r in recording_matches}
    records = [
        r | {"recording_id": subject[0], "subject": subject, "feed": _feed(r)}
        for r in raw
        if (subject := ids.get((r["day"], *_submitted(r))))
    ]
    records.sort(key=lambda r: (r["listened_at"], r["recording_mbid"] is None, r["import_id"], r["file"], r["record"]))
    pairs: list[tuple[Row, Row, str]] = []
    for of_listener in _grouped(records, "user_id").values():
        once: list[Row] = []
        for left in _grouped(of_listener, "feed", "listened_at").values():
            while left:
                canonical = left.pop(0)
                same = [canonical]
                for row in same:  # grows by records with the same subject as one of those already in it
                    more = [r for r in left if _same_subject(row, r)]
                    left = [r for r in left if r not in more]
                    same += more
                once.append(canonical)
                pairs += [(row, canonical, "exact_time") for row in same[1:]]
        feeds = sorted({r["feed"] for r in once})
        partners: dict[int, list[tuple[Any, Row, str]]] = defaultdict(list)
        rows: dict[int, Row] = {}
        for better, worse in combinations(feeds, 2):
            for ours, theirs, rule in _paired(*([r for r in once if r["feed"] == x] for x in (better, worse))):
                partners[id(theirs)].append((better, ours, rule))
                rows[id(theirs)] = theirs
        for key, candidates in partners.items():
            _, canonical, rule = min(candidates, key=lambda p: p[0])
            pairs.append((rows[key], canonical, rule))
    canonical_of = {id(duplicate): canonical for duplicate, canonical, _ in pairs}
    for n, (duplicate, canonical, rule) in enumerate(pairs):
        while id(canonical) in canonical_of:
            canonical = canonical_of[id(canonical)]
        pairs[n] = duplicate, canonical, rule
    canonical_columns = ("listened_at", "source", "client", "file", "record", "import_id")
    return [
        duplicate | {"rule": rule} | {f"canonical_{c}": canonical[c] for c in canonical_columns}
        for duplicate, canonical, rule in pairs
        if first <= duplicate["day"] <= last
    ]


def _same_subject(a: Row, b: Row) -> bool:
    return any(x == y for x, y in zip(a["subject"], b["subject"], strict=True))


def _feed(row: Row) -> tuple[int, str, str]:
    rank = SOURCES.index(row["source"]) if row["source"] in SOURCES else len(SOURCES)
    return rank, row["source"], row["client"] or ""


def _paired(ours: list[Row], theirs: list[Row]) -> list[tuple[Row, Row, str]]:
    """Return the pairs of records of two feeds that are one listen, with the rule of each."""
    pairs: list[tuple[Row, Row, str]] = []
    for rule, distance in (("start_match", _between_starts), ("end_start_match", _between_end_and_start)):
        for _ in range(3):
            near = {
                (i, j): (d, a["recording_id"] != b["recording_id"])
                for i, a in enumerate(ours)
                for j, b in enumerate(theirs)
                if (d := distance(a, b)) is not None
            }
            mutual = [
                (ours[i], theirs[j])
                for i, j in near
                if j == min((d, theirs[y]["listened_at"], y) for (x, y), d in near.items() if x == i)[2]
                and i == min((d, ours[x]["listened_at"], x) for (x, y), d in near.items() if y == j)[2]
            ]
            pairs += [(a, b, rule) for a, b in mutual]
            ours = [r for r in ours if all(r is not a for a, _ in mutual)]
            theirs = [r for r in theirs if all(r is not b for _, b in mutual)]
    return pairs


def _close_enough(a: Row, b: Row, distance: timedelta) -> timedelta | None:
    if not _same_subject(a, b):
        return None
    minutes = a["source"] in TO_THE_MINUTE or b["source"] in TO_THE_MINUTE
    return distance if distance <= timedelta(seconds=60 if minutes else 10) else None


def _between_starts(a: Row, b: Row) -> timedelta | None:
    return _close_enough(a, b, abs(a["listened_at"] - b["listened_at"]))


def _between_end_and_start(a: Row, b: Row) -> timedelta | None:
    distances = []
    for x, y in ((a, b), (b, a)):
        if x["ms_played"] is not None and x["ms_played"] <= 7_200_000:
            distances.append(abs(x["listened_at"] + timedelta(milliseconds=x["ms_played"]) - y["listened_at"]))
    return min((d for d in distances if _close_enough(a, b, d) is not None), default=None)


def listens(raw: Sequence[Row], recording_matches: Sequence[Row], duplicates: Sequence[Row]) -> list[Row]:
    """Return the records that are not duplicates, with the matches of their names."""
    dropped = {(r["import_id"], r["file"], r["record"]) for r in duplicates}
    ids = {(r["day"], *_submitted(r)): r for r in recording_matches}
    return [
        row
        | {c: ids[row["day"], *_submitted(row)][c] for c in ("recording_id", "artist_ids")}
        | {"ended_at": None if (ms := row["ms_played"]) is None else row["listened_at"] + timedelta(milliseconds=ms)}
        for row in raw
        if (row["import_id"], row["file"], row["record"]) not in dropped
    ]


def sessions(listens: Sequence[Row], first: date, last: date) -> list[Row]:
    """Walk through the listens of each listener, and return the sessions that began from `first` to `last`."""
    sessions: list[list[Row]] = []
    for of_listener in _grouped(listens, "user_id").values():
        ordered = sorted(of_listener, key=lambda r: r["listened_at"])
        full = {day for day, of_day in groupby(ordered, lambda r: r["day"]) if _without_gap(day, list(of_day))}
        session: list[Row] = []
        for listen in ordered:
            if session:
                late = listen["listened_at"] - session[-1]["listened_at"] > PAUSE
                midnight = listen["day"] != session[-1]["day"] and session[-1]["day"] in full
                if late or midnight:
                    sessions.append(session)
                    session = []
            session.append(listen)
        sessions.append(session)
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
        for session in sessions
        if first <= session[0]["day"] <= last
    ]


def daily_listening(listens: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Count the listens of each listener and day, one by one."""
    lengths = {r["recording_id"]: r["length_ms"] for r in recordings}
    rows = []
    for (day, user), of_day in _grouped(listens, "day", "user_id").items():
        timed = [r for r in of_day if r["ms_played"] is not None]
        measured = [(r["ms_played"], lengths[r["recording_id"]]) for r in timed if lengths.get(r["recording_id"])]
        dates = [r["listened_at"].astimezone(ZoneInfo(r["time_zone"] or "UTC")).date() for r in of_day]
        rows.append(
            {
                "day": day,
                "user_id": user,
                "listens": len(of_day),
                "recordings": len({r["recording_id"] for r in of_day}),
                "ms_played": sum(r["ms_played"] for r in timed),
                "with_duration": len(timed),
                "skips": len([r for r in timed if r["ms_played"] < 30_000]),
                "with_track_length": len(measured),
                "completions": len([1 for played, length in measured if Fraction(played, length) >= Fraction(9, 10)]),
                "first_date": min(dates),
                "last_date": max(dates),
            }
        )
    return rows


def app_events(raw: Sequence[Row], recording_matches: Sequence[Row]) -> list[Row]:
    """Return each application event once, with its name in snake case and its recording."""
    ids = {(r["day"], *_submitted(r)): r["recording_id"] for r in recording_matches}
    rows = []
    for (day, *_), records in _grouped(raw, "day", "user_id", "event_id").items():
        row = min(records, key=lambda r: (r["at"], r["import_id"], r["file"], r["record"]))
        names = (row["artist_name"] or "", row["recording_name"] or "", None, None, ())
        recording = row["recording_mbid"] or ids.get((day, *names))
        rows.append(row | {"event": _snake_case(row["event"]), "recording_id": recording})
    return rows


def _snake_case(event: str) -> str:
    """Return the words of a name in small letters, joined by underscores, one character at a time."""
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
    """Count the records with each field, by program."""
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
    """Walk through the events of each player, and count those of each listener and day."""
    lengths = {r["recording_id"]: r["length_ms"] for r in recordings}
    began: dict[Any, list[Row]] = defaultdict(list)
    for (user, _), of_player in _grouped(events, "user_id", lambda r: r["client"] or "").items():
        for play in _plays(of_player):
            began[play["day"], user].append(play)
    rows = []
    for (day, user), of_day in _grouped(events, "day", "user_id").items():
        if first <= day <= last:
            row = {"day": day, "user_id": user, "events": len(of_day)}
            row |= {name: sum(r["event"] == event for r in of_day) for event, name in APP_COUNTS.items()}
            plays = began[day, user]
            ended = [p for p in plays if p["ended"]]
            measured = [(p, length) for p in ended if (length := lengths.get(p["recording"]))]
            row |= {
                "others": sum(r["event"] not in APP_COUNTS for r in of_day),
                "plays_started": len(plays),
                "plays_ended": len(ended),
                "skipped": sum(p["skipped"] for p in ended),
                "with_track_length": len(measured),
                "completed": sum(Fraction(p["reached"], length) >= Fraction(9, 10) for p, length in measured),
            }
            rows.append(row)
    return rows


def _plays(events: Sequence[Row]) -> list[Row]:
    """Return the plays of a player, walking from event to event."""
    turns = ("skip", "pause", "play", "seek")
    rows = [r | {"ms": _milliseconds(r["at"])} for r in events if r["event"] in turns]
    rows.sort(key=lambda r: (r["ms"], turns.index(r["event"]), r["event_id"]))
    plays: list[Row] = []
    playing, place = False, None
    for before, row in zip([None, *rows], rows, strict=False):
        play = plays[-1] if plays else None
        late = play is not None and row["ms"] - play["ms"] > 86_400_000
        open_ = play is not None and not late and not play["skipped"]
        if play and open_ and playing and place is not None and before is not None:
            play["reached"] = max(play["reached"], place + row["ms"] - before["ms"])
        resumes = (
            before is not None
            and before["event"] in ("pause", "seek")
            and _recording(before) == _recording(row)
            and row["ms"] - before["ms"] <= 43_200_000
            and row["position_ms"] != 0
        )
        if row["event"] == "play" and not resumes:
            if play and not late:
                play["ended"] = True
            new = {"day": row["day"], "recording": _recording(row), "ms": row["ms"], "reached": 0}
            plays.append(new | {"ended": False, "skipped": False})
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
    return plays


def _recording(row: Row) -> str:
    return row["recording_id"] or f"{row['artist_name'] or ''}\x1f{row['recording_name'] or ''}"


def _milliseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def active_listeners(activity: Sequence[Row], first: date, last: date) -> list[Row]:
    """Count the listeners of every window, for each day whose month has any."""

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
    """Follow the cohorts of all weeks but the newest from week to week."""
    weeks = {(r["user_id"], begin(r["day"], "weekly")) for r in activity}
    newest = max((week for _, week in weeks), default=None)
    cohorts: dict[date, set[str]] = defaultdict(set)
    for user in {user for user, _ in weeks}:
        cohorts[min(week for who, week in weeks if who == user)].add(user)
    rows = []
    for cohort, users in cohorts.items():
        week = cohort
        while newest and week < newest:
            retained = sum((user, week) in weeks for user in users)
            since = (week - cohort).days // 7
            rows.append({"cohort_week": cohort, "weeks_since": since, "retained": retained, "cohort_size": len(users)})
            week += timedelta(days=7)
    return rows


def streaks(activity: Sequence[Row]) -> list[Row]:
    """Walk through the active dates of each listener."""
    result = []
    for user, rows in _grouped(activity, "user_id").items():
        dates = {day for row in rows for day in _dates(row["first_date"], row["last_date"])}
        streaks: list[list[date]] = []
        for day in sorted(dates):
            if streaks and day - streaks[-1][-1] == timedelta(days=1):
                streaks[-1].append(day)
            else:
                streaks.append([day])
        longest = max(streaks, key=len)
        result.append(
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
    return result


def recording_plays(listens: Sequence[Row]) -> list[Row]:
    """Count plays and time listened of each listener, recording and day."""
    return _counted(listens, "recording_id")


def artist_plays(listens: Sequence[Row]) -> list[Row]:
    """Count plays and time listened of each listener, artist and day. A listen counts once per artist."""
    return _counted([r | {"artist_id": a} for r in listens for a in set(r["artist_ids"])], "artist_id")


def display_names(listens: Sequence[Row]) -> list[Row]:
    """Return the name of each entity and day, of several the last in the alphabet."""
    names: dict[Any, str] = {}
    for row in listens:
        entities = [("recording", row["recording_id"], f"{row['artist_name']} – {row['recording_name']}")]
        if len(row["artist_ids"]) == 1:
            entities.append(("artist", row["artist_ids"][0], row["artist_name"]))
        for entity, entity_id, name in entities:
            key = row["day"], entity, entity_id
            names[key] = max(names.get(key, ""), name)
    return [{"day": d, "entity": e, "entity_id": i, "name": n} for (d, e, i), n in names.items()]


CAP = 3  # plays of a listener and day that count where they are bounded


def chart(
    plays: Sequence[Row],
    artist_plays: Sequence[Row],
    names: Sequence[Row],
    period: str,
    first: date,
    last: date,
    cap: int = CAP,
) -> list[Row]:
    """Return the charts of the periods that begin from `first` to `last`. `cap` limits a listener's plays per day."""
    rows = [r | {"entity": "recording", "entity_id": r["recording_id"]} for r in plays]
    rows += [r | {"entity": "artist", "entity_id": r["artist_id"]} for r in artist_plays]
    places: dict[Any, int] = {}
    charts: list[Row] = []
    for (start, entity), of_period in _grouped(rows, lambda r: begin(r["day"], period), "entity").items():
        entities = _grouped(of_period, "entity_id")
        order = sorted(entities, key=lambda i: (-sum(r["plays"] for r in entities[i]), i))
        for place, key in enumerate(order, start=1):
            places[start, entity, key] = place
            charts.append(
                {
                    "period_start": start,
                    "entity": entity,
                    "entity_id": key,
                    "rank": place,
                    "plays": sum(r["plays"] for r in entities[key]),
                    "ms_played": sum(r["ms_played"] or 0 for r in entities[key]),
                    "listeners": len({r["user_id"] for r in entities[key]}),
                    "plays_capped": sum(min(r["plays"], cap) for r in entities[key]),
                }
            )
    charted = [r for r in charts if first <= r["period_start"] <= last]
    for row in charted:
        before = begin(row["period_start"] - timedelta(days=1), period) if period != "all_time" else None
        same = [n for n in names if n["entity"] == row["entity"] and n["entity_id"] == row["entity_id"]]
        same = [n for n in same if begin(n["day"], period) in (before, row["period_start"])]
        row["previous_rank"] = places.get((before, row["entity"], row["entity_id"]))
        row["name"] = max(same, key=lambda n: (n["day"], n["name"]))["name"] if same else None
    return charted


def begin(day: date, period: str) -> date:
    """Return the first day of the period of a day."""
    return {
        "daily": day,
        "weekly": day - timedelta(days=day.weekday()),
        "monthly": date(day.year, day.month, 1),
        "yearly": date(day.year, 1, 1),
        "all_time": date(2002, 10, 1),
    }[period]


def related(relationships: Sequence[Row], deletions: Sequence[Row], relation: str, names: tuple[str, str]) -> list[Row]:
    """Walk through the records of each pair, and return the periods in which it was related."""
    pairs: dict[Any, list[Any]] = defaultdict(list)
    ends = [
        r | {"ends": True, "happened_at": max(filter(None, (r["happened_at"], deletion["deleted_at"])))}
        for r in relationships
        for deletion in deletions
        if deletion["deleted_id"] == r["submitted_id"] and deletion["user_id"] in (r["user_id"], r["other_id"])
        if r["happened_at"] or deletion["deleted_at"]
    ]
    for r in [*relationships, *ends]:
        if r["relation"] == relation:
            pair = (r["user_id"], r["other_id"])
            pair = tuple(sorted(pair)) if relation == "friendship" else pair  # type: ignore[assignment]
            pairs[pair].append((r["happened_at"] or datetime.min.replace(tzinfo=UTC), r["ends"], r["happened_at"]))
    rows = []
    for (one, other), changes in pairs.items():
        since: list[Any] = []  # the beginnings of the present period, empty before the first
        on, ended = False, False
        for _, ends, at in sorted(changes, key=lambda change: change[:2]):
            if ends and (on or not ended):
                rows.append(
                    {names[0]: one, names[1]: other, "since": min(filter(None, since), default=None), "until": at}
                )
                since, on, ended = [], False, True
            elif not ends:
                since.append(at)
                on = True
        if on:
            rows.append(
                {names[0]: one, names[1]: other, "since": min(filter(None, since), default=None), "until": None}
            )
    return rows


def shares(raw: Sequence[Row], deletions: Sequence[Row]) -> list[Row]:
    """Return the earliest record of each share that is not withdrawn."""
    rows = []
    deleted = {(r["user_id"], r["deleted_id"]) for r in deletions}
    for (_, user, share_id), records in _grouped(raw, "day", "user_id", "share_id").items():
        if not any(r["is_deleted"] for r in records) and (user, share_id) not in deleted:
            rows.append(min(records, key=lambda r: (r["shared_at"], r["entity"], r["entity_id"], *_place(r))))
    return rows


def posts(raw: Sequence[Row], deletions: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Return the latest version of each post that is not deleted, with the recording that it names as playing."""
    rows = []
    deleted = {(r["user_id"], r["deleted_id"]) for r in deletions}
    for (_, user, post_id), versions in _grouped(raw, "day", "user_id", "post_id").items():
        if any(r["is_deleted"] for r in versions) or (user, post_id) in deleted:
            continue
        last = max(versions, key=lambda r: (r["updated_at"], *_place(r)))
        playing: Row = dict.fromkeys(("recording_id", "rule", "confidence"))
        if last["recording_name"] or last["recording_mbid"]:
            names = {n: last[n] or "" for n in ("artist_name", "recording_name")}
            playing = _match(last | names | {"isrc": None, "artist_mbids": []}, recordings)
        rows.append(last | playing)
    return rows


def tag_assignments(raw: Sequence[Row], recordings: Sequence[Row]) -> list[Row]:
    """Return each tag assignment once.

    The artist is the MBID, else the only catalog artist of the name, else an id of the name or the source's number.
    """
    catalog: dict[str, set[str]] = defaultdict(set)
    for r in recordings:
        if len(r["artist_ids"]) == 1:
            catalog[_normal(r["artist_credit"])].add(r["artist_ids"][0])
    rows = []
    for row in raw:
        artists = catalog.get(_normal(row["artist_name"] or ""), set())
        own = str(uuid.uuid5(NAMESPACE, f"artist\x1f{_normal(row['artist_name'] or row['source_ref'])}"))
        artist_id = min(artists) if len(artists) == 1 else own
        if row["source_ref"].startswith("musicbrainz:artist:"):
            artist_id = row["source_ref"].split(":")[2]
        rows.append(row | {"entity": "artist", "entity_id": artist_id, "tag": _normal(row["tag"])})
    return [
        same[0]
        | {
            c: min((r[c] for r in same if r[c] is not None), default=None)
            for c in ("artist_name", "tagged_on", "source")
        }
        for same in _grouped(rows, "user_id", "entity_id", "tag").values()
    ]


def _place(row: Row) -> tuple[Any, ...]:
    return row["import_id"], row["file"], row["record"]


def lyrics_lines(lyrics: Sequence[Row]) -> list[Row]:
    """Return the lines of each text. In synced texts each line has one second."""
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
    """Return the analysis of each file's content, or the reason why there is none."""
    by_content = {a["content_sha256"]: a for a in analyses}
    missed = {"error": "deleted or changed before it could be analyzed; the next run analyzes it"}
    return [f | by_content.get(f["content_sha256"], missed if f["content_sha256"] is not None else {}) for f in files]


def word_counts(lyrics: Sequence[Row]) -> list[Row]:
    """Count the occurrences and the texts of each word and language, in preferred texts."""
    occurrences: Counter[Any] = Counter()
    works: Counter[Any] = Counter()
    for row in lyrics:
        if row["is_preferred"]:
            in_text = [(row["language"], word) for word in words(row["text"] or "", row["language"])]
            occurrences.update(in_text)
            works.update(set(in_text))
    return [{"language": k[0], "word": k[1], "occurrences": n, "works": works[k]} for k, n in occurrences.items()]


UNSPACED = ("CJK UNIFIED", "HIRAGANA LETTER", "KATAKANA", "THAI", "IDEOGRAPHIC ITERATION")  # as Unicode names them


def words(text: str, language: str | None) -> list[str]:
    """Split a text into words, one character at a time: letters and digits, marks after them, apostrophes within them.

    In scripts without spaces, each pair of characters is a word. In French and Italian an apostrophe ends a word.
    """
    text = unicodedata.normalize("NFC", text)
    lines = [x for x in text.split("\n") if not (x[:1] == "[" and x[-1:] == "]" and x.count("]") == 1 and len(x) > 1)]
    text = "\n".join(lines)
    if language in ("tr", "az"):
        text = text.replace("I", "ı").replace("İ", "i")
    text = unicodedata.normalize("NFC", text.casefold().replace("’", "'").replace("ʼ", "'"))
    result: list[str] = []
    word, signs = "", list[str]()

    def end() -> None:
        nonlocal word
        if word:
            result.append(word)
        if signs:
            result.extend([a + b for a, b in pairwise(signs)] or signs)
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
        result = _join_aujourdhui(result)
    return result


def _join_aujourdhui(words: list[str]) -> list[str]:
    """Join the one French word that has an apostrophe within it."""
    text = "\n".join(["", *words, ""]).replace("\naujourd'\nhui\n", "\naujourd'hui\n")
    return text.split("\n")[1:-1]


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in ("L", "N")


def _normal(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _without_gap(day: date, listens: Sequence[Row]) -> bool:
    """Return whether the listens of a day have no gap longer than a pause, counted from midnight."""
    opening = datetime.combine(day, time(0), UTC)
    return all(b - a <= PAUSE for a, b in pairwise([opening, *(r["listened_at"] for r in listens)]))


def _dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _counted(listens: Sequence[Row], of: str) -> list[Row]:
    return [
        {"day": day, "user_id": user, of: key, "plays": len(rows), "ms_played": sum(r["ms_played"] or 0 for r in rows)}
        for (day, user, key), rows in _grouped(listens, "day", "user_id", of).items()
    ]


def _grouped(rows: Sequence[Row], *key: Any) -> dict[Any, list[Row]]:
    """Group rows by columns, or by functions of rows."""
    groups = defaultdict(list)
    for row in rows:
        parts = tuple(k(row) if callable(k) else row[k] for k in key)
        groups[parts if len(parts) > 1 else parts[0]].append(row)
    return groups


def _sortable(row: Row, schema: pa.Schema) -> tuple[Any, list[float]]:
    """Return the values of a row that must be equal, sortable with None first, and its fractions."""
    fractions = [f.name for f in schema if pa.types.is_floating(f.type)]
    exact = [(row[n] is not None, row[n]) for n in schema.names if n not in fractions]
    return tuple((is_set, _plain(value) if is_set else 0) for is_set, value in exact), [row[n] for n in fractions]


def _order(row: tuple[Any, list[float]]) -> Any:
    return row[0], [(x is not None, x or 0.0) for x in row[1]]


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _close(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-9) or (math.isnan(a) and math.isnan(b))
