"""A process and all that it starts, to be killed without warning."""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from tests.orchestration.support import PROJECT

PATIENCE = 180  # seconds, many times what any piece of work here takes on a busy machine


class Tree:
    """A command in a session of its own, by which its processes are found even when their parents are gone."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        with log.open("ab") as errors:
            self._driver = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._driver.stdout
        for line in self._driver.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @property
    def alive(self) -> bool:
        """Whether the driver still runs."""
        return self._driver.poll() is None

    def tell(self, line: str) -> None:
        """Send the driver a line."""
        assert self._driver.stdin
        with suppress(BrokenPipeError):  # if it is dead, who waits for an answer learns so
            self._driver.stdin.write(line + "\n")
            self._driver.stdin.flush()

    def heard(self, *words: str) -> bool:
        """Wait for one of these lines; whether it came before the driver ended. Raises `TimeoutError` for neither."""
        until = time.monotonic() + PATIENCE
        while (left := until - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                self._driver.wait(PATIENCE)
                return False
            if line in words:
                return True
        raise TimeoutError(f"{self._driver.args} neither went on nor ended in {PATIENCE} s")

    def said(self) -> bool:
        """Whether there is something to hear."""
        return not self._lines.empty()

    def code(self) -> int:
        """Wait for the driver to end; its exit code."""
        return self._driver.wait(PATIENCE)

    def kill(self) -> None:
        """End the driver and all its children at once, with SIGKILL, and wait until all are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._driver.pid, signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while found := self._members():  # some lead groups of their own, and some were just being born
            for process in found:
                _end(process)
            if time.monotonic() > until:
                raise TimeoutError(f"{found} survive SIGKILL")
            time.sleep(0.002)
        self._driver.wait(PATIENCE)

    def kill_driver(self) -> None:
        """End the driver alone, as the system does with the largest process when memory runs out."""
        self._driver.kill()

    def kill_child(self, chance: Random) -> str | None:
        """End one child alone, of a kind picked by chance; its kind, or none where there is no child."""
        kinds: dict[str, list[psutil.Process]] = {}
        for process in self._members():
            if process.pid != self._driver.pid and (kind := _kind(process)):
                kinds.setdefault(kind, []).append(process)
        if not kinds:
            return None
        kind = chance.choice(sorted(kinds))
        _end(chance.choice(kinds[kind]))
        return kind

    def _members(self) -> list[psutil.Process]:
        """The living processes of the session."""
        found = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) == self._driver.pid:
                    process = psutil.Process(pid)
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
            except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                continue
        return found


def _kind(process: psutil.Process) -> str | None:
    """What a child of an engine is; none for a helper of Python's that holds no work."""
    try:
        words = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return None
    if "java" in process.name():
        return "JVM"
    if "pyspark.daemon" in words:
        return "Spark's Python"
    return "Dask's worker" if "spawn_main" in words else None


def _end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
