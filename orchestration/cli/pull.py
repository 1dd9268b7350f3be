"""The command `pull`: it pulls a user's listens from a service and imports them."""

from datetime import UTC, datetime

import click

from orchestration.cli.date_range import span
from orchestration.cli.import_files import import_and_summarize
from orchestration.cli.runner import Runner
from orchestration.jobs.pulls import EXAMPLE
from resources.errors import TuttiError
from resources.pulls.listens import SERVICES
from resources.services.api import checked_user_name


@click.command()
@click.option("--source", metavar="SERVICE", default="", help=f"Service to pull from: {' or '.join(SERVICES)}.")
@click.option("--user", metavar="NAME", default="", help="User name at the service.")
@click.option("--from", "first", metavar="DATE", default="", help="First day to pull (UTC), for example 2024-01-01.")
@click.option("--to", "last", metavar="DATE", default="", help="Last day to pull (UTC), included.")
@click.option("--refetch", is_flag=True, help="Also pull days that were pulled before.")
def pull(source: str, user: str, first: str, last: str, refetch: bool) -> None:
    """Pull a user's listens from a service and import them.

    If it is interrupted, run the same command again to resume.

    Example: tutti pull --source listenbrainz --user rob --from 2024-01-01 --to 2024-01-31
    """
    if source not in SERVICES:
        raise TuttiError(f"invalid source {source!r}: expected one of {', '.join(SERVICES)}, for example `{EXAMPLE}`")
    checked_user_name(user)
    span(first, last, datetime.now(UTC).date(), EXAMPLE)
    runner = Runner()
    config = {"source": source, "user": user, "first": first, "last": last, "refetch": refetch}
    runner.run("pull_listens", config={"choose_service": {"config": config}})
    import_and_summarize(runner, {})
