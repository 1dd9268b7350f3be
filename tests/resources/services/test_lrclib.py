"""LRCLIB's API, asked of the sandbox's face: found, instrumental, not known and failed are told apart."""

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


def record(id: int, title: str, **changes: Any) -> Record:
    """A record as https://lrclib.net/docs shows one."""
    names = {"id": id, "name": title, "trackName": title, "artistName": "Ann Lee", "albumName": "Songs"}
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
    told: list[str] = field(default_factory=list)

    def api(self, attempts: int = 30, **more: Any) -> LrcLib:
        settings: dict[str, Any] = {"now": self.clock.now, "sleep": self.clock.sleep, "log": self.told.append}
        return LrcLib(Web("LRCLIB", self.url, attempts=attempts, timeout=patience(self.faults), **settings, **more))


@pytest.fixture(scope="module")
def whole() -> Iterator[World]:
    faults = Faults(delay=0.8)
    with sandbox(Accounts([]), faults, lyrics=[SONG, LIVE, TUNE, HARD]) as url:
        yield World(url, faults)


@pytest.fixture
def world(whole: World) -> World:
    """With nothing wrong."""
    whole.faults.tell(0, KINDS)
    whole.faults.script.clear()
    return whole


def test_a_track_is_found_by_its_names_however_they_are_written(world: World) -> None:
    assert world.api().get("A Song", "Ann Lee") == SONG
    assert world.api().get(" a song ", "ANN LEE") == SONG
    assert world.api().get("Ça & là / 愛?", "Ann & Bob #1") == HARD


def test_of_two_of_the_same_name_the_one_as_long_within_two_seconds_is_found(world: World) -> None:
    api = world.api()
    for seconds, wanted in ((231, SONG), (235, SONG), (230.4, None), (235.6, None), (299, LIVE), (302, LIVE)):
        assert api.get("A Song", "Ann Lee", length_ms=int(seconds * 1000)) == wanted
    assert api.get("A Song", "Ann Lee", album="Live") == LIVE


def test_an_instrumental_and_a_track_that_is_not_known_are_two_things(world: World) -> None:
    assert world.api().get("A Tune", "Ann Lee") == TUNE
    assert world.api().get("Another Tune", "Ann Lee") is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_turns_words_into_none(world: World, kind: str) -> None:
    world.faults.script = [kind, kind]
    assert world.api().get("A Song", "Ann Lee") == SONG
    world.faults.script = [kind] if kind != "empty" else []  # of what is not known there is nothing to leave out
    assert world.api().get("Another", "Ann Lee") is None


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "slow"])
def test_a_fault_without_end_is_an_error_and_never_a_track_that_is_not_known(world: World, kind: str) -> None:
    world.faults.tell(1, [kind])
    with pytest.raises(Unanswered, match="3 times in a row"):
        world.api(attempts=3).get("A Song", "Ann Lee")


@pytest.mark.parametrize("title", ["", " ", "x" * 1001])
def test_what_is_no_name_is_not_asked_for(world: World, title: str) -> None:
    for names in ((title, "Ann Lee"), ("A Song", title)):
        with pytest.raises(Refused):
            world.api().get(*names)
    assert world.faults.requests == 0


def test_requests_keep_their_pace(world: World) -> None:
    world.clock.slept.clear()
    api = world.api(pace=0.5)
    for _ in range(3):
        api.get("A Song", "Ann Lee")
    assert [round(slept, 1) for slept in world.clock.slept] == [0.5, 0.5]


class Told:
    """A service that answers as it is told, and keeps what it was asked."""

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
# Recorded as the documentation and the service's source have them.
NOT_KNOWN = (
    '{"code":404,"name":"TrackNotFound","message":"Failed to find specified track"}',
    '{"message":"Failed to find specified track","name":"TrackNotFound","statusCode":404}',
)


def test_it_is_asked_as_its_documentation_says_and_told_who_asks() -> None:
    told = Told((200, GOOD))
    told.ask()
    (request,) = told.asked
    assert dict(request.query_params) == {
        "track_name": "A Song",
        "artist_name": "Ann Lee",
        "album_name": "Songs",
        "duration": "233",
    }
    assert request.headers["User-Agent"] == "Ours/1 (ann@example.org)"


@pytest.mark.parametrize("body", NOT_KNOWN)
def test_both_ways_of_saying_that_a_track_is_not_known_are_understood(body: str) -> None:
    assert Told((404, body)).ask() is None


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
def test_an_answer_that_is_no_record_is_asked_for_again_and_never_believed(broken: str) -> None:
    assert Told((200, broken), (200, GOOD)).ask() == SONG
    with pytest.raises(Unanswered):
        Told(*[(200, broken)] * 3).ask()


@pytest.mark.parametrize("status", [400, 422, 414])
def test_a_question_that_it_does_not_take_is_told_apart(status: int) -> None:
    with pytest.raises(Refused, match="missing field"):
        Told((status, '{"message":"missing field `track_name`"}')).ask()


@pytest.mark.parametrize(
    ("status", "body"), [(404, "{}"), (404, '{"detail":"Not Found"}'), (404, "null"), (403, "{}"), (301, "{}")]
)
def test_an_address_at_which_no_lrclib_is_names_the_variable(status: int, body: str) -> None:
    with pytest.raises(TuttiError, match="check TUTTI_LRCLIB_URL") as error:
        Told((status, body)).ask()
    assert "\n" not in str(error.value) and not isinstance(error.value, Refused)


def test_the_face_refuses_what_the_service_refuses(world: World) -> None:
    import requests

    for query in ({"track_name": "A"}, {"artist_name": "A"}, {"track_name": "A", "artist_name": "B", "duration": "x"}):
        assert requests.get(f"{world.url}/api/get", query, timeout=10).status_code == 400
    missing = requests.get(f"{world.url}/api/get", {"track_name": "x", "artist_name": "y"}, timeout=10)
    assert (missing.status_code, missing.json()["name"]) == (404, "TrackNotFound")
