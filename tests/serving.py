"""Mock services on loopback for the duration of a test, and a clock without real waiting."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from resources.sandbox.entities import Entities
from resources.sandbox.http import server
from resources.sandbox.http.accounts import Accounts, Record
from resources.sandbox.http.faults import Faults

UNLIMITED = 1_000_000  # requests per window, more than any test sends


class Clock:
    """A clock whose time passes only during `sleep`."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time, self.slept = now, list[float]()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def patience(faults: Faults) -> tuple[float, float]:
    """Return the seconds to wait for a connection and an answer, short if slow answers are to time out."""
    slow = "slow" in faults.script or (faults.rate > 0 and "slow" in faults.kinds)
    return 10, faults.delay / 2 if slow else 10


@contextmanager
def sandbox(
    accounts: Accounts,
    faults: Faults | None = None,
    requests: int = UNLIMITED,
    entities: Entities | None = None,
    musicbrainz_per_second: int = UNLIMITED,
    lyrics: Sequence[Record] = (),
) -> Iterator[str]:
    """Serve the sandbox's services, and yield their URL."""
    options = {"entities": entities, "musicbrainz_per_second": musicbrainz_per_second, "lyrics": lyrics}
    with server.served(server.application(accounts, faults or Faults(), requests, **options)) as url:
        yield url
