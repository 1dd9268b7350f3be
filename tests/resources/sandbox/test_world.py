"""World: the sandbox's files, their formats, arrival times and data errors."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from resources.sandbox import world
from resources.sandbox.truth import truth
from resources.sandbox.world import Summary, write
from resources.sources.text.post_text import now_playing, plain

pytestmark = pytest.mark.slow  # writes a world

MONDAY = date(2025, 2, 24)
START = int(datetime(2025, 2, 24, tzinfo=UTC).timestamp())
DAY = 86_400


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landing")


@pytest.fixture(scope="module")
def summary(landing: Path) -> Summary:
    return write(landing, first_day=MONDAY)


@pytest.fixture(scope="module")
def lines(landing: Path, summary: Summary) -> list[tuple[int, str]]:
    """Return every delivered line with the start of its day of arrival, in seconds since 1970."""
    files = sorted((landing / "listens").glob("*.listens"))
    return [
        (START + n * DAY, line) for n, file in enumerate(files) for line in file.read_text("utf-8").split("\n")[:-1]
    ]


@pytest.fixture(scope="module")
def clean(lines: list[tuple[int, str]]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Return each valid line once, with the day of its first arrival and its listen."""
    valid: dict[str, tuple[int, dict[str, Any]]] = {}
    for arrived, line in lines:
        listen = well_formed(line)
        if listen and 1e9 < listen["timestamp"] < 3e9:
            valid.setdefault(line, (arrived, listen))
    return valid


def well_formed(line: str) -> dict[str, Any] | None:
    try:
        listen: dict[str, Any] = json.loads(line)
        named = isinstance(listen["track_metadata"]["track_name"], str)
        return listen if named and isinstance(listen["timestamp"], int) else None
    except (ValueError, KeyError, TypeError):
        return None


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write(tmp_path / name, first_day=MONDAY, days=3, seed=seed, listeners=40)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    other = contents(tmp_path / "c")
    assert all(other[name] != data for name, data in contents(tmp_path / "a").items())


def test_every_day_has_its_file_and_no_temporary_file_remains(landing: Path, summary: Summary) -> None:
    names = sorted(path.name for path in (landing / "listens").iterdir())
    assert names == [f"sandbox-{MONDAY + timedelta(days=n)}.listens" for n in range(14)]
    assert {str(path.relative_to(landing)) for path in summary.files} == set(contents(landing))


def test_a_day_without_events_has_no_file_from_another_world(tmp_path: Path) -> None:
    """Regression: an empty file was quarantined, and an old file would be imported as this world's."""
    write(tmp_path, first_day=MONDAY, days=1, listeners=60)
    assert list(tmp_path.glob("app_events/*")) and list(tmp_path.glob("social/*"))
    write(tmp_path, first_day=MONDAY, days=1, listeners=1)
    quiet = [kind for kind in ("app_events", "social") if not list(tmp_path.glob(f"{kind}/*"))]
    assert quiet
    assert all(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file())


def test_a_failed_write_leaves_the_file_unchanged(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "half"
        raise OSError("disk full")

    path = world._publish(tmp_path / "file", ["whole"])
    with pytest.raises(OSError, match="disk full"):
        world._publish(path, broken())
    assert path.read_text() == "whole\n"


def test_every_listen_is_delivered_and_starts_in_the_window(
    summary: Summary, clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    assert len(clean) == summary.listens
    assert all(START <= listen["timestamp"] < START + 14 * DAY for _, listen in clean.values())


def test_no_line_is_lost_and_errors_have_their_rates(
    summary: Summary, lines: list[tuple[int, str]], clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    seen = Counter(line for _, line in lines)
    errors = {line: n for line, n in seen.items() if line not in clean}
    malformed = sum(n for line, n in errors.items() if well_formed(line) is None)
    impossible = sum(n for line, n in errors.items() if well_formed(line) is not None)
    again = sum(seen[line] - 1 for line in clean)
    assert (again, malformed, impossible) == (summary.duplicates, summary.malformed, summary.impossible)
    assert 0.008 < again / summary.listens < 0.012
    assert 0.002 < malformed / summary.listens < 0.004
    assert 0.0005 < impossible / summary.listens < 0.0016


def test_lines_are_malformed_and_misdated_in_several_ways(
    lines: list[tuple[int, str]], clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    kinds: Counter[str] = Counter()
    for _, line in lines:
        if line in clean:
            continue
        try:
            listen = json.loads(line)
        except ValueError:
            kinds["cut"] += 1
            continue
        if not isinstance(listen["timestamp"], int):
            kinds["type of time"] += 1
        elif isinstance(listen["track_metadata"], list):
            kinds["type of metadata"] += 1
        elif "track_name" not in listen["track_metadata"]:
            kinds["no name"] += 1
        else:
            kinds[str(datetime.fromtimestamp(listen["timestamp"], UTC).year)] += 1
    assert set(kinds) == {"cut", "type of time", "type of metadata", "no name", "1970", "1956", "2099"}


def test_late_listens_arrive_days_later_and_others_at_their_end(
    summary: Summary, clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    delay = [arrived - (listen["timestamp"] // DAY) * DAY for arrived, listen in clean.values()]
    assert set(delay) <= {n * DAY for n in range(7)}  # five days after an end past midnight
    late = sum(wait >= 2 * DAY for wait in delay)
    assert 0.004 < late / summary.listens < 0.012
    assert sum(wait == 0 for wait in delay) / summary.listens > 0.97


def test_some_duplicates_arrive_on_a_later_day(lines: list[tuple[int, str]]) -> None:
    arrivals: dict[str, set[int]] = {}
    for arrived, line in lines:
        arrivals.setdefault(line, set()).add(arrived)
    assert sum(len(days) > 1 for days in arrivals.values()) > 100


def test_listens_have_the_format_of_the_public_dump(
    landing: Path, clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    known = {r["id"]: r for r in records(landing / "recordings" / "sandbox.jsonl")}
    mapped = 0
    for _, listen in clean.values():
        assert set(listen) == {"user_id", "user_name", "timestamp", "track_metadata", "recording_msid"}
        assert type(listen["user_id"]) is int and uuid.UUID(listen["recording_msid"])
        track = listen["track_metadata"]
        assert set(track) == {"artist_name", "track_name", "release_name", "additional_info"}
        info = track["additional_info"]
        assert 0 < info["duration_played"] * 1000 <= info["duration_ms"] and ZoneInfo(info["time_zone"])
        names_only = {"duration_ms", "duration_played", "submission_client", "time_zone"}
        if set(info) == names_only:
            continue
        mapped += 1
        assert set(info) == names_only | {"recording_mbid", "artist_mbids"}
        recording = known[info["recording_mbid"]]
        credit = recording["artist-credit"]
        assert track["track_name"] == recording["title"]
        assert track["artist_name"] == "".join(c["name"] + c["joinphrase"] for c in credit)
        assert info["artist_mbids"] == [c["artist"]["id"] for c in credit]
    assert 0.88 < mapped / len(clean) < 0.92


@pytest.fixture(scope="module")
def app_events(landing: Path, summary: Summary) -> list[dict[str, Any]]:
    """Return app events in order of arrival."""
    return [event for file in sorted((landing / "app_events").iterdir()) for event in records(file)]


def test_app_events_match_the_listens(
    app_events: list[dict[str, Any]], summary: Summary, clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    assert len(app_events) == summary.app_events
    assert len({event["event_id"] for event in app_events}) == summary.app_events - summary.app_events_again
    users = {event["user_id"] for event in app_events}
    assert len(users) == 24
    listened = {
        (listen["user_name"], listen["timestamp"]) for _, listen in clean.values() if listen["user_name"] in users
    }
    started = {
        (e["user_id"], when(e)) for e in app_events if e["event"] == "play" and int(e["properties"]["position_ms"]) == 0
    }
    assert started == listened
    assert {e["event"] for e in app_events} == {
        *("play", "pause", "seek", "skip", "like", "dislike", "search", "add_to_playlist", "page_view")
    }


def when(event: dict[str, Any]) -> float:
    """Return the time of an event in seconds, for either version of the player."""
    at = event["timestamp"]
    return at / 1000 if event["schema_version"] == 2 else datetime.fromisoformat(at).timestamp()


def test_the_second_version_has_other_formats_for_times_and_positions(app_events: list[dict[str, Any]]) -> None:
    kinds = {
        (
            e["schema_version"],
            type(e["timestamp"]),
            type(e["properties"].get("position_ms", 0)),
            "network" in e["context"],
        )
        for e in app_events
        if "position_ms" in e["properties"]
    }
    assert kinds == {(1, str, int, False), (2, int, str, True)}
    newer = [when(e) for e in app_events if e["schema_version"] == 2]
    assert START + 7 * DAY <= min(newer) < START + 8 * DAY


def test_recordings_have_musicbrainz_format_and_say_what_is_invented(landing: Path, summary: Summary) -> None:
    recordings = records(landing / "recordings" / "sandbox.jsonl")
    assert len(recordings) == summary.recordings and summary.works >= 1_000
    for recording in recordings:
        (release,) = recording["releases"]
        entities = [recording, release, *(credit["artist"] for credit in recording["artist-credit"])]
        assert {uuid.UUID(entity["id"]).version for entity in entities} == {5}
        assert {entity["disambiguation"] for entity in entities} == {"invented for a sandbox"}
        assert "music21" in recording["provenance"] and "invented" in recording["provenance"]
        assert recording["isrcs"] == [] and recording["length"] > 0
        assert re.fullmatch(r"\d{4}(-\d\d){0,2}", recording["first-release-date"])
        assert recording["artist-credit"][-1]["joinphrase"] == ""
    assert {len(recording["artist-credit"]) for recording in recordings} == {1, 2}
    forms = Counter(genre["name"] for recording in recordings for genre in recording["genres"])
    assert forms["reel"] > 500 and forms["jig"] > 300


def test_open_lyrics_have_lrclib_format_and_their_recording_id(landing: Path, summary: Summary) -> None:
    lyrics = records(landing / "lyrics" / "sandbox.jsonl")
    known = {r["id"]: r for r in records(landing / "recordings" / "sandbox.jsonl")}
    assert len(lyrics) == summary.lyrics >= 4
    for record in lyrics:
        recording = known[record["recording_mbid"]]
        assert record["trackName"] == recording["title"] and record["duration"] == recording["length"] / 1000
        assert len(record["plainLyrics"].split()) > 30
        assert record["instrumental"] is False and record["syncedLyrics"] is None


def test_social_activities_match_the_listens_and_their_times(
    landing: Path, summary: Summary, clean: dict[str, tuple[int, dict[str, Any]]]
) -> None:
    played: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for _, listen in clean.values():
        track, began = listen["track_metadata"], listen["timestamp"]
        key = listen["user_name"], f"{track['artist_name']} – {track['track_name']}"
        played.setdefault(key, []).append((began, began + track["additional_info"]["duration_played"] + 1))
    friends: set[tuple[str, str]] = set()
    posts: set[str] = set()
    for n in range(14):
        activities = records(landing / "social" / f"sandbox-{MONDAY + timedelta(days=n)}.jsonl")
        times = [int(datetime.fromisoformat(activity["published"]).timestamp()) for activity in activities]
        assert all(START + n * DAY - 60 <= at < START + (n + 1) * DAY for at in times)  # duplicates come a minute later
        for activity, at in zip(activities, times, strict=True):
            target = activity["object"]
            if activity["type"] == "Create" and target["type"] == "Relationship":
                friends.add((target["subject"]["name"], target["object"]["name"]))
            elif activity["type"] == "Create":
                words, _ = plain(target["content"])
                playing = " – ".join(now_playing(words) or ())
                assert any(a <= at <= b for a, b in played[activity["actor"]["name"], playing])
                posts.add(target["id"])
    assert friends <= truth().friends
    assert {frozenset(pair) for pair in friends} == {frozenset(pair) for pair in truth().friends}
    assert len(posts) == summary.posts > 100


def test_no_file_contains_ground_truth(landing: Path, clean: dict[str, tuple[int, dict[str, Any]]]) -> None:
    hidden = truth()
    users = {listen["user_name"]: listen["user_id"] for _, listen in clean.values()}
    assert hidden.bots < set(users)
    everything = b"".join(contents(landing).values()).decode()
    assert not re.search(r"\bbots?\b|taste|ground.truth|is_bot", everything, re.IGNORECASE)
    # Neither names nor ids identify bots: other listeners have each word of a bot's name too.
    words = Counter(word for name in users for word in name.split("_")[:2])
    assert all(words[word] > 1 for name in hidden.bots for word in name.split("_")[:2])
    ranks = sorted(users.values())
    assert 0.1 < sum(ranks.index(users[name]) for name in hidden.bots) / len(hidden.bots) / len(ranks) < 0.9


def test_the_truth_has_bots_tastes_friends_tempo_and_key() -> None:
    secret = truth(seed=7, listeners=100)
    assert len(secret.bots) == 3 and len(secret.taste_group) == 97 and not secret.bots & secret.taste_group.keys()
    assert len(set(secret.taste_group.values())) == 8
    assert secret.friends and all((b, a) in secret.friends and a != b for a, b in secret.friends)
    assert sum(tempo is not None for tempo in secret.tempo.values()) > 1_000
    assert sum(key is not None for key in secret.key.values()) > 4_000


def test_an_empty_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 days"):
        write(tmp_path, first_day=MONDAY, days=0)


def test_releases_since_known_until_are_not_landed(tmp_path: Path) -> None:
    """Also the landed artists and releases are exactly those that the recordings refer to."""
    written = write(tmp_path, first_day=MONDAY, days=1, listeners=5, known_until="2024")
    landed = {kind: records(tmp_path / kind / "sandbox.jsonl") for kind in ("recordings", "artists", "releases")}
    issued = {release["id"]: release["date"] for release in landed["releases"]}
    assert 0 < written.recordings - len(landed["recordings"]) < 200
    assert max(issued.values()) < "2024"
    assert {release["id"] for r in landed["recordings"] for release in r["releases"]} == issued.keys()
    named = {credit["artist"]["id"] for r in landed["recordings"] for credit in r["artist-credit"]}
    assert {artist["id"] for artist in landed["artists"]} == named
