"""`python -m orchestration.web_server.services` runs `dagster dev` with the guarded web server.

It takes the options of `dagster dev`.
"""

import os
import signal
import threading
import time
from typing import Any

from dagster._cli import dev

PARENT_CHECK_S = 1
DAEMON = "dagster._daemon"
MODULES = {"dagster_webserver": "orchestration.web_server", DAEMON: DAEMON}
"""The module to run in place of each module that `dagster dev` runs. Another one is an error."""


def main() -> None:
    """Run web server, daemon and code server until they are stopped, or the process that started this one ends."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    start = dev.open_ipc_subprocess

    def start_guarded(command: list[str], **kwargs: Any) -> Any:
        python, option, module, *options = command
        return start([python, option, MODULES[module], *options], **kwargs)

    dev.open_ipc_subprocess = start_guarded  # type: ignore[assignment]
    dev.dev_command()


def _end_with_parent(parent: int) -> None:
    """Kill the group of this process once its parent has ended. An orderly parent ends the group itself."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
