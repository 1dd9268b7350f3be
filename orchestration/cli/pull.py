"""The command that pulls a user's days from a service and imports them."""

from datetime import UTC, datetime

import click

from orchestration.cli.date_range import span
from orchestration.cli.import_files import import_and_summarize
from orchestration.cli.runner import Runner
from orchestration.jobs.pulls import EXAMPLE
from resources.errors import TuttiError
from resources.pulls.listens import SERVICES
from resources.services.api import named


@click.command()
@click.option("--source", default="", help=f"The service: {' or '.join(SERVICES)}.")
@click.option("--user", default="", help="The user's name there.")
@click.option("--from", "first", default="", help="First day, as 2024-01-01 (UTC).")
@click.option("--to", "last", default="", help="Last day, included.")
@click.option("--refetch", is_flag=True, help="Pull days again that were pulled before.")
def pull(source: str, user: str, first: str, last: str, refetch: bool) -> None:
    """Pull a user's days from a service and import them."""
    if source not in SERVICES:
        raise TuttiError(f"from where? name one of {', '.join(SERVICES)}: {EXAMPLE}")
    named(user)
    span(first, last, datetime.now(UTC).date(), EXAMPLE)
    runner = Runner()
    config = {"source": source, "user": user, "first": first, "last": last, "refetch": refetch}
    runner.run("pull_listens", config={"asked": {"config": config}})
    import_and_summarize(runner, {})
