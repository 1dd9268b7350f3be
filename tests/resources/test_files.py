"""A full or read-only disk and a lake of a newer version end with a one-line error, and stored data stays unchanged.

Each small disk is a file system in memory that only the test's own process sees.
"""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from resources.errors import TuttiError
from resources.files import writing_to
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine
from resources.lake import write_transaction
from resources.lake.delta_table import SETTINGS
from resources.lake.lake import Lake
from tests.conftest import ON_DASK, ON_SPARK
from tests.tables import LEAP

PROJECT = Path(__file__).parents[2]
THINGS = pa.schema([("day", pa.date32()), ("text", pa.string())])
TABLE = "events/things"
DAYS = [LEAP + timedelta(days=n) for n in range(4)]
PAGE = 4096  # bytes: the block size of such a disk
ENGINES = ["pandas", "duckdb", ON_DASK, ON_SPARK]


@cache
def allowed() -> bool:
    """Return whether this system lets a process mount a file system that only it sees."""
    if not shutil.which("unshare"):
        return False
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


def on_small_disk(folder: Path, *command: str, kilobytes: int = 1024, **variables: str) -> subprocess.CompletedProcess:
    """Run a command with a small disk mounted at `folder`."""
    if not allowed():
        pytest.skip("this system does not let a process mount a file system of its own (unshare -rm)")
    folder.mkdir(parents=True, exist_ok=True)
    script = 'mount -t tmpfs -o "size=$0" none "$1" && shift && exec "$@"'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, f"{kilobytes}k", str(folder), *command],
        cwd=PROJECT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def played(scenario: Callable[..., None], folder: Path, *args: str) -> dict[str, Any]:
    """Run a scenario of this module on a small disk and return what it printed."""
    code = f"import sys; from {__name__} import {scenario.__name__} as play; play(*sys.argv[1:])"
    done = on_small_disk(folder, sys.executable, "-c", code, str(folder), *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# Scenarios: each prints the error of a failing write, and the table before and after it


def rows(*texts: str, day: date = LEAP) -> pa.Table:
    return pa.Table.from_pylist([{"day": day, "text": text} for text in texts], THINGS)


def big() -> pa.Table:
    """Return more rows than the disk can hold, of several days."""
    return pa.concat_tables(rows(*(os.urandom(512).hex() for _ in range(500)), day=day) for day in DAYS)


def put(lake: Lake, table: pa.Table, replaced: RangeFilter | None = None) -> None:
    lake.replace(TABLE, iter([table]), THINGS, replaced, ["day"])


def state(lake: Lake) -> dict[str, Any]:
    """Return the table as a reader sees it, and every file in its folder."""
    files = sorted(str(p.relative_to(lake.root)) for p in Path(lake.root).rglob("*") if p.is_file())
    if not lake.exists(TABLE):
        return {"version": None, "texts": [], "files": [f for f in files if "_delta_log" not in f]}
    return {
        "version": lake.version(TABLE),
        "texts": lake.scan(TABLE, THINGS).table()["text"].to_pylist(),
        "files": files,
    }


@contextmanager
def failing(lake: Lake) -> Iterator[None]:
    """Print the error of a write that fails, and the table before and after it."""
    before, message = state(lake), None
    try:
        yield
    except TuttiError as error:
        message = str(error)
    print(json.dumps({"message": message, "before": before, "after": state(lake)}))


def fill(folder: Path, leave: int = 0) -> Path:
    """Write a file until the disk is full except for `leave` bytes."""
    path = folder / "filling"
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(file, b"x" * PAGE)
    except OSError:
        os.ftruncate(file, path.stat().st_size - leave)
    os.close(file)
    return path


def full_while_writing(root: str, engine: str) -> None:
    lake = Lake(root)
    put(lake, rows("old"))
    with failing(lake):
        lake.replace(TABLE, of(engine).from_arrow(big()), THINGS, None, ["day"])


def full_while_committing(root: str) -> None:
    lake = Lake(root)
    put(lake, rows("old"))
    with failing(lake), lake.writing(TABLE, THINGS, ["day"]) as draft:
        draft.write(iter([rows("new")]))
        filling = fill(Path(lake.root))
        try:
            draft.publish(RangeFilter("day", LEAP, LEAP))
        finally:
            filling.unlink()


def full_while_creating(root: str) -> None:
    lake = Lake(root)
    with failing(lake):
        filling = fill(Path(lake.root))
        try:
            put(lake, rows("new"))
        finally:
            filling.unlink()


def full_during_checkpoint(root: str) -> None:
    lake = Lake(root)
    with patch.dict(SETTINGS, {"delta.checkpointInterval": "1"}):  # delta-rs must not write a checkpoint itself
        put(lake, rows("old"))
    with (
        patch.object(write_transaction, "CHECKPOINT", 1),
        failing(lake),
        lake.writing(TABLE, THINGS, ["day"]) as draft,
    ):
        draft.write(iter([rows("new")]))
        filling = fill(Path(lake.root), leave=PAGE)
        draft.publish(RangeFilter("day", LEAP, LEAP))
        filling.unlink()


def read_only(root: str, engine: str) -> None:
    lake = Lake(root)
    put(lake, rows("old"))
    remount(root, "ro")
    with failing(lake):
        lake.replace(TABLE, of(engine).from_arrow(rows("new")), THINGS, None, ["day"])


def read_only_before_the_first_table(root: str) -> None:
    remount(root, "ro")
    with failing(lake := Lake(root)):
        put(lake, rows("new"))


def read_only_from_the_commit_on(root: str) -> None:
    lake = Lake(root)
    put(lake, rows("old"))
    log = str(lake.root / TABLE / "_delta_log")
    with failing(lake), lake.writing(TABLE, THINGS, ["day"]) as draft:
        draft.write(iter([rows("new")]))
        subprocess.run(["mount", "--bind", log, log], check=True)
        remount(log, "bind,ro")
        draft.publish(RangeFilter("day", LEAP, LEAP))


def read_only_while_vacuuming(root: str) -> None:
    lake = Lake(root)
    put(lake, rows("old"))
    put(lake, rows("new"))
    remount(root, "ro")
    with failing(lake):
        lake.vacuum(TABLE, keep_days=0)


def remount(root: str, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", root], check=True)


def of(engine: str) -> Engine:
    """Return a small engine for a process that ends soon."""
    from resources.engines.dask import DaskEngine
    from resources.engines.duckdb import DuckEngine
    from resources.engines.pandas import PandasEngine
    from resources.engines.spark import SparkEngine

    engines: dict[str, Callable[[], Engine]] = {
        "pandas": PandasEngine,
        "duckdb": lambda: DuckEngine(memory_gb=1),
        "dask": lambda: DaskEngine(workers=2, memory_gb=2, shuffle_partitions=4),
        "spark": lambda: SparkEngine(master="local[2]", memory_gb=2, shuffle_partitions=4),
    }
    return engines[engine]()


# Tests of the scenarios


def assert_refused(outcome: dict[str, Any], expected: str) -> None:
    """Assert that the write was refused in one line and changed neither table nor folder."""
    assert expected in (outcome["message"] or "nothing")
    assert "\n" not in outcome["message"]
    assert outcome["after"] == outcome["before"]


@pytest.mark.parametrize("engine", ENGINES)
def test_disk_fills_while_rows_are_written(engine: str, tmp_path: Path) -> None:
    assert_refused(played(full_while_writing, tmp_path / "lake", engine), "is full")


def test_disk_fills_before_the_commit(tmp_path: Path) -> None:
    assert_refused(played(full_while_committing, tmp_path / "lake"), "is full")


def test_disk_is_full_when_a_table_is_created(tmp_path: Path) -> None:
    assert_refused(played(full_while_creating, tmp_path / "lake"), "is full")


def test_commit_succeeds_although_the_disk_is_full_at_the_checkpoint(tmp_path: Path) -> None:
    outcome = played(full_during_checkpoint, tmp_path / "lake")
    assert outcome["message"] is None
    assert outcome["after"]["texts"] == ["new"]
    assert outcome["after"]["version"] == outcome["before"]["version"] + 1
    assert not any("checkpoint" in f for f in outcome["after"]["files"])


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_lake_is_read_only(engine: str, tmp_path: Path) -> None:
    assert_refused(played(read_only, tmp_path / "lake", engine), "no permission to write to")


@pytest.mark.parametrize(
    "scenario", [read_only_before_the_first_table, read_only_from_the_commit_on, read_only_while_vacuuming]
)
def test_lake_is_read_only_at_other_moments(scenario: Callable[[str], None], tmp_path: Path) -> None:
    assert_refused(played(scenario, tmp_path / "lake"), "no permission to write to")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "no permission"),
    ],
    ids=["full", "over quota", "forbidden", "read-only"],
)
@pytest.mark.parametrize("rust", [False, True], ids=["Python", "Rust"])
def test_refusal_of_the_system_becomes_one_line(number: int, expected: str, rust: bool) -> None:
    error = OSError(f"Generic error\n  ↳ it failed (os error {number})\n") if rust else OSError(number, "it failed")
    with pytest.raises(TuttiError, match=expected) as refused, writing_to("lake/things"):
        raise error
    assert "\n" not in str(refused.value)


def test_read_only_database_becomes_one_line(tmp_path: Path) -> None:
    """Dagster stores its runs in a database, whose errors SQLAlchemy wraps."""
    runs = sqlite3.connect(f"file:{tmp_path / 'runs.db'}?mode=rwc", uri=True)
    runs.execute("PRAGMA query_only = true")

    def store() -> None:
        try:
            runs.execute("CREATE TABLE runs (id)")
        except sqlite3.Error as error:
            raise RuntimeError("the event could not be stored") from error

    with pytest.raises(TuttiError, match="no permission to write to"), writing_to(tmp_path):
        store()
    runs.close()


def test_other_errors_of_the_system_stay_as_they_are() -> None:
    with pytest.raises(FileNotFoundError), writing_to("lake/things"):
        raise FileNotFoundError(errno.ENOENT, "no such file")


# From the command line

PLAYED = {
    "ts": "2024-02-29T12:00:00Z",
    "ms_played": 60_000,
    "master_metadata_track_name": "Song",
    "master_metadata_album_artist_name": "Artist",
    "master_metadata_album_album_name": None,
    "spotify_track_uri": "spotify:track:1",
}


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    """Return the command that imports a history."""
    history = tmp_path / "endsong_0.json"
    history.write_text(json.dumps([PLAYED]))
    return sys.executable, "-m", "orchestration", "import", "--listener", "ada", str(history)


def test_import_into_a_full_lake_ends_with_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = on_small_disk(data / "lake", *command, kilobytes=24, TUTTI_DATA_DIR=str(data), DAGSTER_HOME="")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tutti: the disk of {data / 'lake'}")
    assert "is full" in done.stderr
    assert done.stderr.count("\n") == 1


def test_import_resumes_after_a_full_disk_ended_it(command: tuple[str, ...], tmp_path: Path) -> None:
    """Dagster's runs are on that disk too and print their own errors; the last line is Tutti's."""
    data = tmp_path / "data"
    again = f'"$@"; code=$?; mount -o remount,size=256m "{data}"; "$@"; exec echo $code $?'
    done = on_small_disk(
        data, "sh", "-c", again, *command[:1], *command, kilobytes=1800, TUTTI_DATA_DIR=str(data), DAGSTER_HOME=""
    )
    assert done.stdout.splitlines()[-1] == "1 0", done.stdout + done.stderr
    assert f"\ntutti: the disk of {data} is full" in f"\n{done.stderr}"
    assert "\nUpdated " in done.stdout


def left_on_a_full_disk(data: str) -> None:
    """Leave the file of a killed job on a full disk."""
    lake = Lake(Path(data, "lake"))
    put(lake, rows("old"))
    Path(lake.root, TABLE, f"{'0' * 32}-{'1' * 32}.parquet").write_bytes(b"x" * 10 * PAGE)
    fill(Path(data))


def test_maintenance_frees_space_on_a_full_disk(tmp_path: Path) -> None:
    data = tmp_path / "data"
    code = f"from {__name__} import left_on_a_full_disk as play; play({str(data)!r})"
    command = f'"$0" -c "{code}" && exec "$0" -m orchestration maintenance'
    done = on_small_disk(data, "sh", "-c", command, sys.executable, TUTTI_DATA_DIR=str(data), DAGSTER_HOME="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"{TABLE}: 1 file removed, 0.0 MB"


def test_read_only_data_folder_ends_with_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    data = tmp_path / "data"
    closed = f'mount -o remount,ro "{data}" && exec "$@"'
    done = on_small_disk(data, "sh", "-c", closed, *command[:1], *command, TUTTI_DATA_DIR=str(data), DAGSTER_HOME="")
    assert done.returncode == 1
    assert done.stderr.startswith(f"tutti: no permission to write to {data}")
    assert done.stderr.count("\n") == 1


# Lakes of newer versions

NEWER = {
    "to read": {"minReaderVersion": 9, "minWriterVersion": 9},
    "to read by features": {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["holograms"],
        "writerFeatures": ["holograms"],
    },
    "to write": {"minReaderVersion": 1, "minWriterVersion": 9},
    "to write by features": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["holograms"]},
}


@pytest.mark.parametrize("needed", NEWER)
def test_table_of_a_newer_delta_lake_stays_unchanged(needed: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    put(lake, rows("old"))
    protocol = json.dumps({"protocol": NEWER[needed]})
    (tmp_path / TABLE / "_delta_log" / f"{2:020d}.json").write_text(f"{protocol}\n")
    before = sorted(tmp_path.rglob("*.*"))
    with pytest.raises(TuttiError, match=r"(?i)newer version of Delta Lake.*install") as refused:
        put(lake, rows("new"))
    assert "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*.*")) == before
    if "write" in needed:
        assert lake.scan(TABLE, THINGS).table()["text"].to_pylist() == ["old"]
    else:
        with pytest.raises(TuttiError, match="newer version of Delta Lake"):
            lake.scan(TABLE, THINGS)
    assert lake.scan(TABLE, THINGS, version=1).table()["text"].to_pylist() == ["old"]


def test_table_with_columns_of_a_newer_version_is_only_readable(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    newer = THINGS.append(pa.field("mood", pa.string()))
    lake.replace(TABLE, iter([rows("old").append_column("mood", [["good"]])]), newer)
    with pytest.raises(TuttiError, match="'mood'") as refused:
        put(lake, rows("new"))
    assert "\n" not in str(refused.value)
    assert lake.scan(TABLE, THINGS).table()["text"].to_pylist() == ["old"]
    assert DeltaTable(str(tmp_path / TABLE)).to_pyarrow_table()["mood"].to_pylist() == ["good"]
