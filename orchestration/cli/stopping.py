"""Stopping: Ctrl-C and SIGTERM end any command, at most `GRACE_S` seconds after the first signal.

The first signal interrupts the main thread, which then has these seconds to end in order. Dagster, Spark and the web
servers install handlers of their own, and code outside Python delays handlers. So a thread, which the interpreter wakes
at each signal, ends the process when the time is over. Tables stay intact, as after any kill.

Before a command starts, while modules are imported, a signal ends the process at once. So this module is imported
first, and it imports little.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from orchestration.cli.hints import again
from resources.text.printable import printable

GRACE_S = 5.0  # of the ten seconds that a user waits; a busy machine needs the others
SIGNALS = (signal.SIGINT, signal.SIGTERM)
STDERR = 2


class _Stop:
    """The request to stop this process. (A data class would import for as long as all the rest.)"""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.signal = 0  # the first one received
        self.interrupted = False  # whether it interrupted the main thread
        self.started = False  # whether the command has started
        self.terminal = STDERR  # a copy of standard error, which is closed so that no library prints a traceback


_stop = _Stop()
_mutex = threading.Lock()


@contextmanager
def listening(quiet: bool = False) -> Iterator[None]:
    """Stop the process at the first signal, with exit code 130 or 143.

    Unless `quiet`, its last line has the command that resumes.
    """
    global _stop
    if threading.current_thread() is not threading.main_thread():  # no other thread may install handlers
        yield
        return
    _stop = _Stop(quiet=quiet)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _handle) for number in SIGNALS}
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # a spawned process starts with blocked ones: see `spawning`
    try:
        yield
    except BaseException:
        if not _stop.signal:
            raise
    finally:
        if not _stop.signal:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(writing)  # which ends the thread
    if _stop.signal:
        _say_stopped()
        sys.exit(128 + _stop.signal)


def start() -> None:
    """Let a signal interrupt the main thread from now on."""
    _stop.started = True


def requested() -> bool:
    """Return whether a signal asked this process to stop."""
    return bool(_stop.signal)


def check() -> None:
    """Raise `KeyboardInterrupt` if a signal asked this process to stop."""
    if _stop.signal:
        raise KeyboardInterrupt


@contextmanager
def spawning() -> Iterator[None]:
    """Start processes in which signals wait until they call `listening`, so that none interrupts their imports."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handle(number: int, _: FrameType | None) -> None:
    """Interrupt the main thread at the first signal only: `make` repeats the signals that a terminal sends to all."""
    _request(number)
    if not _stop.started:
        _end()
    if not _stop.interrupted:
        _stop.interrupted = True
        raise KeyboardInterrupt


def _request(number: int) -> None:
    """Remember the first signal, and silence standard error."""
    with _mutex:
        if not _stop.signal:
            _stop.terminal = os.dup(STDERR)
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)
            _stop.signal = number


def _watch(reading: int) -> None:
    """Wait for the first signal, and end the process if it still runs after the grace period."""
    while received := os.read(reading, 1):
        if received[0] in SIGNALS:
            _request(received[0])
            threading.Event().wait(GRACE_S)
            _end()
    os.close(reading)


def _end() -> None:
    """End the process at once."""
    _say_stopped()
    os._exit(128 + _stop.signal)


def _say_stopped() -> None:
    """Print the last line, once."""
    with _mutex:
        if not _stop.quiet:
            _stop.quiet = True
            line = printable(f"tutti: stopped. {again()}").encode(errors="backslashreplace")
            os.write(_stop.terminal, line + b"\n")
