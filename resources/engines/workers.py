"""Worker processes, for work that takes long or may crash its process.

A worker process gets a function and tables through a pipe. It ends with its parent, even if the parent is killed.

- `multiprocessing` does not fit: Dask's workers are daemonic and may not start such processes, and one dead process
  breaks its whole pool.
- pebble's pool survives a crash, but it does not start in a daemonic process either. It takes seven times as long per
  row as these pipes, and it leaves a busy process behind if its parent is killed.
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

OnCrash: TypeAlias = Callable[[pa.Table, str], pa.Table]
"""Takes rows whose worker process died and the reason in one line, and returns their result."""

ROW_TIMEOUT_S = 3_600  # many times what a day of audio takes
TRIES = 2  # a process may die for reasons outside its row, but hardly twice
PARENT_CHECK_S = 1
IDLE_TIMEOUT_S = 60
PROTOCOL = pickle.HIGHEST_PROTOCOL
CORES = os.cpu_count() or 1
# Variables that set the number of threads of numeric libraries: one, since there is a worker process for each core.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerDied(Exception):
    """The worker process ended before it answered; the text is the reason in one line."""


class Worker:
    """A worker process that runs one function at a time; it starts on the first call, and again after it died."""

    def __init__(self, timeout_s: float = ROW_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def call(self, fn: Callable[..., pa.Table], *tables: pa.Table) -> pa.Table:
        """Run `fn` on `tables` in the worker process and return its result.

        Raises the exception of `fn`, and `WorkerDied` if the process does not answer.
        """
        late = Event()
        # Pickled twice: the outer pickle always loads, so the worker can report an error of the inner one.
        request = pickle.dumps(pickle.dumps((fn, tables), PROTOCOL), PROTOCOL)
        try:
            process = self._running()
            timer = Timer(self._timeout_s, _stop, (process, late))
            timer.start()
            try:
                process.stdin.write(request)  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
                answer = pickle.load(process.stdout)  # type: ignore[arg-type]  # noqa: S301 (our own worker)
            finally:
                timer.cancel()
        except (OSError, EOFError, pickle.UnpicklingError):
            raise WorkerDied(self._reason(late.is_set())) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the process, even while it runs a function."""
        self._closed = True
        if self._process:
            _end(self._process)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._closed:
            raise EOFError
        if self._process and self._process.poll() is None:
            return self._process
        if self._process:  # it ended because it was idle
            _end(self._process)
        path = os.pathsep.join(p or os.getcwd() for p in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from resources.engines.workers import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print what the row's error column says
            env=dict.fromkeys(THREAD_VARIABLES, "1") | os.environ | {"PYTHONPATH": path},
        )
        return self._process

    def _reason(self, late: bool) -> str:
        """Return why the process ended, and forget it so that the next call starts another."""
        process, self._process = self._process, None
        if process is None or self._closed:
            return "its worker process was stopped"
        _end(process)
        if late:
            return f"it took longer than {self._timeout_s / 60:.0f} minutes"
        if process.returncode < 0:
            return f"its worker process was ended by {signal.Signals(-process.returncode).name}"
        return f"its worker process ended with exit code {process.returncode}"


_free: list[Worker] = []
"""Worker processes that are idle now, for reuse: starting one takes seconds of imports."""
_lock = Lock()


def map_isolated(
    fn: Callable[..., pa.Table], on_crash: OnCrash, rows: pa.Table, small: Sequence[pa.Table] = (), processes: int = 1
) -> list[pa.Table]:
    """Run `fn(row, *small)` for each row in worker processes and return the results in the order of the rows.

    If a row crashed its process `TRIES` times, its result is `on_crash(row, reason)`.
    """
    count = min(processes, len(rows))
    if not count:
        return []
    with _lock:
        workers = [_free.pop() if _free else Worker() for _ in range(count)]
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def run_row(index: int) -> pa.Table:
        worker, row = free.get(), rows.take([index])  # a copy: a slice would send the whole table along
        try:
            for _ in range(TRIES - 1):
                with suppress(WorkerDied):
                    return worker.call(fn, row, *small)
            return worker.call(fn, row, *small)
        except WorkerDied as died:
            return on_crash(row, str(died))
        finally:
            free.put(worker)

    threads = ThreadPoolExecutor(count)
    try:
        results = list(threads.map(run_row, range(len(rows))))
    except BaseException:
        for worker in workers:
            worker.close()
        raise
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    with _lock:
        _free.extend(workers)
    return results


def serve() -> None:
    """Run requests from standard input in the worker process, until there is none for `IDLE_TIMEOUT_S`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that text printed by a library does not mix with answers
    with suppress(EOFError, BrokenPipeError):
        while select.select([requests], [], [], IDLE_TIMEOUT_S)[
            0
        ]:  # no read-ahead: the next request comes after the answer
            request = pickle.load(requests)  # noqa: S301 (our own parent)
            try:
                fn, tables = pickle.loads(request)  # noqa: S301
                answer = pickle.dumps(fn(*tables), PROTOCOL)
            except Exception as error:
                answer = _pickled(error)
            answers.write(answer)
            answers.flush()


def _end_with_parent(parent: int) -> None:
    """End this process soon after its parent ended, even in the middle of a row."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)


def _pickled(error: Exception) -> bytes:
    """Pickle an error, or its text if the error itself cannot be pickled and loaded."""
    try:
        content = pickle.dumps(error, PROTOCOL)
        pickle.loads(content)  # noqa: S301
        return content
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))


def _stop(process: "subprocess.Popen[bytes]", late: Event) -> None:
    late.set()
    process.kill()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    with suppress(OSError, ValueError):
        process.communicate()
