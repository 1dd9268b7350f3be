"""The outbox: finished files of the journal move into the bucket of the landing folder, in a thread of their own.

Listens are safe on this machine's disk before a client gets its answer, so the scrobble endpoint never waits for the
object store. A file is removed here once the store has it. If the server is killed in between, the next one writes the
same file with the same content again, and its listens count once.
"""

import sys
import threading
from pathlib import Path

from resources.errors import TuttiError
from resources.storage import NoAnswer, Storage

PAUSE_S = 1.0  # between looks for finished files
FIRST_S = 5.0  # for the first answer, before the endpoint starts without it
SILENT = "the object store does not answer"
LAST_S = 10.0  # for the last files, once the server ends


class Outbox:
    """Moves finished files from a folder of this machine into a bucket."""

    def __init__(self, folder: Path, store: Storage) -> None:
        self._folder, self._store = folder, store
        self._problem: str | None = None
        self._refused: TuttiError | None = None  # at the start
        self._failed = False  # whether `start` raised
        self._begun, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)  # a store without an answer keeps nobody here

    def start(self) -> None:
        """Start. Raises `TuttiError` if the store refuses; if it does not answer, files wait for it."""
        self._thread.start()
        if not self._begun.wait(FIRST_S):
            self._report(f"{self._store}: {SILENT}")
        if self._refused:
            self._failed = True
            self._ended.set()
            raise self._refused

    def end(self) -> None:
        """Move the last files, unless the store does not answer; then the next server moves them."""
        self._ended.set()
        self._thread.join(LAST_S)
        if left := len(self._finished()):
            print(f"tutti: {left} files stay in {self._folder} until the next start", file=sys.stderr, flush=True)

    def _run(self) -> None:
        try:
            next(self._store.files(), None)
        except NoAnswer:
            self._report(f"{self._store}: {SILENT}")
        except TuttiError as error:
            self._refused = error  # `start` raises it, or has returned before the store answered
        except OSError:
            pass  # moving a file has the same problem, or none
        finally:
            self._begun.set()
        while not self._ended.wait(PAUSE_S):
            self._move()
        if not self._failed:
            self._move()

    def _move(self) -> None:
        """Move the files that are finished now."""
        try:
            for path in self._finished():
                self._store.write(path.name, path.read_bytes())
                path.unlink(missing_ok=True)
        except NoAnswer:
            self._report(f"{self._store}: {SILENT}")
        except (TuttiError, OSError, ValueError) as error:  # ValueError: a name that no object can have
            self._report(str(error).splitlines()[0])
        else:
            self._report(None)

    def _finished(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.jsonl"))

    def _report(self, problem: str | None) -> None:
        """Print a problem once, and once that it is over."""
        if problem != self._problem:
            self._problem = problem
            told = f"{problem}; meanwhile listens stay in {self._folder}" if problem else "listens land again"
            print(f"tutti: {told}", file=sys.stderr, flush=True)
