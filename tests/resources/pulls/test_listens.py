"""Pulls of listens: each listen lands once, and a stopped pull resumes where it stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.errors import TuttiError
from resources.pulls import listens as pulls
from resources.pulls.landing_files import PROGRESS, one_pull
from resources.pulls.listens import folder_name, pull
from resources.sandbox.http.accounts import LOVED, Account, AccountListen, Accounts, Opinion
from resources.sandbox.http.faults import KINDS, Faults
from resources.services import lastfm, listenbrainz
from resources.services.api import Api
from resources.services.lastfm import LastFm
from resources.services.listenbrainz import ListenBrainz
from resources.services.web import Unanswered, Web
from resources.storage import Storage
from tests import s3
from tests.serving import Clock, patience, sandbox

FIRST, LAST = date(2025, 3, 1), date(2025, 3, 4)
NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
PAGE_SIZE = 7
PROJECT = Path(__file__).resolve().parents[3]


def at(day: date, seconds: int) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + seconds


def song(n: int, listened_at: int) -> AccountListen:
    return AccountListen(listened_at, "Ann", f"Song {n}", msid=str(n))


class Place:
    """One user's listens on both services, and a landing folder."""

    def __init__(self, url: str, account: Account, faults: Faults, root: Path | str) -> None:
        self.url, self.account, self.faults, self.landing = url, account, faults, Storage.at(root)
        self.log: list[str] = []

    def api(self, name: str, attempts: int = 30) -> Api:
        clock = Clock(time.time())
        settings: dict[str, Any] = {"now": clock.now, "sleep": clock.sleep, "attempts": attempts}
        settings["timeout"] = patience(self.faults)
        if name == "listenbrainz":
            return ListenBrainz(Web("ListenBrainz", self.url, **settings), PAGE_SIZE)
        return LastFm(Web("Last.fm", f"{self.url}/2.0/", **settings), "key", PAGE_SIZE)

    def pull(self, name: str, first: date = FIRST, last: date = LAST, now: datetime = NOW, **more: Any) -> Counter[str]:
        api = self.api(name, more.pop("attempts", 30))
        return pull(api, "ann", first, last, self.landing, now, log=self.log.append, **more)

    @property
    def root(self) -> Path:
        """The landing folder on disk."""
        return Path(self.landing)

    def files(self) -> dict[str, bytes]:
        """Return all landed files."""
        visible = (name for name in self.landing.names("listens") if not name.rpartition("/")[2].startswith("."))
        return {name: self.landing.read(name) for name in visible}

    def titles(self) -> Counter[str]:
        """Return the number of listens in the landing folder by title."""
        lines = [
            json.loads(x) for name, body in self.files().items() if "/feedback/" not in name for x in body.splitlines()
        ]
        assert {line["user_name"] for line in lines} <= {"ann"}
        return Counter(line["name"] if "name" in line else line["track_metadata"]["track_name"] for line in lines)

    def expected(self, first: date = FIRST, last: date = LAST) -> Counter[str]:
        bounds = at(first, 0), at(last + timedelta(days=1), 0)
        return Counter(h.title for h in self.account.listens if bounds[0] <= h.listened_at < bounds[1])


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Four days and a day before and after, with listens at both ends of each day and several in one second."""
    days = [FIRST + timedelta(days=n) for n in range(-1, 5)]
    times = [at(day, s) for day in days for s in (0, 1, 1, 1, 40_000, 40_000, 40_001, 86_398, 86_399, 86_399)]
    heard = [song(n, t) for n, t in enumerate(sorted(times, reverse=True))]
    account, faults = (
        Account("ann", heard, [Opinion(heard[n], LOVED, at(LAST, n)) for n in (9, 5, 3)]),
        Faults(delay=0.8),
    )
    with sandbox(Accounts([account]), faults) as url:
        in_bucket = getattr(request, "param", "disk") == "bucket"
        yield Place(url, account, faults, request.getfixturevalue("bucket") if in_bucket else tmp_path / "landing")


IN_BUCKET = pytest.param("bucket", marks=pytest.mark.process)
IN_BUCKET_BRAINZ = pytest.param("bucket", "listenbrainz", marks=pytest.mark.process)
BOTH = pytest.mark.parametrize("place", ["disk", IN_BUCKET], indirect=True)
SERVICES = pytest.mark.parametrize("name", ["listenbrainz", "lastfm"])


@BOTH
@SERVICES
def test_lands_every_listen_of_the_days_once(place: Place, name: str) -> None:
    counts = place.pull(name)
    assert place.titles() == place.expected()
    assert max(place.titles().values()) == 1
    assert (counts["days"], counts["listens"], counts["feedback"]) == (4, 40, 3)
    assert counts["files"] == len(place.files())
    assert all(path.startswith(f"listens/{name}/ann/") for path in place.files())


@SERVICES
def test_file_names_sort_from_oldest_to_newest_day(place: Place, name: str) -> None:
    place.pull(name, feedback=False)
    bodies = [body.splitlines() for body in place.files().values()]
    lines = [json.loads(line) for body in bodies for line in body]
    assert len(bodies) > 4
    times = [int(line.get("listened_at") or line["date"]["uts"]) for line in lines]
    assert times == sorted(times)


@SERVICES
def test_all_faults_together_leave_the_same_files(place: Place, name: str, tmp_path: Path) -> None:
    place.pull(name)
    fine, place.landing = place.files(), Storage.at(tmp_path / "again")
    place.faults.configure(0.4, KINDS, seed=1)
    place.pull(name)
    assert place.files() == fine
    assert sum(place.faults.happened.values()) > 3


@SERVICES
def test_days_that_are_done_are_not_requested_again(place: Place, name: str) -> None:
    place.pull(name, feedback=False)
    assert place.pull(name) == Counter(feedback=3, files=1)  # the feedback is still missing
    before, place.faults.requests = place.files(), 0
    assert place.pull(name) == Counter()
    assert place.faults.requests == 0
    place.pull(name, last=LAST + timedelta(days=1), feedback=False)
    assert place.titles() == place.expected(last=LAST + timedelta(days=1))
    assert set(before) < set(place.files())


@SERVICES
def test_refetch_of_the_same_listens_changes_no_file(place: Place, name: str) -> None:
    place.pull(name)
    before = place.files()
    counts = place.pull(name, refetch=True)
    assert (counts["days"], counts["listens"], counts["files"]) == (4, 40, 0)
    assert place.files() == before


@SERVICES
def test_refetch_lands_late_listens(place: Place, name: str) -> None:
    place.pull(name)
    place.account.listens = sorted([*place.account.listens, song(999, at(LAST, 7))], key=lambda h: -h.listened_at)
    place.pull(name)
    assert "Song 999" not in place.titles()
    place.pull(name, refetch=True)
    assert "Song 999" in place.titles()


@SERVICES
def test_today_is_pulled_up_to_now_and_never_done(place: Place, name: str) -> None:
    noon = datetime.fromtimestamp(at(LAST, 43_200), UTC)
    place.pull(name, first=LAST, now=noon, feedback=False)
    assert sum(place.titles().values()) == 7
    evening = noon + timedelta(hours=11, minutes=59, seconds=58)
    counts = place.pull(name, first=LAST, now=evening, feedback=False)
    assert (counts["days"], set(place.titles())) == (1, set(place.expected(first=LAST)) - {"Song 10", "Song 11"})
    tomorrow = place.pull(name, first=LAST, now=noon + timedelta(days=1), feedback=False)
    assert (tomorrow["days"], set(place.titles())) == (1, set(place.expected(first=LAST)))
    assert place.pull(name, first=LAST, now=noon + timedelta(days=1), feedback=False)["days"] == 0


@SERVICES
def test_after_a_failure_the_pull_resumes_with_the_missing_page(place: Place, name: str) -> None:
    place.faults.script = [None, None, None, *["unavailable"] * 3]
    with pytest.raises(Unanswered):
        place.pull(name, attempts=3)
    landed = place.files()
    assert len(landed) == 3
    place.faults.requests, place.faults.script = 0, []
    place.pull(name, feedback=False)
    assert place.titles() == place.expected()
    assert max(place.titles().values()) == 1
    assert landed.items() <= place.files().items()
    assert place.faults.requests == len(place.files()) - len(landed)
    assert any("resumes where it stopped" in line for line in place.log)


PULLING = """
import sys
from datetime import UTC, date, datetime
from resources import bucket_lock
from resources.pulls import listens as pulls
from resources.services.listenbrainz import ListenBrainz
from resources.storage import Storage
from resources.services import lastfm, listenbrainz
from resources.services.lastfm import LastFm
from resources.services.web import Web

name, url, landing = sys.argv[1:]
api = ListenBrainz(Web("x", url), 7) if name == "listenbrainz" else LastFm(Web("x", url + "/2.0/"), "key", 7)
now = datetime(2025, 3, 10, 12, tzinfo=UTC)
days = date(2025, 3, 1), date(2025, 3, 4)
bucket_lock.EXPIRY_S, bucket_lock.RENEWAL_S, bucket_lock.WAIT_S = 1.5, 0.3, 0.1
pulls.pull(api, "ann", *days, Storage.at(landing), now, log=lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize(
    ("place", "name"), [("disk", "listenbrainz"), ("disk", "lastfm"), IN_BUCKET_BRAINZ], indirect=["place"]
)
def test_pull_killed_at_any_page_loses_and_duplicates_nothing(place: Place, name: str) -> None:
    """The process is killed repeatedly, each time a few pages further."""
    kills = 0
    while True:
        command = [sys.executable, "-c", PULLING, name, place.url, str(place.landing)]
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        landed = 0
        for line in process.stdout:
            landed += line.rstrip().endswith("listens")
            if landed == 3:
                os.kill(process.pid, signal.SIGKILL)
                break
        code = process.wait()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
        assert kills < 20
    assert kills >= 2
    assert place.titles() == place.expected()
    assert max(place.titles().values()) == 1
    assert place.pull(name, feedback=False) == Counter()  # all days are done


@pytest.mark.parametrize("place", [IN_BUCKET], indirect=True)
def test_lost_answers_of_a_bucket_make_no_second_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """About one in four answers to writes of pages, progress and the lock is lost after the store has written."""
    with s3.losing(4) as (proxy, lost):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
        place.pull("listenbrainz")
    monkeypatch.undo()
    assert any(".jsonl" in request for request in lost)
    assert place.titles() == place.expected()
    assert max(place.titles().values()) == 1
    assert place.pull("listenbrainz") == Counter()


def test_page_that_landed_just_before_a_kill_makes_no_second_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = pulls.Progress.keep

    def killed(self: Any, folder: Path) -> None:
        if len(place.files()) == 2:
            raise KeyboardInterrupt
        keep(self, folder)

    monkeypatch.setattr(pulls.Progress, "keep", killed)
    with pytest.raises(KeyboardInterrupt):
        place.pull("listenbrainz")
    monkeypatch.undo()
    place.pull("listenbrainz", feedback=False)
    assert place.titles() == place.expected()
    assert max(place.titles().values()) == 1


def test_partial_file_is_never_visible_and_is_cleaned_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def killed(source: Any, target: Any) -> None:
        if str(target).endswith(".jsonl"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        place.pull("listenbrainz")
    assert place.files() == {}
    assert list(place.root.rglob(".*.draft"))
    monkeypatch.undo()
    place.pull("listenbrainz")
    assert not list(place.root.rglob(".*.draft"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"done": ["x"], "cursors": {}}', '{"done": 3, "cursors": {}}'])
def test_unreadable_progress_only_costs_requests(place: Place, text: str) -> None:
    place.pull("listenbrainz")
    before = place.files()
    (place.root / "listens" / "listenbrainz" / "ann" / PROGRESS).write_text(text)
    assert place.pull("listenbrainz")["days"] == 4
    assert place.files() == before


def test_unknown_user_is_an_error_and_nothing_lands(place: Place) -> None:
    with pytest.raises(TuttiError, match="'nobody'"):
        pull(place.api("listenbrainz"), "nobody", FIRST, LAST, place.landing, NOW)
    assert place.files() == {}


@pytest.mark.parametrize(
    "user", ["..", ".", "../../etc", "a/b", ".hidden", "~", "a\\b", "C:", "émile", "名前" * 60, "x" * 256]
)
def test_no_user_name_leads_out_of_the_landing_folder(user: str) -> None:
    name = folder_name(user)
    assert "/" not in name and "\\" not in name and ":" not in name
    assert not name.startswith(".") and len(name.encode()) <= 120
    assert Path("/landing", name).resolve().parent == Path("/landing")


def test_users_never_share_a_folder() -> None:
    users = ["a.b", "a%2Eb", "a/b", "a b", "a+b", "x" * 200, "x" * 201, "x" * 200 + ".", "é" * 100, "é" * 101]
    assert len({folder_name(user) for user in users}) == len(users)


def test_second_pull_of_a_service_waits_for_the_first(place: Place, tmp_path: Path) -> None:
    import threading

    with one_pull(place.landing / "listens" / "listenbrainz", place.log.append):
        thread = threading.Thread(target=place.pull, args=("listenbrainz",))
        thread.start()
        while not any("waiting for another pull" in line for line in place.log):
            time.sleep(0.01)
        assert place.faults.requests == 0
        place.pull("lastfm")  # another service does not wait
    thread.join()
    assert place.titles() == place.expected() + place.expected()  # once from each


def test_settings_come_from_the_environment(place: Place) -> None:
    environ = {
        "TUTTI_LISTENBRAINZ_URL": place.url,
        "TUTTI_LISTENBRAINZ_TOKEN": " abc ",
        "TUTTI_LASTFM_URL": f"{place.url}/2.0/",
        "TUTTI_LASTFM_API_KEY": "k",
        "TUTTI_USER_AGENT": "Ours/1 (ann@example.org)",
    }
    for service in (listenbrainz, lastfm):
        api: Any = service.connect(environ, len)
        assert api.feedback("ann")
        assert api._web._session.headers["User-Agent"] == "Ours/1 (ann@example.org)"
    assert listenbrainz.connect({}, len)._web.host == "api.listenbrainz.org"  # type: ignore[attr-defined]
    assert lastfm.connect({"TUTTI_LASTFM_API_KEY": "k"}, len)._web.host == "ws.audioscrobbler.com"  # type: ignore[attr-defined]
    with pytest.raises(TuttiError, match="TUTTI_LASTFM_API_KEY"):
        lastfm.connect({}, len)
