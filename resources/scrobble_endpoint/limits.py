"""How often somebody may ask, counted as ListenBrainz counts: so many requests in each ten seconds of the clock.

A window that all share is forgotten whole when it ends, so that however many addresses come, few are kept, and none
for longer than it lasts. (Libraries for this bring a store of their own for several servers; here there is one.)
"""

from collections import Counter
from typing import NamedTuple

WINDOW = 10  # seconds


class Standing(NamedTuple):
    """How somebody stands in the current window."""

    limit: int
    used: int
    reset: int  # when the next window begins, seconds since 1970
    now: float

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """What ListenBrainz's clients steer by."""
        reset_in = str(max(1, round(self.reset - self.now)))
        told = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset-In": reset_in,
            "X-RateLimit-Reset": str(self.reset),
        }
        return told | {"Retry-After": reset_in} if self.exceeded else told


class Limits:
    """Requests counted by who sent them, in memory alone."""

    def __init__(self) -> None:
        self._window = 0
        self._used: Counter[tuple[str, str]] = Counter()

    def count(self, kind: str, who: str, limit: int, now: float) -> Standing:
        """One more request of somebody."""
        window = int(now // WINDOW)
        if window != self._window:
            self._window, self._used = window, Counter()
        self._used[kind, who] += 1
        return Standing(limit, self._used[kind, who], (window + 1) * WINDOW, now)
