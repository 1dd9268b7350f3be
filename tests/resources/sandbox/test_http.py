"""Mock services: responses in the format of the real ones, and injected faults."""

from collections.abc import Iterator
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from starlette.testclient import TestClient

from resources.sandbox import world
from resources.sandbox.http import server
from resources.sandbox.http.accounts import Account, AccountListen, Accounts, of_world
from resources.sandbox.http.faults import KINDS, Faults
from resources.sandbox.world import World
from tests.serving import Clock, sandbox

FIRST, DAYS = date(2025, 2, 28), 3
KEY = {"api_key": "k", "format": "json"}


@pytest.fixture(scope="module")
def simulated() -> World:
    return world.simulated(first_day=FIRST, days=DAYS, listeners=40)


@pytest.fixture(scope="module")
def accounts(simulated: World) -> Accounts:
    return of_world(simulated)


@pytest.fixture(scope="module")
def url(accounts: Accounts) -> Iterator[str]:
    with sandbox(accounts) as url:
        yield url


def listenbrainz(url: str, user: str, resource: str = "listens", **query: Any) -> Any:
    answer = requests.get(f"{url}/1/user/{user}/{resource}", query, timeout=10)
    return answer.json()["payload"] if answer.status_code == 200 else (answer.status_code, answer.json())


def test_accounts_have_each_listen_of_the_world_once(simulated: World, accounts: Accounts) -> None:
    listens = [(name, h.listened_at) for name in accounts.names() for h in accounts.find(name).listens]  # type: ignore[union-attr]
    names = [simulated.people.user_name[n] for n in simulated.listens.listener.tolist()]
    assert sorted(listens) == sorted(zip(names, simulated.listens.listened_at.tolist(), strict=True))
    busiest = accounts.find(accounts.names()[0])
    assert busiest and [h.listened_at for h in busiest.listens] == sorted(
        (h.listened_at for h in busiest.listens), reverse=True
    )
    assert all(h.inserted_at > h.listened_at for h in busiest.listens)
    without_mbid = [h.recording_mbid is None for name in accounts.names() for h in accounts.find(name).listens]  # type: ignore[union-attr]
    assert 0.05 < sum(without_mbid) / len(without_mbid) < 0.2
    assert any(accounts.find(name).opinions for name in accounts.names())  # type: ignore[union-attr]


def test_listenbrainz_returns_the_newest_and_pages_by_exclusive_bounds(url: str, accounts: Accounts) -> None:
    user = accounts.names()[0]
    times = [h.listened_at for h in accounts.find(user).listens]  # type: ignore[union-attr]
    newest = listenbrainz(url, user)
    assert [x["listened_at"] for x in newest["listens"]] == times[:25]
    assert (newest["count"], newest["user_id"]) == (25, user)
    assert (newest["latest_listen_ts"], newest["oldest_listen_ts"]) == (times[0], times[-1])
    before = listenbrainz(url, user, max_ts=times[3], count=5)["listens"]
    assert [x["listened_at"] for x in before] == [t for t in times if t < times[3]][:5]
    after = listenbrainz(url, user, min_ts=times[-4], count=5)["listens"]
    assert [x["listened_at"] for x in after] == [t for t in times if t > times[-4]][-5:]
    assert len(listenbrainz(url, user, count=5_000)["listens"]) == min(1000, len(times))
    assert listenbrainz(url, user, "listen-count") == {"count": len(times)}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"max_ts": 1, "min_ts": 1}, "You may only specify max_ts or min_ts, not both."),
        ({"max_ts": "yesterday"}, "Invalid max_ts argument: yesterday"),
        ({"count": -1}, "'count' should be a non-negative integer"),
    ],
)
def test_listenbrainz_returns_its_error_messages(url: str, accounts: Accounts, query: Any, error: str) -> None:
    assert listenbrainz(url, accounts.names()[0], **query) == (400, {"code": 400, "error": error})


def test_listenbrainz_does_not_find_unknown_users(url: str) -> None:
    assert listenbrainz(url, "nobody") == (404, {"code": 404, "error": "Cannot find user: nobody"})


def test_listenbrainz_limits_requests_and_reports_it_in_headers(accounts: Accounts) -> None:
    with sandbox(accounts, requests=2) as url:
        answers = [requests.get(f"{url}/1/user/nobody/listens", timeout=10) for _ in range(3)]
    assert [a.status_code for a in answers] == [404, 404, 429]
    assert [a.headers["X-RateLimit-Remaining"] for a in answers] == ["1", "0", "0"]
    assert all(0 < int(a.headers["X-RateLimit-Reset-In"]) <= 10 for a in answers)
    assert answers[2].json()["code"] == 429


def test_the_rate_limit_ends_with_its_window() -> None:
    from resources.sandbox.http.limit import Limited

    async def fine(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    clock = Clock()
    client = TestClient(Limited(fine, requests=1, seconds=10, now=clock.now))
    assert [client.get("/").status_code for _ in range(2)] == [204, 429]
    clock.sleep(10)
    assert client.get("/").status_code == 204


def lastfm(url: str, **query: Any) -> Any:
    answer = requests.get(f"{url}/2.0/", KEY | query, timeout=10)
    return answer.status_code, answer.json()


def test_lastfm_has_numbers_as_text_and_pages_from_the_newest(url: str, accounts: Accounts) -> None:
    user = accounts.names()[0]
    times = [h.listened_at for h in accounts.find(user).listens]  # type: ignore[union-attr]
    query = {"method": "user.getRecentTracks", "user": user, "limit": 10, "page": 2, "from": times[-1], "to": times[0]}
    status, body = lastfm(url, **query)
    inside = [t for t in times if times[-1] <= t < times[0]]
    assert status == 200
    assert [t["date"]["uts"] for t in body["recenttracks"]["track"]] == [str(t) for t in inside[10:20]]
    assert body["recenttracks"]["@attr"] == {
        "user": user,
        "page": "2",
        "perPage": "10",
        "totalPages": str(-(-len(inside) // 10)),
        "total": str(len(inside)),
    }


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ({"user": "nobody"}, 404, 6),
        ({"api_key": ""}, 403, 10),
        ({"api_key": "suspended"}, 403, 26),
        ({"user": "closed"}, 403, 17),
        ({"method": "user.getEverything"}, 400, 6),
        ({"page": "one"}, 400, 6),
    ],
)
def test_lastfm_returns_error_codes(query: dict[str, str], status: int, error: int) -> None:
    with sandbox(Accounts([Account("ann", [AccountListen(1, "A", "B")]), Account("closed", private=True)])) as url:
        actual, body = lastfm(url, **({"method": "user.getRecentTracks", "user": "ann"} | query))
    assert (actual, body["error"]) == (status, error)
    assert body["message"]


@pytest.fixture
def faulty() -> Iterator[tuple[str, Faults]]:
    faults = Faults(delay=0.5, retry_after=9)
    account = Account("ann", [AccountListen(n, "Ann", "Song") for n in range(9, 0, -1)])
    with sandbox(Accounts([account]), faults) as url:
        yield f"{url}/1/user/ann/listens", faults


def test_a_busy_service_sends_retry_after_in_every_form(faulty: tuple[str, Faults]) -> None:
    url, faults = faulty
    faults.configure(1, ["busy"], seed=3)
    answers = [requests.get(url, timeout=10) for _ in range(12)]
    assert {a.status_code for a in answers} == {429}
    headers = {a.headers.get("Retry-After") for a in answers}
    assert {"9", None} < headers
    assert [parsedate_to_datetime(t) for t in headers if t and not t.isdecimal()]


def test_responses_can_be_cut_broken_delayed_or_empty(faulty: tuple[str, Faults]) -> None:
    url, faults = faulty
    for kind in ("cut", "cut_chunked"):
        faults.script = [kind]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            requests.get(url, timeout=10)
    faults.script = ["broken"]
    broken = requests.get(url, timeout=10)
    assert broken.status_code == 200 and len(broken.content) == int(broken.headers["Content-Length"])
    with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated|delimiter"):
        broken.json()
    faults.script = ["slow", "empty", "unavailable"]
    with pytest.raises(requests.Timeout):
        requests.get(url, timeout=0.1)
    empty = requests.get(url, timeout=10).json()["payload"]
    assert (empty["count"], empty["listens"], empty["latest_listen_ts"]) == (0, [], 9)
    assert requests.get(url, timeout=10).status_code == 503
    assert requests.get(url, timeout=10).json()["payload"]["count"] == 9
    assert sum(faults.happened.values()) == 6


def test_the_same_seed_gives_the_same_faults() -> None:
    one, two, other = (Faults(0.5, seed=seed) for seed in (4, 4, 5))
    drawn = [[faults.draw() for _ in range(200)] for faults in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(drawn[0]) == {None, *KINDS}
    assert 70 < drawn[0].count(None) < 130


def test_faults_can_be_configured_on_a_running_server() -> None:
    client = TestClient(server.application(Accounts([Account("ann", [AccountListen(1, "A", "B")])]), Faults()))
    assert client.get("/1/user/ann/listens").status_code == 200
    settings = client.put("/sandbox/faults", json={"rate": 1, "kinds": ["unavailable"], "seed": 2}).json()
    assert (settings["rate"], settings["kinds"], settings["requests"]) == (1, ["unavailable"], 0)
    assert client.get("/1/user/ann/listens").status_code == 503
    assert client.get("/2.0/").status_code == 503
    assert client.get("/sandbox/faults").json()["happened"] == {"unavailable": 2}
    for invalid in ({"rate": 2}, {"rate": 1, "kinds": ["moods"]}, {}, [], {"rate": "x"}):
        assert client.put("/sandbox/faults", json=invalid).status_code == 400
    assert client.put("/sandbox/faults", json={"rate": 0}).status_code == 200
    assert client.get("/1/user/ann/listens").status_code == 200


def test_unknown_paths_are_not_found(url: str) -> None:
    assert requests.get(f"{url}/3/user", timeout=10).status_code == 404
