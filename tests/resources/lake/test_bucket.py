"""A lake in a bucket of an object store: lost answers, killed jobs, secrets, and refusals."""

import os
import pickle
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from orchestration.privacy.erasure import refuse_bucket
from resources import storage
from resources.artifacts.io_manager import ArtifactIO
from resources.engines.duckdb import DuckEngine
from resources.engines.remote_files import RemoteFiles
from resources.engines.resource import EngineName, EngineResource
from resources.environments import environment, open_lake
from resources.errors import TuttiError
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine
from resources.lake.delta_table import open_table
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.schema import column, declare
from tests import s3, tables
from tests.oracle import assert_same
from tests.transformations import TRANSFORMATIONS

PROJECT = Path(__file__).parents[3]
THINGS = pa.schema([column("day", pa.date32(), "a day"), column("name", pa.string(), "a name")])
TABLE = "events/things"
COMMITS = int(os.environ.get("COMMITS", "8"))
DAYS = [tables.LEAP, *(date(2024, 3, n) for n in range(1, 8))]


@pytest.fixture
def lake(bucket: str) -> Lake:
    return Lake(f"{bucket}/a/lake")


def put(lake: Lake, name: str, *days: date) -> int:
    rows = pa.table([list(days), [name] * len(days)], schema=THINGS)
    return lake.replace(TABLE, iter([rows]), THINGS, RangeFilter("day", days[0], days[-1]), ["day"]).version


def put_with_retries(lake: Lake, name: str, *days: date) -> int:
    """Replace days, with retries if the store does not answer in time."""
    for _ in range(5):
        with suppress(TuttiError):
            return put(lake, name, *days)
    raise AssertionError("five failures in a row")


def stored(lake: Lake, version: int | None = None) -> dict[date, str]:
    rows = lake.scan(TABLE, THINGS, version=version).table().to_pylist()
    assert len({r["day"] for r in rows}) == len(rows)
    return {r["day"]: r["name"] for r in rows}


def in_bucket(lake: Lake) -> set[str]:
    return {file.name for file in (lake.root / TABLE).files() if file.name.endswith(".parquet")}


def later(days: float) -> Any:
    """Move this machine's clock forward by `days`."""
    return patch.object(time, "time", return_value=time.time() + days * 86_400)


def test_lost_answers_keep_every_version_intact(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """About one in seven answers to writes is lost after the store has written, and some answers to reads."""
    expected: dict[int, dict[date, str]] = {}
    rows: dict[date, str] = {}
    with s3.losing(7) as (proxy, lost):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
        for n in range(COMMITS):
            days = DAYS[n % 5 : n % 5 + 1 + n % 3]
            rows |= dict.fromkeys(days, str(n))
            expected[put_with_retries(lake, str(n), *days)] = dict(rows)
            assert stored(lake) == rows
    monkeypatch.undo()
    assert any("PUT" in line and "_delta_log/" in line for line in lost)
    assert any("PUT" in line and ".parquet" in line for line in lost)
    assert len(expected) == COMMITS
    assert {version: stored(lake, version) for version in expected} == expected
    with later(2):
        assert lake.vacuum(TABLE).files == 0


KILLED = """
import os, signal, sys
from tests.resources.lake.test_bucket import *
with Lake(sys.argv[1]).writing(TABLE, THINGS) as draft:
    draft.write(iter([pa.table([[DAYS[0]], ["never published"]], schema=THINGS)]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_file_of_a_killed_job_is_removed_after_a_day(lake: Lake) -> None:
    put(lake, "first", DAYS[0])
    before = in_bucket(lake)
    done = subprocess.run([sys.executable, "-c", KILLED, str(lake.root)], cwd=PROJECT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = in_bucket(lake) - before
    assert stored(lake) == {DAYS[0]: "first"}
    assert lake.vacuum(TABLE, keep_days=0).files == 0  # a job on another machine may still publish it
    put(lake, "second", DAYS[1])
    with later(0.9):
        assert lake.vacuum(TABLE).files == 0
    with later(1.1):
        assert lake.vacuum(TABLE).files == 1
    assert left not in in_bucket(lake)
    assert stored(lake) == {DAYS[0]: "first", DAYS[1]: "second"}


def test_files_of_old_versions_are_removed_after_thirty_days(lake: Lake) -> None:
    put(lake, "first", DAYS[0])
    for name, days in (("second", -31), ("third", -29)):
        with later(days):
            put(lake, name, DAYS[0])
    assert lake.vacuum(TABLE).files == 1
    assert [stored(lake, n)[DAYS[0]] for n in (2, 3)] == ["second", "third"]
    with pytest.raises(FileNotFoundError):
        stored(lake, 1)


def test_files_of_a_commit_that_may_still_arrive_are_kept(lake: Lake) -> None:
    put(lake, "first", DAYS[0])
    commit, late = DeltaTable.create_write_transaction, list[Callable[[], None]]()

    def delayed(*args: Any, **more: Any) -> None:
        late.append(lambda: commit(*args, **more))
        raise OSError("Generic S3 error: operation timed out")

    with patch.object(DeltaTable, "create_write_transaction", delayed), pytest.raises(TuttiError, match="not answer"):
        put(lake, "second", DAYS[0])
    assert stored(lake) == {DAYS[0]: "first"}
    late[0]()
    assert stored(lake) == {DAYS[0]: "second"}


@pytest.mark.parametrize("name", ["recording_plays", "charts_daily", "sessions"])
def test_transformation_of_tables_in_a_bucket_equals_the_oracle(name: str, engine: Engine, lake: Lake) -> None:
    (transformation,) = (t for t in TRANSFORMATIONS if t.name == name)
    rows, span = transformation.hard[2]
    read = transformation.prepare(rows, span)
    for (table, schema), values in zip(transformation.reads.items(), read, strict=True):
        lake.replace(f"read/{table}", engine.from_arrow(tables.table(values, schema)), schema)
    frames = [engine.read(lake.scan(f"read/{table}", schema)) for table, schema in transformation.reads.items()]
    lake.replace(
        f"made/{name}",
        transformation.run(*frames, span=span),
        transformation.schema,
        order=transformation.schema.names[:1],
    )
    result = engine.read(lake.scan(f"made/{name}", transformation.schema)).collect(transformation.schema)
    assert_same(result, transformation.oracle(*read, span=span), transformation.schema)


def test_each_thread_has_its_own_position_in_a_file(lake: Lake) -> None:
    """DuckDB seeks and reads in all of its threads on one handle: a shared position would mix up pages."""
    content = os.urandom(200_000)  # more than the cached tail
    lake.root.write("file", content)
    file = RemoteFiles().open((lake.root / "file").path)
    file.seek(10)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: (file.seek(-5, 2), file.read())).result() == (len(content) - 5, content[-5:])
    assert (file.read(3), file.tell(), file.read(4)) == (content[10:13], 13, content[13:17])


def test_duckdb_reads_many_files_with_many_threads(lake: Lake) -> None:
    numbers = pa.table({"n": pa.array(range(400_000))})
    with lake.writing("events/numbers", numbers.schema) as draft:
        for n in range(4):
            draft.write(iter([numbers.slice(n * 100_000, 100_000)]))
        draft.publish()
    scan = lake.scan("events/numbers", numbers.schema)
    assert len(scan.files) == 4
    engine = DuckEngine(memory_gb=1)
    engine.db.execute("SET threads=8")
    for _ in range(5):
        assert engine.read(scan).native.relation.aggregate("count(*), sum(n), max(n)").fetchall() == [
            (400_000, sum(range(400_000)), 399_999)
        ]
    few = engine.read(lake.scan("events/numbers", numbers.schema, RangeFilter("n", 250_000, 250_002)))
    assert sorted(few.collect()["n"].to_pylist()) == [250_000, 250_001, 250_002]


@dg.asset(key_prefix="events", metadata=declare(THINGS))
def things() -> pa.Table:
    return pa.table([[DAYS[0]], ["a"]], schema=THINGS)


def test_no_repr_pickle_log_or_history_contains_a_secret(lake: Lake, tmp_path: Path) -> None:
    io_manager = LakeIO(engine=EngineResource(name=EngineName.pandas, spill_dir=str(tmp_path)), root=str(lake.root))
    artifacts = ArtifactIO(root=f"{lake.root}/artifacts")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        dg.materialize([things], instance=instance, resources={"io_manager": io_manager, "artifacts": artifacts})
    scan = lake.scan(TABLE, THINGS)
    assert len(scan.table()) == 1
    with lake.writing(TABLE, THINGS) as draft:
        handles = [lake.root, scan, *scan.split(), draft.writer, draft, artifacts.artifacts]
    texts = [*map(repr, handles), repr(io_manager), io_manager.model_dump_json(), repr(artifacts)]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(str(lake.root).encode() in content for content in files)  # Dagster's history names the folder
    logs = [(lake.root / TABLE / "_delta_log").read(f"{n:020d}.json") for n in range(2)]
    for secret in (s3.KEY.encode(), s3.SECRET.encode()):
        assert not any(secret in c for c in (*map(pickle.dumps, handles), *map(str.encode, texts), *files, *logs))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"TUTTI_LAKE_URL": "s3://no-such-bucket-here/lake"}, "s3://no-such-bucket-here.* does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "AWS_ENDPOINT_URL"),
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "refuses.* AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": ""}, "needs.* AWS_ACCESS_KEY_ID"),
    ],
    ids=["no such bucket", "no answer", "wrong secret", "no credentials"],
)
def test_store_that_refuses_or_does_not_answer_is_one_line(
    change: dict[str, str], expected: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake, "a", DAYS[0])
    for name, value in ({"TUTTI_LAKE_URL": str(lake.root)} | change).items():
        monkeypatch.setenv(name, value)
    uses: list[Callable[[Lake], Any]] = [
        Lake.tables,
        Lake.check,
        lambda lake: open_table(lake.root / TABLE),
        lambda lake: lake.scan(TABLE, THINGS),
        lambda lake: put(lake, "b", DAYS[0]),
    ]
    monkeypatch.setattr(storage, "ARROW_TRIES", 1)
    monkeypatch.setattr(storage, "RETRIES", 0)
    for use in uses:
        with pytest.raises(TuttiError, match=expected) as raised:
            use(open_lake())
        assert len(str(raised.value).splitlines()) == 1
        assert s3.KEY not in "".join(traceback.format_exception(raised.value))


def test_history_of_a_table_in_a_bucket_cannot_be_dropped(lake: Lake) -> None:
    for name in ("first", "second"):
        put(lake, name, DAYS[0])
    before = in_bucket(lake)
    with pytest.raises(TuttiError, match="old versions"):
        lake.drop_history(TABLE)
    assert in_bucket(lake) == before
    assert stored(lake, 1) == {DAYS[0]: "first"}


@pytest.mark.parametrize("variable", ["TUTTI_LAKE_URL", "TUTTI_ARTIFACTS_URL", "TUTTI_LANDING_URL"])
def test_erasing_from_a_bucket_is_refused(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(variable, "s3://a-bucket/folder")
    with pytest.raises(TuttiError, match="s3://a-bucket/folder"):
        refuse_bucket()


def test_environment_uses_the_places_that_the_variables_name(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTTI_LAKE_URL", str(lake.root))
    assert environment("laptop")["io_manager"].lake.root == lake.root
    for wrong, shown in {"/a/folder": "/a/folder", "s3://": "s3://", "s3://key:secret@b/c": "s3://...@b/c"}.items():
        monkeypatch.setenv("TUTTI_LAKE_URL", wrong)
        with pytest.raises(TuttiError, match=f"TUTTI_LAKE_URL: {re.escape(shown)}"):
            environment("laptop")
    monkeypatch.delenv("TUTTI_LAKE_URL")
    monkeypatch.setenv("TUTTI_ARTIFACTS_URL", str(lake.root / "artifacts"))
    assert environment("laptop")["artifacts"].artifacts.store == lake.root / "artifacts"
    monkeypatch.setenv("TUTTI_LANDING_URL", str(lake.root / "landing"))
    assert environment("laptop")["landing"].store == lake.root / "landing"


def test_other_programs_can_open_the_table(lake: Lake) -> None:
    put(lake, "a", DAYS[0])
    assert open_table(lake.root / TABLE).to_pyarrow_dataset().to_table().to_pylist() == [{"day": DAYS[0], "name": "a"}]
    assert lake.tables() == [TABLE]
    assert (lake.rows(TABLE), lake.version(TABLE), lake.stored(TABLE).names) == (1, 1, ["day", "name"])
