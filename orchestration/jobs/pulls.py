"""Pulls as Dagster runs them: one job, and a pool for each service, so that none is asked twice at once.

What lands is imported like any other file of the landing folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.cli.date_range import span
from orchestration.instance.killed_runs import PROCESS
from resources.errors import TuttiError
from resources.files import writing_to
from resources.folders.landing import Landing
from resources.pulls.listens import SERVICES, Pulled, pull
from resources.services.web import Unanswered

EXAMPLE = "make pull SOURCE=listenbrainz LISTENER=rob FROM=2024-01-01 TO=2024-01-31"
# The client has asked for minutes before a run fails: what is still out of order then, may be for an hour.
RETRIES = dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

Service = Enum("Service", {name: name for name in SERVICES}, type=str)  # type: ignore[misc]


class PullConfig(dg.Config):
    """Whose days to pull from which service."""

    source: Service = Field(description="the service that keeps the listens")
    user: str = Field(description="the user's name there")
    first: str = Field(description="first day, as 2024-01-01 (UTC)")
    last: str = Field(description="last day, which is pulled too")
    again: bool = Field(default=False, description="whether to ask for days that were pulled before, too")
    feedback: bool = Field(default=True, description="whether to pull what the user loves and hates, too")


@dg.op(
    name="asked",
    description="Whose days to pull from which service.",
    out={name: dg.Out(dg.Nothing, is_required=False) for name in SERVICES},
)
def asked(config: PullConfig) -> Iterator[dg.Output[None]]:
    """Leave it to the op that may ask the service: the pool of an op is known before it is told anything."""
    yield dg.Output(None, config.source.value)


@contextmanager
def asking(context: dg.OpExecutionContext, landing: Landing) -> Iterator[None]:
    """Ask a service for what lands: where it gives no answer the op is retried, whatever else is wrong ends the run.

    What a person has to mend, no retry does; and who waits at a terminal wants to know.
    """
    try:
        with writing_to(landing.root):
            yield
    except TuttiError as error:
        if not isinstance(error, Unanswered) or PROCESS in context.run.tags:
            raise dg.Failure(str(error), allow_retries=False) from TuttiError(str(error))
        raise TuttiError(str(error)) from None


def _op(service: str) -> dg.OpDefinition:
    """The op that asks a service: in a pool of its own, and again later where the service gives no answer."""

    @dg.op(
        name=service,
        description=f"Days of a user go from {service} into the landing folder, page by page.",
        pool=service,
        retry_policy=RETRIES,
        ins={"asked": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
    )
    def ask(context: dg.OpExecutionContext, landing: Landing) -> None:
        ops: Any = context.run_config["ops"]
        config = PullConfig(**ops["asked"]["config"])
        with asking(context, landing):
            told = _pull(context, config, Path(landing.root))
        context.add_output_metadata(vars(told))

    return ask


def _pull(context: dg.OpExecutionContext, config: PullConfig, landing: Path) -> Pulled:
    now, tell = datetime.now(UTC), context.log.info
    days = span(config.first, config.last, now.date(), EXAMPLE)
    api = SERVICES[config.source.value](os.environ, tell)
    told = pull(api, config.user, *days, landing, now, again=config.again, feedback=config.feedback, tell=tell)
    tell(
        f"{config.source.value}: {told.days:,} days pulled with {told.listens:,} listens, and {told.feedback:,} of "
        f"feedback; new files: {told.files:,}"
    )
    return told


OPS = {name: _op(name) for name in SERVICES}


@dg.job(description="A user's days, from a service that keeps listens into the landing folder.")
def pull_listens() -> None:
    """The service asked for; the others are skipped."""
    for name, chosen in asked()._asdict().items():
        OPS[name](chosen)
