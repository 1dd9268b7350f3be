"""Pulls by command and by job: from a service to charts, without leaking a secret."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from orchestration.definitions import build
from orchestration.jobs.pulls import OPS, ListensConfig, Service, pull_listens
from resources.pulls.listens import SERVICES
from resources.sandbox import world
from resources.sandbox.http.accounts import Accounts, of_world
from resources.sandbox.http.faults import KINDS, Faults
from tests.orchestration.support import PROJECT, TUTTI, Process, rows, rows_by_table, versions
from tests.serving import sandbox

FIRST, DAYS = date(2025, 2, 28), 3
LAST = FIRST + timedelta(days=DAYS - 1)
TOKEN, KEY = "t0ken-for-nobody", "key-for-nobody"


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return of_world(world.simulated(first_day=FIRST, days=DAYS, listeners=40))


@pytest.fixture(scope="module")
def user(accounts: Accounts) -> str:
    """A user with many listens and no feedback."""
    return next(n for n in accounts.names() if not accounts.find(n).opinions)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults(retry_after=0, delay=0.1)


@pytest.fixture(scope="module")
def url(accounts: Accounts, faults: Faults) -> Iterator[str]:
    with sandbox(accounts, faults) as url:
        yield url


def settings(url: str) -> dict[str, str]:
    return {
        "TUTTI_LISTENBRAINZ_URL": url,
        "TUTTI_LISTENBRAINZ_TOKEN": TOKEN,
        "TUTTI_LASTFM_URL": f"{url}/2.0/",
        "TUTTI_LASTFM_API_KEY": KEY,
    }


def command(data: Path, url: str, user: str, source: str = "listenbrainz") -> Process:
    days = ("--from", str(FIRST), "--to", str(LAST))
    return Process((*TUTTI, "pull", "--source", source, "--user", user, *days), data, settings(url))


def everything(data: Path) -> bytes:
    return b"".join(p.read_bytes() for p in data.rglob("*") if p.is_file())


def test_a_pull_through_faults_imports_exactly_the_users_listens(
    tmp_path: Path, url: str, user: str, accounts: Accounts, faults: Faults
) -> None:
    faults.script = ["unavailable", "broken", "cut", "empty"]
    first = command(tmp_path, url, user).fine()
    assert faults.happened.keys() == {"unavailable", "broken", "cut", "empty"}
    wanted = sorted(
        (datetime.fromtimestamp(h.listened_at, UTC), h.artist, h.title)
        for h in accounts.find(user).listens  # type: ignore[union-attr]
    )
    found = [(r["listened_at"], r["artist_name"], r["recording_name"]) for r in rows(tmp_path, "events/listens")]
    assert sorted(found) == wanted
    assert {r["user_id"] for r in rows(tmp_path, "events/listens")} == {user}
    assert rows(tmp_path, "events/quarantine") == []
    assert sum(r["plays"] for r in rows(tmp_path, "derived/recording_plays")) == len(wanted)
    assert f"{len(wanted)} listens" in first.out and "retry in" in first.out
    assert f"\nlistens: {len(wanted)} new\n" in first.out
    before, tables = versions(tmp_path), rows_by_table(tmp_path)
    again = command(tmp_path, url, user).fine()
    assert "No new listens" in again.out and ".jsonl" not in again.out  # the file of the first pull is still there
    assert (versions(tmp_path), rows_by_table(tmp_path)) == (before, tables)
    for secret in (TOKEN, KEY):
        assert secret not in first.out + first.err + again.out + again.err
        assert secret.encode() not in everything(tmp_path)


def test_scrobbles_land_for_the_import(tmp_path: Path, url: str, user: str, accounts: Accounts) -> None:
    from resources.pulls.listens import pull
    from resources.services.lastfm import connect
    from resources.storage import Storage

    pull(connect(settings(url), len), user, FIRST, LAST, Storage.at(tmp_path), datetime.now(UTC))
    lines = [json.loads(line) for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(lines) == len(accounts.find(user).listens)  # type: ignore[union-attr]
    for line in lines:
        assert {"user_name", "artist", "name", "mbid", "album", "date"} <= line.keys()
        assert line["user_name"] == user and line["artist"]["#text"] and line["date"]["uts"].isdecimal()
    assert KEY.encode() not in everything(tmp_path)


def test_errors_are_one_line(tmp_path: Path, url: str) -> None:
    cases = {
        "stranger": (command(tmp_path / "a", url, "nobody"), "has no user 'nobody'"),
        "scrobbler": (command(tmp_path / "b", url, "nobody", "lastfm"), "has no user 'nobody'"),
        "name": (command(tmp_path / "e", url, "../../ann", "lastfm"), "has no user"),
    }
    for process, line in cases.values():
        assert process.code == 1
        (message,) = process.err.splitlines()
        assert message.startswith("tutti: ") and line in message
        assert not [s for s in (TOKEN, KEY) if s in process.out + process.err or s.encode() in everything(process.data)]


def test_each_service_has_a_pool_of_one_and_a_retry_policy() -> None:
    assert {*SERVICES, "musicbrainz", "lrclib"} == set(OPS)
    assert set(SERVICES) == {service.value for service in Service}
    for name, op in OPS.items():
        assert op.pool == name
        assert op.retry_policy and op.retry_policy.max_retries >= 1
    settings = yaml.safe_load((PROJECT / "orchestration" / "instance" / "dagster.yaml").read_text())
    assert settings["concurrency"]["pools"]["default_limit"] == 1


def run(job: dg.JobDefinition, source: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    config = {"source": source, "user": "ann", "first": "2025-03-01", "last": "2025-03-01"}
    return job.execute_in_process(
        {"ops": {"choose_service": {"config": config}}}, instance=instance, raise_on_error=False
    )


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.JobDefinition:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    return build("laptop").resolve_job_def("pull_listens")


def test_only_the_chosen_service_is_asked(job: dg.JobDefinition, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTTI_LISTENBRAINZ_URL", url)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(job, "listenbrainz", instance)
    skipped = [event.step_key for event in result.all_events if event.event_type_value == "STEP_SKIPPED"]
    assert "lastfm" in skipped
    failed = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert [event.step_key for event in failed] == ["listenbrainz"]  # the user does not exist
    assert not [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert failed[0].step_failure_data.error and "has no user" in str(failed[0].step_failure_data.error)


def test_a_service_that_does_not_answer_is_retried(
    job: dg.JobDefinition, url: str, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resources.services import web

    monkeypatch.setenv("TUTTI_LISTENBRAINZ_URL", url)
    monkeypatch.setattr(web, "MAX_REQUESTED_WAIT_S", -1.0)  # any wait is too long
    # Its own policy waits for minutes.
    monkeypatch.setattr(OPS["listenbrainz"], "_retry_policy", dg.RetryPolicy(max_retries=1, delay=0))
    faults.configure(1, ["busy"], seed=1)
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = run(job, "listenbrainz", instance)
    finally:
        faults.configure(0, KINDS)
    assert not result.success
    assert len([event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]) == 1


def test_the_launchpad_has_the_documented_defaults() -> None:
    config = ListensConfig(source=Service("lastfm"), user="ann", first="2025-03-01", last="2025-03-02")
    assert config.feedback and not config.refetch
    assert pull_listens.description


def test_mock_services_serves_both_services() -> None:
    import socket
    import subprocess
    import time

    import requests

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ("mock-services", "--port", str(port), "--fault-rate", "1", "--faults", "unavailable")
    process = subprocess.Popen(
        (sys.executable, "-m", "orchestration", *flags), cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert "240 listeners" in process.stdout.readline()
        began = time.monotonic()
        while True:
            try:
                answer = requests.get(f"http://127.0.0.1:{port}/2.0/", timeout=10)
                break
            except requests.ConnectionError:
                assert time.monotonic() - began < 60
                time.sleep(0.05)
        assert answer.status_code == 503
        requests.put(f"http://127.0.0.1:{port}/sandbox/faults", json={"rate": 0}, timeout=10)
        assert requests.get(f"http://127.0.0.1:{port}/2.0/", timeout=10).json()["error"] == 6
    finally:
        process.terminate()
        process.wait()


def test_dagsters_records_hold_no_secret(tmp_path: Path, url: str, user: str) -> None:
    """Not even if a run fails with the key in the URL."""
    failed = command(tmp_path, url, "nobody", "lastfm")
    assert failed.code == 1
    records = list((tmp_path / "dagster").rglob("*.db"))
    assert records
    dumps = "\n".join(line for path in records for line in sqlite3.connect(path).iterdump())
    assert "has no user" in dumps
    assert KEY not in dumps and TOKEN not in dumps
