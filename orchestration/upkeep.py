"""Upkeep of the lake: what no reader needs any more is removed."""

from collections.abc import Callable

import dagster as dg

from resources.errors import TuttiError
from resources.lake import Lake
from resources.lake_io import LakeIO


def tidy(lake: Lake, tell: Callable[[str], object], warn: Callable[[str], object]) -> None:
    """Vacuum every table, and tell of each how many files went and how large; a running job loses nothing.

    It writes nothing, so that it works on a full disk. Raises `TuttiError` once all tables were tried, if one could not
    be seen to.
    """
    failed: list[str] = []
    for table in lake.tables():
        try:
            gone = lake.vacuum(table)
        except TuttiError as error:
            failed.append(str(error))
            warn(f"{table}: {error}")
            continue
        files = "1 file" if gone.files == 1 else f"{gone.files:,} files"
        tell(f"{table}: {files} removed, {gone.bytes / 1e6:,.1f} MB")
    if failed:
        raise TuttiError(failed[0])


@dg.op(description="Files that no version kept has, and what killed runs left behind, are removed.")
def vacuum(context: dg.OpExecutionContext, io_manager: dg.ResourceParam[LakeIO]) -> None:
    """Remove them from every table."""
    tidy(io_manager.lake, context.log.info, context.log.warning)


@dg.job(description="The lake is kept small: removes what no reader needs any more.")
def upkeep() -> None:
    """Every table of the lake."""
    vacuum()
