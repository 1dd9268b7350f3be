"""Run Python commands as forks of one process that has imported their modules, since each import takes seconds.

A fork has its own arguments, environment, exit code and pid. So a test can treat it like any process, including
`kill -9`. The server only imports modules: Arrow, DuckDB, gRPC and Delta's runtime start threads at first use, and
threads do not survive a fork.
"""

import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from orchestration.instance.forked_runs import PRELOADED

PROJECT = Path(__file__).resolve().parents[1]
FORKS = hasattr(os, "pidfd_open") and hasattr(socket, "send_fds")  # Linux
REQUEST_BYTES = 100_000
IMPORTED = (
    *PRELOADED,
    "dagster._cli.asset",
    "dagster_dg_cli.cli",
    "orchestration.automation",
    "orchestration.cli.progress",
    "orchestration.cli.date_range",
    "orchestration.cli.import_summary",
    "orchestration.instance.home",
    "orchestration.instance.killed_runs",
    "orchestration.schedules",
    "orchestration.sensors.landing_files",
    "orchestration.sensors.music_folder",
    "resources.sources.formats.musicxml",
)
LAYERS = ("assets.content", "assets.derived", "assets.events")  # all their modules are imported
"""Everything but `orchestration.definitions`, which reads the environment when it is imported."""


class Fork:
    """A command in a fork of the server, with the part of `subprocess.Popen` that tests use."""

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: int | IO[Any], stderr: int | IO[Any]
    ) -> None:
        self.args = command
        self.returncode: int | None = None
        self._pid = 0
        self._received = b""
        self._server, remote = socket.socketpair()
        request = {"argv": command[1:], "cwd": str(cwd), "env": dict(env)}
        outputs = [f if isinstance(f, int) else f.fileno() for f in (stdout, stderr)]
        with remote:
            socket.send_fds(_server(), [json.dumps(request).encode()], [*outputs, remote.fileno()])

    @property
    def pid(self) -> int:
        """The id of the process, which is the leader of its session."""
        while not self._pid:
            self._receive(None)
        return self._pid

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs."""
        self._receive(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises `subprocess.TimeoutExpired`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            self._receive(left)
        return self.returncode

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _receive(self, timeout: float | None) -> None:
        """Receive the process id and then the exit code from the server, one per line."""
        if self.returncode is not None:
            return
        self._server.settimeout(timeout)
        try:
            received = self._server.recv(100)
        except (BlockingIOError, TimeoutError):
            return
        if not received:
            raise RuntimeError(f"the server that forks ended before {self.args} did")
        self._received += received
        *lines, self._received = self._received.split(b"\n")
        for line in map(int, lines):
            if self._pid:
                self.returncode = line
                self._server.close()
            else:
                self._pid = line


@cache
def _server() -> socket.socket:
    """Start this process's fork server, which ends with it."""
    local, remote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with remote:
        subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(remote.fileno())],
            cwd=PROJECT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[remote.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return local


def main(control: socket.socket) -> Callable[[], object] | None:
    """Fork for each request until the client closes the socket. In a fork, return the command to run."""
    layers = [importlib.import_module(name) for name in LAYERS]
    assets = [f"{layer.__name__}.{module.name}" for layer in layers for module in pkgutil.iter_modules(layer.__path__)]
    for name in (*IMPORTED, *assets):
        importlib.import_module(name)
    threads = [Path(f"/proc/self/task/{n}/comm").read_text().strip() for n in os.listdir("/proc/self/task")]
    others = [name for name in threads[1:] if not name.startswith("jemalloc")]  # they are started again after a fork
    assert not others, f"imports before a fork must not start threads: {others}"
    running: dict[int, tuple[int, socket.socket]] = {}
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                pid, client = running.pop(key.fd)
                selector.unregister(key.fd)
                os.close(key.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                _send(client, code)
                client.close()
                continue
            message, fds, _, _ = socket.recv_fds(control, REQUEST_BYTES, 3)
            if not message:
                for pid, _client in running.values():
                    os.kill(pid, signal.SIGKILL)
                return None
            client = socket.socket(fileno=fds.pop())
            if pid := os.fork():
                for fd in fds:
                    os.close(fd)
                handle = os.pidfd_open(pid)
                running[handle] = pid, client
                selector.register(handle, selectors.EVENT_READ)
                _send(client, pid)
                continue
            for handle, (_, other) in running.items():
                os.close(handle)
                other.close()
            selector.close()
            client.close()
            control.close()
            return _become(json.loads(message), fds)


def _send(client: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):  # the client has ended
        client.sendall(b"%d\n" % number)


def _become(request: dict[str, Any], fds: Sequence[int]) -> Callable[[], object]:
    """Turn this process into that of a command, and return the function that runs it."""
    os.setsid()
    for place, fd in enumerate(fds, start=1):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    random.seed()
    flag, source, *rest = request["argv"]
    sys.path[0] = request["cwd"] if flag == "-m" else ""
    if flag == "-m":
        sys.argv = [source, *rest]
        return lambda: runpy.run_module(source, run_name="__main__", alter_sys=True)
    sys.argv = ["-c", *rest]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    return lambda: exec(compile(source, "<string>", "exec"), module.__dict__)


if __name__ == "__main__":
    command = main(socket.socket(fileno=int(sys.argv[1])))
    if command:
        command()
