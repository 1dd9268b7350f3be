"""Rounds of work in which processes are killed, and the outcome of each."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos import damage
from tests.chaos.damage import Orphans
from tests.chaos.tree import TIMEOUT_S
from tests.chaos.victim import Victim
from tests.chaos.work import Work

ANY_MOMENT, FILE, COMMIT = "any moment", "a new file", "a commit"
TRIGGER_WEIGHTS = {ANY_MOMENT: 3, FILE: 5, COMMIT: 2}
ALL, CHILD, DRIVER = "driver and children", "a child", "the driver alone"
KILLED_WEIGHTS = {ALL: 6, CHILD: 3, DRIVER: 1}  # if there are children
POLL_INTERVAL_S = 0.002  # between two scans of the folders
MAX_DELAY_S = 0.01  # of every other triggered kill: about the duration of a write or a commit
NO_ORPHANS = Orphans(0, 0)
VACUUM_INTERVAL_S = 0.2  # while a job runs


@dataclass
class Outcome:
    """A kill and its consequences."""

    trigger: str = ""
    killed: str = ""
    orphans: Orphans = NO_ORPHANS
    vacuumed: int = 0  # files that vacuum removed during the rerun
    unreadable: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Return all faults."""
        return [*self.unreadable, *self.wrong]

    def __str__(self) -> str:
        parts = [f"{self.killed} at {self.trigger}"]
        if self.orphans:
            parts.append(f"uncommitted files: {self.orphans.complete} complete, {self.orphans.truncated} truncated")
        return "; ".join([*parts, *(f"FAULT: {f}" for f in self.faults)])


class Storm:
    """Kill processes that do some work.

    `start` starts a victim. While one works, the next one starts. It reruns the killed work, with vacuum running
    concurrently, and is the victim of the next round. `children`: also kill child processes.
    """

    def __init__(self, work: Work, start: Callable[[], Victim], random: Random, *, children: bool = False) -> None:
        self._work, self._start, self._random = work, start, random
        self._killed_weights = KILLED_WEIGHTS if children else {ALL: 1}
        self._ready: list[Victim] = []
        self._started: list[Victim] = []
        self._seconds = float("inf")  # of the fastest undisturbed round
        self._new = {FILE: 0, COMMIT: 0}  # new entries in an undisturbed round

    def attack(self, kills: int) -> Iterator[Outcome]:
        """Kill once per round and yield the outcomes. A first undisturbed round measures the duration of a round."""
        try:
            self._run_undisturbed()
            n = 0
            while kills:
                n += 1
                if outcome := self._round(n):
                    kills -= 1
                    yield outcome
        finally:
            for victim in self._started:
                victim.tree.kill()

    def _run_undisturbed(self) -> None:
        """Run a round without a kill, as the reference. Raise AssertionError if it has faults."""
        lake, outcome = self._work.prepare(0), Outcome()
        before = {trigger: set(_listing(lake, trigger)) for trigger in self._new}
        self._rerun(0, lake, self._next_victim(), outcome)
        assert not outcome.faults, outcome.faults
        self._new = {trigger: len(set(_listing(lake, trigger)) - names) for trigger, names in before.items()}

    def _round(self, n: int) -> Outcome | None:
        """Kill once, rerun and check. Return None if the work finished before the kill."""
        lake = self._work.prepare(n)
        before, after = self._work.before(n), self._work.after(n)
        victim, spare = self._next_victim(), self._next_victim()
        self._ready.append(spare)
        weights = (TRIGGER_WEIGHTS, self._killed_weights)
        trigger, killed = (self._random.choices(list(options), list(options.values()))[0] for options in weights)
        victim.begin(self._work.task(n))
        began = time.monotonic()
        if not self._wait(victim, lake, trigger):
            assert victim.finish(), "an undisturbed round failed"
            self._finished(victim, began)
            return None
        outcome = Outcome(trigger, killed)
        finished = self._kill(victim, outcome)
        outcome.orphans = damage.orphans(lake)
        outcome.unreadable = damage.unreadable(lake, self._work.chains, before, after)
        if finished:
            outcome.wrong += damage.wrong(lake, after)
            self._ready.append(victim)
        self._rerun(n, lake, self._next_victim(), outcome)
        if not finished:
            victim.tree.kill()  # children that outlived their driver
        outcome.wrong += damage.not_vacuumed(lake) + self._work.other_damage(n)
        return outcome

    def _kill(self, victim: Victim, outcome: Outcome) -> bool:
        """Kill, and return whether the victim finished its work nevertheless."""
        if outcome.killed == DRIVER:
            victim.tree.kill_driver()
            return False
        if outcome.killed == CHILD and (kind := victim.tree.kill_child(self._random)):
            outcome.killed = f"{CHILD}, {kind},"
            try:
                return victim.finish()
            except TimeoutError as error:
                outcome.wrong.append(str(error))
        else:
            outcome.killed = ALL
        victim.tree.kill()
        return False

    def _rerun(self, n: int, lake: Path, victim: Victim, outcome: Outcome) -> None:
        """Do the whole work of a round, with concurrent vacuum."""
        victim.begin(self._work.task(n))
        began = time.monotonic()
        while victim.working() and time.monotonic() < began + TIMEOUT_S:
            outcome.vacuumed += damage.vacuum(lake)
            time.sleep(VACUUM_INTERVAL_S)
        if victim.finish():
            self._finished(victim, began)
        else:
            outcome.wrong.append("the rerun failed")
        outcome.wrong += damage.wrong(lake, self._work.after(n))

    def _finished(self, victim: Victim, began: float) -> None:
        """Record a round's duration and make its victim available again."""
        self._seconds = min(self._seconds, time.monotonic() - began)
        self._ready.append(victim)

    def _next_victim(self) -> Victim:
        """Return an idle victim, or start one."""
        if self._ready:
            return self._ready.pop()
        self._started.append(self._start())
        return self._started[-1]

    def _wait(self, victim: Victim, lake: Path, trigger: str) -> bool:
        """Wait for the trigger, and return whether the victim is still working then."""
        began = time.monotonic()
        if trigger == ANY_MOMENT:
            until = began + self._random.uniform(0, self._seconds)
            while victim.working() and time.monotonic() < until:
                time.sleep(POLL_INTERVAL_S)
            return victim.working()
        seen, count = set(_listing(lake, trigger)), self._random.randint(1, max(1, self._new[trigger]))
        while victim.working() and time.monotonic() < began + TIMEOUT_S:
            new = set(_listing(lake, trigger)) - seen
            seen |= new
            count -= len(new)
            if count <= 0:
                time.sleep(self._random.choice([0, self._random.uniform(0, MAX_DELAY_S)]))
                return victim.working()
            time.sleep(POLL_INTERVAL_S)
        return False


def _listing(lake: Path, trigger: str) -> Iterator[str]:
    """Yield the paths of the data files of a lake's tables or, for COMMIT, of their log files."""
    for layer in _entries(str(lake)):
        for table in _entries(layer.path):
            if trigger == FILE:
                yield from (e.path for e in _entries(table.path) if e.name.endswith(".parquet"))
            else:
                yield from (e.path for e in _entries(f"{table.path}/_delta_log"))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
