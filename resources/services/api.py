"""The interface of services that store listens, and helpers for their clients."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from resources.errors import TuttiError
from resources.services.web import Unanswered
from resources.text.printable import printable

MAX_CHANGES = 5  # times that a list may change while it is read before the read fails
MAX_USER_NAME_CHARS = 256  # more than any service allows

Record = dict[str, Any]
Cursor = Any  # where a page begins, as JSON; only the client that returned it interprets it


class Page(NamedTuple):
    """Some records of a list, and where the next page begins; None after the last page."""

    records: list[Record]
    cursor: Cursor | None


class Api(Protocol):
    """Listens and feedback of a user; every record has `user_name`."""

    NAME: str  # the source, as in `Listen.source`

    def listens(self, user: str, since: int, until: int, cursor: Cursor | None = None) -> Iterator[Page]:
        """Yield pages of the listens that began in [since, until), in seconds since 1970, newest first.

        `cursor` is where to resume. Each listen is on one page, and listens of one second are on the same page unless
        they fill it. Raises `TuttiError` if the service fails or does not know the user.
        """

    def feedback(self, user: str) -> list[Record]:
        """Return the tracks that the user loves and hates, oldest first."""


def read_settled(
    read: Callable[[], list[Record] | None], when: Callable[[Record], int | None], unsettled: str
) -> list[Record]:
    """Return the list that `read` returns, sorted from oldest to newest. `read` returns None if the list changed.

    Raises `Unanswered` with the text `unsettled` if the list changes on every attempt.
    """
    for _ in range(MAX_CHANGES):
        if (records := read()) is not None:
            return sorted(records, key=lambda record: (when(record) or 0, json.dumps(record)))
    raise Unanswered(unsettled)


def checked_user_name(user: str) -> str:
    """Return a user name without surrounding spaces. Raises `TuttiError` if it cannot be part of an address."""
    name = user.strip()
    if not name or name in (".", "..") or len(name) > MAX_USER_NAME_CHARS or not name.isprintable():
        raise TuttiError(
            f"invalid user name: '{printable(name[:40])}'. Write it as the service does, for example LISTENER=rob."
        )
    return name
