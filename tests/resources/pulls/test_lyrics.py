"""Lyrics are pulled once for each recording, however a pull ends, and a failure never counts as an answer."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.errors import TuttiError
from resources.folders.landing import Landing
from resources.pulls import landing_files
from resources.pulls.landing_files import JOURNAL, one_pull
from resources.pulls.lyrics import MAX_REFUSALS, RETRY_AFTER, Track, pull, settled
from resources.sandbox.http.accounts import Accounts, Record
from resources.sandbox.http.faults import KINDS, Faults
from resources.services.lrclib import LrcLib, connect
from resources.services.web import Unanswered, Web
from resources.sources.formats import lrclib
from resources.sources.records.lyrics import INSTRUMENTAL, NOT_FOUND, WORDS, Lyrics
from tests.serving import Clock, patience, sandbox

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
PROJECT = Path(__file__).resolve().parents[3]


def track(n: int, title: str | None = None) -> Track:
    return Track(f"00000000-0000-5000-8000-{n:012}", title or f"Song {n}", "Ann Lee", 200_000 + n)


TRACKS = [track(n) for n in range(9)]


def record_of(n: int) -> Record | None:
    """Return LRCLIB's record of a track: with words, instrumental, or None for every third track."""
    names = {"id": n, "name": f"Song {n}", "trackName": f"Song {n}", "artistName": "Ann Lee", "albumName": "Songs"}
    words = {"plainLyrics": "la" if n % 3 == 0 else None, "syncedLyrics": None, "instrumental": n % 3 == 1}
    return None if n % 3 == 2 else names | words | {"duration": 200}


STATUS = {track(n).recording_id: (WORDS, INSTRUMENTAL, NOT_FOUND)[n % 3] for n in range(9)}


class Place:
    """The service, and a landing folder."""

    def __init__(self, url: str, faults: Faults, root: str, staging: str) -> None:
        self.url, self.faults, self.landing = url, faults, Landing(root=root, staging=staging)
        self.log: list[str] = []
        self.chosen: list[set[str]] = []

    def pull(self, tracks: list[Track] = TRACKS, now: datetime = NOW, attempts: int = 30) -> Counter[str]:
        clock = Clock(time.time())
        web = Web(
            "LRCLIB", self.url, attempts=attempts, now=clock.now, sleep=clock.sleep, timeout=patience(self.faults)
        )

        def choose(settled: Collection[str]) -> list[Track]:
            self.chosen.append(set(settled))
            return [t for t in tracks if t.recording_id not in settled]

        return pull(LrcLib(web), choose, self.landing, lambda: now, self.log.append)

    def answers(self) -> list[Lyrics]:
        parsed = [a for _, path in self.landing.files("lyrics") for a in lrclib.lyrics(path)]
        assert all(isinstance(a, Lyrics) for a in parsed), parsed
        return [a for a in parsed if isinstance(a, Lyrics)]

    def statuses(self) -> dict[str | None, str]:
        answers = self.answers()
        statuses = {a.recording_id: a.status for a in answers}
        assert len(statuses) == len(answers)  # each once
        return statuses


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    faults = Faults(delay=0.8)
    with sandbox(Accounts([]), faults, lyrics=[r for n in range(9) if (r := record_of(n))]) as url:
        in_bucket, staging = getattr(request, "param", "disk") == "bucket", str(tmp_path / "landing")
        yield Place(url, faults, request.getfixturevalue("bucket") if in_bucket else staging, staging)


BOTH = pytest.mark.parametrize("place", ["disk", pytest.param("bucket", marks=pytest.mark.process)], indirect=True)


def test_every_recording_gets_its_answer_and_time(place: Place) -> None:
    counts = place.pull()
    assert place.statuses() == STATUS
    assert counts == Counter({WORDS: 3, INSTRUMENTAL: 3, NOT_FOUND: 3, "files": 1})
    assert {a.fetched_at for a in place.answers()} == {NOW}
    assert {(a.title, a.artist_credit) for a in place.answers()} == {(t.title, "Ann Lee") for t in TRACKS}


@BOTH
def test_recording_with_an_answer_is_not_requested_again(place: Place) -> None:
    place.pull(TRACKS[:4])
    place.faults.requests = 0
    place.pull()
    assert place.faults.requests == 5
    assert place.chosen[-1] == {t.recording_id for t in TRACKS[:4]}
    assert place.statuses() == STATUS


def test_unknown_lyrics_are_requested_again_after_a_month(place: Place) -> None:
    place.pull()
    place.faults.requests = 0
    place.pull(now=NOW + RETRY_AFTER - timedelta(seconds=1))
    assert place.faults.requests == 0
    place.pull(now=NOW + RETRY_AFTER)
    assert place.faults.requests == 3
    place.pull(now=NOW + RETRY_AFTER + timedelta(days=1))  # the new answer counts for another month
    assert place.faults.requests == 3


def test_lyrics_added_by_hand_count_as_answers(place: Place) -> None:
    folder = Path(place.landing.root, "lyrics")
    folder.mkdir(parents=True)
    (folder / "mine.jsonl").write_text(json.dumps((record_of(0) or {}) | {"recording_mbid": TRACKS[0].recording_id}))
    (folder / "mine.lrc").write_text("la")
    assert settled(place.landing, NOW) == {TRACKS[0].recording_id}


@pytest.mark.parametrize("seed", range(3))
def test_all_faults_together_leave_the_same_answers(place: Place, seed: int) -> None:
    place.faults.configure(0.5, KINDS, seed)
    place.pull()
    assert place.statuses() == STATUS
    assert sum(place.faults.happened.values()) >= 3


@pytest.mark.parametrize("kind", ["unavailable", "busy", "broken", "cut", "empty"])
def test_failure_keeps_earlier_answers_and_is_not_an_answer(place: Place, kind: str) -> None:
    place.faults.script = [None, None, *[kind] * 3]
    with pytest.raises(Unanswered):
        place.pull(attempts=3)
    first = [t.recording_id for t in TRACKS[:2]]
    assert place.statuses() == {recording: STATUS[recording] for recording in first}
    place.faults.requests, place.faults.script = 0, []
    place.pull()
    assert place.statuses() == STATUS
    assert place.faults.requests == 7


PULLING = """
import sys
from resources import bucket_lock
from resources.folders.landing import Landing
from resources.pulls.lyrics import pull
from resources.services.lrclib import LrcLib, connect
from resources.services.web import Web
from tests.resources.pulls.test_lyrics import TRACKS

def choose(settled):
    for track in TRACKS:
        if track.recording_id not in settled:
            yield track
            print("answered", flush=True)  # the next request comes after this line

bucket_lock.EXPIRY_S, bucket_lock.RENEWAL_S, bucket_lock.WAIT_S = 1.5, 0.3, 0.1
pull(LrcLib(Web("LRCLIB", sys.argv[1])), choose, Landing(root=sys.argv[2], staging=sys.argv[3]))
"""


@BOTH
def test_repeatedly_killed_pull_loses_and_duplicates_no_answer(place: Place) -> None:
    kills = 0
    while True:
        command = [sys.executable, "-c", PULLING, place.url, place.landing.root, str(place.landing.local)]
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PROJECT)}
        )
        assert process.stdout
        answered = 0
        for line in process.stdout:
            answered += line == "answered\n"
            if answered == 3:
                os.kill(process.pid, signal.SIGKILL)
                break
        code = process.wait()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills >= 2
    assert place.statuses() == STATUS
    assert place.faults.requests <= 9 + kills  # the request at the moment of a kill is repeated
    assert not list(place.landing.local.rglob(JOURNAL.format("*")))


def test_partial_file_is_never_visible_and_is_cleaned_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(source: Any, target: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        place.pull()
    assert place.answers() == []
    assert list(Path(place.landing.root).rglob(".*.draft"))
    monkeypatch.undo()
    place.faults.requests = 0
    place.pull()
    assert place.statuses() == STATUS
    assert place.faults.requests == 0  # the journal had all answers
    assert not list(Path(place.landing.root).rglob(".*.draft"))


def test_answers_land_in_files_of_one_portion(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_files, "PORTION_SIZE", 4)
    assert place.pull()["files"] == 3
    assert sorted(len(path.read_text().splitlines()) for _, path in place.landing.files("lyrics")) == [1, 4, 4]
    assert place.statuses() == STATUS


def test_refused_recordings_do_not_block_others(place: Place) -> None:
    refused = [track(20 + n, "x" * 2000) for n in range(2 * MAX_REFUSALS - 2)]
    counts = place.pull([*refused[: MAX_REFUSALS - 1], *TRACKS, *refused[MAX_REFUSALS - 1 :]])
    assert counts["refused"] == len(refused)
    assert place.statuses() == STATUS
    assert any("is skipped" in line for line in place.log)


def test_pull_ends_after_many_refusals_in_a_row(place: Place) -> None:
    with pytest.raises(TuttiError, match=f"{MAX_REFUSALS} refused"):
        place.pull([track(n, "x" * 2000) for n in range(30)])
    assert place.faults.requests == 0 and place.answers() == []


def test_second_pull_waits_for_the_first(place: Place) -> None:
    with one_pull(place.landing.store / "lyrics" / "lrclib", place.log.append):
        thread = threading.Thread(target=place.pull)
        thread.start()
        while not any("waiting for another pull" in line for line in place.log):
            time.sleep(0.01)
        assert place.faults.requests == 0
    thread.join()
    assert place.statuses() == STATUS


def test_settings_come_from_the_environment(place: Place) -> None:
    api = connect({"TUTTI_LRCLIB_URL": place.url, "TUTTI_USER_AGENT": "Ours/1 (ann@example.org)"}, len)
    assert api.get("Song 0", "Ann Lee") == record_of(0)
    assert api._web._session.headers["User-Agent"] == "Ours/1 (ann@example.org)"
    real = connect({}, len)
    assert real._web.host == "lrclib.net"
    assert str(real._web._session.headers["User-Agent"]).startswith("Tutti/")
