"""Shared by tests of the whole platform: commands in processes of their own, and tables as rows."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

import dagster as dg
import pyarrow as pa

from tests.fork_server import FORKS, PROJECT, Fork

BIN = Path(sys.executable).parent
PATIENCE = 240  # seconds, many times the duration of a command on a busy machine
TUTTI = (sys.executable, "-m", "orchestration")
# Dagster's commands as forks. tests/docs/test_commands.py runs the scripts of these names.
DAGSTER = (sys.executable, "-m", "dagster")
DG = (sys.executable, "-c", "from dagster_dg_cli.cli import main; main()")

Row = dict[str, Any]


def environ(data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a shell for a data folder, without the tester's own settings."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TUTTI_", "DAGSTER_"))}
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return inherited | {"TUTTI_DATA_DIR": str(data), "DAGSTER_HOME": str(data / "dagster"), "PATH": path} | more


@cache
def platform(environment: str = "laptop") -> dg.Definitions:
    """Return the definitions, built once for all tests that do not change them, since that takes seconds."""
    from orchestration.definitions import build  # imported here, since that also builds definitions

    return build(environment)


@dataclass
class Process:
    """A command that is started at once. Reading its result waits for its end."""

    command: tuple[str, ...]
    data: Path
    more: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = PROJECT
    forks: bool = FORKS  # false if a test is about the start of Python

    def __post_init__(self) -> None:
        if not (self.data / "dagster").exists():
            furnish(self.data)
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (read at the end)
        kwargs = {"cwd": self.cwd, "env": environ(self.data, **self.more), "stdout": self._out, "stderr": self._err}
        # Python reads its own variables only when it starts, which a fork does not.
        python_settings = any(name.startswith("PYTHON") for name in self.more)
        if self.forks and self.command[0] == sys.executable and not python_settings:
            self.started: Fork | subprocess.Popen[bytes] = Fork(self.command, **kwargs)
        else:
            self.started = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, start_new_session=True, **kwargs)

    @property
    def code(self) -> int:
        """Wait for the end. Return the exit code, or the negative number of the signal that killed it."""
        try:
            return self.started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @property
    def out(self) -> str:
        """Wait for the end. Return the standard output."""
        _ = self.code
        return self.so_far()

    @property
    def err(self) -> str:
        """Wait for the end. Return the standard error."""
        _ = self.code
        return _read(self._err)

    def so_far(self) -> str:
        """Return the standard output up to now."""
        return _read(self._out)

    def kill(self) -> None:
        """Kill the process and all its children."""
        os.killpg(self.started.pid, signal.SIGKILL)
        self.started.wait()

    def fine(self) -> "Process":
        """Wait for the end, and assert exit code 0."""
        assert self.code == 0, f"{self.command} ended with {self.code}\n{self.out[-3000:]}\n{self.err[-5000:]}"
        return self


CREATE_HOME = "from orchestration.instance.home import dagster_home; dagster_home()"


def furnish(data: Path) -> None:
    """Create Dagster's home in a data folder."""
    shutil.copytree(Path(_dagster_home().name, "dagster"), data / "dagster")


@cache
def _dagster_home() -> tempfile.TemporaryDirectory[str]:
    """Create Dagster's home once, as commands do in an empty folder, since its databases take most of a second."""
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "dagster").mkdir()  # otherwise the process would get a copy of this folder
    Process((sys.executable, "-c", CREATE_HOME), Path(folder.name)).fine()
    return folder


def _read(file: IO[bytes]) -> str:
    """Return the text of a file that another process writes to, without moving its position."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def tables(data: Path) -> list[str]:
    """Return the names of the tables in the lake."""
    return sorted(str(log.parent.relative_to(data / "lake")) for log in (data / "lake").glob("*/*/_delta_log"))


def table(data: Path, name: str) -> pa.Table:
    """Return a table, read without the platform's own reader. Empty if it was never written."""
    import pyarrow.parquet as pq
    from deltalake import DeltaTable

    if not (data / "lake" / name / "_delta_log").is_dir():
        return pa.table({})
    delta = DeltaTable(str(data / "lake" / name))
    files = [data / "lake" / name / f["path"] for f in pa.table(delta.get_add_actions()).to_pylist()]
    empty = pa.schema(delta.schema().to_arrow()).empty_table()
    return pa.concat_tables([empty, *map(pq.read_table, files)], promote_options="permissive")


def rows(data: Path, name: str) -> list[Row]:
    """Return a table's rows in an order that does not depend on how they were written."""
    return sorted(table(data, name).to_pylist(), key=repr)


def rows_by_table(data: Path, without: tuple[str, ...] = ("imported_at", "seen_at")) -> dict[str, list[Row]]:
    """Return the rows of every table, without columns that differ between imports."""
    return {
        n: sorted(({k: v for k, v in r.items() if k not in without} for r in rows(data, n)), key=repr)
        for n in tables(data)
    }


def versions(data: Path) -> dict[str, int]:
    """Return the newest version of every table."""
    from deltalake import DeltaTable

    return {n: DeltaTable(str(data / "lake" / n)).version() for n in tables(data)}


@contextmanager
def running(command: list[str], data: Path, log: Path) -> Iterator[None]:
    """Run a server with all its child processes until the end of the block."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environ(data), stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sign)
            except ProcessLookupError:
                break
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        process.wait(10)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
