"""Upkeep: remove files that no reader of the lake needs and events that newer ones replace; pack an intake's files."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.imports.packing import pack
from orchestration.instance.pruning import prune
from resources.artifacts.io_manager import ArtifactIO
from resources.errors import TuttiError
from resources.files import writing_to
from resources.folders.landing import Landing
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake


def tidy(lake: Lake, tell: Callable[[str], object], warn: Callable[[str], object]) -> None:
    """Vacuum every table, and tell how many files went and how large they were; a running job loses nothing.

    It writes nothing, so that it works on a full disk. Raises `TuttiError` once all tables were tried, if one could not
    be seen to.
    """
    failed: list[str] = []
    tables, files, bytes = lake.tables(), 0, 0
    for table in tables:
        try:
            gone = lake.vacuum(table)
        except TuttiError as error:
            failed.append(str(error))
            warn(f"{table}: {error}")
            continue
        files, bytes = files + gone.files, bytes + gone.bytes
        if gone.files:
            tell(f"{table}: {_removed(gone.files, gone.bytes)}")
    tell(f"{_removed(files, bytes)} in all, of {len(tables):,} tables")
    if failed:
        raise TuttiError(failed[0])


def _removed(files: int, bytes: int) -> str:
    return f"{'1 file' if files == 1 else f'{files:,} files'} removed, {bytes / 1e6:,.1f} MB"


def pack_intake(landing: Landing, lake: Lake, tell: Callable[[str], object]) -> None:
    """Put what an intake handed over on a day into one file, and tell of each. Raises `TuttiError` on a full disk."""
    with writing_to(landing.root):
        for packed, files in pack(landing, lake, datetime.now(UTC)):
            tell(f"{packed.path}: {files:,} files packed, {packed.bytes / 1e6:,.1f} MB")


@dg.op(description="Files that no version kept has, and what killed runs left behind, are removed.")
def vacuum(context: dg.OpExecutionContext, io_manager: dg.ResourceParam[LakeIO]) -> None:
    """Remove them from every table."""
    tidy(io_manager.lake, context.log.info, context.log.warning)


@dg.op(description="The many small files of an intake become one for each day that is over.")
def packs(context: dg.OpExecutionContext, io_manager: dg.ResourceParam[LakeIO], landing: Landing) -> None:
    """Pack them, where they were taken in."""
    pack_intake(landing, io_manager.lake, context.log.info)


@dg.op(description="Removes replaced events and logs of runs from Dagster's history after 30 days.")
def prune_history(context: dg.OpExecutionContext) -> None:
    """Prune the history of this Dagster instance."""
    prune(Path(context.instance.root_directory), datetime.now(UTC), context.log.info)


@dg.op(description="Reads every artifact that serves, and fails if a file is missing or damaged.")
def check_artifacts(artifacts: dg.ResourceParam[ArtifactIO]) -> None:
    """Check the artifacts. Raises `TuttiError` with those to materialize again."""
    if problems := artifacts.artifacts.problems():
        raise TuttiError(f"materialize again: {', '.join(f'{name} ({why})' for name, why in problems.items())}")


@dg.job(
    description="Removes what no reader of the lake needs any more and what newer events replace in Dagster's history,"
    " packs what an intake handed over, and checks artifacts."
)
def upkeep() -> None:
    """Maintain the lake, Dagster's history, the landing folder and artifacts."""
    vacuum()
    prune_history()
    packs()
    check_artifacts()
