"""Group commit: whoever waits for the disk shares the next fsync with all others who wait.

An fsync takes milliseconds and holds any number of lines. While one runs, requests gather for the next, so that the
more there are, the fewer each costs.
"""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from resources.scrobble_endpoint.journal import Journal

AGAIN = 1.0  # seconds until what the disk refused to make visible is tried again


class DiskRefuses(Exception):
    """The lines are not on disk, and none of them is kept."""


class GroupCommit:
    """A journal that many requests write to; `run` must be running."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._ended = False
        self._refused: str | None = None
        self._thread = ThreadPoolExecutor(1, "journal")  # one: the journal's turns, and fsync releases the event loop

    async def put(self, lines: bytes) -> None:
        """Return once whole lines are on disk; DiskRefuses if they are not."""
        if self._ended:
            raise DiskRefuses
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, done))
        self._wake.set()
        await done

    async def run(self) -> None:
        """Write what is put, and make files visible in time, until `end`; then what waits is written first."""
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
                pause = self._journal.due() if await self._try(self._journal.publish) else AGAIN

    def end(self) -> None:
        """Take no more."""
        self._ended = True
        self._wake.set()

    async def _write(self) -> None:
        group, self._waiting = self._waiting, []
        lines, written = b"".join(lines for lines, _ in group), False
        try:
            written = await self._try(lambda: self._journal.append(lines))
        finally:  # nobody waits for ever, whatever happened
            for _, done in group:
                if done.cancelled():
                    continue
                if written:
                    done.set_result(None)
                else:
                    done.set_exception(DiskRefuses())

    async def _try(self, work: Callable[[], None]) -> bool:
        """Whether the disk let something be done; a change of its mind is told once."""
        refused = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            refused = error.strerror or type(error).__name__
        if refused != self._refused:
            self._refused = refused
            told = f"listens are refused, the disk says: {refused}" if refused else "listens are stored again"
            print(f"tutti: {told}", file=sys.stderr, flush=True)
        return refused is None
