"""Fronts: where the storm strikes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from tests.storm.storm import Blow, Storm
from tests.storm.task import Span
from tests.storm.victim import Command, Victim, Worker
from tests.storm.work import Commands, Days, Imports, Landings, Work


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


def _days_on(engine: str, share: float, spans: Sequence[Span], children: bool = False) -> Front:
    says = f"listens, sessions and plays of days, on {engine}"
    return Front(says, share, partial(Days, spans=spans), partial(Worker, engine), children)


SHORT, LONG = ((0, 0), (1, 2), (3, 3), (4, 5)), ((0, 5),)  # a commit takes a cluster seconds


FRONTS = {
    "import": Front("an export of several megabytes, taken in", 0.25, Imports, partial(Worker, "pandas")),
    "command": Front("`python -m orchestration import` and all that follows", 0.05, Commands, Command),
    "pandas": _days_on("pandas", 0.25, SHORT),
    "duckdb": _days_on("duckdb", 0.25, SHORT),
    "dask": _days_on("dask", 0.1, LONG, children=True),
    "spark": _days_on("spark", 0.05, LONG, children=True),
    "stream": Front("landed files, streamed on spark", 0.05, Landings, partial(Worker, "spark"), children=True),
}
