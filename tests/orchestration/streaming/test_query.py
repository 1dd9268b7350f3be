"""The stream of landed files gives the same rows as an import, however often it is interrupted."""

import gzip
import json
import os
import pickle
import threading
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.imports import ledger
from assets.imports.batch import import_landed, read_imported_files
from assets.imports.ledger import TABLES, identify, prepare, refusal, tables
from assets.imports.record_types import RECORD_TYPES
from orchestration.cadence import DAILY, Cadence
from orchestration.instance.home import dagster_home
from orchestration.sensors.landing_files import Cursor, collect
from orchestration.streaming.records import LANDED, OUTCOME, REFUSED, SCHEMA, Outcome, read_files
from resources.engines.cogroup import untagged
from resources.errors import TuttiError
from resources.folders.landing import Landed, Landing
from resources.frames.frame import Engine
from resources.lake.lake import Lake
from resources.lake.write_transaction import WriteTransaction
from resources.sources import exports
from resources.sources.readers.archive import UnsupportedFile
from tests.conftest import ON_SPARK
from tests.orchestration.support import TUTTI, Process, platform, rows, rows_by_table, versions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIVE = 1_750_000_000
RAW = dg.AssetKey(["events", "raw_listens"])
on_spark = pytest.mark.parametrize("engine", [ON_SPARK], indirect=True)


def listen(n: int, at: Any = None) -> dict[str, Any]:
    names = {"artist_name": "Ärtist", "track_name": f"Song {n}"}
    return {"listened_at": LIVE + 200 * n if at is None else at, "user_name": "bob", "track_metadata": names}


LOVED = {"user_name": "bob", "recording_msid": "2cfad207-3f55-4aec-8120-86cf66e34d59", "score": 1, "created": LIVE}
PLAYLIST = {"user_name": "bob", "playlist": {"title": "Morning", "creator": "bob", "track": [{"title": "a"}]}}


def land(data: Path, name: str, *records: Any, age: int = 60) -> Path:
    """Write a landed file of records or bytes."""
    path = data / "landing" / "listens" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = records[0] if isinstance(records[0], bytes) else "\n".join(map(json.dumps, records)).encode()
    path.write_bytes(content)
    at = datetime.now(UTC).timestamp() - age
    os.utime(path, (at, at))
    return path


def land_everything(data: Path) -> None:
    """Land every kind of record: packed and plain, valid and broken, duplicate and unsupported, old and new."""
    land(data, "a.jsonl", listen(0), LOVED, listen(1), listen(2, at="soon"), age=900)
    land(data, "scrobbles/b.jsonl.gz", gzip.compress("\n".join(json.dumps(listen(n)) for n in range(3, 90)).encode()))
    land(data, "copy of a.jsonl", listen(0), LOVED, listen(1), listen(2, at="soon"), age=800)
    land(data, "_years_ago.jsonl", listen(90, at=1_100_000_000), listen(91), age=300_000_000)
    land(data, "postcard.json", {"title": "a postcard"}, age=700)
    with zipfile.ZipFile(land(data, "packed.zip", b""), "w") as packed:
        packed.writestr("listens/2025.jsonl", "\n".join(json.dumps(listen(n)) for n in range(92, 95)))
        packed.writestr("feedback.jsonl", json.dumps(LOVED))
    os.utime(packed.filename or "", (LIVE, LIVE))
    land(data, "cut.zip", b"PK\x03\x04 and no more", age=650)
    land(data, "empty", b"", age=600)
    land(data, ".half.jsonl", listen(99))
    complete = json.dumps([listen(95), listen(96)])
    land(data, "torn.json", complete[: len(complete) - 30].encode(), age=550)
    land(data, "playlist.jspf", PLAYLIST, age=500)


def import_in_batches(data: Path) -> None:
    """Import the landed files as the sensor's runs do."""
    landing, lake = Landing(root=str(data / "landing")), Lake(data / "lake")
    files, _ = collect(
        landing.list_files("listens"), read_imported_files(lake), Cursor(young=landing.list_files("listens")), 2**60
    )
    assert files
    prepare(lake)
    list(import_landed(landing, files, None, lake, datetime.now(UTC), lambda *_: None, print))


class Stream:
    """The stream on Spark, with its log lines and reported events."""

    def __init__(self, engine: Engine, data: Path) -> None:
        from orchestration.streaming.sink import Sink

        self.logged: list[str] = []
        self.reported: list[dg.AssetMaterialization] = []
        self.sink = Sink(engine, data, self.reported.extend, self.logged.append)

    def run(self, files: int = 1_000) -> Any:
        """Import the landed files from the checkpoint on, with `files` files in a micro-batch."""
        from orchestration.streaming.query import start, wait

        query = start(self.sink, once=True, files=files)
        wait(query, self.sink, threading.Event())
        return query

    @property
    def lateness(self) -> list[tuple[Any, datetime]]:
        """The number of late rows and the watermark of each micro-batch."""
        metadata: list[Any] = [m.metadata for m in self.reported if m.asset_key == dg.AssetKey(["events", "imports"])]
        return [(m["late"].value, datetime.fromtimestamp(m["watermark"].value, UTC)) for m in metadata]


@on_spark
def test_stream_gives_the_rows_of_an_import_once_and_loses_none(engine: Engine, tmp_path: Path) -> None:
    stream, undisturbed = Stream(engine, tmp_path / "stream"), tmp_path / "undisturbed"
    for data in (stream.sink.data, undisturbed):
        land_everything(data)
    stream.run(files=4)
    import_in_batches(undisturbed)
    assert len(rows(undisturbed, "events/raw_listens")) > 90
    same = ("imported_at", "seen_at", "modified_at")
    assert rows_by_table(stream.sink.data, same) == rows_by_table(undisturbed, same)
    (late,) = [r for r in rows(stream.sink.data, "events/raw_listens") if r["recording_name"] == "Song 90"]
    assert late["day"] == date(2004, 11, 9)
    days = [m.partition for m in stream.reported if m.asset_key == RAW]
    assert set(days) == {str(r["day"]) for r in rows(undisturbed, "events/raw_listens")}

    before = versions(stream.sink.data)
    stream.run()  # from the checkpoint
    assert versions(stream.sink.data) == before
    land(stream.sink.data, "live.jsonl", listen(1000), listen(2))
    import_in_batches(stream.sink.data)  # the sensor imports it, then the stream sees it
    Stream(engine, stream.sink.data).run()
    landing = Landing(root=str(stream.sink.data / "landing"))
    assert read_imported_files(Lake(stream.sink.data / "lake")) >= set(landing.list_files("listens"))
    assert len([r for r in rows(stream.sink.data, "events/raw_listens") if r["recording_name"] == "Song 1000"]) == 1

    land(stream.sink.data, "newer.jsonl", listen(2000), listen(1))
    land(stream.sink.data, "older.jsonl", listen(2001, at=LIVE - 90_000_000), listen(2001), age=50)
    stream = Stream(engine, stream.sink.data)
    stream.run(files=1)
    newest = datetime.fromtimestamp(LIVE + 200 * 95, UTC)
    assert stream.lateness == [
        (1, newest - timedelta(minutes=75)),  # kept over restarts
        (1, newest + timedelta(seconds=200 * (2000 - 95)) - timedelta(minutes=75)),
    ]
    assert {"Song 2000", "Song 2001"} <= {r["recording_name"] for r in rows(stream.sink.data, "events/raw_listens")}


@on_spark
def test_a_query_killed_before_its_first_offset_starts_over(engine: Engine, tmp_path: Path) -> None:
    """Regression: Spark refused the draft of the first offset that such a query left, and never started again."""
    stream = Stream(engine, tmp_path)
    land(tmp_path, "a.jsonl", listen(0))
    offsets = stream.sink.checkpoint / "offsets"
    offsets.mkdir()
    (stream.sink.checkpoint / "metadata").write_text("")
    for draft in (".0.fd48ca5c.tmp", "..0.fd48ca5c.tmp.crc"):
        (offsets / draft).write_text("")
    stream.run()
    assert len(rows(tmp_path, "events/raw_listens")) == 1


@on_spark
def test_resumes_from_the_checkpoint_after_a_failure_at_any_commit(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, undisturbed, commit = (
        Stream(engine, tmp_path / "stream"),
        tmp_path / "undisturbed",
        WriteTransaction._commit,
    )
    for data in (stream.sink.data, undisturbed):
        land_everything(data)
    import_in_batches(undisturbed)

    def breaking(self: WriteTransaction, *args: Any) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise TuttiError("planted failure")
        return commit(self, *args)

    for commits in (0, 2, 4):  # before the first, in the middle, and before the ledger's
        left = commits
        with monkeypatch.context() as patched:
            patched.setattr(WriteTransaction, "_commit", breaking)
            with pytest.raises(TuttiError, match="planted failure"):
                stream.run()
        assert rows(stream.sink.data, "events/imports") == []
    land(stream.sink.data, "new.jsonl", listen(500))  # not part of the repeated micro-batch
    land(undisturbed, "new.jsonl", listen(500))
    import_in_batches(undisturbed)
    stream.run()
    same = ("imported_at", "seen_at", "modified_at")
    assert rows_by_table(stream.sink.data, same) == rows_by_table(undisturbed, same)


# Without Spark: what workers read, which files a micro-batch has, and what is reported.


def read(landing: Landing, files: Sequence[Landed]) -> tuple[list[list[Any]], list[Outcome]]:
    """Return the rows of files that count for each table, and the outcome of each file."""
    batches = pa.Table.from_batches(list(read_files(landing, files, NOW)), SCHEMA)
    outcomes = [pickle.loads(o) for o in batches[OUTCOME].to_pylist() if o]
    counting = {(o.file.path, o.refused) for o in outcomes if not o.postponed}
    rows = zip(batches[LANDED].to_pylist(), batches[REFUSED].to_pylist(), strict=True)
    kept = [row in counting for row in rows]
    tables = untagged(batches.filter(pa.array(kept)), [schema for _, schema, _ in TABLES])
    return [table.to_pylist() for table in tables], outcomes


RECORDS = st.sampled_from(
    [listen(0), listen(1), listen(2, at=1_100_000_000), listen(3, at="soon"), LOVED, PLAYLIST, {}]
)


@given(st.lists(st.lists(RECORDS, max_size=9), min_size=1, max_size=4))
def test_workers_read_what_the_ledger_reads(contents: list[list[Any]]) -> None:
    with TemporaryDirectory() as folder, patch.object(ledger, "CHUNK_RECORDS", 4):
        for n, records in enumerate(contents):
            land(Path(folder), f"{n}.jsonl", *records or [b""])
        landing = Landing(root=f"{folder}/landing")
        files = landing.list_files("listens")
        found, outcomes = read(landing, files)
        expected: list[list[Any]] = [[] for _ in TABLES]
        for file, outcome in zip(files, outcomes, strict=True):
            path, counted = Path(landing.root, file.path), dict[str, Any]()
            days = {k.table: set[date]() for k in RECORD_TYPES if k.dated}
            try:
                reads = list(exports.read(path, None, NOW))
            except UnsupportedFile as error:
                reads = refusal(path.name, error)
            for part in tables([(identify(path, None), reads)], NOW, counted, days):
                expected = [rows + new.to_pylist() for rows, new in zip(expected, part, strict=True)]
            assert (outcome.file, {outcome.import_id: outcome.row}, outcome.days) == (file, counted, days)
    assert found == expected


def test_no_record_of_a_refused_file_counts(tmp_path: Path) -> None:
    with zipfile.ZipFile(land(tmp_path, "two.zip", b""), "w") as packed:
        packed.writestr("a.jsonl", "\n".join(json.dumps(listen(n)) for n in range(9)))
        packed.writestr("b.jsonl", json.dumps({k: v for k, v in listen(9).items() if k != "user_name"}))
    landing = Landing(root=str(tmp_path / "landing"))
    with patch.object(ledger, "CHUNK_RECORDS", 4):
        found, (outcome,) = read(landing, landing.list_files("listens"))
    assert [len(rows) for rows in found] == [*(0 for _ in RECORD_TYPES), 1]
    assert "does not name its listener" in found[-1][0]["reason"]
    assert outcome.refused
    assert (outcome.row["listens"], outcome.row["quarantined"], any(outcome.days.values())) == (0, 1, False)


def test_a_removed_or_changing_file_is_postponed_and_blocks_no_other(tmp_path: Path) -> None:
    removed, grown = land(tmp_path, "removed.jsonl", listen(0)), land(tmp_path, "grown.jsonl", listen(1))
    land(tmp_path, "there.jsonl", listen(2))
    landing = Landing(root=str(tmp_path / "landing"))
    files = landing.list_files("listens")
    removed.unlink()
    grown.write_text(grown.read_text() + "\n" + json.dumps(listen(3)))
    _, outcomes = read(landing, files)
    postponed = {o.file.path.removeprefix("listens/"): o.postponed for o in outcomes}
    assert postponed["there.jsonl"] is None
    assert postponed["removed.jsonl"]
    assert postponed["grown.jsonl"]


@pytest.mark.spark
def test_micro_batches_have_the_files_that_the_sensor_would_request(tmp_path: Path) -> None:
    from pyspark.sql.streaming.datasource import ReadMaxFiles

    from orchestration.streaming.source import LandedReader

    for n, age in enumerate((60, 3_000_000, 80)):
        land(tmp_path, f"{n}.jsonl", listen(n), age=age)
    young = land(tmp_path, "young.jsonl", listen(9), age=0)
    reader, begin = LandedReader(tmp_path, f"{tmp_path}/landing", 2, 4), {"at": 0, "files": []}
    first = reader.latestOffset(begin, ReadMaxFiles(2))
    assert [path for path, _, _ in first["files"]] == ["listens/1.jsonl", "listens/2.jsonl"]  # the oldest
    again = LandedReader(tmp_path, f"{tmp_path}/landing", 2, 4)  # after a restart, from the stored offset
    planned = [file for part in again.partitions(begin, json.loads(json.dumps(first))) for file in part.value["files"]]
    assert sorted(planned) == sorted(first["files"])
    import_in_batches(tmp_path)
    assert reader.partitions(first, first) == []
    assert reader.latestOffset(first, ReadMaxFiles(2)) == first  # everything is imported
    os.utime(young, (1, 1))
    assert [path for path, _, _ in reader.latestOffset(first, ReadMaxFiles(2))["files"]] == ["listens/young.jsonl"]


def test_reported_days_become_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.materializations import report_outside_runs

    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "")
    dagster_home()
    defs, days = platform(), [date(2004, 11, 9) + timedelta(days=n) for n in range(600)]
    with dg.DagsterInstance.get() as instance:
        report_outside_runs(instance, [dg.AssetMaterialization(RAW, partition=day.isoformat()) for day in days])
        stale = Cadence(defs.resolve_asset_graph()).stale(instance, DAILY)
    assert set().union(*stale.values()) == set(days)


def test_names_the_environment_that_it_needs(tmp_path: Path) -> None:
    process = Process((*TUTTI, "stream", "--once"), tmp_path, {"TUTTI_ENV": "laptop"})
    assert process.code == 1 and "TUTTI_ENV=spark make stream" in process.err and process.err.count("\n") == 1
