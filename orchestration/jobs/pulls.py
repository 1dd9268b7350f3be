"""Pulls as Dagster jobs: one op per service, each in a concurrency pool of its own.

The pool prevents two pulls of one service at the same time. Pulled files land and are imported like all others. To add
a service of listens, add a line to `resources.pulls.listens.SERVICES`. To add another pull, add a `pull_op` and its job
here.
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
# The client retries for minutes before a run fails. An outage that lasts longer may take an hour.
RETRIES = dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
LYRICS = dg.AssetKey(["content", "lyrics"])

Pull: TypeAlias = Callable[[Any, Landing, LakeIO, Log], Counter[str]]
"""Pulls into the landing folder as a configuration says. Returns the counts of new records by name."""
Service = Enum("Service", {name: name for name in listens.SERVICES}, type=str)  # type: ignore[misc]


class ListensConfig(dg.Config):
    """The user and days to pull, and the service to pull from."""

    source: Service = Field(description="service to pull from")
    user: str = Field(description="user name at the service")
    first: str = Field(description="first day to pull (UTC), for example 2024-01-01")
    last: str = Field(description="last day to pull (UTC), included")
    refetch: bool = Field(default=False, description="also pull days that were pulled before")
    feedback: bool = Field(default=True, description="also pull the user's loved and hated recordings")


class LimitConfig(dg.Config):
    """How many entries to request."""

    limit: int = Field(default=metadata.DEFAULT_LIMIT, ge=1, description="maximum entries of each kind to request")


@contextmanager
def retrying(context: dg.OpExecutionContext, landing: Landing) -> Iterator[None]:
    """Retry the op if the service does not answer. Any other error fails the run without a retry.

    Runs of commands are not retried, since a person waits for them.
    """
    try:
        with writing_to(landing.local):
            yield
    except TuttiError as error:
        if not isinstance(error, Unanswered) or PROCESS in context.run.tags:
            raise dg.Failure(str(error), allow_retries=False) from TuttiError(str(error))
        raise TuttiError(str(error)) from None


def pull_op(service: str, pull: Pull, config: type[dg.Config], after: str | None = None) -> dg.OpDefinition:
    """Return the op that pulls from a service. `after` names the op with its configuration, if that is another op."""

    @dg.op(
        name=service,
        description=f"Pull from {service} into the landing folder.",
        pool=service,
        retry_policy=RETRIES,
        config_schema=None if after else config.to_fields_dict(),
        ins={after: dg.In(dg.Nothing)} if after else {},
        out=dg.Out(dg.Nothing),
    )
    def pull_from_service(
        context: dg.OpExecutionContext, landing: Landing, io_manager: dg.ResourceParam[LakeIO]
    ) -> None:
        ops: Any = context.run_config["ops"] if after else {}
        values = ops[after]["config"] if after else context.op_config
        with retrying(context, landing):
            counts = pull(config(**values), landing, io_manager, context.log.info)
        new = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if n) or "nothing new"
        context.log.info(f"{service}: {new}")
        context.add_output_metadata(counts)

    return pull_from_service


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
    def choose(answered: Collection[str]) -> list[Track]:
        chosen = missing.lyrics(io_manager.lake, answered, config.limit)
        log(f"{lrclib.NAME}: requesting {len(chosen):,} recordings ({len(answered):,} already have an answer)")
        return chosen

    return lyrics.pull(lrclib.connect(os.environ, log), choose, landing, log=log)


@dg.op(
    description="Choose the service to pull from.",
    out={name: dg.Out(dg.Nothing, is_required=False) for name in listens.SERVICES},
)
def choose_service(config: ListensConfig) -> Iterator[dg.Output[None]]:
    """Start the op of the service. There is one op per service, since an op's pool cannot depend on its config."""
    yield dg.Output(None, config.source.value)


OPS = {
    **{name: pull_op(name, _listens, ListensConfig, after=choose_service.name) for name in listens.SERVICES},
    musicbrainz.NAME: pull_op(musicbrainz.NAME, _metadata, LimitConfig),
    lrclib.NAME: pull_op(lrclib.NAME, _lyrics, LimitConfig),
}
"""The op of each service."""


@dg.job(description="Pull a user's listens from ListenBrainz or Last.fm into the landing folder.")
def pull_listens() -> None:
    """Run the op of the chosen service. The others are skipped."""
    for name, chosen in choose_service()._asdict().items():
        OPS[name](chosen)


@dg.job(description="Pull metadata that the catalog lacks from MusicBrainz into the landing folder.")
def pull_metadata() -> None:
    """Request the most played recordings first, with their artists and releases."""
    OPS[musicbrainz.NAME]()


@dg.job(description="Pull lyrics that the catalog lacks from LRCLIB into the landing folder.")
def pull_lyrics() -> None:
    """Request the most played recordings first."""
    OPS[lrclib.NAME]()
