"""Jobs: what people, schedules and sensors start by name. A single asset or a backfill needs none."""

from datetime import date, timedelta

import dagster as dg

from assets.partitions import PERIODS

BY_HAND = "tutti/by_hand"  # tags a run from the command line, which itself starts what follows

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


def following(first: date, last: date, today: date) -> list[tuple[str, dg.PartitionKeyRange | None]]:
    """The jobs to run, in order, once listens of the days from `first` to `last` have changed.

    A session reaches into the day after it began, and a chart looks back one period: so a day more on either side,
    and a period more at the end.
    """
    runs: list[tuple[str, dg.PartitionKeyRange | None]] = []
    for period in PERIODS:
        assert period.partitions is not None
        start = period.first(first - timedelta(days=1) if period.name == "daily" else first)
        end = min(period.following(period.first(last)), period.first(today))
        keys = dg.PartitionKeyRange(
            max(start.isoformat(), period.partitions.get_first_partition_key() or ""), end.isoformat()
        )
        runs.append((period.name, keys))
    return [*runs, ("all_time", None)]


def span(keys: dg.PartitionKeyRange | None) -> dict[str, str]:
    """The tags that make one run materialize a range of partitions."""
    if keys is None:
        return {}
    return {"dagster/asset_partition_range_start": keys.start, "dagster/asset_partition_range_end": keys.end}
