"""Servers on loopback, each for as long as a test asks it, and a clock that nobody has to wait for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from resources.sandbox.entities import Entities
from resources.sandbox.http import server
from resources.sandbox.http.accounts import Accounts, Record
from resources.sandbox.http.faults import Faults

PLENTY = 1_000_000  # requests in a window: no limit that a test could feel


class Clock:
    """Time that passes while somebody sleeps, and only then."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time, self.slept = now, list[float]()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def patience(faults: Faults) -> tuple[float, float]:
    """Seconds to wait for a connection and for an answer: few where slow answers are to be given up."""
    slow = "slow" in faults.script or (faults.rate > 0 and "slow" in faults.kinds)
    return 10, faults.delay / 2 if slow else 10


@contextmanager
def sandbox(
    accounts: Accounts,
    faults: Faults | None = None,
    requests: int = PLENTY,
    entities: Entities | None = None,
    a_second: int = PLENTY,
    lyrics: Sequence[Record] = (),
) -> Iterator[str]:
    """The address of the sandbox's services."""
    knows = {"entities": entities, "a_second": a_second, "lyrics": lyrics}
    with server.served(server.application(accounts, faults or Faults(), requests, **knows)) as url:
        yield url
