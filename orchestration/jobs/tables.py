"""Jobs that build tables. Which tables each builds follows from the graph (see `cadence`); none is named here."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.cadence import ALL_TIME, ANALYZE_MUSIC, BUILD_CATALOG, DAILY, IMPORT_LISTENS, Cadence
from orchestration.run_tags import AUTOMATIC, CUMULATIVE, PRIORITY

LATER = {PRIORITY: "-1"}  # in the queue all else goes first
DAILY_CLOSE = "daily_close"
SAYS = {
    IMPORT_LISTENS: "Files of one listener, or (with none named) what is in the landing folder.",
    BUILD_CATALOG: "The catalog and lyrics, from the landing folder.",
    ANALYZE_MUSIC: "The files of the music folder, and how each sounds; files analyzed before are skipped.",
    DAILY: "Tables by day, but for those that look further back.",
    ALL_TIME: "What is counted over all history.",
}
TAGS = {ANALYZE_MUSIC: LATER, ALL_TIME: LATER | {CUMULATIVE: "yes"}}


def table_jobs(cadence: Cadence) -> Iterator[Any]:
    """Yield a job for each cadence that a table has, and the daily close."""
    says = {job.name: f"{job.period.name.capitalize()}: {_names(job.assets)}." for job in cadence.dated} | SAYS
    for name in dict.fromkeys(cadence.jobs.values()):
        yield _job(name, cadence.assets(name), says[name], TAGS.get(name))
    # One at a time with the runs that follow imports: a table must not change between what is made of it and its check.
    yield _job(
        DAILY_CLOSE,
        cadence.closed(),
        "The day before, also where it was quiet, and then what is counted over all history.",
        LATER | {AUTOMATIC: "yes"},
    )


def _job(name: str, assets: frozenset[dg.AssetKey], says: str, tags: dict[str, str] | None) -> Any:
    return dg.define_asset_job(name, dg.AssetSelection.assets(*sorted(assets)), description=says, tags=tags)


def _names(assets: frozenset[dg.AssetKey]) -> str:
    return ", ".join(sorted(key.to_user_string() for key in assets))
