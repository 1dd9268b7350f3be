"""Upkeep of the lake: what no reader needs any more is removed."""

import dagster as dg

from resources.errors import TuttiError
from resources.lake_io import LakeIO


@dg.op(description="Files that no version kept has, and what killed runs left behind, are removed.")
def vacuum(context: dg.OpExecutionContext, io_manager: dg.ResourceParam[LakeIO]) -> None:
    """Remove them from every table, and tell of each how many and how large; a running job loses nothing.

    Raises `TuttiError` once all tables were tried, if one could not be seen to.
    """
    failed: list[str] = []
    for table in io_manager.lake.tables():
        try:
            gone = io_manager.lake.vacuum(table)
        except TuttiError as error:
            failed.append(str(error))
            context.log.warning("%s: %s", table, error)
            continue
        files = "1 file" if gone.files == 1 else f"{gone.files:,} files"
        context.log.info("%s: %s removed, %s", table, files, f"{gone.bytes / 1e6:,.1f} MB")
    if failed:
        raise TuttiError(failed[0])


@dg.job(description="The lake is kept small: removes what no reader needs any more.")
def upkeep() -> None:
    """Every table of the lake."""
    vacuum()
