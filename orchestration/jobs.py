"""Jobs: what people, schedules and sensors start by name. A single asset or a backfill needs none."""

from collections.abc import Iterable
from datetime import date, timedelta

import dagster as dg

from assets.partitions import PERIODS

BY_HAND = "tutti/by_hand"  # tags a run from the command line, which itself starts what follows

QUIET = timedelta(days=365)  # a run costs seconds, a day in a run milliseconds: beyond this, two runs cost less

IMPORTED = dg.AssetSelection.assets(["events", "imports"], ["events", "quarantine"])
CONTENT = dg.AssetSelection.groups("content") | dg.AssetSelection.assets(["derived", "lyrics_word_counts"])
LONGER = {p.name: dg.AssetSelection.assets(["derived", f"charts_{p.name}"]) for p in PERIODS if p.name != "daily"}
EVER = dg.AssetSelection.assets(["derived", "charts_all_time"])
DAYS = (
    dg.AssetSelection.all(include_sources=False)
    - IMPORTED
    - CONTENT
    - EVER
    - dg.AssetSelection.assets(*(["derived", f"charts_{name}"] for name in LONGER))
)

import_listens = dg.define_asset_job(
    "import_listens", IMPORTED, description="Files of one listener, or (with none named) what is in the landing folder."
)
content = dg.define_asset_job("content", CONTENT, description="The catalogue and lyrics, from the landing folder.")
daily = dg.define_asset_job("daily", DAYS, description="Listens, sessions, plays and charts of days.")
longer = {
    name: dg.define_asset_job(name, selection, description=f"Charts, {name}.") for name, selection in LONGER.items()
}
all_time = dg.define_asset_job("all_time", EVER, description="Charts of all time.")

JOBS = [import_listens, content, daily, *longer.values(), all_time]


def owed(instance: dg.DagsterInstance) -> list[date]:
    """The days imported since the charts of all time, which are made last: also those of a run that was killed."""
    done = instance.fetch_materializations(dg.AssetKey(["derived", "charts_all_time"]), limit=1).records
    told = instance.get_latest_storage_id_by_partition(
        dg.AssetKey(["events", "raw_listens"]), dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    return sorted(date.fromisoformat(day) for day, told_at in told.items() if not done or told_at > done[0].storage_id)


def stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """The first and last day of each stretch of days that has no quiet time longer than `QUIET` in it."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and day - found[-1][1] <= QUIET:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def following(first: date, last: date, today: date) -> list[tuple[str, dg.PartitionKeyRange]]:
    """The jobs to run, in order and before `all_time`, once listens of the days from `first` to `last` have changed.

    A session reaches into the day after it began, and a chart looks back one period: so a day more on either side,
    and a period more at the end.
    """
    runs: list[tuple[str, dg.PartitionKeyRange]] = []
    for period in PERIODS:
        assert period.partitions is not None
        end = min(period.following(period.first(last)), period.first(today))
        start = min(period.first(first - timedelta(days=1) if period.name == "daily" else first), end)
        keys = dg.PartitionKeyRange(
            max(start.isoformat(), period.partitions.get_first_partition_key() or ""), end.isoformat()
        )
        runs.append((period.name, keys))
    return runs


def span(keys: dg.PartitionKeyRange | None) -> dict[str, str]:
    """The tags that make one run materialize a range of partitions."""
    if keys is None:
        return {}
    return {"dagster/asset_partition_range_start": keys.start, "dagster/asset_partition_range_end": keys.end}
