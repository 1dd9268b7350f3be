"""The outbox: a thread that moves finished files of the journal into the bucket of the landing folder.

Listens are safe on this machine's disk before a client gets its answer, so the scrobble endpoint never waits for the
object store. A file is removed from the disk once the store has it. If the server is killed in between, the next one
writes the same file again, and its listens count once.
"""

import threading
from pathlib import Path

from resources.errors import TuttiError
from resources.storage import NoAnswer, Storage
from resources.terminal import warn

PAUSE_S = 1.0  # between two searches for finished files
FIRST_ANSWER_TIMEOUT_S = 5.0  # after that the endpoint starts without an answer
LAST_FILES_TIMEOUT_S = 3.0  # when the server ends
SILENT = "the object store does not answer"


class Outbox:
    """Moves finished files from a folder of this machine into a bucket."""

    def __init__(self, folder: Path, store: Storage) -> None:
        self._folder, self._store = folder, store
        self._problem: str | None = None
        self._refused: TuttiError | None = None  # at the start
        self._failed = False  # whether `start` raised
        self._begun, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)  # does not block the end of the process

    def start(self) -> None:
        """Start the thread. Raises `TuttiError` if the store refuses; if it does not answer, files wait on disk."""
        self._thread.start()
        if not self._begun.wait(FIRST_ANSWER_TIMEOUT_S):
            self._report(f"{self._store}: {SILENT}")
        if self._refused:
            self._failed = True
            self._ended.set()
            raise self._refused

    def end(self) -> None:
        """Move the last files, unless the store does not answer; then the next server moves them."""
        self._ended.set()
        self._thread.join(LAST_FILES_TIMEOUT_S)
        if left := len(self._finished()):
            warn(f"tutti: {left} files stay in {self._folder} until the next start")

    def _run(self) -> None:
        try:
            next(self._store.files(), None)
        except NoAnswer:
            self._report(f"{self._store}: {SILENT}")
        except TuttiError as error:
            self._refused = error  # `start` raises it, unless it has already returned
        except OSError:
            pass  # if the problem lasts, moving a file reports it
        finally:
            self._begun.set()
        while not self._ended.wait(PAUSE_S):
            self._move()
        if not self._failed:
            self._move()

    def _move(self) -> None:
        """Move all finished files."""
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
        """Print a problem once, and once that it has ended."""
        if problem != self._problem:
            self._problem = problem
            state = f"{problem}; meanwhile listens stay in {self._folder}" if problem else "listens land again"
            warn(f"tutti: {state}")
