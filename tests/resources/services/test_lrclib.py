"""The client of LRCLIB against a mock service: found, instrumental, unknown and failed tracks are distinguished."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from resources.errors import TuttiError
from resources.sandbox.http.accounts import Accounts, Record
from resources.sandbox.http.faults import KINDS, Faults
from resources.sandbox.http.server import served
from resources.services.lrclib import LrcLib, Refused
from resources.services.web import Unanswered, Web
from tests.serving import Clock, patience, sandbox


def record(number: int, title: str, **changes: Any) -> Record:
    """Return a record as in https://lrclib.net/docs."""
    names = {"id": number, "name": title, "trackName": title, "artistName": "Ann Lee", "albumName": "Songs"}
    words = {"duration": 233, "instrumental": False, "plainLyrics": "la\nla", "syncedLyrics": None}
    return names | words | changes


SONG = record(1, "A Song")
LIVE = record(2, "A Song", albumName="Live", duration=300.4)
TUNE = record(3, "A Tune", instrumental=True, plainLyrics=None)
HARD = record(4, "Ça & là / 愛?", artistName="Ann & Bob #1")


@dataclass
class World:
    url: str
    faults: Faults
    clock: Clock = field(default_factory=lambda: Clock(time.time()))
    log: list[str] = field(default_factory=list)

    def api(self, attempts: int = 30, **more: Any) -> LrcLib:
        settings: dict[str, Any] = {"now": self.clock.now, "sleep": self.clock.sleep, "log": self.log.append}
        return LrcLib(Web("LRCLIB", self.url, attempts=attempts, timeout=patience(self.faults), **settings, **more))


@pytest.fixture(scope="module")
def serving() -> Iterator[World]:
    faults = Faults(delay=0.8)
    with sandbox(Accounts([]), faults, lyrics=[SONG, LIVE, TUNE, HARD]) as url:
        yield World(url, faults)


@pytest.fixture
def world(serving: World) -> World:
    """The mock service without faults."""
    serving.faults.configure(0, KINDS)
    serving.faults.script.clear()
    return serving


def test_finds_a_track_by_its_names_in_any_case(world: World) -> None:
    assert world.api().get("A Song", "Ann Lee") == SONG
    assert world.api().get(" a song ", "ANN LEE") == SONG
    assert world.api().get("Ça & là / 愛?", "Ann & Bob #1") == HARD


def test_finds_the_track_whose_length_is_within_two_seconds(world: World) -> None:
    api = world.api()
    for seconds, expected in ((231, SONG), (235, SONG), (230.4, None), (235.6, None), (299, LIVE), (302, LIVE)):
        assert api.get("A Song", "Ann Lee", length_ms=int(seconds * 1000)) == expected
    assert api.get("A Song", "Ann Lee", album="Live") == LIVE


def test_instrumental_differs_from_an_unknown_track(world: World) -> None:
    assert world.api().get("A Tune", "Ann Lee") == TUNE
    assert world.api().get("Another Tune", "Ann Lee") is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_turns_lyrics_into_none(world: World, kind: str) -> None:
    world.faults.script = [kind, kind]
    assert world.api().get("A Song", "Ann Lee") == SONG
    world.faults.script = [kind] if kind != "empty" else []  # an unknown track has nothing to leave out
    assert world.api().get("Another", "Ann Lee") is None


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "slow"])
def test_permanent_fault_is_an_error_and_never_an_unknown_track(world: World, kind: str) -> None:
    world.faults.configure(1, [kind])
    with pytest.raises(Unanswered, match="3 times in a row"):
        world.api(attempts=3).get("A Song", "Ann Lee")


@pytest.mark.parametrize("title", ["", " ", "x" * 1001])
def test_invalid_name_is_not_requested(world: World, title: str) -> None:
    for names in ((title, "Ann Lee"), ("A Song", title)):
        with pytest.raises(Refused):
            world.api().get(*names)
    assert world.faults.requests == 0


def test_requests_keep_their_minimum_interval(world: World) -> None:
    world.clock.slept.clear()
    api = world.api(min_interval_s=0.5)
    for _ in range(3):
        api.get("A Song", "Ann Lee")
    assert [round(slept, 1) for slept in world.clock.slept] == [0.5, 0.5]


class Scripted:
    """A service with scripted answers that records its requests."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers, self.asked = list(answers), list[Request]()

    def ask(self, attempts: int = 3) -> Record | None:
        async def answer(request: Request) -> Response:
            self.asked.append(request)
            status, body = self.answers.pop(0)
            return Response(body, status, media_type="application/json")

        clock = Clock()
        with served(Starlette(routes=[Route("/api/get", answer)])) as url:
            web = Web("LRCLIB", url, agent="Ours/1 (ann@example.org)", attempts=attempts, sleep=clock.sleep)
            return LrcLib(web).get("A Song", "Ann Lee", "Songs", 233_400)


GOOD = json.dumps(SONG)
# As in the documentation and in the service's source.
NOT_KNOWN = (
    '{"code":404,"name":"TrackNotFound","message":"Failed to find specified track"}',
    '{"message":"Failed to find specified track","name":"TrackNotFound","statusCode":404}',
)


def test_request_follows_the_documentation_and_has_a_user_agent() -> None:
    service = Scripted((200, GOOD))
    service.ask()
    (request,) = service.asked
    assert dict(request.query_params) == {
        "track_name": "A Song",
        "artist_name": "Ann Lee",
        "album_name": "Songs",
        "duration": "233",
    }
    assert request.headers["User-Agent"] == "Ours/1 (ann@example.org)"


@pytest.mark.parametrize("body", NOT_KNOWN)
def test_both_answers_for_an_unknown_track_are_understood(body: str) -> None:
    assert Scripted((404, body)).ask() is None


@pytest.mark.parametrize(
    "broken",
    [
        "null",
        "{}",
        "[]",
        '"la"',
        GOOD[:40],
        json.dumps(SONG | {"id": "1"}),
        json.dumps(SONG | {"instrumental": None}),
        json.dumps(SONG | {"plainLyrics": 3}),
        json.dumps({k: v for k, v in SONG.items() if k != "trackName"}),
    ],
)
def test_malformed_record_is_requested_again(broken: str) -> None:
    assert Scripted((200, broken), (200, GOOD)).ask() == SONG
    with pytest.raises(Unanswered):
        Scripted(*[(200, broken)] * 3).ask()


@pytest.mark.parametrize("status", [400, 422, 414])
def test_refused_request_is_an_error_of_its_own(status: int) -> None:
    with pytest.raises(Refused, match="missing field"):
        Scripted((status, '{"message":"missing field `track_name`"}')).ask()


@pytest.mark.parametrize(
    ("status", "body"), [(404, "{}"), (404, '{"detail":"Not Found"}'), (404, "null"), (403, "{}"), (301, "{}")]
)
def test_wrong_address_names_the_variable(status: int, body: str) -> None:
    with pytest.raises(TuttiError, match="TUTTI_LRCLIB_URL") as error:
        Scripted((status, body)).ask()
    assert "\n" not in str(error.value) and not isinstance(error.value, Refused)


def test_mock_service_refuses_what_the_service_refuses(world: World) -> None:
    import requests

    for query in ({"track_name": "A"}, {"artist_name": "A"}, {"track_name": "A", "artist_name": "B", "duration": "x"}):
        assert requests.get(f"{world.url}/api/get", query, timeout=10).status_code == 400
    missing = requests.get(f"{world.url}/api/get", {"track_name": "x", "artist_name": "y"}, timeout=10)
    assert (missing.status_code, missing.json()["name"]) == (404, "TrackNotFound")
