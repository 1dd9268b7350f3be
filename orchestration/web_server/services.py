"""`python -m orchestration.web_server.services` runs `dagster dev` with the guarded web server.

It takes the options of `dagster dev`.
"""

from typing import Any

from dagster._cli import dev

DAEMON = "dagster._daemon"
MODULES = {"dagster_webserver": "orchestration.web_server", DAEMON: DAEMON}
"""The module to run in place of each module that `dagster dev` runs. Another one is an error."""


def main() -> None:
    """Run web server, daemon and code server until they are stopped."""
    start = dev.open_ipc_subprocess

    def start_guarded(command: list[str], **kwargs: Any) -> Any:
        python, option, module, *options = command
        return start([python, option, MODULES[module], *options], **kwargs)

    dev.open_ipc_subprocess = start_guarded  # type: ignore[assignment]
    dev.dev_command()


if __name__ == "__main__":
    main()
