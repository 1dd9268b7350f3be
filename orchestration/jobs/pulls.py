"""Pulls as Dagster runs them: an op for each service, in a pool of its own, so that none is asked twice at once.

What lands is imported like any other file of the landing folder. A service that keeps listens is a line in
`resources.pulls.listens.SERVICES`; any other pull is a `pull_op` and its job here.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeAlias

import dagster as dg
from pydantic import Field

from orchestration.cli.date_range import span
from orchestration.instance.killed_runs import PROCESS
from orchestration.jobs import missing
from resources.errors import TuttiError
from resources.files import writing_to
from resources.folders.landing import Landing
from resources.lake.io_manager import LakeIO
from resources.pulls import listens, lyrics, metadata
from resources.pulls.landing_files import Log
from resources.pulls.lyrics import Track
from resources.services import lrclib, musicbrainz
from resources.services.web import Unanswered

EXAMPLE = "make pull SOURCE=listenbrainz LISTENER=rob FROM=2024-01-01 TO=2024-01-31"
# The client has retried for minutes before a run fails: an outage that is still there may take an hour.
RETRIES = dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
LYRICS = dg.AssetKey(["content", "lyrics"])  # the table of the lyrics that land
ASKED = "asked"  # the op that has the configuration of the job `pull_listens`

Pull: TypeAlias = Callable[[Any, Landing, LakeIO, Log], Counter[str]]
"""Pull what a configuration says into the landing folder, and count what was new."""
Service = Enum("Service", {name: name for name in listens.SERVICES}, type=str)  # type: ignore[misc]


class ListensConfig(dg.Config):
    """Whose days to pull from which service."""

    source: Service = Field(description="the service that keeps the listens")
    user: str = Field(description="the user's name there")
    first: str = Field(description="first day, as 2024-01-01 (UTC)")
    last: str = Field(description="last day, included")
    refetch: bool = Field(default=False, description="whether to pull days again that were pulled before")
    feedback: bool = Field(default=True, description="whether to pull what the user loves and hates, too")


class LimitConfig(dg.Config):
    """How much to ask for."""

    limit: int = Field(default=metadata.USUAL, ge=1, description="the most recordings, or entities of each kind")


@contextmanager
def asking(context: dg.OpExecutionContext, landing: Landing) -> Iterator[None]:
    """Retry the op if the service gives no answer; any other error ends the run, since no retry mends it.

    A run from the command line is not retried: a person waits for it.
    """
    try:
        with writing_to(landing.local):
            yield
    except TuttiError as error:
        if not isinstance(error, Unanswered) or PROCESS in context.run.tags:
            raise dg.Failure(str(error), allow_retries=False) from TuttiError(str(error))
        raise TuttiError(str(error)) from None


def pull_op(service: str, pull: Pull, config: type[dg.Config], after: str | None = None) -> dg.OpDefinition:
    """Build the op that asks a service; `after` names the op that has its configuration, if it is not this one."""

    @dg.op(
        name=service,
        description=f"Pull from {service} into the landing folder.",
        pool=service,
        retry_policy=RETRIES,
        config_schema=None if after else config.to_fields_dict(),
        ins={after: dg.In(dg.Nothing)} if after else {},
        out=dg.Out(dg.Nothing),
    )
    def ask(context: dg.OpExecutionContext, landing: Landing, io_manager: dg.ResourceParam[LakeIO]) -> None:
        ops: Any = context.run_config["ops"] if after else {}
        given = ops[after]["config"] if after else context.op_config
        with asking(context, landing):
            counts = pull(config(**given), landing, io_manager, context.log.info)
        context.log.info(f"{service}: {', '.join(f'{n:,} {what}' for what, n in counts.items())}".replace("_", " "))
        context.add_output_metadata(counts)

    return ask


def _listens(config: ListensConfig, landing: Landing, _: LakeIO, log: Log) -> Counter[str]:
    now = datetime.now(UTC)
    days = span(config.first, config.last, now.date(), EXAMPLE)
    api = listens.connect(config.source.value, os.environ, log)
    return listens.pull(
        api, config.user, *days, landing.store, now, refetch=config.refetch, feedback=config.feedback, log=log
    )


def _metadata(config: LimitConfig, landing: Landing, io_manager: LakeIO, log: Log) -> Counter[str]:
    api, now = musicbrainz.connect(os.environ, log), datetime.now(UTC)
    wanted = missing.metadata(io_manager)
    return metadata.pull(api, wanted, landing.store, landing.local, now, limit=config.limit, log=log)


def _lyrics(config: LimitConfig, landing: Landing, io_manager: LakeIO, log: Log) -> Counter[str]:
    def choose(settled: Collection[str]) -> list[Track]:
        chosen = missing.lyrics(io_manager.lake, settled, config.limit)
        log(f"{lrclib.NAME}: asking for {len(chosen):,} recordings; {len(settled):,} have an answer")
        return chosen

    return lyrics.pull(lrclib.connect(os.environ, log), choose, landing, log=log)


@dg.op(
    name=ASKED,
    description="Choose the service to pull from.",
    out={name: dg.Out(dg.Nothing, is_required=False) for name in listens.SERVICES},
)
def asked(config: ListensConfig) -> Iterator[dg.Output[None]]:
    """Start the op of the service: the pool of an op is fixed before its configuration is known."""
    yield dg.Output(None, config.source.value)


OPS = {
    **{name: pull_op(name, _listens, ListensConfig, after=ASKED) for name in listens.SERVICES},
    musicbrainz.NAME: pull_op(musicbrainz.NAME, _metadata, LimitConfig),
    lrclib.NAME: pull_op(lrclib.NAME, _lyrics, LimitConfig),
}
"""The op that asks each service."""


@dg.job(description="A user's days, from a service that keeps listens into the landing folder.")
def pull_listens() -> None:
    """Ask the chosen service; the others are skipped."""
    for name, chosen in asked()._asdict().items():
        OPS[name](chosen)


@dg.job(description="Metadata of the recordings listened to that the catalog lacks, from MusicBrainz.")
def pull_metadata() -> None:
    """Ask for the most played first, with the artists and releases they name."""
    OPS[musicbrainz.NAME]()


@dg.job(description="Lyrics of the catalog's recordings, from LRCLIB into the landing folder.")
def pull_lyrics() -> None:
    """Ask for the most played first."""
    OPS[lrclib.NAME]()
