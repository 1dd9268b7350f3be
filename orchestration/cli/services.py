"""Services: a long-running program with all its child processes, which end with this command.

The program runs in a session of its own, so that Ctrl-C reaches only this command, which then ends all processes. Their
output is escaped, since the names in their logs come from outside.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from orchestration.cli import stopping
from resources.errors import TuttiError
from resources.terminal import say

END_S = 2.0  # for processes to end in order, before they are killed
CHECK_S = 0.05
COLOR = re.compile(r"\x1b\[[0-9;]*m")  # of Dagster's log lines


def run(command: Sequence[str], folder: Path) -> None:
    """Run a program until a signal arrives. Then none of its processes is left.

    Raises `TuttiError` if the program ends by itself.
    """
    program = subprocess.Popen(  # noqa: S603 (our own command)
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    printing = threading.Thread(target=_pass_on, args=(program.stdout,), daemon=True)
    printing.start()
    try:
        code = program.wait()
        printing.join(1)
    finally:
        end_group(program)
    raise TuttiError(f"Dagster ended with exit code {code}. The lines above have the reason.")


def end_group(leader: "subprocess.Popen[bytes]") -> None:
    """End all processes of a program's group: ask them to end, then kill those that remain."""
    for number, patience_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, 1.0)):
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, number)
        until = time.monotonic() + patience_s
        while _runs(leader) and time.monotonic() < until:
            time.sleep(CHECK_S)


def _runs(leader: "subprocess.Popen[bytes]") -> bool:
    """Return whether a process of the group still runs."""
    leader.poll()
    try:
        os.killpg(leader.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _pass_on(output: IO[bytes]) -> None:
    """Print the lines of a program, until a signal asks this command to stop."""
    for line in output:
        if not stopping.requested():
            say(COLOR.sub("", line.decode(errors="backslashreplace").rstrip("\n")))
