"""Pulls of lyrics from LRCLIB, by command and by job: the most played recordings of the catalog first."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import build
from orchestration.jobs import missing
from orchestration.jobs.pulls import OPS
from resources.errors import TuttiError
from resources.lake.lake import Lake
from resources.sandbox import catalog, performers
from resources.sandbox.http import lrclib
from resources.sandbox.http.accounts import Accounts, Record
from resources.sandbox.http.faults import KINDS, Faults
from resources.services.lrclib import NAME
from tests.orchestration.conftest import World
from tests.orchestration.support import TUTTI, Process, rows, versions
from tests.serving import sandbox

LIMIT = 12


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return lrclib.of_world(performers.recordings(catalog.works(), seed=7))


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults(retry_after=0, delay=0.1)


@pytest.fixture(scope="module")
def url(records: list[Record], faults: Faults) -> Iterator[str]:
    with sandbox(Accounts([]), faults, lyrics=records) as url:
        yield url


@pytest.fixture
def data(laptop: World, tmp_path: Path) -> Path:
    """A copy of the small world without landed lyrics."""
    shutil.copytree(laptop.data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "landing" / "lyrics")
    return tmp_path / "data"


def command(data: Path, url: str, limit: str = str(LIMIT)) -> Process:
    return Process((*TUTTI, "pull-lyrics", "--limit", limit), data, {"TUTTI_LRCLIB_URL": url})


def most_played(data: Path) -> list[str]:
    """The recordings of the catalog by plays, then by id."""
    plays = Counter[str]()
    for row in rows(data, "derived/recording_plays"):
        plays[row["recording_id"]] += row["plays"]
    ids = (row["recording_id"] for row in rows(data, "content/recordings"))
    return sorted(ids, key=lambda recording_id: (-plays[recording_id], recording_id))


def test_command_pulls_the_most_played_and_builds_tables(data: Path, url: str, faults: Faults) -> None:
    faults.script = [None, "broken", "unavailable", None, "empty"]
    first = command(data, url).fine()
    assert faults.happened.keys() == {"broken", "unavailable", "empty"}
    faults.configure(0, KINDS)
    ranked = most_played(data)
    assert {row["recording_id"] for row in rows(data, "content/lyrics")} == set(ranked[:LIMIT])
    assert "retry in" in first.out and "Updated " in first.out
    second = command(data, url).fine()
    assert {row["recording_id"] for row in rows(data, "content/lyrics")} == set(ranked[: 2 * LIMIT])
    assert faults.requests == LIMIT, second.out  # no recording twice
    found = Counter(row["status"] for row in rows(data, "content/lyrics"))
    assert found["instrumental"] > 0 and found["not found"] > 0


def test_a_failed_pull_prints_one_line_and_empties_no_table(laptop: World, tmp_path: Path, url: str) -> None:
    shutil.copytree(laptop.data, tmp_path / "data")
    before = versions(tmp_path / "data")
    wrong = command(tmp_path / "data", f"{url}/elsewhere", "1")
    elsewhere = command(tmp_path / "none", url)
    number = command(tmp_path / "number", url, "many")
    lines = {
        "Check TUTTI_LRCLIB_URL": wrong,
        "the catalog is empty": elsewhere,
        "invalid number of recordings 'many'": number,
    }
    for line, process in lines.items():
        assert process.code == 1
        (message,) = process.err.splitlines()
        assert message.startswith("tutti: ") and line in message
    assert versions(tmp_path / "data") == before
    assert rows(tmp_path / "data", "content/lyrics")


def test_sandbox_has_plain_synced_and_instrumental_lyrics(records: list[Record]) -> None:
    """LRCLIB lacks about a third of the recordings, and songs have words."""
    works = {work.title for work in catalog.works() if work.lyrics}
    words = [r for r in records if r["plainLyrics"]]
    assert {r["trackName"] for r in words} == works
    assert any(r["syncedLyrics"] for r in words) and not all(r["syncedLyrics"] for r in words)
    assert all(r["instrumental"] != bool(r["plainLyrics"]) for r in records)
    everything = len(performers.recordings(catalog.works(), seed=7))
    assert 0.6 < len(records) / everything < 0.73
    assert records == lrclib.of_world(performers.recordings(catalog.works(), seed=7))


def test_skips_answered_recordings_and_needs_a_catalog(laptop: World, tmp_path: Path) -> None:
    lake, ranked = Lake(laptop.data / "lake"), most_played(laptop.data)
    chosen = missing.lyrics(lake, ranked[:5], 10)
    assert [track.recording_id for track in chosen] == ranked[5:15]
    known = {row["recording_id"]: row for row in rows(laptop.data, "content/recordings")}
    for track in chosen:
        row = known[track.recording_id]
        assert (track.title, track.artist_credit, track.length_ms) == tuple(
            row[c] for c in ("title", "artist_credit", "length_ms")
        )
    with pytest.raises(TuttiError, match="the catalog is empty"):
        missing.lyrics(Lake(tmp_path / "lake"), [], 10)


def test_a_silent_service_is_retried_and_a_wrong_address_is_not(
    data: Path, url: str, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.services import web

    monkeypatch.setenv("TUTTI_DATA_DIR", str(data))
    monkeypatch.setattr(web, "MAX_REQUESTED_WAIT_S", -1.0)  # any wait is too long
    monkeypatch.setattr(OPS[NAME], "_retry_policy", dg.RetryPolicy(max_retries=1, delay=0))  # its own waits for minutes

    def retries(address: str) -> int:
        monkeypatch.setenv("TUTTI_LRCLIB_URL", address)
        with dg.DagsterInstance.ephemeral() as instance:
            job = build("laptop").resolve_job_def("pull_lyrics")
            result = job.execute_in_process(
                {"ops": {NAME: {"config": {"limit": 1}}}}, instance=instance, raise_on_error=False
            )
        assert not result.success
        return len([event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"])

    faults.configure(1, ["busy"], seed=1)
    try:
        assert retries(url) == 1
    finally:
        faults.configure(0, KINDS)
    assert retries(f"{url}/elsewhere") == 0
