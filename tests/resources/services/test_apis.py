"""Clients of ListenBrainz and Last.fm against mock services: every listen once, whatever fails."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from resources.errors import TuttiError
from resources.sandbox.http.accounts import HATED, LOVED, Account, AccountListen, Accounts, Opinion
from resources.sandbox.http.faults import KINDS, Faults
from resources.sandbox.http.server import served as served_at
from resources.services.api import Api
from resources.services.lastfm import LastFm
from resources.services.listenbrainz import ListenBrainz
from resources.services.web import Unanswered, Web
from tests.serving import Clock, patience, sandbox

SINCE, UNTIL = 1_740_787_200, 1_740_873_600  # a day
PAGE_SIZE = 4  # records
SERVICES = ("listenbrainz", "lastfm")


@dataclass
class World:
    """The mock services with one account, and their clients."""

    url: str
    account: Account
    faults: Faults
    clock: Clock = field(default_factory=lambda: Clock(time.time()))  # the server uses the real time
    log: list[str] = field(default_factory=list)

    def api(self, name: str, attempts: int = 30, key: str = "key", page_size: int = PAGE_SIZE) -> Api:
        settings: dict[str, Any] = {"now": self.clock.now, "sleep": self.clock.sleep, "log": self.log.append}
        settings |= {"attempts": attempts, "timeout": patience(self.faults)}
        if name == "listenbrainz":
            return ListenBrainz(Web("ListenBrainz", self.url, **settings), page_size)
        return LastFm(Web("Last.fm", f"{self.url}/2.0/", secrets=[key], **settings), key, page_size)


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    account, faults = Account("Ann Lee"), Faults(delay=0.8)
    with sandbox(Accounts([account]), faults) as url:
        yield World(url, account, faults)


@pytest.fixture
def world(served: World) -> World:
    """The mock services without listens and without faults."""
    return calm(served)


def calm(world: World) -> World:
    world.account.listens, world.account.opinions = [], []
    world.account.private, world.account.playing = False, None
    world.faults.configure(0, KINDS)
    world.faults.script.clear()
    world.log.clear()
    return world


def heard(times: Iterable[int]) -> list[AccountListen]:
    """Return listens at these times, newest first, each of a different song."""
    return [AccountListen(at, "Ann", f"Song {n}", msid=str(n)) for n, at in enumerate(sorted(times, reverse=True))]


def titles(name: str, records: Iterable[Any]) -> Counter[str]:
    return Counter(r["track_metadata"]["track_name"] if name == "listenbrainz" else r["name"] for r in records)


def pulled(name: str, api: Api, since: int = SINCE, until: int = UNTIL, user: str = "Ann Lee") -> Counter[str]:
    return titles(name, (record for page in api.listens(user, since, until) for record in page.records))


def expected(listens: Iterable[AccountListen], since: int = SINCE, until: int = UNTIL) -> Counter[str]:
    return Counter(listen.title for listen in listens if since <= listen.listened_at < until)


@pytest.mark.parametrize("name", SERVICES)
@given(
    counts=st.lists(st.integers(0, PAGE_SIZE - 1), min_size=1, max_size=12),
    since=st.integers(0, 6),
    days=st.integers(0, 8),
)
def test_every_listen_is_returned_once_wherever_pages_end(
    served: World, name: str, counts: list[int], since: int, days: int
) -> None:
    """`counts` are the numbers of listens in each second, fewer than a page, so that all can be requested."""
    world = calm(served)
    world.account.listens = heard(SINCE + second for second, count in enumerate(counts) for _ in range(count))
    bounds = SINCE + since, SINCE + since + days
    assert pulled(name, world.api(name), *bounds) == expected(world.account.listens, *bounds)
    assert world.log == []


@pytest.mark.parametrize("name", SERVICES)
@given(counts=st.lists(st.integers(0, PAGE_SIZE - 1), min_size=1, max_size=8), data=st.data())
def test_paging_resumes_from_any_page(served: World, name: str, counts: list[int], data: st.DataObject) -> None:
    world = calm(served)
    world.account.listens = heard(SINCE + second for second, count in enumerate(counts) for _ in range(count))
    api = world.api(name)
    pages = list(api.listens("Ann Lee", SINCE, UNTIL))
    assert pages[-1].cursor is None
    stop = data.draw(st.integers(0, len(pages) - 1))
    if pages[stop].cursor is not None:
        rest = list(api.listens("Ann Lee", SINCE, UNTIL, pages[stop].cursor))
        assert rest == pages[stop + 1 :]


def test_second_that_fills_a_page_is_logged_and_loses_no_other(world: World) -> None:
    """ListenBrainz returns at most one page of listens for a second."""
    world.account.listens = heard([SINCE + 5] * 2 + [SINCE + 4] * 7 + [SINCE + 3] * 2)
    counts = pulled("listenbrainz", world.api("listenbrainz", page_size=3))
    assert len(counts) == 2 + 3 + 2 and max(counts.values()) == 1
    assert len(world.log) == 1
    assert f"in the second {SINCE + 4}" in world.log[0] and "Ann Lee" in world.log[0]


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_loses_or_duplicates_a_listen(world: World, name: str, kind: str) -> None:
    world.account.listens = heard(SINCE + 60 * n // 2 for n in range(17))
    world.faults.script = [kind, None, kind, kind, None, kind]
    assert pulled(name, world.api(name)) == expected(world.account.listens)
    assert world.faults.happened[kind] >= 3


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("seed", range(3))
def test_all_faults_together_lose_and_duplicate_no_listen(world: World, name: str, seed: int) -> None:
    world.account.listens = heard(SINCE + 60 * n // 2 for n in range(120))
    world.faults.configure(0.5, KINDS, seed)
    assert pulled(name, world.api(name)) == expected(world.account.listens)
    assert len(world.faults.happened) > 3


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "slow"])
def test_permanent_fault_is_an_error_and_never_an_empty_page(world: World, name: str, kind: str) -> None:
    world.account.listens = heard([SINCE + 1, SINCE + 2])
    world.faults.configure(1, [kind])
    pages = world.api(name, attempts=3).listens("Ann Lee", SINCE, UNTIL)
    with pytest.raises(Unanswered, match="3 times in a row"):
        next(pages)


@pytest.mark.parametrize("name", SERVICES)
def test_day_without_listens_is_empty(world: World, name: str) -> None:
    assert pulled(name, world.api(name)) == Counter()
    world.account.listens = heard([SINCE - 1, UNTIL])
    assert pulled(name, world.api(name)) == Counter()


@pytest.mark.parametrize("name", SERVICES)
def test_unknown_user_is_an_error_at_once(world: World, name: str) -> None:
    with pytest.raises(TuttiError, match="'nobody'") as raised:
        pulled(name, world.api(name), user="nobody")
    assert "\n" not in str(raised.value)
    assert world.faults.requests == 1


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("user", ["", " ", ".", "..", "a\nb", "a\0b", "x" * 300])
def test_invalid_user_name_is_not_requested(world: World, name: str, user: str) -> None:
    with pytest.raises(TuttiError, match="invalid user name"):
        pulled(name, world.api(name), user=user)
    assert world.faults.requests == 0


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("user", ["../Ann Lee", "Ann Lee/../Ann Lee", "Ann%20Lee", "Ann Lee?max_ts=1", "Ann Lee#"])
def test_user_name_never_changes_the_address(world: World, name: str, user: str) -> None:
    world.account.listens = heard([SINCE])
    with pytest.raises(TuttiError, match="has no user"):
        pulled(name, world.api(name), user=user)


@pytest.mark.parametrize("name", SERVICES)
def test_every_record_has_the_user_name(world: World, name: str) -> None:
    world.account.listens = heard([SINCE])
    pages = world.api(name).listens(" ann lee ", SINCE, UNTIL)
    assert [record["user_name"] for page in pages for record in page.records] == ["Ann Lee"]


def test_listens_of_listenbrainz_are_unchanged(world: World) -> None:
    mbid = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0"
    info = {"submission_client": "player", "duration_played": 61}
    world.account.listens = [AccountListen(SINCE, "Ann", "Song", "Album", "m", mbid, (mbid,), SINCE + 70, info)]
    ((record,),) = (page.records for page in world.api("listenbrainz").listens("Ann Lee", SINCE, UNTIL))
    assert record == {
        "listened_at": SINCE,
        "inserted_at": SINCE + 70,
        "recording_msid": "m",
        "user_name": "Ann Lee",
        "track_metadata": {
            "artist_name": "Ann",
            "track_name": "Song",
            "release_name": "Album",
            "additional_info": {**info, "recording_msid": "m"},
            "mbid_mapping": {"recording_mbid": mbid, "recording_name": "Song", "artist_mbids": [mbid]},
        },
    }


def test_scrobbles_of_lastfm_are_unchanged_without_the_playing_one(world: World) -> None:
    """A single track is not in a list, which must work too."""
    world.account.listens = [AccountListen(SINCE, "Ann", "Song", "Album", "m")]
    world.account.playing = AccountListen(0, "Ann", "Now", "Album", "n")
    for playing in (world.account.playing, None):
        world.account.playing = playing
        ((record,),) = (page.records for page in world.api("lastfm").listens("Ann Lee", SINCE, UNTIL))
        fields = {key: record[key] for key in ("user_name", "artist", "name", "mbid", "album")}
        assert fields == {
            "user_name": "Ann Lee",
            "artist": {"#text": "Ann", "mbid": ""},
            "name": "Song",
            "mbid": "",
            "album": {"#text": "Album", "mbid": ""},
        }
        assert record["date"]["uts"] == str(SINCE)


def test_list_that_changes_while_it_is_read_is_read_again(world: World) -> None:
    """A late scrobble moves every older one down by a place, so pages no longer fit together."""
    world.account.listens = heard(SINCE + n for n in range(10))
    counts = Counter[str]()
    pages = world.api("lastfm").listens("Ann Lee", SINCE, UNTIL)
    counts |= titles("lastfm", next(pages).records)
    late = AccountListen(SINCE + 9, "Ann", "Late", msid="late")
    world.account.listens = [late, *world.account.listens]
    for page in pages:
        counts |= titles("lastfm", page.records)
    assert counts == expected(world.account.listens)


def test_missing_tracks_are_logged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.sandbox.http import lastfm

    world.account.listens = heard(SINCE + n for n in range(6))
    full_page = lastfm._page

    def short(*args: Any) -> Any:
        page = full_page(*args)
        return {**page, "track": page["track"][1:]}

    monkeypatch.setattr(lastfm, "_page", short)
    assert sum(pulled("lastfm", world.api("lastfm")).values()) == 4
    assert [line for line in world.log if "6 tracks of Ann Lee" in line and " 4" in line]


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_feedback_is_complete_oldest_first(world: World, kind: str | None) -> None:
    songs = heard(SINCE + n for n in range(10))
    world.account.opinions = [Opinion(s, HATED if n % 3 == 0 else LOVED, UNTIL - n) for n, s in enumerate(songs)]
    world.faults.script = [kind, None, kind]
    loved = world.api("listenbrainz").feedback("Ann Lee")
    assert [r["score"] for r in loved] == [o.score for o in world.account.opinions[::-1]]
    assert [r["created"] for r in loved] == [o.created for o in world.account.opinions[::-1]]
    assert {r["user_name"] for r in loved} == {"Ann Lee"}
    assert loved[0]["track_metadata"]["track_name"] == songs[-1].title
    world.faults.script = [kind, None, kind]
    tracks = world.api("lastfm").feedback("Ann Lee")
    assert [t["name"] for t in tracks] == [o.listen.title for o in world.account.opinions[::-1] if o.score == LOVED]
    assert all(t["loved"] == "1" and t["artist"]["name"] == "Ann" and t["user_name"] == "Ann Lee" for t in tracks)


@pytest.mark.parametrize("name", SERVICES)
def test_user_without_loved_tracks_has_no_feedback(world: World, name: str) -> None:
    assert world.api(name).feedback("Ann Lee") == []


@pytest.mark.parametrize(
    ("key", "private", "pattern"),
    [
        ("", False, "TUTTI_LASTFM_API_KEY"),
        ("suspended", False, "suspended.*TUTTI_LASTFM_API_KEY"),
        ("key", True, "private.*Settings"),
    ],
)
def test_refusal_of_lastfm_names_the_next_step(world: World, key: str, private: bool, pattern: str) -> None:
    world.account.private, world.account.listens = private, heard([SINCE])
    with pytest.raises(TuttiError, match=pattern) as error:
        pulled("lastfm", world.api("lastfm", key=key))
    assert "\n" not in str(error.value)
    assert world.faults.requests == 1


@pytest.mark.parametrize("code", [8, 11, 16, 29])
def test_temporary_error_of_lastfm_is_retried(world: World, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    from resources.sandbox.http import lastfm

    world.account.listens, answer, failures = heard([SINCE]), lastfm._recent, [200, 400, lastfm.STATUS[code]]

    def failing(*args: Any) -> Any:
        if failures:
            raise lastfm.Refused(code, "not now", failures.pop())
        return answer(*args)

    monkeypatch.setattr(lastfm, "_recent", failing)
    assert pulled("lastfm", world.api("lastfm")) == expected(world.account.listens)
    assert len(world.clock.slept) >= 3


@pytest.mark.parametrize("name", SERVICES)
def test_wrong_address_names_the_variable(world: World, name: str) -> None:
    with served_at(Starlette()) as url, pytest.raises(TuttiError, match=f"TUTTI_{name.upper()}_URL"):
        pulled(name, World(url, world.account, world.faults).api(name))
