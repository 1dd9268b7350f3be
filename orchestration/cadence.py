"""Jobs: what people, schedules and sensors start by name. A single asset or a backfill needs none."""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import sub
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from assets.events.actives import MONTH
from assets.imports.record_types import RECORD_TYPES
from assets.partitions import DAILY, DAY, PERIODS, Period
from orchestration.jobs.maintenance import upkeep
from orchestration.jobs.pull_lyrics import pull_lyrics
from orchestration.jobs.pull_metadata import pull_metadata
from orchestration.jobs.pulls import pull_listens
from orchestration.privacy.erasure import erase_person
from orchestration.privacy.export import export_person
from resources.dates import stretches as days_together

BY_HAND = "tutti/by_hand"  # tags a run from the command line, which itself starts what follows
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"  # Dagster's own
PRIORITY = "dagster/priority"  # Dagster's own: of waiting runs the highest goes first, 0 if it is not told
CUMULATIVE = "tutti/cumulative"  # tags a run whose cost grows with history: `dagster.yaml` lets one go at a time

LISTENS_REACH = timedelta(days=1)  # as far as a record of a day changes which listens there are
REACH = timedelta(days=2)  # as far as it changes tables of days: sessions, by way of listens; the graph holds this
LONG = 366  # partitions in a run: memory holds what happens in a year, and today waits for one such run at most
QUIET = timedelta(days=365)  # a run costs seconds, a day in a run milliseconds: beyond this, two runs cost less

IMPORTED = dg.AssetSelection.assets(
    ["events", "imports"],
    ["events", "quarantine"],
    ["events", "feedback"],
    ["events", "retractions"],
    ["content", "playlists"],
)
LYRICS = {
    dg.AssetKey(key) for key in (["content", "lyrics"], ["content", "lyrics_lines"], ["derived", "lyrics_word_counts"])
}
AUDIO = dg.AssetSelection.assets(*(["content", f"audio_{what}"] for what in ("files", "analyses", "features")))
KEYS = dg.AssetSelection.assets(["events", "recording_keys"], ["events", "recording_parts"])
CONTENT = (dg.AssetSelection.groups("content") - IMPORTED - AUDIO) | dg.AssetSelection.assets(*LYRICS) | KEYS
ACTIVES = Period("actives", DAILY, DAY.first, DAY.longest, reach=MONTH - 1)
DATED = (DAY, ACTIVES, *PERIODS[1:])  # what jobs make a partition of at a time, in the order in which they follow
LONGER = {"actives": dg.AssetSelection.assets(["events", "actives"])} | {
    p.name: dg.AssetSelection.assets(["derived", f"charts_{p.name}"]) for p in PERIODS[1:]
}
LANDED = {kind.key for kind in RECORD_TYPES if kind.dated}  # the tables that imports tell of day by day
EVER = dg.AssetSelection.assets(
    ["derived", "charts_all_time"],
    *(["events", name] for name in ("retention", "streaks", "follows", "friendships", "taggings")),
)
DAYS = reduce(sub, [IMPORTED, CONTENT, AUDIO, EVER, *LONGER.values()], dg.AssetSelection.all(include_sources=False))

import_listens = dg.define_asset_job(
    "import_listens", IMPORTED, description="Files of one listener, or (with none named) what is in the landing folder."
)
content = dg.define_asset_job("content", CONTENT, description="The catalogue and lyrics, from the landing folder.")
analyse_music = dg.define_asset_job(
    "analyse_music",
    AUDIO,
    description="The files of the music folder, and how each sounds; what was listened to before is not again.",
    tags={PRIORITY: "-1"},
)
daily = dg.define_asset_job(
    "daily",
    DAYS,
    description="Listens, sessions, activity, plays, charts, application events, posts and shares of days.",
)
longer = {
    name: dg.define_asset_job(
        name, selection, description="Active listeners." if name == "actives" else f"Charts, {name}."
    )
    for name, selection in LONGER.items()
}
all_time = dg.define_asset_job(
    "all_time",
    EVER,
    description="Charts of all time, retention, streaks, follows, friendships and taggings."
    " They read all history: in the queue all else goes first.",
    tags={CUMULATIVE: "yes", PRIORITY: "-1"},
)

JOBS: list[Any] = [
    pull_listens,
    pull_metadata,
    pull_lyrics,
    import_listens,
    content,
    analyse_music,
    daily,
    *longer.values(),
    all_time,
    upkeep,
    erase_person,
    export_person,
]


def landed(graph: BaseAssetGraph[Any], keys: Iterable[dg.AssetKey]) -> set[dg.AssetKey]:
    """The tables told of day by day that these tables are made of."""
    return {found for key in keys for found in graph.get_ancestor_asset_keys(key) & LANDED}


def owed(instance: dg.DagsterInstance, graph: BaseAssetGraph[Any], job: dg.JobDefinition) -> set[date]:
    """The days, up to today, imported since a job made all its tables of them, however its last run ended.

    Each job answers for itself: one that fails again and again costs the others nothing. A table is owed what was
    imported into those it is made of.
    """
    period, today = next((p for p in DATED if p.name == job.name), None), datetime.now(UTC).date()
    keys = job.asset_layer.executable_asset_keys
    sources = landed(graph, keys)
    newest = {key: [(day, at) for day, at in _newest(instance, key).items() if day <= today] for key in sources}
    found: set[date] = set()
    for key in keys:
        told = [each for source in landed(graph, [key]) for each in newest[source]]
        if period:
            made = _newest(instance, key)
            found |= {day for day, at in told if at > made.get(period.first(day), 0)}
        else:
            done = instance.fetch_materializations(key, limit=1).records
            found |= {day for day, at in told if not done or at > done[0].storage_id}
    return found


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[date, int]:
    """When each partition of a table was last told of, as the number of the event."""
    told = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {date.fromisoformat(partition): at for partition, at in told.items()}


def stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """The first and last day of each stretch of days that one run makes, oldest first.

    It has no quiet time longer than `QUIET` in it, and `LONG` days at most.
    """
    return days_together(days, QUIET, timedelta(days=LONG))


def reached(period: Period, first: date, last: date, today: date) -> dg.PartitionKeyRange:
    """The partitions that listens of the days from `first` to `last` can change.

    A record may replace one of a neighbouring day, so listens change a day further on either side; what is made of
    days and their neighbours changes up to `REACH` days further. A chart looks back one period and actives a month: so
    of each period as many more after as look back at it.
    """
    assert period.partitions is not None
    if period.name == "daily":
        start, end = first - REACH, last + REACH
    else:
        start, end = period.first(first - LISTENS_REACH), period.first(last + LISTENS_REACH)
        for _ in range(period.reach):
            end = period.following(end)
    end = min(end, period.first(today))
    start = min(start, end)
    return dg.PartitionKeyRange(
        max(start.isoformat(), period.partitions.get_first_partition_key() or ""), end.isoformat()
    )


def span(keys: dg.PartitionKeyRange | None) -> dict[str, str]:
    """The tags that make one run materialize a range of partitions."""
    if keys is None:
        return {}
    return {RANGE_START: keys.start, RANGE_END: keys.end}


def reach(graph: BaseAssetGraph[Any], assets: Collection[dg.AssetKey]) -> int:
    """How many partitions after its own an asset reads of others among these, directly or through others still."""
    ahead: dict[dg.AssetKey, int] = {}
    for key in graph.toposorted_asset_keys:
        if key in assets:
            read = [p for p in graph.get(key).parent_keys if p in assets]
            ends = (getattr(graph.get_partition_mapping(key, p), "end_offset", 0) for p in read)
            ahead[key] = max((ahead[p] + end for p, end in zip(read, ends, strict=True)), default=0)
    return max(ahead.values(), default=0)
