"""What the API of a service that keeps listens offers, whichever service it is."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from resources.errors import TuttiError
from resources.services.web import Unanswered

MOVES = 5  # times that a list may change while it is read before we give up
MOST_LETTERS = 256  # of a user name: no service allows as many

Record = dict[str, Any]
Cursor = Any  # where a page begins, as JSON: what it means, the API that gave it knows


class Page(NamedTuple):
    """Some records of a list, as they are handed on, and where the next page begins: None after the last."""

    records: list[Record]
    cursor: Cursor | None


class Api(Protocol):
    """Listens and feedback of a user; `user_name` is in every record."""

    NAME: str  # of the source, as in `Listen.source`

    def listens(self, user: str, since: int, until: int, cursor: Cursor | None = None) -> Iterator[Page]:
        """The listens that began in [since, until), in seconds since 1970, newest first; from a page on, if given.

        Each listen is on one page, and listens of one second are not torn apart unless they fill a page. Raises
        `TuttiError` with what to do.
        """

    def feedback(self, user: str) -> list[Record]:
        """What the user loves and hates, oldest first."""


def settled(
    read: Callable[[], list[Record] | None], when: Callable[[Record], int | None], unsettled: str
) -> list[Record]:
    """A list that `read` gives whole, or not at all (None) where it changed meanwhile, oldest first.

    Raises `Unanswered` with what `unsettled` says where it changes each time.
    """
    for _ in range(MOVES):
        if (found := read()) is not None:
            return sorted(found, key=lambda record: (when(record) or 0, json.dumps(record)))
    raise Unanswered(unsettled)


def checked_user_name(user: str) -> str:
    """A user's name as it may be part of an address. Raises `TuttiError` for what cannot be one."""
    name = user.strip()
    if not name or name in (".", "..") or len(name) > MOST_LETTERS or not name.isprintable():
        shown = name[:40] if name.isprintable() else ascii(name[:40])[1:-1]
        raise TuttiError(f"{shown!r} is no user name: give it as the service writes it, as in LISTENER=rob")
    return name
