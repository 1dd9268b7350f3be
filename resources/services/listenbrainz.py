"""ListenBrainz's API: listens and feedback of a user, page by page.

Listens come newest first, those before `max_ts`; the service knows no other page number. So a page ends where the next
begins only between two seconds: what was heard in the last second of a page is left for the next one. Documented at
https://listenbrainz.readthedocs.io/en/latest/users/api/core.html.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from resources.errors import TuttiError
from resources.services.api import Api, Cursor, Page, Record, checked_user_name, settled
from resources.services.web import Again, Web, agent_of

NAME = "listenbrainz"
URL = "https://api.listenbrainz.org"
MOST = 1000  # records on a page: what the service allows


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> Api:
    """Connect as the environment variables say. Listens are public; a token raises the rate limit."""
    token = environ.get("TUTTI_LISTENBRAINZ_TOKEN", "").strip()
    url = environ.get("TUTTI_LISTENBRAINZ_URL") or URL
    authorization = f"Token {token}" if token else None
    return ListenBrainz(Web("ListenBrainz", url, authorization=authorization, agent=agent_of(environ), log=log))


class ListenBrainz:
    """The service at an address, or one that speaks as it does."""

    NAME = NAME

    def __init__(self, web: Web, most: int = MOST) -> None:
        self._web, self._most = web, most

    def listens(self, user: str, since: int, until: int, cursor: Cursor | None = None) -> Iterator[Page]:
        """The listens that began in [since, until), newest first; `cursor` is the second before which to go on."""
        user = checked_user_name(user)
        before: int | None = until if cursor is None else int(cursor)
        while before is not None:
            listens, oldest = self._listens(user, before)
            times = [listen["listened_at"] for listen in listens]
            full = len(times) >= self._most
            ended = not times or times[-1] < since or (not full and oldest is not None and times[-1] <= oldest)
            whole = ended or times[0] == times[-1]  # a second alone on its page: it cannot be had in parts
            if whole and full and not ended:
                self._web.log(
                    f"{NAME}: {user} has {len(times):,} listens or more in the second {times[0]}: the service shows "
                    f"no more than {len(times):,} of them"
                )
            kept = [x for x in listens if x["listened_at"] >= since and (whole or x["listened_at"] > times[-1])]
            before = None if ended else times[-1] + (not whole)
            yield Page([{**listen, "user_name": listen.get("user_name") or user} for listen in kept], before)

    def feedback(self, user: str) -> list[Record]:
        """What the user loves (score 1) and hates (-1), oldest first, with names where the service knows them."""
        user = checked_user_name(user)
        unsettled = f"the feedback of {user} on ListenBrainz changes faster than it can be read: try again later"
        return settled(lambda: self._whole_feedback(user), lambda told: _number(told, "created"), unsettled)

    def _listens(self, user: str, before: int) -> tuple[list[Record], int | None]:
        """The newest listens before a second, newest first, and when the user's oldest was, where that is told."""

        def read(status: int, value: Any) -> _Listens:
            payload = self._answer(user, status, value).get("payload")
            if not isinstance(payload, dict) or not isinstance(payload.get("listens"), list):
                raise Again("an answer without listens")
            listens, oldest = payload["listens"], _number(payload, "oldest_listen_ts")
            if payload.get("count", len(listens)) != len(listens):
                raise Again("a page that does not hold as many listens as it says")
            if not all(isinstance(listen, dict) and _number(listen, "listened_at") is not None for listen in listens):
                raise Again("a listen without its time")
            found = [listen for listen in listens if listen["listened_at"] < before]
            if not found and oldest and oldest < before:
                raise Again("an empty page where there are listens")
            return _Listens(sorted(found, key=lambda listen: -listen["listened_at"]), oldest or None)

        path, query = f"/1/user/{quote(user, safe='')}/listens", {"max_ts": before, "count": self._most}
        page = self._web.get(path, query, read)
        if not page.listens and page.oldest is None:  # nothing says that this is all: believed the second time
            page = self._web.get(path, query, read)
        return page

    def _whole_feedback(self, user: str) -> list[Record] | None:
        """All feedback there is, or None if it changed while it was read."""

        def read(status: int, value: Any) -> tuple[list[Record], int]:
            answer = self._answer(user, status, value)
            records, total = answer.get("feedback"), _number(answer, "total_count")
            if not isinstance(records, list) or total is None or not all(isinstance(r, dict) for r in records):
                raise Again("an answer without feedback")
            if not records and len(found) < total:
                raise Again("an empty page where there is feedback")
            return records, total

        path, found, first = f"/1/feedback/user/{quote(user, safe='')}/get-feedback", list[Record](), None
        while first is None or len(found) < first:
            query: dict[str, str | int] = {"offset": len(found), "count": self._most, "metadata": "true"}
            records, total = self._web.get(path, query, read)
            if total != (first := total if first is None else first):
                return None
            found += ({**record, "user_name": user} for record in records)
        return found if len(found) == first else None

    def _answer(self, user: str, status: int, value: Any) -> dict[str, Any]:
        """The answer, if it is one. Raises `TuttiError` for what asking again does not mend."""
        said = self._web.shown(value["error"]) if isinstance(value, dict) and value.get("error") else ""
        if status == 200 and isinstance(value, dict):
            return value
        if status == 200:
            raise Again("an answer of another form")
        if status == 404 and said:
            raise TuttiError(f"ListenBrainz knows no user {user!r} ({said}): check the spelling of the name")
        if status == 404:
            raise TuttiError(f"there is no ListenBrainz at {self._web.url}: check TUTTI_LISTENBRAINZ_URL")
        if status in (401, 403):
            raise TuttiError(
                f"ListenBrainz refuses us ({said or status}): set TUTTI_LISTENBRAINZ_TOKEN to the user token that "
                "https://listenbrainz.org/settings/ shows, or to nothing"
            )
        raise TuttiError(f"ListenBrainz does not answer what we ask ({status} {said}): check TUTTI_LISTENBRAINZ_URL")


class _Listens(NamedTuple):
    listens: list[Record]
    oldest: int | None


def _number(record: Record, key: str) -> int | None:
    value = record.get(key)
    return value if type(value) is int else None  # a bool is no number here
