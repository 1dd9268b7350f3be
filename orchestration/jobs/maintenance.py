"""Maintenance: remove unneeded files and events, and pack the files of the scrobble endpoint.

Each of `STEPS` is an op of the job, and the command runs them without Dagster, whose records need room on the disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.imports.packing import pack
from orchestration.instance.pruning import prune
from resources.artifacts.artifacts import Artifacts
from resources.artifacts.io_manager import ArtifactIO
from resources.errors import TuttiError
from resources.files import writing_to
from resources.folders.landing import Landing
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake


@dataclass(frozen=True)
class Kept:
    """What maintenance covers, and how it reports."""

    lake: Lake
    landing: Landing
    artifacts: Artifacts
    history: Path  # Dagster's home
    report: Callable[[str], object]
    warn: Callable[[str], object]


def vacuum(kept: Kept) -> None:
    """Remove files that no kept version of a table has, and what killed runs left behind.

    It reports how many files it removed of each table and how large they were; a running job loses nothing. It writes
    nothing, so that it works on a full disk. Raises `TuttiError` if it failed on a table, once it tried all of them.
    """
    failed: list[str] = []
    tables, files, bytes = kept.lake.tables(), 0, 0
    for table in tables:
        try:
            gone = kept.lake.vacuum(table)
        except TuttiError as error:
            failed.append(str(error))
            kept.warn(f"{table}: {error}")
            continue
        files, bytes = files + gone.files, bytes + gone.bytes
        if gone.files:
            kept.report(f"{table}: {_removed(gone.files, gone.bytes)}")
    kept.report(f"{_removed(files, bytes)} in all, of {len(tables):,} tables")
    if failed:
        raise TuttiError(failed[0])


def prune_history(kept: Kept) -> None:
    """Remove replaced events and logs of runs from Dagster's history after 30 days."""
    prune(kept.history, datetime.now(UTC), kept.report)


def pack_scrobbles(kept: Kept) -> None:
    """Pack the small files of the scrobble endpoint, one pack for each past day. Raises `TuttiError` on a full disk."""
    with writing_to(kept.landing.local):
        for packed, files in pack(kept.landing, kept.lake, datetime.now(UTC)):
            kept.report(f"{packed.path}: {files:,} files packed, {packed.bytes / 1e6:,.1f} MB")


def check_artifacts(kept: Kept) -> None:
    """Read every artifact that serves. Raises `TuttiError` with the damaged ones, which to materialize again."""
    if problems := kept.artifacts.problems():
        raise TuttiError(f"materialize again: {', '.join(f'{name} ({why})' for name, why in problems.items())}")


STEPS: tuple[Callable[[Kept], None], ...] = (vacuum, prune_history, pack_scrobbles, check_artifacts)


def _removed(files: int, bytes: int) -> str:
    return f"{'1 file' if files == 1 else f'{files:,} files'} removed, {bytes / 1e6:,.1f} MB"


def _op(step: Callable[[Kept], None]) -> dg.OpDefinition:
    """Build the op of a step."""

    @dg.op(name=step.__name__, description=(step.__doc__ or "").splitlines()[0])
    def maintain(
        context: dg.OpExecutionContext,
        io_manager: dg.ResourceParam[LakeIO],
        landing: Landing,
        artifacts: dg.ResourceParam[ArtifactIO],
    ) -> None:
        history, log = Path(context.instance.root_directory), context.log
        step(Kept(io_manager.lake, landing, artifacts.artifacts, history, log.info, log.warning))

    return maintain


OPS = [_op(step) for step in STEPS]


@dg.job(
    description="Removes what no reader of the lake needs any more and what newer events replace in Dagster's history,"
    " packs the files of the scrobble endpoint, and checks artifacts."
)
def maintenance() -> None:
    """Maintain the lake, Dagster's history, the landing folder and artifacts."""
    for op in OPS:
        op()
