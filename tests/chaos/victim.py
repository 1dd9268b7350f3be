"""Victims: processes that do tasks on request, so that they can be killed at work.

Victims start in advance, because Python, Dask and Spark take seconds to start.
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
    """A tree of processes that does one task after the other."""

    @property
    def tree(self) -> Tree:
        """Return the processes that do the task."""

    def begin(self, task: Mapping[str, Any]) -> None:
        """Start a task."""

    def working(self) -> bool:
        """Return whether the task is still running."""

    def finish(self) -> bool:
        """Wait for the task to end, and return whether it succeeded."""


class Worker:
    """A process with a started engine that does one task after the other."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._log = folder / f"{engine}.log"
        command = [sys.executable, "-m", "tests.chaos.victim", engine, str(folder / "spill")]
        # Compile little: optimized code does not pay off for a JVM that lives for a minute.
        environment = os.environ | {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
        self.tree = Tree(command, self._log, environment)

    def begin(self, task: Mapping[str, Any]) -> None:
        if not self.tree.wait_for("ready"):
            raise RuntimeError(f"victim did not start: {self._log.read_text()[-3000:]}")
        self.tree.send(json.dumps(task))

    def working(self) -> bool:
        return self.tree.alive and not self.tree.has_output()

    def finish(self) -> bool:
        return self.tree.wait_for("done")


class Command:
    """The platform's command line."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "command.log"
        self.tree = Tree(["true"], self._log, os.environ)  # idle until there is a task

    def begin(self, task: Mapping[str, Any]) -> None:
        command = [*TUTTI, "import", "--listener", "ada", task["file"]]
        env = environ(Path(task["data"]), TUTTI_ENV=task.get("environment", "laptop"))
        self.tree = Tree(command, self._log, env)

    def working(self) -> bool:
        return self.tree.alive

    def finish(self) -> bool:
        return self.tree.exit_code() == 0


def main(name: str, spill: str) -> None:
    """Start an engine, and do the tasks on standard input, one per line."""
    import pyarrow as pa

    from resources.engines.resource import EngineName, EngineResource
    from tests.chaos.task import TASKS

    engine = EngineResource(name=EngineName(name), memory_gb=1, workers=2, shuffle_partitions=2, spill_dir=spill).engine
    rows = engine.from_arrow(pa.table({"n": [1, 2]})).map(_same, schema=pa.schema([("n", pa.int64())]), kernel="arrow")
    rows.collect()  # starts everything that the engine starts at first use
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
