"""Group commit: all requests that wait for the disk share the next fsync.

An fsync takes milliseconds, whatever the number of lines. While one runs, requests gather for the next one, so the cost
of a request falls as their number grows.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from resources.scrobble_endpoint.journal import Journal
from resources.terminal import warn

RETRY_S = 1.0  # until the next attempt to publish a file, if the disk refused


class DiskError(Exception):
    """The lines could not be written, and none of them is stored."""


class GroupCommit:
    """Lets many requests write to one journal; `run` must be running."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._ended = False
        self._refused: str | None = None
        self._thread = ThreadPoolExecutor(1, "journal")  # one thread: the journal is not thread-safe

    async def put(self, lines: bytes) -> None:
        """Write whole lines and return once they are on disk. Raises `DiskError` if they are not."""
        if self._ended:
            raise DiskError
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        """Write lines and publish files until `end` is called; write the waiting lines before returning."""
        try:
            await self._turns()
            await self._try(self._journal.close)
        finally:
            self.end()
            self._thread.shutdown()

    async def _turns(self) -> None:
        pause = None
        while not (self._ended and not self._waiting):
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._waiting:
                await self._write()
            pause = self._journal.due()
            if pause == 0.0:
                pause = self._journal.due() if await self._try(self._journal.publish) else RETRY_S

    def end(self) -> None:
        """Refuse further lines, and let `run` end."""
        self._ended = True
        self._wake.set()

    async def _write(self) -> None:
        group, self._waiting = self._waiting, []
        lines, written = b"".join(lines for lines, _ in group), False
        try:
            written = await self._try(lambda: self._journal.append(lines))
        finally:  # so that no request waits indefinitely
            for _, done in group:
                if done.cancelled():
                    continue
                if written:
                    done.set_result(None)
                else:
                    done.set_exception(DiskError())

    async def _try(self, work: Callable[[], None]) -> bool:
        """Run `work` and return whether the disk allowed it. Print a line if that differs from the last time."""
        refused = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            refused = error.strerror or type(error).__name__
        if refused != self._refused:
            self._refused = refused
            state = f"refusing listens, because the disk fails: {refused}" if refused else "storing listens again"
            warn(f"tutti: {state}")
        return refused is None
