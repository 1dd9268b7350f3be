"""Automation: the conditions under which tables are rebuilt, and the sensor that requests the runs.

The policy follows from a table's partitions, so no table is named here. A dated table is rebuilt when a partition that
it reads has changed, in the past or today. A table without partitions (a catalog or an all-time chart) is not rebuilt
by automation, nor does it trigger others: one new recording would request twenty years of days. Schedules build these.

Dagster would start one run per partition, or a backfill, whose daemon checks only every thirty seconds. This sensor
turns the requests of a tick into few runs over ranges, upstream runs first. `dagster.yaml` limits them to one at a
time.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Any

import dagster as dg

from assets.partitions import DAILY, SPAN
from orchestration.cadence import Cadence, read_ahead
from orchestration.instance.internals import (
    NOT_FINISHED_STATUSES,
    BaseAssetGraph,
    SensorExecutionData,
    resume_from,
)
from orchestration.run_tags import AUTOMATIC, PARTITION, PRIORITY, RANGE_END, RANGE_START, over
from orchestration.stretches import LONG, portions
from resources.dates import tagged_days
from resources.span import EVER, Span

CURSOR = "tutti/automation"  # key of a second copy of the sensor's cursor
DAYS = "tutti/days"  # key of the days that had partitions when the cursor was written
CLOSE = "15 1 * * *"  # UTC, daily: closes the previous day and retries failed days
HOURLY = "0 * * * *"
GAPS = (0, 7, 31, 365)  # partitions between two requested ones that may be rebuilt too, to need fewer runs
MAX_RUNS = 12  # per tick; beyond, gaps are filled, the smallest first
MAX_QUEUED = 3  # runs of history in the queue
MAX_PAUSE_S = 60  # between two evaluations of the conditions
QUEUED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]


def following(graph: BaseAssetGraph[Any], spec: dg.AssetSpec) -> dg.AutomationCondition | None:
    """Return the automation condition of a table, or None if automation does not build it."""
    dated = isinstance(spec.partitions_def, dg.TimeWindowPartitionsDefinition)
    if spec.automation_condition or not (dated and graph.get(spec.key).is_materializable):
        return spec.automation_condition
    # Always in the same order: Dagster identifies a stored state by the text of the condition.
    nodes = sorted(graph.asset_nodes, key=lambda node: node.key)
    timeless = dg.AssetSelection.assets(*(n.key for n in nodes if n.partitions_def is None))
    outside = dg.AssetSelection.assets(*(n.key for n in nodes if n.partitions_def and not n.is_materializable))
    changed = _changed(timeless, outside)
    if spec.partitions_def != DAILY:
        changed = changed & _in_time()
    return changed


def _changed(timeless: dg.AssetSelection, outside: dg.AssetSelection) -> dg.AutomationCondition:
    """Return the condition that an upstream partition is newer, and that no run or failed check speaks against it.

    An import may write while a run reads. So an import counts as new if it came after the last request, even if the run
    ended later. Other tables have one writer at a time, so they count as new if they are newer than the partition. A
    failed partition waits until an upstream partition is rebuilt, or until the daily close.
    """
    when = dg.AutomationCondition
    newer = when.any_deps_match(when.newly_updated()).ignore(timeless)
    imported = when.any_deps_match(when.newly_updated()).allow(outside).since(when.newly_requested())
    stale = newer.since(when.newly_updated())
    retry = when.cron_tick_passed(CLOSE).since(when.newly_requested())
    together = when.any_deps_match(when.will_be_requested()).ignore(timeless)
    unchecked = when.any_checks_match(when.check_failed() | when.run_in_progress(), blocking_only=True)
    blocked = when.any_deps_match(when.in_progress() | (unchecked & ~when.will_be_requested())).ignore(timeless)
    return (
        (
            imported.with_label("imported since the last request")
            | (stale.with_label("older than its upstream tables") & (~when.execution_failed() | retry))
            | together
        )
        & ~blocked
        & ~when.in_progress()
    )


def _in_time() -> dg.AutomationCondition:
    """Return the condition that a period is over, or that its last build is an hour ago.

    Each listen changes the current period, and it is long, so it is rebuilt at most hourly.
    """
    when = dg.AutomationCondition
    an_hour_ago = when.cron_tick_passed(HOURLY).since(when.newly_requested() | when.newly_updated())
    return (~when.in_latest_time_window() | when.missing() | an_hour_ago).with_label("over, or not built this hour")


@dataclass(frozen=True)
class Piece:
    """A run over a range of partitions, given by their indexes. Urgent pieces run first."""

    assets: frozenset[dg.AssetKey]
    first: int
    last: int
    urgent: bool = False


def pieces(
    requested: Mapping[dg.AssetKey, Collection[int]],
    level: Mapping[dg.AssetKey, int],
    newest: int | None = None,
    ahead: int = 0,
) -> list[Piece]:
    """Return few runs, in order, that build the requested partitions of each asset.

    A run builds the same assets for all its partitions. So the neighbors of a changed day, which need only some assets,
    get runs of their own after it. If a long range is cut, the next run repeats the last `ahead` partitions, which read
    beyond the cut. A run with the partition `newest` is urgent.
    """
    pieces: list[Piece] = []
    for gap in GAPS:
        pieces = list(_alike({asset: _filled(places, gap) for asset, places in requested.items() if places}))
        if len(pieces) <= MAX_RUNS:
            break
    pieces.sort(key=lambda piece: (min(level[a] for a in piece.assets), piece.first))
    return [part for piece in pieces for part in _cut(piece, newest, ahead)]


def _filled(places: Iterable[int], gap: int) -> set[int]:
    """Return the indexes, with gaps of at most `gap` indexes filled."""
    filled: set[int] = set()
    before: int | None = None
    for place in sorted(places):
        if before is not None and place - before - 1 <= gap:
            filled.update(range(before, place))
        filled.add(place)
        before = place
    return filled


def _alike(requested: Mapping[dg.AssetKey, set[int]]) -> Iterator[Piece]:
    """Yield the ranges in which the same assets are requested."""
    at: dict[int, set[dg.AssetKey]] = {}
    for asset, places in requested.items():
        for place in places:
            at.setdefault(place, set()).add(asset)
    numbered = enumerate(sorted(at))
    for (_, assets), run in groupby(numbered, key=lambda pair: (pair[1] - pair[0], at[pair[1]])):
        indexes = [place for _, place in run]
        yield Piece(frozenset(assets), indexes[0], indexes[-1])


def _cut(piece: Piece, newest: int | None, ahead: int) -> Iterator[Piece]:
    """Divide a range into runs of bounded length, oldest first.

    Today gets an urgent run before a long history, and is built again in its turn.
    """
    urgent = piece.last == newest
    if piece.last - piece.first < LONG:
        yield replace(piece, urgent=urgent)
        return
    if urgent:
        yield replace(piece, first=piece.last, urgent=True)
    for first in range(piece.first, piece.last + 1, LONG):
        yield Piece(piece.assets, max(piece.first, first - ahead), min(first + LONG - 1, piece.last))


def gathered(
    requests: Sequence[dg.RunRequest], graph: BaseAssetGraph[Any], waiting: Sequence[dg.DagsterRun]
) -> list[dg.RunRequest]:
    """Turn requests for single partitions into requests for ranges, without partitions that `waiting` runs will build.

    Only urgent runs and a few others are requested at once, since Dagster takes seconds to store a year of days. The
    rest stays stale, so the next ticks request it.
    """
    requested: dict[dg.PartitionsDefinition[str], dict[dg.AssetKey, set[str]]] = {}
    for request in requests:
        for asset in request.asset_selection or ():
            partitions = graph.get(asset).partitions_def
            assert partitions
            assert request.partition_key
            requested.setdefault(partitions, {}).setdefault(asset, set()).add(request.partition_key)
    level = {a: n for n, assets in enumerate(graph.toposorted_asset_keys_by_level) for a in assets}
    tags = {k: v for k, v in requests[0].tags.items() if not k.startswith(PARTITION)}
    joined: list[dg.RunRequest] = []
    for partitions, by_asset in requested.items():
        keys = list(partitions.get_partition_keys())
        place = {key: n for n, key in enumerate(keys)}
        missing = {
            asset: {place[key] for key in partition_keys} - _awaited(waiting, asset, place)
            for asset, partition_keys in by_asset.items()
        }
        newest = len(keys) - 1 if partitions == DAILY else None
        for piece in pieces(missing, level, newest, read_ahead(graph, missing)):
            tags_of_range = over(dg.PartitionKeyRange(keys[piece.first], keys[piece.last]))
            priority = {PRIORITY: "2"} if piece.urgent else {}
            joined.append(
                dg.RunRequest(
                    asset_selection=sorted(piece.assets), tags={**tags, **tags_of_range, **priority, AUTOMATIC: "yes"}
                )
            )
    room = max(0, MAX_QUEUED - sum(AUTOMATIC in run.tags for run in waiting))
    urgent, others = ([r for r in joined if (PRIORITY in r.tags) == is_urgent] for is_urgent in (True, False))
    return urgent + others[:room]


def _awaited(waiting: Sequence[dg.DagsterRun], asset: dg.AssetKey, place: Mapping[str, int]) -> set[int]:
    """Return the indexes of an asset's partitions that waiting runs will build."""
    awaited: set[int] = set()
    for run in waiting:
        if asset in (run.asset_selection or ()):
            first = run.tags.get(RANGE_START) or run.tags.get(PARTITION, "")
            last = run.tags.get(RANGE_END) or first
            if first in place and last in place:
                between = range(place[first], place[last] + 1)
                days = tagged_days(run.tags)
                keys = (day.isoformat() for day in days)
                awaited.update({place[key] for key in keys if key in place} & set(between) if days else between)
    return awaited


class FollowingSensor(dg.AutomationConditionSensorDefinition):
    """Dagster's sensor for automation conditions, which requests few runs over ranges.

    If a daemon is killed while it requests runs, it requests the rest after a restart. But then it forgets the cursor,
    and with it which tables are stale (1.13: `_resume_tick` restores only the tick, without its cursor). So this sensor
    stores a copy of the cursor whenever it requests runs.

    Evaluating all conditions takes a second. Only events and time change them. So a tick skips the evaluation if the
    last one requested nothing and no event was stored since. It also skips while requested runs are queued or running,
    unless there was an import, since later requests can be combined. In any case it evaluates once a minute.

    If other days have partitions than when the cursor was written, Dagster drops the cursor's partitions, and it has
    ignored imports of days without partitions. So the next tick requests all stale tables.
    """

    _settled: tuple[object, ...] = ()  # cursor, minute and last event of the last tick, if it requested nothing
    _imported: tuple[object, ...] = ()  # cursor, minute and last event of each imported table of the last tick

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        """Evaluate the conditions of all tables if they may have changed, and return the requested runs."""
        cursors = context.instance.daemon_cursor_storage
        if not context.cursor:
            resume_from(context, cursors.get_cursor_values({CURSOR}).get(CURSOR))
        days = cursors.get_cursor_values({DAYS}).get(DAYS, str(Span(EVER)))
        if days != str(SPAN) and not _at_work(context.instance):
            cursors.set_cursor_values({DAYS: str(SPAN)})
            return SensorExecutionData(run_requests=rebuild_stale(context), cursor=context.cursor)
        minute = int(time.time() / MAX_PAUSE_S)
        stored = context.instance.event_log_storage.get_maximum_record_id()
        if context.cursor and self._settled == (context.cursor, minute, stored):
            return SensorExecutionData(skip_message="no events since the last tick", cursor=context.cursor)
        imported = _imported(context)
        if context.cursor and self._imported == (context.cursor, minute, imported) and _at_work(context.instance):
            return SensorExecutionData(skip_message="requested runs are queued or running", cursor=context.cursor)
        result = super().evaluate_tick(context)
        self._imported = (result.cursor, minute, imported)
        self._settled = () if result.run_requests else (result.cursor, minute, stored)
        if not result.run_requests:
            return result
        cursors.set_cursor_values({CURSOR: result.cursor or ""})
        assert context.repository_def
        waiting = context.instance.get_runs(dg.RunsFilter(statuses=QUEUED))
        return SensorExecutionData(
            run_requests=gathered(result.run_requests, context.repository_def.asset_graph, waiting),
            cursor=result.cursor,
            log_key=result.log_key,
            automation_condition_evaluations=result.automation_condition_evaluations,
        )


def rebuild_stale(context: dg.SensorEvaluationContext) -> list[dg.RunRequest]:
    """Return requests for runs that build all dated tables that are older than their imports."""
    assert context.repository_def
    cadence, today = Cadence(context.repository_def.asset_graph), datetime.now(UTC).date()
    requests: list[dg.RunRequest] = []
    for job in cadence.dated:
        tables = cadence.stale(context.instance, job.name)
        for portion, keys in portions(job, set[date]().union(*tables.values()), today):
            tags = {AUTOMATIC: "yes", **over(keys), **portion.tags}
            requests.append(dg.RunRequest(asset_selection=sorted(tables), tags=tags))
    return requests


def _imported(context: dg.SensorEvaluationContext) -> Mapping[dg.AssetKey, int | None]:
    """Return the storage id of the last event of each dated table that imports write."""
    assert context.repository_def
    nodes = context.repository_def.asset_graph.asset_nodes
    written = [node.key for node in nodes if node.partitions_def and not node.is_materializable]
    records = context.instance.get_asset_records(written)
    return {r.asset_entry.asset_key: r.asset_entry.last_materialization_storage_id for r in records}


def _at_work(instance: dg.DagsterInstance) -> bool:
    """Return whether automatic runs are queued or running."""
    return instance.get_runs_count(dg.RunsFilter(tags={AUTOMATIC: "yes"}, statuses=NOT_FINISHED_STATUSES)) > 0


automation = FollowingSensor(
    "automation",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    emit_backfills=False,
    use_user_code_server=True,  # otherwise the daemon would evaluate without this class
    description="Rebuild dated tables when an upstream partition changed, in few runs over ranges.",
)
