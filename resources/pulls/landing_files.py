"""Files that pulls land: complete or absent, never duplicated, even if a pull is killed.

A page or a portion of answers is a file of JSON lines. Its name ends with a hash of its content, so that pulling the
same page twice makes one file. Hidden files beside it contain a lock and the progress. Answers that have not landed are
in a hidden journal on this machine's disk, even if the landing folder is in a bucket, where each would be a request.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

from resources import files
from resources.services.api import Record
from resources.storage import Storage

PROGRESS = ".pull.json"
JOURNAL = ".{}.answers"  # with the prefix of the file that the answers will land in
PORTION_SIZE = 100  # answers in a file: about a megabyte of lyrics

T = TypeVar("T")
Log: TypeAlias = Callable[[str], object]


@contextmanager
def one_pull(folder: Storage, log: Log) -> Iterator[None]:
    """Lock a service's folder for one pull; wait if another pull holds it (on another machine: only in a bucket)."""
    service = str(folder).rpartition("/")[2]
    with folder.lock("", lambda: log(f"{service}: waiting for another pull of this service to end")):
        yield


def land(folder: Storage, prefix: str, lines: Iterable[str]) -> bool:
    """Write `lines` as one file, and return whether it is new. Files sort by `prefix`."""
    content = "".join(f"{line}\n" for line in lines).encode()
    name = f"{prefix}-{hashlib.sha256(content).hexdigest()[:32]}.jsonl"
    if folder.exists(name):
        return False
    folder.write(name, content)
    return True


def landed(folder: Storage) -> Iterator[Record]:
    """Yield the records of all files that pulls landed in `folder`, oldest file first. Broken lines are skipped."""
    for name in sorted(file.name for file in folder.files() if file.name.endswith(".jsonl")):
        for line in folder.read(name).splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def progress(folder: Storage) -> dict[str, Any]:
    """Read the progress stored in `folder`; empty if there is none or it cannot be read."""
    try:
        state = json.loads(folder.read(PROGRESS))
    except ValueError:
        return {}
    except OSError as error:
        if folder.remote and not isinstance(error, FileNotFoundError):  # the bucket may contain it nevertheless
            raise
        return {}
    return state if isinstance(state, dict) else {}


def keep_progress(folder: Storage, state: Mapping[str, Any]) -> None:
    """Replace the progress stored in `folder` atomically."""
    folder.write(PROGRESS, json.dumps(state).encode())


def clear_drafts(folder: Storage) -> None:
    """Remove the drafts that killed pulls left in a folder; there are none in a bucket."""
    if not folder.remote:
        files.clear_drafts(Path(folder))


def moment(at: datetime) -> str:
    """Write a time as a prefix of file names: names sort as times do."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


class Answers:
    """Answers of a service, which land in portions; each is on disk before the next request.

    Answers wait in a hidden journal until a portion is complete or the pull ends. The journal of a killed pull lands
    when the next pull begins. Only one pull at a time may use a folder.
    """

    def __init__(self, folder: Storage, journals: Path, now: Callable[[], datetime]) -> None:
        """Land the answers that a killed pull left in the folder `journals`, which is `folder` if that is on disk."""
        self.files = 0
        self._folder, self._journals, self._now, self._prefix = folder, journals, now, ""
        self._lines: list[str] = []
        clear_drafts(self._folder)
        for journal in sorted(self._journals.glob(JOURNAL.format("*"))):
            self._prefix = journal.name[1:].partition(".")[0]
            self._lines = [line for line in journal.read_text().splitlines(keepends=False) if _is_complete(line)]
            self.land()

    def add(self, record: Record) -> None:
        """Write an answer to the journal; land the portion if it is complete."""
        if not self._lines:
            self._prefix = moment(self._now())
            self._journals.mkdir(parents=True, exist_ok=True)
        line = json.dumps(record, sort_keys=True)
        with self._journal.open("a") as journal:
            journal.write(f"{line}\n")
        self._lines.append(line)
        if len(self._lines) >= PORTION_SIZE:
            self.land()

    def land(self) -> None:
        """Land the answers in the journal as one file."""
        if self._lines:
            self.files += land(self._folder, self._prefix, self._lines)
        self._journal.unlink(missing_ok=True)
        self._lines = []

    @property
    def _journal(self) -> Path:
        return self._journals / JOURNAL.format(self._prefix)

    def __enter__(self) -> "Answers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.land()


def portions(items: Sequence[T], size: int | None = None) -> Iterator[Sequence[T]]:
    """Divide items into portions of `size`, by default `PORTION_SIZE`, in order."""
    size = size or PORTION_SIZE
    return (items[n : n + size] for n in range(0, len(items), size))


def _is_complete(line: str) -> bool:
    """Return whether a line of a journal was written to its end."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
