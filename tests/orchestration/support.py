"""What tests of the whole platform share: commands in processes of their own, and tables as rows."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PATIENCE = 240  # seconds, many times what a command takes on a busy machine
TUTTI = (sys.executable, "-m", "orchestration")
DAGSTER, DG = str(BIN / "dagster"), str(BIN / "dg")

Row = dict[str, Any]


def environ(data: Path, **more: str) -> dict[str, str]:
    """The variables of a person at a shell whose data lies in `data`; those of the person testing are left out."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TUTTI_", "DAGSTER_"))}
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return kept | {"TUTTI_DATA": str(data), "DAGSTER_HOME": str(data / "dagster"), "PATH": path} | more


@dataclass
class Process:
    """A command, started at once; its outcome is waited for when it is asked for."""

    command: tuple[str, ...]
    data: Path
    more: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = PROJECT
    _done: tuple[int, str, str] | None = None

    def __post_init__(self) -> None:
        (self.data / "dagster").mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=environ(self.data, **self.more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _wait(self) -> tuple[int, str, str]:
        if self._done is None:
            try:
                out, err = self._process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
                raise
            self._done = self._process.returncode, out, err
        return self._done

    @property
    def code(self) -> int:
        return self._wait()[0]

    @property
    def out(self) -> str:
        return self._wait()[1]

    @property
    def err(self) -> str:
        return self._wait()[2]

    def fine(self) -> "Process":
        """Wait until it has ended well."""
        assert self.code == 0, f"{self.command} ended with {self.code}\n{self.out[-3000:]}\n{self.err[-5000:]}"
        return self


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
