"""Targets: the kinds of work that are attacked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tests.chaos.storm import Outcome, Storm
from tests.chaos.task import LISTENS_TABLE
from tests.chaos.victim import Command, Victim, Worker
from tests.chaos.work import Commands, Days, Imports, Landings, Work


@dataclass(frozen=True)
class Target:
    """Some work and the victims that do it. `share` is its share of all kills."""

    description: str
    share: float
    work: Callable[[Path], Work]
    victim: Callable[[Path], Victim]
    children: bool = False

    def attack(self, kills: int, folder: Path, seed: int = 1) -> Iterator[Outcome]:
        """Kill so often, using a new folder, and yield the outcomes."""
        folder.mkdir(parents=True)
        storm = Storm(self.work(folder), partial(self.victim, folder), Random(seed), children=self.children)
        return storm.attack(kills)


def _days_on(engine: str, share: float) -> Target:
    description = f"listens, sessions and plays of days, on {engine}"
    return Target(description, share, partial(Days, spans=((0, 0), (1, 2), (3, 3), (4, 5))), partial(Worker, engine))


def _days_on_cluster(engine: str, share: float) -> Target:
    """Compute all days in one commit from existing listens: a table takes a cluster seconds, that of listens many."""
    description = f"sessions and plays of days, on {engine}"
    work = partial(Days, spans=((0, 5),), rows=4_000, source=LISTENS_TABLE)
    return Target(description, share, work, partial(Worker, engine), children=True)


TARGETS = {
    "import": Target("import of an export of several megabytes", 0.25, Imports, partial(Worker, "pandas")),
    "command": Target("`python -m orchestration import` with downstream tables", 0.05, Commands, Command),
    "pandas": _days_on("pandas", 0.25),
    "duckdb": _days_on("duckdb", 0.25),
    "dask": _days_on_cluster("dask", 0.1),
    "spark": _days_on_cluster("spark", 0.05),
    "stream": Target("landed files, streamed on spark", 0.05, Landings, partial(Worker, "spark"), children=True),
}
