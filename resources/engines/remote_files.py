"""Remote files for DuckDB, whose own reader of buckets is an extension that would have to be downloaded.

DuckDB seeks and reads in several threads on one Python handle, so each thread has its own position. Written files never
change, so each is opened once, and its end, which DuckDB reads repeatedly, is cached.
"""

import threading
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fsspec import AbstractFileSystem

from resources.storage import BUCKET, Storage

TAIL_BYTES = 65_536  # most Parquet footers fit
CACHED_FILES = 256  # with 16 MB of tails
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
PROTOCOL = "tutti"  # no extension of DuckDB uses it


class RemoteFiles(AbstractFileSystem):  # type: ignore[misc]
    """Files in buckets, by addresses like tutti://bucket/file."""

    protocol = PROTOCOL
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.split("://", 1)[-1]

    def glob(self, path: str, **_: Any) -> list[str]:
        return [self._strip_protocol(path)]

    def exists(self, path: str, **_: Any) -> bool:
        return True

    def isfile(self, path: str) -> bool:
        return True

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": _content(self._strip_protocol(path)).size, "type": "file"}

    def modified(self, path: str) -> datetime:
        return LONG_AGO

    created = modified

    def open(self, path: str, mode: str = "rb", **_: Any) -> "OpenFile":
        if mode != "rb":
            raise ValueError(f"{path} is read-only, but was opened with mode {mode!r}")
        return OpenFile(_content(self._strip_protocol(path)))


class _Content:
    """An open file, its size, and the bytes of its tail."""

    def __init__(self, path: str) -> None:
        self.file = Storage(BUCKET + path).open()
        self.size = self.file.size()
        self.tail_at = max(0, self.size - TAIL_BYTES)
        self.tail = self.file.read_at(self.size - self.tail_at, self.tail_at)

    def read(self, count: int, at: int) -> bytes:
        if at >= self.tail_at:
            return self.tail[at - self.tail_at : at - self.tail_at + count]
        return self.file.read_at(count, at)


_content = lru_cache(CACHED_FILES)(_Content)


class OpenFile:
    """A file with a position for each thread."""

    closed = False

    def __init__(self, content: _Content) -> None:
        self.size = content.size
        self._content, self._thread = content, threading.local()

    def seek(self, to: int, whence: int = 0) -> int:
        self._thread.at = to + (0, self.tell(), self.size)[whence]
        return self.tell()

    def tell(self) -> int:
        return getattr(self._thread, "at", 0)

    def read(self, count: int = -1) -> bytes:
        at = self.tell()
        left = max(0, self.size - at)
        block = self._content.read(left if count < 0 else min(count, left), at)
        self._thread.at = at + len(block)
        return block

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def flush(self) -> None:
        """Do nothing: the file is never written."""

    close = flush  # the content stays open for the next reader
