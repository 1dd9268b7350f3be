"""Worker processes of this one, for work that takes long or may crash the process it runs in.

A worker process gets a function, then rows, through its pipes, and ends with its parent, even if that is killed.
`multiprocessing` does not fit: Dask's workers are daemonic and may not start such processes, and one that dies breaks
its whole pool. pebble's pool survives a crash, but does not start in a daemonic process either, takes seven times as
long a row as these pipes, and leaves a busy process behind if its parent is killed.
"""

import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Lock, Thread, Timer
from typing import TypeAlias

import pyarrow as pa

Lost: TypeAlias = Callable[[pa.Table, str], pa.Table]
"""What becomes of rows whose process died, given why in one line."""

PATIENCE = 3_600  # seconds for a row: an hour is many times what a day of audio takes
TRIES = 2  # a process may die of what others do to the machine; one that dies again dies of its row
WATCH = 1  # seconds between two looks at whether the parent is alive
IDLE = 60  # seconds until a child that is not asked goes by itself
PROTOCOL = pickle.HIGHEST_PROTOCOL
CORES = os.cpu_count() or 1
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)  # there are children enough


class Died(Exception):
    """A child that ended before it answered: why, in one line."""


class Child:
    """A process that runs functions, one at a time; started when it is first asked, and again after it died."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def ask(self, fn: Callable[..., pa.Table], *tables: pa.Table) -> pa.Table:
        """What a function makes of tables. Raises what it raises, and `Died` where the process does not answer."""
        late = Event()
        told = pickle.dumps(pickle.dumps((fn, tables), PROTOCOL), PROTOCOL)  # in an envelope that always opens
        try:
            process = self._running()
            timer = Timer(self._patience, _stop, (process, late))
            timer.start()
            try:
                process.stdin.write(told)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
                answer = pickle.load(process.stdout)  # type: ignore[arg-type]  # noqa: S301 (of our own child)
            finally:
                timer.cancel()
        except (OSError, EOFError, pickle.UnpicklingError):
            raise Died(self._reason(late.is_set())) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._closed = True
        if self._process:
            _end(self._process)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise EOFError
        if self._process and self._process.poll() is None:
            return self._process
        if self._process:  # it was idle
            _end(self._process)
        path = os.pathsep.join(p or os.getcwd() for p in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from resources.engines.workers import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders complain of what the row tells
            env=dict.fromkeys(THREADS, "1") | os.environ | {"PYTHONPATH": path},
        )
        return self._process

    def _reason(self, late: bool) -> str:
        """Why the process is no more; the next one asked is another."""
        process, self._process = self._process, None
        if process is None or self._closed:
            return "it was stopped"
        _end(process)
        if late:
            return f"it took longer than {self._patience / 60:.0f} minutes"
        if process.returncode < 0:
            return f"the process that read it was ended by {signal.Signals(-process.returncode).name}"
        return f"the process that read it ended with {process.returncode}"


_free: list[Child] = []
"""Children of this process that nobody asks now: starting one costs seconds of imports."""
_lock = Lock()


def map_isolated(
    fn: Callable[..., pa.Table], lost: Lost, rows: pa.Table, small: Sequence[pa.Table] = (), processes: int = 1
) -> list[pa.Table]:
    """What a function makes of rows, one by one, in as many processes at once, in their order.

    A row that killed its process `TRIES` times is what `lost` makes of it.
    """
    count = min(processes, len(rows))
    if not count:
        return []
    with _lock:
        children = [_free.pop() if _free else Child() for _ in range(count)]
    free: SimpleQueue[Child] = SimpleQueue()
    for child in children:
        free.put(child)

    def one(place: int) -> pa.Table:
        child, row = free.get(), rows.take([place])  # a copy: a slice would send the whole table along
        try:
            for _ in range(TRIES - 1):
                with suppress(Died):
                    return child.ask(fn, row, *small)
            return child.ask(fn, row, *small)
        except Died as died:
            return lost(row, str(died))
        finally:
            free.put(child)

    threads = ThreadPoolExecutor(count)
    try:
        made = list(threads.map(one, range(len(rows))))
    except BaseException:
        for child in children:
            child.close()
        raise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    with _lock:
        _free.extend(children)
    return made


def serve() -> None:
    """The child's side: functions and tables for them, until there are no more, or none for long."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when it ends
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with suppress(EOFError, BrokenPipeError):
        while select.select([given], [], [], IDLE)[0]:  # nothing is read ahead: the next comes after the answer
            told = pickle.load(given)  # noqa: S301 (of our own parent)
            try:
                fn, tables = pickle.loads(told)  # noqa: S301
                answer = pickle.dumps(fn(*tables), PROTOCOL)
            except Exception as error:
                answer = _pickled(error)
            answers.write(answer)
            answers.flush()


def _end_with(parent: int) -> None:
    """End this process soon after its parent, even in the middle of a row."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


def _pickled(error: Exception) -> bytes:
    """An error to send; of one that cannot be sent as it is, what it says."""
    try:
        told = pickle.dumps(error, PROTOCOL)
        pickle.loads(told)  # noqa: S301
        return told
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def _stop(process: "subprocess.Popen[bytes]", late: Event) -> None:
    late.set()
    process.kill()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    with suppress(OSError, ValueError):
        process.communicate()
