"""ListenBrainz's API: listens and feedback of a user, page by page.

A page contains the newest listens before `max_ts`; there are no page numbers. So pages can only be divided between two
seconds: the listens in the last second of a page are left for the next page. Documented at
https://listenbrainz.readthedocs.io/en/latest/users/api/core.html.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from resources.errors import TuttiError
from resources.services.api import Api, Cursor, Page, Record, checked_user_name, read_settled
from resources.services.web import Retry, Web, agent_of

NAME = "listenbrainz"
URL = "https://api.listenbrainz.org"
PAGE_SIZE = 1000  # records: the service's maximum


def connect(environ: Mapping[str, str], log: Callable[[str], object]) -> Api:
    """Connect with the settings in environment variables. Listens are public; a token raises the rate limit."""
    token = environ.get("TUTTI_LISTENBRAINZ_TOKEN", "").strip()
    url = environ.get("TUTTI_LISTENBRAINZ_URL") or URL
    authorization = f"Token {token}" if token else None
    return ListenBrainz(Web("ListenBrainz", url, authorization=authorization, agent=agent_of(environ), log=log))


class ListenBrainz:
    """A client of ListenBrainz, or of another service with the same API."""

    NAME = NAME

    def __init__(self, web: Web, page_size: int = PAGE_SIZE) -> None:
        self._web, self._page_size = web, page_size

    def listens(self, user: str, since: int, until: int, cursor: Cursor | None = None) -> Iterator[Page]:
        """Yield pages of listens as `Api.listens`; `cursor` is the second before which to resume."""
        user = checked_user_name(user)
        before: int | None = until if cursor is None else int(cursor)
        while before is not None:
            listens, oldest = self._listens(user, before)
            times = [listen["listened_at"] for listen in listens]
            full = len(times) >= self._page_size
            ended = not times or times[-1] < since or (not full and oldest is not None and times[-1] <= oldest)
            undivided = ended or times[0] == times[-1]  # one second fills the page and cannot be divided
            if undivided and full and not ended:
                self._web.log(
                    f"{NAME}: {user} has at least {len(times):,} listens in the second {times[0]}, "
                    f"and the service returns only {len(times):,} of them"
                )
            selected = [x for x in listens if x["listened_at"] >= since and (undivided or x["listened_at"] > times[-1])]
            before = None if ended else times[-1] + (not undivided)
            yield Page([{**listen, "user_name": listen.get("user_name") or user} for listen in selected], before)

    def feedback(self, user: str) -> list[Record]:
        """Return the tracks that the user loves (score 1) and hates (-1), oldest first, with names if known."""
        user = checked_user_name(user)
        unsettled = f"the feedback of {user} on ListenBrainz changes faster than Tutti reads. Try later."
        return read_settled(lambda: self._all_feedback(user), lambda record: _number(record, "created"), unsettled)

    def _listens(self, user: str, before: int) -> tuple[list[Record], int | None]:
        """Request the newest listens before a second, newest first, and the time of the user's oldest, if provided."""

        def read(status: int, value: Any) -> _Listens:
            payload = self._answer(user, status, value).get("payload")
            if not isinstance(payload, dict) or not isinstance(payload.get("listens"), list):
                raise Retry("an answer without listens")
            listens, oldest = payload["listens"], _number(payload, "oldest_listen_ts")
            if payload.get("count", len(listens)) != len(listens):
                raise Retry("a page whose count differs from its number of listens")
            if not all(isinstance(listen, dict) and _number(listen, "listened_at") is not None for listen in listens):
                raise Retry("a listen without its time")
            earlier = [listen for listen in listens if listen["listened_at"] < before]
            if not earlier and oldest and oldest < before:
                raise Retry("an empty page although there are listens")
            return _Listens(sorted(earlier, key=lambda listen: -listen["listened_at"]), oldest or None)

        path, query = f"/1/user/{quote(user, safe='')}/listens", {"max_ts": before, "count": self._page_size}
        page = self._web.get(path, query, read)
        if not page.listens and page.oldest is None:  # an empty page is accepted if it comes twice
            page = self._web.get(path, query, read)
        return page

    def _all_feedback(self, user: str) -> list[Record] | None:
        """Return all feedback, or None if it changed while it was read."""

        def read(status: int, value: Any) -> tuple[list[Record], int]:
            answer = self._answer(user, status, value)
            records, total = answer.get("feedback"), _number(answer, "total_count")
            if not isinstance(records, list) or total is None or not all(isinstance(r, dict) for r in records):
                raise Retry("an answer without feedback")
            if not records and len(collected) < total:
                raise Retry("an empty page although there is feedback")
            return records, total

        path, collected, first = f"/1/feedback/user/{quote(user, safe='')}/get-feedback", list[Record](), None
        while first is None or len(collected) < first:
            query: dict[str, str | int] = {"offset": len(collected), "count": self._page_size, "metadata": "true"}
            records, total = self._web.get(path, query, read)
            if total != (first := total if first is None else first):
                return None
            collected += ({**record, "user_name": user} for record in records)
        return collected if len(collected) == first else None

    def _answer(self, user: str, status: int, value: Any) -> dict[str, Any]:
        """Return a usable answer. Raises `Again` for temporary errors and `TuttiError` for permanent ones."""
        message = self._web.shown(value["error"]) if isinstance(value, dict) and value.get("error") else ""
        if status == 200 and isinstance(value, dict):
            return value
        if status == 200:
            raise Retry("an answer in an unknown format")
        if status == 404 and message:
            raise TuttiError(f"ListenBrainz has no user {user!r} ({message}). Check the spelling of the name.")
        if status == 404:
            raise TuttiError(f"no ListenBrainz API at {self._web.url}. Check TUTTI_LISTENBRAINZ_URL.")
        if status in (401, 403):
            raise TuttiError(
                f"ListenBrainz denies access ({message or status}). Set TUTTI_LISTENBRAINZ_TOKEN to your user token "
                "from https://listenbrainz.org/settings/, or unset it."
            )
        raise TuttiError(f"ListenBrainz refused the request ({status} {message}). Check TUTTI_LISTENBRAINZ_URL.")


class _Listens(NamedTuple):
    listens: list[Record]
    oldest: int | None


def _number(record: Record, key: str) -> int | None:
    value = record.get(key)
    return value if type(value) is int else None  # excludes bool, a subclass of int
