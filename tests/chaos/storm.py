"""Storms: rounds of work in which somebody is killed, and what came of each."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos import damage
from tests.chaos.damage import Orphans
from tests.chaos.tree import PATIENCE
from tests.chaos.victim import Victim
from tests.chaos.work import Work

MOMENT, FILE, COMMIT = "any moment", "a new file", "a commit"
AIMS = {MOMENT: 3, FILE: 5, COMMIT: 2}  # how often the kill waits for what
ALL, CHILD, DRIVER = "driver and children", "a child", "the driver alone"
WHOM = {ALL: 6, CHILD: 3, DRIVER: 1}  # how often who is killed, where there are children
LOOK = 0.002  # seconds between two looks at the folders
LATE = 0.01  # seconds that every other aimed kill may come late: writing and committing take about as long
NONE = Orphans(0, 0)
SWEEP = 0.2  # seconds between two rounds of vacuum beside a running job


@dataclass
class Blow:
    """A kill, and what was found after it."""

    aim: str = ""
    whom: str = ""
    orphans: Orphans = NONE
    swept: int = 0  # files that vacuum removed while the rerun ran
    unreadable: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        return [*self.unreadable, *self.wrong]

    def __str__(self) -> str:
        told = [f"{self.whom} at {self.aim}"]
        if self.orphans:
            told.append(f"not committed: {self.orphans.whole} whole files and {self.orphans.torn} torn ones")
        return "; ".join([*told, *(f"FAULT: {f}" for f in self.faults)])


class Storm:
    """Kills at a piece of work.

    `start` makes a victim ready. While one works the next gets ready: it reruns what was killed, with vacuum running
    beside it all the time, and is itself the victim of the round after. `children` are killed too where there are any.
    """

    def __init__(self, work: Work, start: Callable[[], Victim], chance: Random, *, children: bool = False) -> None:
        self._work, self._start, self._chance = work, start, chance
        self._whom = WHOM if children else {ALL: 1}
        self._ready: list[Victim] = []
        self._started: list[Victim] = []
        self._seconds = float("inf")  # that a round takes which nobody disturbs, at best
        self._new = {FILE: 0, COMMIT: 0}  # what a calm round brings

    def blows(self, kills: int) -> Iterator[Blow]:
        """Kill as often as asked, in a round each. The first round is calm and shows how long a round takes."""
        try:
            self._calm()
            n = 0
            while kills:
                n += 1
                if blow := self._round(n):
                    kills -= 1
                    yield blow
        finally:
            for victim in self._started:
                victim.tree.kill()

    def _calm(self) -> None:
        """A round without a kill; it must be right, else there is nothing to compare with."""
        lake, calm = self._work.prepare(0), Blow()
        seen = {aim: set(_listing(lake, aim)) for aim in self._new}
        self._rerun(0, lake, self._take(), calm)
        assert not calm.faults, calm.faults
        self._new = {aim: len(set(_listing(lake, aim)) - names) for aim, names in seen.items()}

    def _round(self, n: int) -> Blow | None:
        """One kill and what follows; nothing if the work was done before it."""
        lake = self._work.prepare(n)
        before, after = self._work.before(n), self._work.after(n)
        victim, spare = self._take(), self._take()
        self._ready.append(spare)
        aim, whom = (self._chance.choices(list(odds), list(odds.values()))[0] for odds in (AIMS, self._whom))
        victim.begin(self._work.task(n))
        began = time.monotonic()
        if not self._wait(victim, lake, aim):
            assert victim.finish(), "a round that nobody disturbed failed"
            self._ended(victim, began)
            return None
        blow = Blow(aim, whom)
        goes_on = self._strike(victim, blow)
        blow.orphans = damage.orphans(lake)
        blow.unreadable = damage.unreadable(lake, self._work.chains, before, after)
        if goes_on:
            blow.wrong += damage.wrong(lake, after)
            self._ready.append(victim)
        self._rerun(n, lake, self._take(), blow)
        if not goes_on:
            victim.tree.kill()  # children who outlived their driver
        blow.wrong += damage.unswept(lake) + self._work.ruin(n)
        return blow

    def _strike(self, victim: Victim, blow: Blow) -> bool:
        """Kill; whether the victim came to the end of its work all the same."""
        if blow.whom == DRIVER:
            victim.tree.kill_driver()
            return False
        if blow.whom == CHILD and (kind := victim.tree.kill_child(self._chance)):
            blow.whom = f"{CHILD}, {kind},"
            try:
                return victim.finish()
            except TimeoutError as error:
                blow.wrong.append(str(error))
        else:
            blow.whom = ALL
        victim.tree.kill()
        return False

    def _rerun(self, n: int, lake: Path, victim: Victim, blow: Blow) -> None:
        """Do the work of a round to its end, with vacuum beside it."""
        victim.begin(self._work.task(n))
        began = time.monotonic()
        while victim.working() and time.monotonic() < began + PATIENCE:
            blow.swept += damage.vacuum(lake)
            time.sleep(SWEEP)
        if victim.finish():
            self._ended(victim, began)
        else:
            blow.wrong.append("the rerun failed")
        blow.wrong += damage.wrong(lake, self._work.after(n))

    def _ended(self, victim: Victim, began: float) -> None:
        """Take note of a round's time, and keep who did it for the next."""
        self._seconds = min(self._seconds, time.monotonic() - began)
        self._ready.append(victim)

    def _take(self) -> Victim:
        """A victim that is ready or will soon be."""
        if self._ready:
            return self._ready.pop()
        self._started.append(self._start())
        return self._started[-1]

    def _wait(self, victim: Victim, lake: Path, aim: str) -> bool:
        """Wait for the moment to kill; whether the victim is still at work then."""
        began = time.monotonic()
        if aim == MOMENT:
            until = began + self._chance.uniform(0, self._seconds)
            while victim.working() and time.monotonic() < until:
                time.sleep(LOOK)
            return victim.working()
        seen, count = set(_listing(lake, aim)), self._chance.randint(1, max(1, self._new[aim]))
        while victim.working() and time.monotonic() < began + PATIENCE:
            new = set(_listing(lake, aim)) - seen
            seen |= new
            count -= len(new)
            if count <= 0:
                time.sleep(self._chance.choice([0, self._chance.uniform(0, LATE)]))
                return victim.working()
            time.sleep(LOOK)
        return False


def _listing(lake: Path, aim: str) -> Iterator[str]:
    """The data files of all tables of a lake, or what lies in their logs."""
    for layer in _entries(str(lake)):
        for table in _entries(layer.path):
            if aim == FILE:
                yield from (e.path for e in _entries(table.path) if e.name.endswith(".parquet"))
            else:
                yield from (e.path for e in _entries(f"{table.path}/_delta_log"))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
