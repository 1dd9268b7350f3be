"""Pulls of metadata: each wanted entity lands once and stays, however the pull or the service ends."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.errors import TuttiError
from resources.pulls import landing_files
from resources.pulls.landing_files import PROGRESS, one_pull
from resources.pulls.metadata import RETRY_AFTER, pull
from resources.sandbox import catalog, performers
from resources.sandbox.entities import Entities, entities
from resources.sandbox.http.accounts import Accounts
from resources.sandbox.http.faults import KINDS as FAULTS
from resources.sandbox.http.faults import Faults
from resources.services.musicbrainz import MusicBrainz, connect
from resources.services.web import Unanswered, Web
from resources.sources.formats.musicbrainz import KINDS, EntityResult, read
from resources.storage import Storage
from tests.serving import Clock, patience, sandbox

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
NOBODY, NEITHER = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001"
PROJECT = Path(__file__).resolve().parents[3]
RECORDINGS = 6  # wanted


class Place:
    """The sandbox's MusicBrainz, and a landing folder."""

    def __init__(self, url: str, entities: Entities, faults: Faults, landing: Path) -> None:
        self.url, self.entities, self.faults, self.root = url, entities, faults, landing
        self.log: list[str] = []
        self.recordings = list(entities.of["recording"])[:RECORDINGS]

    def pull(self, recordings: list[str] | None = None, now: datetime = NOW, **more: Any) -> Counter[str]:
        clock, attempts = Clock(time.time()), more.pop("attempts", 30)
        settings: dict[str, Any] = {"now": clock.now, "sleep": clock.sleep, "attempts": attempts}
        api = MusicBrainz(Web("MusicBrainz", self.url, timeout=patience(self.faults), **settings))
        wanted = {"recordings": self.recordings if recordings is None else recordings} | more.pop("wanted", {})
        return pull(api, wanted, Storage.at(self.root), self.root, now, log=self.log.append, **more)

    def files(self) -> dict[str, bytes]:
        """Return all visible files in the landing folder."""
        visible = [p for p in self.root.rglob("*") if p.is_file() and not p.name.startswith(".")]
        return {str(p.relative_to(self.root)): p.read_bytes() for p in sorted(visible)}

    def ids(self) -> dict[str, list[str]]:
        """Return the ids of the landed entities by folder, after a check that each can be read."""
        landed: dict[str, list[str]] = {}
        for kind in KINDS:
            for path in sorted((self.root / kind.folder).rglob("*.jsonl")):
                for result in read(path, kind):
                    assert isinstance(result, EntityResult), result
                    landed.setdefault(kind.folder, []).append(getattr(result.entity, f"{kind.entity}_id"))
        return landed

    def provenances(self) -> set[str]:
        """Return the provenances of the landed entities."""
        paths = [(kind, path) for kind in KINDS for path in (self.root / kind.folder).rglob("*.jsonl")]
        return {r.entity.provenance for kind, path in paths for r in read(path, kind) if isinstance(r, EntityResult)}

    def named(self, recordings: list[str]) -> dict[str, set[str]]:
        """Return the ids of recordings, the artists they credit, and their first releases and release groups."""
        songs = [self.entities.of["recording"][id] for id in recordings]
        issues = [self.entities.of["release"][song["releases"][0]["id"]] for song in songs]
        credits = [credit for item in (*songs, *issues) for credit in item["artist-credit"]]
        return {
            "recordings": set(recordings),
            "releases": {issue["id"] for issue in issues},
            "release_groups": {issue["release-group"]["id"] for issue in issues},
            "artists": {credit["artist"]["id"] for credit in credits},
        }

    def is_complete(self, recordings: list[str] | None = None) -> bool:
        """Assert that all entities that recordings refer to have landed once."""
        landed, expected = self.ids(), self.named(self.recordings if recordings is None else recordings)
        assert {folder: sorted(ids) for folder, ids in landed.items()} == {k: sorted(v) for k, v in expected.items()}
        return True


@pytest.fixture(scope="module")
def sandbox_entities() -> Entities:
    return entities(performers.recordings(catalog.works()[:200], 7))


@pytest.fixture(scope="module")
def serving(sandbox_entities: Entities) -> Iterator[tuple[str, Faults]]:
    faults = Faults(delay=0.3, retry_after=0)
    with sandbox(Accounts([]), faults, entities=sandbox_entities) as url:
        yield url, faults


@pytest.fixture
def place(serving: tuple[str, Faults], sandbox_entities: Entities, tmp_path: Path) -> Place:
    url, faults = serving
    faults.configure(0, FAULTS)
    faults.script.clear()
    return Place(url, sandbox_entities, faults, tmp_path / "landing")


def test_recordings_land_with_the_artists_releases_and_groups_they_name(place: Place) -> None:
    done = place.pull()
    assert place.is_complete()
    assert (done["recordings"], done["unknown"], done["merged"], done["left"]) == (RECORDINGS, 0, 0, 0)
    host = place.url.removeprefix("http://")
    assert place.provenances() == {f"MusicBrainz, as {host} has it"}  # and not MusicBrainz itself
    assert done["files"] == len(place.files()) == 4
    assert all("/musicbrainz/" in name for name in place.files())
    requests = place.faults.requests
    assert requests == sum(map(len, place.ids().values()))  # nothing was asked for twice


def test_same_pull_again_requests_and_changes_nothing(place: Place) -> None:
    place.pull()
    files, requests = place.files(), place.faults.requests
    again = place.pull(now=NOW + timedelta(days=400))
    assert (place.files(), place.faults.requests) == (files, requests)
    assert again == Counter()


def test_most_wanted_come_first_and_the_rest_in_the_next_pull(place: Place) -> None:
    first = place.pull(limit=2)
    assert set(place.ids()["recordings"]) == set(place.recordings[:2])
    assert first["left"] >= RECORDINGS - 2
    while place.pull(limit=2)["left"]:
        pass
    assert place.is_complete()


def test_each_portion_is_followed_by_the_entities_it_refers_to(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing_files, "PORTION_SIZE", 2)
    place.faults.script = [None] * 9 + ["unavailable"]
    with pytest.raises(Unanswered):
        place.pull(attempts=1)
    landed = place.ids()
    assert len(landed["recordings"]) < RECORDINGS
    assert landed["artists"] and landed["releases"] and landed["release_groups"]


def test_merged_id_lands_under_the_new_id_with_the_old_one(place: Place) -> None:
    old, new = next(iter(place.entities.merged["recording"].items()))
    done = place.pull([old, new])
    assert (done["recordings"], done["merged"]) == (1, 1)
    lines = [
        json.loads(line) for name, body in place.files().items() if "recordings" in name for line in body.splitlines()
    ]
    assert {line["id"] for line in lines} == {new}
    assert old in [line.get("asked_for") for line in lines]
    requests = place.faults.requests
    assert place.pull([old, new]) == Counter()
    assert place.faults.requests == requests


def test_unknown_id_is_not_requested_again_for_a_while(place: Place) -> None:
    assert place.pull([NOBODY])["unknown"] == 1
    assert place.files() == {}
    requests = place.faults.requests
    assert place.pull([NOBODY, "no-uuid", ""], now=NOW + RETRY_AFTER / 2) == Counter()
    assert place.faults.requests == requests
    assert place.pull([NOBODY], now=NOW + RETRY_AFTER)["unknown"] == 1


def test_other_wanted_entities_are_requested_too(place: Place) -> None:
    artist, release = list(place.entities.of["artist"])[-1], list(place.entities.of["release"])[-1]
    place.pull([], wanted={"artists": [artist], "releases": [release]})
    assert artist in place.ids()["artists"]
    assert place.ids()["releases"] == [release]
    assert place.ids()["release_groups"] == [place.entities.of["release"][release]["release-group"]["id"]]


def test_all_faults_together_leave_the_same_files(place: Place, tmp_path: Path) -> None:
    place.pull()
    fine, place.root = place.files(), tmp_path / "again"
    place.faults.configure(0.5, [kind for kind in FAULTS if kind != "slow"], seed=2)
    place.pull()
    assert place.files() == fine
    assert len(place.faults.happened) > 4


@pytest.mark.parametrize("before", [0, 1, 4, RECORDINGS, RECORDINGS + 2, RECORDINGS + 7])
def test_pull_resumes_after_the_service_became_unavailable(place: Place, before: int) -> None:
    place.faults.script = [None] * before + ["unavailable"]
    with pytest.raises(Unanswered):
        place.pull(attempts=1)
    landed, requests = place.files(), place.faults.requests
    assert sum(map(len, place.ids().values())) == before  # the answers before the failure
    place.pull()
    assert place.is_complete()
    assert landed.items() <= place.files().items()
    total = sum(map(len, place.ids().values()))
    assert place.faults.requests - requests == total - before


def test_failed_pull_removes_nothing(place: Place) -> None:
    other = place.root / "recordings" / "dump.jsonl"
    other.parent.mkdir(parents=True)
    other.write_text("{}\n")
    place.pull([place.recordings[0]])
    before = place.files()
    place.faults.configure(1, ["unavailable", "cut", "broken", "busy"])
    with pytest.raises(Unanswered):
        place.pull(attempts=2)
    assert place.files() == before


KILLED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from resources.pulls import landing_files
from resources.pulls.metadata import pull
from resources.storage import Storage
from resources.services.musicbrainz import connect
landing_files.PORTION_SIZE = 2
url, data, *ids = sys.argv[1:]
api = connect({"TUTTI_MUSICBRAINZ_URL": url}, len)
print("begun", flush=True)
landing = Path(data, "landing")
pull(api, {"recordings": ids}, Storage.at(landing), landing, datetime(2025, 3, 10, 12, tzinfo=UTC))
"""


def test_pull_killed_at_any_moment_resumes_and_loses_nothing(place: Place) -> None:
    data = place.root.parent
    ids = list(place.entities.of["recording"])[:30]
    command = [sys.executable, "-c", KILLED, place.url, str(data), *ids]
    for requests in (3, 11, 30, 47):
        place.faults.configure(0, FAULTS)
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert process.stdout and process.stdout.readline()
        process.stdout.close()
        while place.faults.requests < requests and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.wait()
        before = place.files()
        assert all(line for folder in place.ids().values() for line in folder)  # every landed file is complete
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert before.items() <= place.files().items()
    landed = place.ids()
    assert {folder: set(ids_of_folder) for folder, ids_of_folder in landed.items()} == place.named(ids)
    assert list(place.root.rglob("*.draft")) == []


def test_interrupted_pull_keeps_the_answers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup, answered = MusicBrainz.lookup, list[str]()

    def until_stopped(self: MusicBrainz, kind: Any, mbid: str) -> Any:
        if len(answered) == 3:
            raise KeyboardInterrupt
        answered.append(mbid)
        return lookup(self, kind, mbid)

    monkeypatch.setattr(MusicBrainz, "lookup", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        place.pull()
    assert sorted(place.ids()["recordings"]) == sorted(answered)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 7}', '{"unknown": {"a": "b"}}'])
def test_unreadable_progress_costs_no_request_for_landed_entities(place: Place, text: str) -> None:
    place.pull()
    files, requests = place.files(), place.faults.requests
    (place.root / "recordings" / "musicbrainz" / PROGRESS).write_text(text)
    place.pull()
    assert (place.files(), place.faults.requests) == (files, requests)


def test_removed_file_is_pulled_again(place: Place) -> None:
    place.pull()
    for path in (place.root / "artists").rglob("*.jsonl"):
        path.unlink()
    place.pull(wanted={"artists": sorted(place.named(place.recordings)["artists"])})
    assert place.is_complete()


def test_second_pull_waits_for_the_first(place: Place) -> None:
    with one_pull(Storage.at(place.root / "recordings" / "musicbrainz"), len):
        other = threading.Thread(target=place.pull)
        other.start()
        while not place.log:
            time.sleep(0.002)
        assert "waiting for another pull" in place.log[0]
        assert place.files() == {}
    other.join(timeout=30)
    assert place.is_complete()


def test_settings_come_from_the_environment(place: Place) -> None:
    with pytest.raises(TuttiError, match="TUTTI_MUSICBRAINZ_CONTACT"):
        connect({}, len)
    for environ in (
        {"TUTTI_MUSICBRAINZ_CONTACT": "ada@example.org"},
        {"TUTTI_USER_AGENT": "Mine/1 (ada@example.org)"},
    ):
        assert connect(environ, len)
    api = connect({"TUTTI_MUSICBRAINZ_URL": place.url}, len)
    assert pull(api, {"recordings": place.recordings[:1]}, Storage.at(place.root), place.root, NOW)["recordings"] == 1
