"""Jobs that build tables. `cadence` derives from the asset graph which tables each job builds."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.cadence import ALL_TIME, ANALYZE_MUSIC, BUILD_CATALOG, DAILY, IMPORT_LISTENS, Cadence
from orchestration.run_tags import AUTOMATIC, CUMULATIVE, PRIORITY

LOW_PRIORITY = {PRIORITY: "-1"}
DAILY_CLOSE = "daily_close"
DESCRIPTIONS = {
    IMPORT_LISTENS: "Import files of one listener or, if no file is given, all new files in the landing folder.",
    BUILD_CATALOG: "Build the catalog and lyrics tables from the landing folder.",
    ANALYZE_MUSIC: "Analyze the audio files in the music folder. Unchanged files are skipped.",
    DAILY: "Build the daily tables, except those that read more than one day back.",
    ALL_TIME: "Build the tables that cover all history, such as all-time charts.",
}
TAGS = {ANALYZE_MUSIC: LOW_PRIORITY, ALL_TIME: LOW_PRIORITY | {CUMULATIVE: "yes"}}


def table_jobs(cadence: Cadence) -> Iterator[Any]:
    """Yield a job for each cadence in the graph, and the daily close."""
    descriptions = {
        job.name: f"Build {_names(job.assets)} ({job.period.name})." for job in cadence.dated
    } | DESCRIPTIONS
    for name in dict.fromkeys(cadence.jobs.values()):
        yield _job(name, cadence.assets(name), descriptions[name], TAGS.get(name))
    # Tagged as automatic, so that it never runs beside runs that follow imports: a table must not change between the
    # build of a downstream table and its check.
    yield _job(
        DAILY_CLOSE,
        cadence.closed(),
        "Build the daily tables of the previous day, even without listens, then the tables that cover all history.",
        LOW_PRIORITY | {AUTOMATIC: "yes"},
    )


def _job(name: str, assets: frozenset[dg.AssetKey], description: str, tags: dict[str, str] | None) -> Any:
    return dg.define_asset_job(name, dg.AssetSelection.assets(*sorted(assets)), description=description, tags=tags)


def _names(assets: frozenset[dg.AssetKey]) -> str:
    return ", ".join(sorted(key.to_user_string() for key in assets))
