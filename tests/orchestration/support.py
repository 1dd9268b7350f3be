"""What tests of the whole platform share: commands in processes of their own, and tables as rows."""

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
PATIENCE = 240  # seconds, many times what a command takes on a busy machine
TUTTI = (sys.executable, "-m", "orchestration")
# The commands of Dagster as forks; tests/docs/test_commands.py types the scripts of these names.
DAGSTER = (sys.executable, "-m", "dagster")
DG = (sys.executable, "-c", "from dagster_dg_cli.cli import main; main()")

Row = dict[str, Any]


def environ(data: Path, **more: str) -> dict[str, str]:
    """The variables of a person at a shell whose data lies in `data`; those of the person testing are left out."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUTTI_", "DAGSTER_"))}
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return kept | {"TUTTI_DATA_DIR": str(data), "DAGSTER_HOME": str(data / "dagster"), "PATH": path} | more


@cache
def platform(environment: str = "laptop") -> dg.Definitions:
    """The platform, built once for all tests that only look at it: that takes seconds."""
    from orchestration.definitions import build  # which builds one as well, and others import this module

    return build(environment)


@dataclass
class Process:
    """A command, started at once; its outcome is waited for when it is asked for."""

    command: tuple[str, ...]
    data: Path
    more: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = PROJECT
    forks: bool = FORKS  # not where a test looks at what Python does as it starts

    def __post_init__(self) -> None:
        if not (self.data / "dagster").exists():
            furnish(self.data)
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (read when it ended)
        given = {"cwd": self.cwd, "env": environ(self.data, **self.more), "stdout": self._out, "stderr": self._err}
        # Python reads variables of its own as it starts, which a fork does not do again.
        own = any(name.startswith("PYTHON") for name in self.more)
        if self.forks and self.command[0] == sys.executable and not own:
            self.started: Fork | subprocess.Popen[bytes] = Fork(self.command, **given)
        else:
            self.started = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, start_new_session=True, **given)

    @property
    def code(self) -> int:
        """Wait for its end; its exit code, or the signal that killed it, negative."""
        try:
            return self.started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @property
    def out(self) -> str:
        """Wait for its end; what it printed."""
        _ = self.code
        return self.so_far()

    @property
    def err(self) -> str:
        """Wait for its end; what it printed on standard error."""
        _ = self.code
        return _read(self._err)

    def so_far(self) -> str:
        """What it has printed up to now."""
        return _read(self._out)

    def kill(self) -> None:
        """Kill it and all that it started."""
        os.killpg(self.started.pid, signal.SIGKILL)
        self.started.wait()

    def fine(self) -> "Process":
        """Wait until it has ended well."""
        assert self.code == 0, f"{self.command} ended with {self.code}\n{self.out[-3000:]}\n{self.err[-5000:]}"
        return self


HOME = "from orchestration.instance.home import dagster_home; dagster_home()"


def furnish(data: Path) -> None:
    """Give a data folder a home for Dagster."""
    shutil.copytree(Path(_furnished().name, "dagster"), data / "dagster")


@cache
def _furnished() -> tempfile.TemporaryDirectory[str]:
    """Make Dagster's home once, as commands do in an empty folder: its databases take most of a second."""
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "dagster").mkdir()  # else the process would be given a copy of what it makes
    Process((sys.executable, "-c", HOME), Path(folder.name)).fine()
    return folder


def _read(file: IO[bytes]) -> str:
    """The text of a file that another process writes to: without moving its place in it."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def tables(data: Path) -> list[str]:
    """The names of the tables there are."""
    return sorted(str(log.parent.relative_to(data / "lake")) for log in (data / "lake").glob("*/*/_delta_log"))


def table(data: Path, name: str) -> pa.Table:
    """A table's rows, read without the platform's own reader; none where nothing was written."""
    import pyarrow.parquet as pq
    from deltalake import DeltaTable

    if not (data / "lake" / name / "_delta_log").is_dir():
        return pa.table({})
    delta = DeltaTable(str(data / "lake" / name))
    files = [data / "lake" / name / f["path"] for f in pa.table(delta.get_add_actions()).to_pylist()]
    empty = pa.schema(delta.schema().to_arrow()).empty_table()
    return pa.concat_tables([empty, *map(pq.read_table, files)], promote_options="permissive")


def rows(data: Path, name: str) -> list[Row]:
    """A table's rows in an order of their own, whatever order they were written in."""
    return sorted(table(data, name).to_pylist(), key=repr)


def told(data: Path, without: tuple[str, ...] = ("imported_at", "seen_at")) -> dict[str, list[Row]]:
    """Every row of every table, but for the columns that tell when it was made."""
    return {
        n: sorted(({k: v for k, v in r.items() if k not in without} for r in rows(data, n)), key=repr)
        for n in tables(data)
    }


def versions(data: Path) -> dict[str, int]:
    """The newest version of every table."""
    from deltalake import DeltaTable

    return {n: DeltaTable(str(data / "lake" / n)).version() for n in tables(data)}


@contextmanager
def running(command: list[str], data: Path, log: Path) -> Iterator[None]:
    """A server with all the processes it starts, until the end of the block."""
    with log.open("w") as said:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environ(data), stdout=said, stderr=said, start_new_session=True
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
    """A port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
