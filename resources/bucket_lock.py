"""A lock in a bucket: an object that its holder renews. It is free after a minute without a change.

The store must honor `If-None-Match` and `If-Match` on a PUT. Each waiting process measures with its own clock how long
the object has not changed, so clocks need not agree.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from resources.errors import TuttiError

EXPIRY_S, RENEWAL_S = 60.0, 15.0  # a holder that cannot reach the store for a minute has lost the lock
WAIT_S = 0.5  # between checks of a lock that another process holds


class _Lock:
    """The lock's object in a store, and its last state that this process saw."""

    def __init__(self, store: Any, key: str) -> None:
        self.store, self.key = store, key
        self.owner = uuid.uuid4().hex
        self.tag: str | None = None  # of the object that this process wrote last
        self.renewed_at = 0.0
        self.released = threading.Event()

    def take(self, busy: Callable[[], object]) -> None:
        """Take the lock. If another holds it, call `busy` and wait until it is free."""
        seen, since, waits = None, 0.0, False
        while not self._put("create"):
            if not waits:
                waits = True
                busy()
            tag = self._tag()
            if tag != seen:
                seen, since = tag, time.monotonic()
            elif tag and time.monotonic() - since > EXPIRY_S and self._put({"e_tag": tag}):
                return
            time.sleep(WAIT_S * (0.5 + random.random()))

    def renew(self) -> None:
        """Renew the lock until it is released or lost; run in a thread."""
        from obstore.exceptions import BaseError

        while not self.released.wait(RENEWAL_S):
            try:
                if not self._put({"e_tag": self.tag}):
                    return
            except BaseError:  # the store does not answer; if that lasts, `held` becomes false
                continue

    @property
    def held(self) -> bool:
        """Return whether this process still holds the lock for sure."""
        return self.tag is not None and time.monotonic() - self.renewed_at < EXPIRY_S - RENEWAL_S

    def _put(self, mode: Any) -> bool:
        """Write the object if it is as `mode` requires; return whether this process has the lock."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        began, content = time.monotonic(), f"{self.owner} {uuid.uuid4().hex}".encode()
        try:
            self.tag = obstore.put(self.store, self.key, content, mode=mode, use_multipart=False)["e_tag"]
        except (AlreadyExistsError, PreconditionError):
            self.tag = self._tag(content)
            if self.tag is None:  # otherwise an earlier try succeeded and its answer was lost
                return False
        self.renewed_at = began
        return True

    def _tag(self, content: bytes | None = None) -> str | None:
        """Return the object's tag, or None if there is no object or its content is not `content`."""
        import obstore
        from obstore.exceptions import NotFoundError

        try:
            response = obstore.get(self.store, self.key)
        except (FileNotFoundError, NotFoundError):
            return None
        return response.meta["e_tag"] if content in (None, bytes(response.bytes())) else None


@contextmanager
def held(store: Any, key: str, busy: Callable[[], object]) -> Iterator[None]:
    """Hold the lock `key` of a store.

    If another process holds it, calls `busy` and waits. Raises `TuttiError` at the end if the lock was lost.
    """
    import obstore

    lock = _Lock(store, key)
    lock.take(busy)
    renewal = threading.Thread(target=lock.renew, daemon=True)
    renewal.start()
    try:
        yield
    finally:
        lock.released.set()
        renewal.join()
        if still_held := lock.held:
            obstore.delete(store, key)
    if not still_held:
        raise TuttiError(
            f"another process took the lock {key}, because the object store did not answer in time. Run this again."
        )
