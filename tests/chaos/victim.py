"""Victims: processes that begin a task when told, so that they can be killed at it.

A victim is started some time before it is needed, because Python, Dask and Spark take seconds to be ready.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.chaos.tree import Tree
from tests.orchestration.support import TUTTI, environ


class Victim(Protocol):
    """A tree of processes to which tasks are given, one after the other."""

    @property
    def tree(self) -> Tree:
        """The processes that do the task."""

    def begin(self, task: Mapping[str, Any]) -> None:
        """Set to work."""

    def working(self) -> bool:
        """Whether the task goes on."""

    def finish(self) -> bool:
        """Wait for the end of the task; whether it ended well."""


class Worker:
    """A process with one engine started, that does task after task."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._log = folder / f"{engine}.log"
        command = [sys.executable, "-m", "tests.chaos.victim", engine, str(folder / "spill")]
        # Java compiles as little as it can: a JVM that lives for a minute never earns back what more would cost.
        hasty = os.environ | {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
        self.tree = Tree(command, self._log, hasty)

    def begin(self, task: Mapping[str, Any]) -> None:
        if not self.tree.heard("ready"):
            raise RuntimeError(f"a victim did not start: {self._log.read_text()[-3000:]}")
        self.tree.tell(json.dumps(task))

    def working(self) -> bool:
        return self.tree.alive and not self.tree.said()

    def finish(self) -> bool:
        return self.tree.heard("done")


class Command:
    """The platform's own command line."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "command.log"
        self.tree = Tree(["true"], self._log, os.environ)  # nobody works before there is a task

    def begin(self, task: Mapping[str, Any]) -> None:
        command = [*TUTTI, "import", "--listener", "ada", task["file"]]
        env = environ(Path(task["data"]), TUTTI_ENV=task.get("environment", "laptop"))
        self.tree = Tree(command, self._log, env)

    def working(self) -> bool:
        return self.tree.alive

    def finish(self) -> bool:
        return self.tree.code() == 0


def main(name: str, spill: str) -> None:
    """Start an engine, and do what standard input says, a task a line."""
    import pyarrow as pa

    from resources.engines.resource import EngineName, EngineResource
    from tests.chaos.task import TASKS

    engine = EngineResource(name=EngineName(name), memory_gb=1, workers=2, shuffle_partitions=2, spill_dir=spill).engine
    rows = engine.from_arrow(pa.table({"n": [1, 2]})).map(_same, schema=pa.schema([("n", pa.int64())]), kernel="arrow")
    rows.collect()  # starts whatever the engine starts at first use
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        TASKS[task.pop("task")](engine, **task)
        print("done", flush=True)
        print("ready", flush=True)


def _same(rows: Any) -> Any:
    return rows


if __name__ == "__main__":
    main(*sys.argv[1:])
