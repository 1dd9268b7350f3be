"""A process and its descendants, to be killed without warning."""

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

TIMEOUT_S = 180  # many times the duration of any task here on a busy machine


class Tree:
    """A command in a new session, by which its processes are found even after their parents end."""

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
        threading.Thread(target=self._read_output, daemon=True).start()

    def _read_output(self) -> None:
        assert self._driver.stdout
        for line in self._driver.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    @property
    def alive(self) -> bool:
        """Return whether the driver is running."""
        return self._driver.poll() is None

    def send(self, line: str) -> None:
        """Send a line to the driver."""
        assert self._driver.stdin
        with suppress(BrokenPipeError):  # if the driver is dead, wait_for() returns False
            self._driver.stdin.write(line + "\n")
            self._driver.stdin.flush()

    def wait_for(self, *lines: str) -> bool:
        """Wait for one of these lines. Return False if the driver ends first. Raise TimeoutError if neither happens."""
        until = time.monotonic() + TIMEOUT_S
        while (left := until - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                self._driver.wait(TIMEOUT_S)
                return False
            if line in lines:
                return True
        raise TimeoutError(f"{self._driver.args} neither responded nor ended in {TIMEOUT_S} s")

    def has_output(self) -> bool:
        """Return whether there is unread output."""
        return not self._lines.empty()

    def exit_code(self) -> int:
        """Wait for the driver to end and return its exit code."""
        return self._driver.wait(TIMEOUT_S)

    def kill(self) -> None:
        """Kill the driver and all its descendants with SIGKILL, and wait until all have ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._driver.pid, signal.SIGKILL)
        until = time.monotonic() + TIMEOUT_S
        while members := self._members():  # some have other process groups, and some were just starting
            for process in members:
                _kill(process)
            if time.monotonic() > until:
                raise TimeoutError(f"{members} survive SIGKILL")
            time.sleep(0.002)
        self._driver.wait(TIMEOUT_S)

    def kill_driver(self) -> None:
        """Kill only the driver, as the system does when memory runs out."""
        self._driver.kill()

    def kill_child(self, random: Random) -> str | None:
        """Kill one child of a random kind and return its kind, or None if there is no child."""
        kinds: dict[str, list[psutil.Process]] = {}
        for process in self._members():
            if process.pid != self._driver.pid and (kind := _kind(process)):
                kinds.setdefault(kind, []).append(process)
        if not kinds:
            return None
        kind = random.choice(sorted(kinds))
        _kill(random.choice(kinds[kind]))
        return kind

    def _members(self) -> list[psutil.Process]:
        """Return the running processes of the session."""
        members = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) == self._driver.pid:
                    process = psutil.Process(pid)
                    if process.status() != psutil.STATUS_ZOMBIE:
                        members.append(process)
            except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                continue
        return members


def _kind(process: psutil.Process) -> str | None:
    """Return the kind of an engine's child process, or None for Python's helper processes, which do no work."""
    try:
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return None
    if "java" in process.name():
        return "JVM"
    if "pyspark.daemon" in command:
        return "Spark's Python"
    return "Dask's worker" if "spawn_main" in command else None


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
