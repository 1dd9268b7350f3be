"""`python -m orchestration.web_server` runs Dagster's web server with the guard in front, in the same process.

It takes the options of `dagster-webserver`.
"""

from typing import Any

from dagster_webserver import cli
from starlette.types import ASGIApp

from orchestration.web_server.guard import Guard, configured


def main() -> None:
    """Run the web server until it is stopped."""
    hosts, create = configured(), cli.create_app_from_workspace_process_context

    def guarded(*args: Any, **kwargs: Any) -> ASGIApp:
        return Guard(create(*args, **kwargs), hosts)

    # The command has no option for middleware.
    cli.create_app_from_workspace_process_context = guarded  # type: ignore[assignment]
    cli.main()


if __name__ == "__main__":
    main()
