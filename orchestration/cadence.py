"""Cadence: which job builds a table, and which of its partitions new records can change.

Both follow from the asset graph, so no table is named here. The first rule that fits a table gives its job:

1. An import writes it: `import_listens`.
2. Its partitions are days: `daily`. A table that reads more than a day back, or reads such a table, has a job of its
   own, named like the table. Otherwise every import would rebuild all daily tables that far ahead.
3. Its partitions are longer: the job of their period.
4. It has no partitions and reads dated tables, directly or through others: `all_time`.
5. It reads the music folder and no landed files, directly or through others: `analyze_music`.
6. Any other table reads landed files: `build_catalog`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, reduce
from operator import or_
from typing import Any

import dagster as dg

from assets.events.imports import import_listens
from assets.partitions import DAY, PERIODS, SPAN, Period
from orchestration.instance.failed_checks import failed_checks
from orchestration.instance.internals import AssetGraph, BaseAssetGraph

IMPORT_LISTENS, ANALYZE_MUSIC, BUILD_CATALOG, ALL_TIME = "import_listens", "analyze_music", "build_catalog", "all_time"
DAILY = DAY.name
LANDING, MUSIC = "landing", "music"  # the resources through which assets read these folders


@dataclass(frozen=True)
class Reach:
    """The number of partitions before and after its own that a change can reach."""

    back: int = 0
    ahead: int = 0

    def __add__(self, other: "Reach") -> "Reach":
        """Return the reach of a change through one table and then another."""
        return Reach(self.back + other.back, self.ahead + other.ahead)

    def __or__(self, other: "Reach") -> "Reach":
        """Return the smallest reach that covers both."""
        return Reach(max(self.back, other.back), max(self.ahead, other.ahead))


@dataclass(frozen=True)
class DatedJob:
    """A job whose tables have partitions of one period.

    A record can change these tables on the `days` around its own day, and in the `periods` around those days.
    """

    name: str
    period: Period
    assets: frozenset[dg.AssetKey]
    days: Reach
    periods: Reach

    def reached(self, first: date, last: date, today: date) -> dg.PartitionKeyRange:
        """Return the existing partitions that records of the days from `first` to `last` can change."""
        start = self.period.first(first - timedelta(days=self.days.back))
        for _ in range(self.periods.back):
            start = self.period.first(start - timedelta(days=1))
        end = self.period.first(last + timedelta(days=self.days.ahead))
        for _ in range(self.periods.ahead):
            end = self.period.following(end)
        oldest, newest = self.period.first(SPAN.first), self.period.first(min(SPAN.last or today, today))
        end = max(min(end, newest), oldest)
        start = max(min(start, end), oldest)
        return dg.PartitionKeyRange(start.isoformat(), end.isoformat())

    def read(self, keys: dg.PartitionKeyRange) -> tuple[date, date]:
        """Return the first and the last day that these partitions read, directly or through other tables."""
        first, last = date.fromisoformat(keys.start), date.fromisoformat(keys.end)
        for _ in range(self.periods.ahead):
            first = self.period.first(first - timedelta(days=1))
        for _ in range(self.periods.back):
            last = self.period.following(last)
        last = self.period.following(last) - timedelta(days=1)
        return first - timedelta(days=self.days.ahead), last + timedelta(days=self.days.back)

    def unsound(
        self, keys: dg.PartitionKeyRange, failed: Mapping[dg.AssetKey, Collection[date]]
    ) -> dict[dg.AssetKey, set[date]]:
        """Return the tables and days in `failed` that these partitions read."""
        first, last = self.read(keys)
        read = {table: {day for day in days if first <= day <= last} for table, days in failed.items()}
        return {table: days for table, days in read.items() if days}


class Cadence:
    """The jobs that build the tables of a graph.

    Raises `DagsterInvalidDefinitionError` for a table that no job can build.
    """

    def __init__(self, graph: AssetGraph) -> None:
        self.graph = graph
        self._reach: dict[dg.AssetKey, tuple[Reach, Reach]] = {}  # of dated tables: in days, then in their periods
        self.jobs: dict[dg.AssetKey, str] = {}  # by table, for every table that a run materializes
        for key in graph.toposorted_asset_keys:
            if graph.get(key).partitions_def:
                self._reach[key] = self._reach_of(key)
            if graph.get(key).is_materializable:
                self.jobs[key] = self._job_of(key)

    @cached_property
    def dated(self) -> tuple[DatedJob, ...]:
        """The jobs of dated tables, upstream jobs first."""
        by_name = {job: _period(self.graph, key) for key, job in self.jobs.items() if key in self._reach}
        ordered = sorted(by_name, key=lambda name: (PERIODS.index(by_name[name]), name != DAILY))
        return tuple(self._dated_job(name, by_name[name]) for name in ordered)

    @cached_property
    def by_name(self) -> dict[str, DatedJob]:
        """The jobs of dated tables by their names."""
        return {job.name: job for job in self.dated}

    def assets(self, job: str) -> frozenset[dg.AssetKey]:
        """Return the tables that a job builds."""
        return frozenset(key for key, name in self.jobs.items() if name == job)

    def closed(self) -> frozenset[dg.AssetKey]:
        """Return the tables that the daily close builds: daily tables, and tables that cover all history."""
        by_day = {job.name for job in self.dated if job.period == DAY}
        return frozenset(key for key, job in self.jobs.items() if job in by_day or job == ALL_TIME)

    def upstream(self, job: str) -> set[str]:
        """Return the other jobs that build tables upstream of this job's tables."""
        parents = {p for key in self.assets(job) for p in self.graph.get_ancestor_asset_keys(key)}
        return {self.jobs[p] for p in parents if p in self.jobs} - {job}

    def made_of(self, table: dg.AssetKey) -> frozenset[dg.AssetKey]:
        """Return a table and the tables downstream of it in the same job."""
        job = self.assets(self.jobs[table])
        return frozenset(key for key in job if key == table or table in self.graph.get_ancestor_asset_keys(key))

    def stale(self, instance: dg.DagsterInstance, job: str) -> dict[dg.AssetKey, set[date]]:
        """Return the stale tables of a job, each with the days that were imported since it was built.

        The state is in Dagster's storage, so a crash loses nothing. Each job has its own state, so a job that keeps
        failing does not affect the others. A table counts only imports into its upstream tables, up to today.
        """
        dated, today = self.by_name.get(job), datetime.now(UTC).date()
        keys = self.assets(job)
        sources = {key: self._imported(key) for key in keys}
        newest = {
            source: [(day, at) for day, at in _newest(instance, source).items() if day <= today]
            for source in set().union(*sources.values())
        }
        stale: dict[dg.AssetKey, set[date]] = {}
        for key in keys:
            imports = [event for source in sources[key] for event in newest[source]]
            if dated:
                imports = [(day, at) for day, at in imports if SPAN.covers(day)]
                built = _newest(instance, key) if imports else {}
                stale[key] = {day for day, at in imports if at > built.get(dated.period.first(day), 0)}
            else:
                done = instance.fetch_materializations(key, limit=1).records
                stale[key] = {day for day, at in imports if not done or at > done[0].storage_id}
        return {key: days for key, days in stale.items() if days}

    def failed(self, instance: dg.DagsterInstance, tables: Collection[dg.AssetKey]) -> dict[dg.AssetKey, set[date]]:
        """Return the tables whose blocking check failed last, each with the first days of the failed partitions.

        A partition counts as failed until its check passes. A table without partitions has no days.
        """
        blocking = {check for check in self.graph.asset_check_keys if self.graph.get(check).blocking}
        failed: dict[dg.AssetKey, set[date]] = {}
        with instance.event_log_storage.index_connection() as index:  # type: ignore[attr-defined]
            checks = failed_checks(index, tables)
        for check in blocking & checks.keys():
            # A range has a row of its own in addition to those of its partitions.
            days = {date.fromisoformat(partition) for partition in checks[check] if partition}
            if days or check.asset_key not in self._reach:
                failed[check.asset_key] = failed.get(check.asset_key, set()) | days
        return failed

    def unsound(
        self, instance: dg.DagsterInstance, tables: Iterable[dg.AssetKey], without: Collection[date] = ()
    ) -> dict[dg.AssetKey, set[date]]:
        """Return the dated tables upstream of `tables` whose blocking check failed last, each with the failed days."""
        chosen = set(tables)
        upstream = {a for key in chosen for a in self.graph.get_ancestor_asset_keys(key)} - chosen
        failed = self.failed(instance, {key for key in upstream if key in self._reach and key in self.jobs})
        return {key: left for key, days in failed.items() if (left := days.difference(without))}

    def _imported(self, key: dg.AssetKey) -> set[dg.AssetKey]:
        """Return the dated tables upstream of a table that imports write."""
        ancestors = self.graph.get_ancestor_asset_keys(key)
        return {a for a in ancestors if a in self._reach and not self.graph.get(a).is_materializable}

    def _job_of(self, key: dg.AssetKey) -> str:
        if key in import_listens.keys:
            return IMPORT_LISTENS
        node = self.graph.get(key)
        if key in self._reach:
            period = _period(self.graph, key)
            has_own_job = period == DAY and (self._looks_back(key) or self._reads_own_job(key))
            return key.path[-1] if has_own_job else period.name
        if any(ancestor in self._reach for ancestor in self.graph.get_ancestor_asset_keys(key)):
            return ALL_TIME
        folders = node.assets_def.required_resource_keys & {LANDING, MUSIC}
        of_music = any(self.jobs.get(parent) == ANALYZE_MUSIC for parent in node.parent_keys)
        return ANALYZE_MUSIC if folders == {MUSIC} or (of_music and LANDING not in folders) else BUILD_CATALOG

    def _looks_back(self, key: dg.AssetKey) -> bool:
        """Return whether a table reads more than a day back."""
        return any(reach.ahead > 1 for _, reach in self._read(key))

    def _reads_own_job(self, key: dg.AssetKey) -> bool:
        """Return whether a table reads a daily table that has a job of its own."""
        return any(_period(self.graph, p) == DAY and self.jobs.get(p, DAILY) != DAILY for p, _ in self._read(key))

    def _read(self, key: dg.AssetKey) -> list[tuple[dg.AssetKey, Reach]]:
        """Return the dated tables that a dated table reads, each with the reach of its changes."""
        parents = [p for p in self.graph.get(key).parent_keys if self.graph.get(p).partitions_def]
        reaches = []
        for parent in parents:
            mapping = self.graph.get_partition_mapping(key, parent)
            if not isinstance(mapping, dg.TimeWindowPartitionMapping):
                raise _unbuildable(key, f"{type(mapping).__name__} to {parent.to_user_string()} has no reach in time")
            reaches.append((parent, Reach(mapping.end_offset, -mapping.start_offset)))
        return reaches

    def _reach_of(self, key: dg.AssetKey) -> tuple[Reach, Reach]:
        """Return how far a record reaches into a dated table: in days, then in the table's periods."""
        period, days, periods = _period(self.graph, key), Reach(), Reach()
        for parent, reach in self._read(key):
            before, beyond = self._reach[parent]
            if _period(self.graph, parent) not in (DAY, period):
                raise _unbuildable(key, f"{parent.to_user_string()} has partitions of another period")
            days |= before + reach if period == DAY else before
            periods |= beyond if period == DAY else beyond + reach
        return days, periods

    def _dated_job(self, name: str, period: Period) -> DatedJob:
        assets = self.assets(name)
        days, periods = (reduce(or_, (self._reach[a][n] for a in assets)) for n in (0, 1))
        return DatedJob(name, period, assets, days, periods)


def _period(graph: AssetGraph, key: dg.AssetKey) -> Period:
    """Return the period of a table's partitions."""
    partitions = graph.get(key).partitions_def
    period = next((p for p in PERIODS if p.partitions == partitions), None)
    if period is None:
        raise _unbuildable(key, f"no period has its partitions, {partitions}")
    return period


def one_day(day: date) -> dg.PartitionKeyRange:
    """Return the range of one daily partition."""
    return dg.PartitionKeyRange(day.isoformat(), day.isoformat())


def as_line(failed: Mapping[dg.AssetKey, Collection[date]]) -> str:
    """Return a reason for messages: the tables and days whose checks failed."""
    spans = (f"{key.to_user_string()} from {min(days)} through {max(days)}" for key, days in sorted(failed.items()))
    return f"because a check failed upstream: {', '.join(spans)}"


def _unbuildable(key: dg.AssetKey, why: str) -> dg.DagsterInvalidDefinitionError:
    return dg.DagsterInvalidDefinitionError(f"no job can build {key.to_user_string()}: {why}")


def _newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[date, int]:
    """Return the storage id of the newest materialization of each partition of a table."""
    newest = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {date.fromisoformat(partition): at for partition, at in newest.items()}


def read_ahead(graph: BaseAssetGraph[Any], assets: Collection[dg.AssetKey]) -> int:
    """Return the most partitions after its own that one of `assets` reads of another, directly or through others."""
    ahead: dict[dg.AssetKey, int] = {}
    for key in graph.toposorted_asset_keys:
        if key in assets:
            read = [p for p in graph.get(key).parent_keys if p in assets]
            ends = (getattr(graph.get_partition_mapping(key, p), "end_offset", 0) for p in read)
            ahead[key] = max((ahead[p] + end for p, end in zip(read, ends, strict=True)), default=0)
    return max(ahead.values(), default=0)
