"""Measure CPU seconds, wall seconds and memory of a process and all its children."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

SAMPLE_INTERVAL_S = 0.05  # of memory


@dataclass
class Cost:
    """CPU and wall time in seconds, and the peak resident memory of all processes together in bytes."""

    cpu: float = 0
    wall: float = 0
    memory: int = 0


@contextmanager
def metered(pid: int | None = None) -> Iterator[Cost]:
    """Measure the cost of the `with` block, for this process or the one with `pid`. The cost is filled at its end."""
    cost, done = Cost(), threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_INTERVAL_S):
            cost.memory = max(cost.memory, _memory(pid))

    watcher = threading.Thread(target=watch, daemon=True)
    cpu, wall = _cpu(pid), time.monotonic()
    cost.memory = _memory(pid)
    watcher.start()
    try:
        yield cost
    finally:
        cost.cpu, cost.wall = _cpu(pid) - cpu, time.monotonic() - wall
        done.set()
        watcher.join()


def _processes(pid: int | None) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu(pid: int | None) -> float:
    """Return the CPU seconds so far, including children that have ended."""
    total = 0.0
    for process in _processes(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _memory(pid: int | None) -> int:
    total = 0
    for process in _processes(pid):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
