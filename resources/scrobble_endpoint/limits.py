"""Rate limits, counted as in ListenBrainz: a number of requests in each window of ten seconds.

All counts are dropped when a window ends, so no address is stored for longer. Libraries for this task bring their own
store for several servers, which is not needed here.
"""

from collections import Counter
from typing import NamedTuple

WINDOW_S = 10


class Standing(NamedTuple):
    """The rate limit of a client in the current window, and the requests used."""

    limit: int
    used: int
    reset: int  # when the next window begins, seconds since 1970
    now: float

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """Return the rate limit headers that ListenBrainz's clients read."""
        reset_in = str(max(1, round(self.reset - self.now)))
        limits = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Reset-In": reset_in,
            "X-RateLimit-Reset": str(self.reset),
        }
        return limits | {"Retry-After": reset_in} if self.exceeded else limits


class Limits:
    """Counts of requests by client, in memory."""

    def __init__(self) -> None:
        self._window = 0
        self._used: Counter[tuple[str, str]] = Counter()

    def count(self, kind: str, who: str, limit: int, now: float) -> Standing:
        """Count a request of a client, and return its rate limit."""
        window = int(now // WINDOW_S)
        if window != self._window:
            self._window, self._used = window, Counter()
        self._used[kind, who] += 1
        return Standing(limit, self._used[kind, who], (window + 1) * WINDOW_S, now)
