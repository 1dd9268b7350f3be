"""Pulls of metadata by command and by job: from submitted ids, through the sandbox's MusicBrainz, to tables."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.events.imports import RAW_LISTENS
from orchestration.definitions import build
from orchestration.jobs.pulls import OPS
from orchestration.run_tags import BY_HAND
from orchestration.sensors.catalog_after_pull import sensor_after_pull
from resources.lake.lake import Lake
from resources.sandbox import catalog, performers
from resources.sandbox.entities import Entities, entities
from resources.sandbox.http.accounts import Accounts
from resources.sandbox.http.faults import KINDS, Faults
from resources.services import web
from tests.orchestration.support import TUTTI, Process, rows, versions
from tests.serving import sandbox
from tests.tables import LEAP, at, raw, table

NAMES = ("recordings", "artists", "releases", "release_groups", "credits", "genres", "mbid_redirects")


@pytest.fixture(scope="module")
def world() -> Entities:
    return entities(performers.recordings(catalog.works()[:120], 7))


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults(retry_after=0, delay=0.1)


@pytest.fixture(scope="module")
def url(world: Entities, faults: Faults) -> Iterator[str]:
    with sandbox(Accounts([]), faults, entities=world) as url:
        yield url


@pytest.fixture
def data(tmp_path: Path, url: str, faults: Faults, world: Entities, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake with listens of a few recordings, one of them under an id that was merged into it."""
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TUTTI_MUSICBRAINZ_URL", url)
    faults.configure(0, KINDS)
    ids = [*submitted_ids(world), *submitted_ids(world)[:2], None]
    listens = [raw(at(LEAP, n), n, recording_mbid=mbid, recording_name=f"Song {n}") for n, mbid in enumerate(ids)]
    Lake(tmp_path / "lake").replace("events/raw_listens", iter([table(listens, RAW_LISTENS)]), RAW_LISTENS)
    return tmp_path


def submitted_ids(world: Entities) -> list[str]:
    """Return the ids of four recordings. Two ids are of the same recording."""
    old, new = next(iter(world.merged["recording"].items()))
    others = [mbid for mbid in world.of["recording"] if mbid != new]
    return [old, new, *others[:3]]


def run(job: str, partition: date | None = None, **config: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            build("laptop")
            .resolve_job_def(job)
            .execute_in_process(
                {"ops": config} if config else None,
                instance=instance,
                raise_on_error=False,
                partition_key=partition.isoformat() if partition else None,
            )
        )


def events(result: dg.ExecuteInProcessResult, kind: str) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.event_type_value == kind]


def test_pulled_recordings_become_tables_and_match_merged_ids(data: Path, world: Entities, faults: Faults) -> None:
    faults.script = ["unavailable", "cut", "broken", "busy"]
    assert run("pull_metadata").success
    assert run("build_catalog").success
    wanted = set(submitted_ids(world)[1:])
    assert {row["recording_id"] for row in rows(data, "content/recordings")} == wanted
    credited = {row["artist_id"] for row in rows(data, "content/credits")}
    assert credited <= {row["artist_id"] for row in rows(data, "content/artists")}
    assert {r["release_id"] for r in rows(data, "content/recordings")} == {
        r["release_id"] for r in rows(data, "content/releases")
    }
    assert {r["release_group_id"] for r in rows(data, "content/releases")} == {
        r["release_group_id"] for r in rows(data, "content/release_groups")
    }
    assert [row["merged_id"] for row in rows(data, "content/mbid_redirects")] == submitted_ids(world)[:1]
    assert {row["entity"] for row in rows(data, "content/genres")} >= {"artist"}
    requests = faults.requests
    assert run("pull_metadata").success
    assert faults.requests == requests
    merged_listens_count_together(data, world)


def merged_listens_count_together(data: Path, world: Entities) -> None:
    """Check that a listen under a merged id counts for the recording it was merged into."""
    old, new, *_ = submitted_ids(world)
    assert run("daily", LEAP).success
    plays = {row["recording_id"]: row["plays"] for row in rows(data, "derived/recording_plays")}
    assert old not in plays
    assert plays[new] == 4
    named = {row["recording_mbid"]: row for row in rows(data, "events/recording_matches")}
    assert (named[old]["rule"], named[old]["confidence"], named[old]["title"]) == ("mbid", 1.0, named[new]["title"])


def test_a_failed_pull_changes_nothing_and_is_retried(
    data: Path, world: Entities, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("pull_metadata", musicbrainz={"config": {"limit": 1}})
    run("build_catalog")
    known = [row["recording_id"] for row in rows(data, "content/recordings")]
    assert known == [submitted_ids(world)[1]]  # the most played
    before, files = versions(data), {p: p.read_bytes() for p in (data / "landing").rglob("*.jsonl")}
    assert files
    monkeypatch.setattr(web, "MAX_REQUESTED_WAIT_S", -1.0)  # any wait is too long
    soon = dg.RetryPolicy(max_retries=1, delay=0)  # the default policy waits for minutes
    monkeypatch.setattr(OPS["musicbrainz"], "_retry_policy", soon)
    faults.configure(1, ["busy"], seed=1)
    result = run("pull_metadata")
    assert not result.success
    assert len(events(result, "STEP_UP_FOR_RETRY")) == 1
    assert versions(data) == before
    assert {p: p.read_bytes() for p in (data / "landing").rglob("*.jsonl")} == files
    assert run("build_catalog").success  # from the landed files, although the service is unavailable
    assert [row["recording_id"] for row in rows(data, "content/recordings")] == known


def test_the_real_service_is_not_asked_without_a_contact(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUTTI_MUSICBRAINZ_URL")
    for name in ("TUTTI_MUSICBRAINZ_CONTACT", "TUTTI_USER_AGENT"):
        monkeypatch.delenv(name, raising=False)
    result = run("pull_metadata")
    (failed,) = events(result, "STEP_FAILURE")
    assert "TUTTI_MUSICBRAINZ_CONTACT" in str(failed.step_failure_data.error)
    assert events(result, "STEP_UP_FOR_RETRY") == []


def test_an_empty_lake_requests_nothing(
    tmp_path: Path, url: str, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TUTTI_MUSICBRAINZ_URL", url)
    faults.configure(0, KINDS)
    assert run("pull_metadata").success
    assert faults.requests == 0


def test_sensor_builds_the_catalog_unless_the_command_does(data: Path) -> None:
    job = build("laptop").resolve_job_def("pull_metadata")
    sensor = sensor_after_pull(dg.define_asset_job("build_catalog"))
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process({"ops": {"musicbrainz": {"config": {"limit": 1}}}}, instance=instance)
        answers = [
            sensor(dg.build_run_status_sensor_context("catalog_after_pull", done.all_events[-1], instance, run))
            for run in (done.dagster_run, done.dagster_run.with_tags({BY_HAND: "yes"}))
        ]
    assert [type(answer) for answer in answers] == [dg.RunRequest, dg.SkipReason]


def test_command_pulls_and_builds_the_catalog(tmp_path: Path, url: str, world: Entities, faults: Faults) -> None:
    faults.configure(0, KINDS)
    ids = submitted_ids(world)
    lines = [
        {
            "user_name": "ada",
            "timestamp": 1_740_787_200 + 600 * n,
            "track_metadata": {
                "artist_name": "Somebody",
                "track_name": f"Song {n}",
                "additional_info": {"recording_mbid": mbid},
            },
        }
        for n, mbid in enumerate(ids)
    ]
    file = tmp_path / "own.listens"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    data = tmp_path / "data"
    settings = {"TUTTI_MUSICBRAINZ_URL": url}
    Process((*TUTTI, "import", "--listener", "ada", "--", str(file)), data).fine()
    first = Process((*TUTTI, "pull-metadata", "--limit", "100"), data, settings).fine()
    assert "Updated " in first.out and " left" not in first.out
    assert {row["recording_id"] for row in rows(data, "content/recordings")} == set(ids[1:])
    before = {name: versions(data)[f"content/{name}"] for name in NAMES}
    again = Process((*TUTTI, "pull-metadata"), data, settings)
    refused = {
        "contact": Process((*TUTTI, "pull-metadata"), data, {}),
        "number": Process((*TUTTI, "pull-metadata", "--limit", "many"), data, settings),
        "pace": Process((*TUTTI, "pull-metadata"), data, settings | {"TUTTI_MUSICBRAINZ_MIN_INTERVAL_S": "fast"}),
    }
    assert "Nothing changed" in again.fine().out
    variables = {
        "contact": "TUTTI_MUSICBRAINZ_CONTACT",
        "number": "LIMIT=500",
        "pace": "TUTTI_MUSICBRAINZ_MIN_INTERVAL_S",
    }
    for what, process in refused.items():
        assert process.code == 1, what
        (line,) = process.err.splitlines()
        assert line.startswith("tutti: ") and variables[what] in line
    assert {name: versions(data)[f"content/{name}"] for name in NAMES} == before
