"""Fronts: where the storm strikes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tests.chaos.storm import Blow, Storm
from tests.chaos.task import HEARD
from tests.chaos.victim import Command, Victim, Worker
from tests.chaos.work import Commands, Days, Imports, Landings, Work


@dataclass(frozen=True)
class Front:
    """A work and who does it; `share` is its part of all kills."""

    says: str
    share: float
    work: Callable[[Path], Work]
    victim: Callable[[Path], Victim]
    children: bool = False

    def blows(self, kills: int, folder: Path, seed: int = 1) -> Iterator[Blow]:
        """Strike so often, and keep what it takes in a new folder."""
        folder.mkdir(parents=True)
        storm = Storm(self.work(folder), partial(self.victim, folder), Random(seed), children=self.children)
        return storm.blows(kills)


def _days_on(engine: str, share: float) -> Front:
    says = f"listens, sessions and plays of days, on {engine}"
    return Front(says, share, partial(Days, spans=((0, 0), (1, 2), (3, 3), (4, 5))), partial(Worker, engine))


def _days_on_cluster(engine: str, share: float) -> Front:
    """All days in one commit, of listens made beforehand: a table takes a cluster seconds, that of listens many."""
    says = f"sessions and plays of days, on {engine}"
    work = partial(Days, spans=((0, 5),), rows=4_000, given=HEARD)
    return Front(says, share, work, partial(Worker, engine), children=True)


FRONTS = {
    "import": Front("an export of several megabytes, taken in", 0.25, Imports, partial(Worker, "pandas")),
    "command": Front("`python -m orchestration import` and all that follows", 0.05, Commands, Command),
    "pandas": _days_on("pandas", 0.25),
    "duckdb": _days_on("duckdb", 0.25),
    "dask": _days_on_cluster("dask", 0.1),
    "spark": _days_on_cluster("spark", 0.05),
    "stream": Front("landed files, streamed on spark", 0.05, Landings, partial(Worker, "spark"), children=True),
}
