"""Automation: when a table follows those it is made of, and the runs that make it follow.

What belongs here is policy for all tables alike, told from how they are partitioned; no table is named. A table by day
or by longer period follows whenever a partition that it reads has changed, in the past as today. What has no partitions
(a catalog, an identity, a chart of all time) neither follows by itself nor makes others follow: one new recording
would ask for twenty years of days. Schedules see to those.

Dagster would start one run for each partition, or a backfill, whose daemon looks only every thirty seconds. Here
whatever one tick asks for becomes few runs over ranges, in an order in which each reads what those before it wrote;
`dagster.yaml` lets one of them go at a time.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import dagster as dg

from assets.partitions import DAILY
from orchestration.cadence import read_ahead
from orchestration.instance.internals import (
    NOT_FINISHED_STATUSES,
    BaseAssetGraph,
    SensorExecutionData,
    resume_from,
)
from orchestration.run_tags import AUTOMATIC, PARTITION, PRIORITY, RANGE_END, RANGE_START, over
from orchestration.stretches import LONG
from resources.dates import tagged_days

CURSOR = "tutti/automation"  # under which the sensor's cursor is kept beside Dagster's own
CLOSE = "15 1 * * *"  # UTC, daily: when days that failed are tried once more, and the day before is closed
HOURLY = "0 * * * *"
GAPS = (0, 7, 31, 365)  # partitions between two that were asked for which may be made again, to need fewer runs
FEW = 12  # runs: where a tick needs more, gaps are filled, the smallest first
WAIT = 3  # runs of history that wait for their turn at once
MOST_S = 60  # seconds between two evaluations of the conditions, at most
WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]


def following(graph: BaseAssetGraph[Any], spec: dg.AssetSpec) -> dg.AutomationCondition | None:
    """When a table follows by itself, if it does."""
    dated = isinstance(spec.partitions_def, dg.TimeWindowPartitionsDefinition)
    if spec.automation_condition or not (dated and graph.get(spec.key).is_materializable):
        return spec.automation_condition
    # In one order always: Dagster knows by a condition's text what was owed before it was stopped.
    nodes = sorted(graph.asset_nodes, key=lambda node: node.key)
    timeless = dg.AssetSelection.assets(*(n.key for n in nodes if n.partitions_def is None))
    outside = dg.AssetSelection.assets(*(n.key for n in nodes if n.partitions_def and not n.is_materializable))
    changed = _changed(timeless, outside)
    if spec.partitions_def != DAILY:
        changed = changed & _in_time()
    return changed


def _changed(timeless: dg.AssetSelection, outside: dg.AssetSelection) -> dg.AutomationCondition:
    """Something that a partition is made of is newer than it, and nothing speaks against making it.

    Imports may write while a run reads: what they wrote since a partition was asked for counts as new, also where the
    run ended later. Tables are written by one run at a time, so for them it is enough that they are older.
    A partition that failed is left alone until what it is made of is made again, or else the daily close.
    """
    when = dg.AutomationCondition
    newer = when.any_deps_match(when.newly_updated()).ignore(timeless)
    imported = when.any_deps_match(when.newly_updated()).allow(outside).since(when.newly_requested())
    owed = newer.since(when.newly_updated())
    once_more = when.cron_tick_passed(CLOSE).since(when.newly_requested())
    together = when.any_deps_match(when.will_be_requested()).ignore(timeless)
    doubted = when.any_checks_match(when.check_failed() | when.run_in_progress(), blocking_only=True)
    held = when.any_deps_match(when.in_progress() | (doubted & ~when.will_be_requested())).ignore(timeless)
    return (
        (
            imported.with_label("imported since it was asked for")
            | (owed.with_label("older than what it is made of") & (~when.execution_failed() | once_more))
            | together
        )
        & ~held
        & ~when.in_progress()
    )


def _in_time() -> dg.AutomationCondition:
    """Periods that are over at once, the current one hourly: each listen changes it, and it is long."""
    when = dg.AutomationCondition
    an_hour_ago = when.cron_tick_passed(HOURLY).since(when.newly_requested() | when.newly_updated())
    return (~when.in_latest_time_window() | when.missing() | an_hour_ago).with_label("over, or not made this hour")


@dataclass(frozen=True)
class Piece:
    """A run over a range of partitions, told by their places among all; an urgent one goes before others."""

    assets: frozenset[dg.AssetKey]
    first: int
    last: int
    urgent: bool = False


def pieces(
    wanted: Mapping[dg.AssetKey, Collection[int]],
    level: Mapping[dg.AssetKey, int],
    newest: int | None = None,
    ahead: int = 0,
) -> list[Piece]:
    """Few runs, in order, that make the partitions wanted of each asset; what holds the newest partition is urgent.

    A run makes the same assets of all its partitions, so the neighbors of a day that changed, whose sessions alone are
    wanted, have runs of their own, after it. Where a long range is cut, the next run makes those partitions once more
    that read `ahead` of the cut.
    """
    found: list[Piece] = []
    for gap in GAPS:
        found = list(_alike({asset: _filled(places, gap) for asset, places in wanted.items() if places}))
        if len(found) <= FEW:
            break
    found.sort(key=lambda piece: (min(level[a] for a in piece.assets), piece.first))
    return [part for piece in found for part in _cut(piece, newest, ahead)]


def _filled(places: Iterable[int], gap: int) -> set[int]:
    """The places, and those between two of them that have at most `gap` others between them."""
    found: set[int] = set()
    before: int | None = None
    for place in sorted(places):
        if before is not None and place - before - 1 <= gap:
            found.update(range(before, place))
        found.add(place)
        before = place
    return found


def _alike(wanted: Mapping[dg.AssetKey, set[int]]) -> Iterator[Piece]:
    """The ranges throughout which the same assets are wanted."""
    at: dict[int, set[dg.AssetKey]] = {}
    for asset, places in wanted.items():
        for place in places:
            at.setdefault(place, set()).add(asset)
    numbered = enumerate(sorted(at))
    for (_, assets), run in groupby(numbered, key=lambda pair: (pair[1] - pair[0], at[pair[1]])):
        found = [place for _, place in run]
        yield Piece(frozenset(assets), found[0], found[-1])


def _cut(piece: Piece, newest: int | None, ahead: int) -> Iterator[Piece]:
    """A range as runs of bounded length, oldest first; today is made before years of history, and in its turn again."""
    now = piece.last == newest
    if piece.last - piece.first < LONG:
        yield replace(piece, urgent=now)
        return
    if now:
        yield replace(piece, first=piece.last, urgent=True)
    for first in range(piece.first, piece.last + 1, LONG):
        yield Piece(piece.assets, max(piece.first, first - ahead), min(first + LONG - 1, piece.last))


def gathered(
    requests: Sequence[dg.RunRequest], graph: BaseAssetGraph[Any], waiting: Sequence[dg.DagsterRun]
) -> list[dg.RunRequest]:
    """Requests for single partitions as requests for ranges, without what a run that has not begun will make anyway.

    Only what is urgent and a few others are asked for at once: Dagster takes seconds to note a year of days, and looks
    at nothing else meanwhile. What is left out stays older than what it is made of, and so is asked for again.
    """
    wanted: dict[dg.PartitionsDefinition[str], dict[dg.AssetKey, set[str]]] = {}
    for request in requests:
        for asset in request.asset_selection or ():
            partitions = graph.get(asset).partitions_def
            assert partitions
            assert request.partition_key
            wanted.setdefault(partitions, {}).setdefault(asset, set()).add(request.partition_key)
    level = {a: n for n, assets in enumerate(graph.toposorted_asset_keys_by_level) for a in assets}
    tags = {k: v for k, v in requests[0].tags.items() if not k.startswith(PARTITION)}
    found: list[dg.RunRequest] = []
    for partitions, by_asset in wanted.items():
        keys = list(partitions.get_partition_keys())
        place = {key: n for n, key in enumerate(keys)}
        missing = {
            asset: {place[key] for key in asked} - _awaited(waiting, asset, place) for asset, asked in by_asset.items()
        }
        newest = len(keys) - 1 if partitions == DAILY else None
        for piece in pieces(missing, level, newest, read_ahead(graph, missing)):
            own = over(dg.PartitionKeyRange(keys[piece.first], keys[piece.last]))
            priority = {PRIORITY: "2"} if piece.urgent else {}
            found.append(
                dg.RunRequest(asset_selection=sorted(piece.assets), tags={**tags, **own, **priority, AUTOMATIC: "yes"})
            )
    room = max(0, WAIT - sum(AUTOMATIC in run.tags for run in waiting))
    urgent, others = ([r for r in found if (PRIORITY in r.tags) == now] for now in (True, False))
    return urgent + others[:room]


def _awaited(waiting: Sequence[dg.DagsterRun], asset: dg.AssetKey, place: Mapping[str, int]) -> set[int]:
    """The partitions of an asset that runs which have not begun will make."""
    found: set[int] = set()
    for run in waiting:
        if asset in (run.asset_selection or ()):
            first = run.tags.get(RANGE_START) or run.tags.get(PARTITION, "")
            last = run.tags.get(RANGE_END) or first
            if first in place and last in place:
                between = range(place[first], place[last] + 1)
                days = tagged_days(run.tags)
                keys = (day.isoformat() for day in days)
                found.update({place[key] for key in keys if key in place} & set(between) if days else between)
    return found


class FollowingSensor(dg.AutomationConditionSensorDefinition):
    """Dagster's own sensor for automation conditions; what it asks for is asked for in few runs over ranges.

    A daemon that is killed while it asks for runs asks for the others when it is started again, and then forgets the
    cursor, and with it all that tables are owed (1.13: `_resume_tick` has only the tick, which is kept without one). So
    the cursor is kept here, too, whenever runs are asked for.

    Evaluating all conditions takes a second. What changes them are events, those of runs that begin and end among them,
    and time. So a tick evaluates none if no event was stored since one that asked for nothing. While runs that it asked
    for wait or are at work it waits, too, unless something was imported: what they leave to do takes fewer runs if it
    is asked for at once. In any case conditions are evaluated each minute.
    """

    _settled: tuple[object, ...] = ()  # after a tick: its cursor, its minute, and the last event of all if it was quiet
    _imported: tuple[object, ...] = ()  # after a tick: its cursor, its minute, and the last events of imported tables

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        """Evaluate the conditions of all tables, if they may have changed."""
        kept = context.instance.daemon_cursor_storage
        if not context.cursor:
            resume_from(context, kept.get_cursor_values({CURSOR}).get(CURSOR))
        minute = int(time.time() / MOST_S)
        stored = context.instance.event_log_storage.get_maximum_record_id()
        if context.cursor and self._settled == (context.cursor, minute, stored):
            return SensorExecutionData(skip_message="nothing has happened since the last tick", cursor=context.cursor)
        imported = _imported(context)
        if context.cursor and self._imported == (context.cursor, minute, imported) and _at_work(context.instance):
            return SensorExecutionData(skip_message="runs that it asked for are at work", cursor=context.cursor)
        result = super().evaluate_tick(context)
        self._imported = (result.cursor, minute, imported)
        self._settled = () if result.run_requests else (result.cursor, minute, stored)
        if not result.run_requests:
            return result
        kept.set_cursor_values({CURSOR: result.cursor or ""})
        assert context.repository_def
        waiting = context.instance.get_runs(dg.RunsFilter(statuses=WAITING))
        return SensorExecutionData(
            run_requests=gathered(result.run_requests, context.repository_def.asset_graph, waiting),
            cursor=result.cursor,
            log_key=result.log_key,
            automation_condition_evaluations=result.automation_condition_evaluations,
        )


def _imported(context: dg.SensorEvaluationContext) -> Mapping[dg.AssetKey, int | None]:
    """Return the last event of each dated table that imports write."""
    assert context.repository_def
    nodes = context.repository_def.asset_graph.asset_nodes
    written = [node.key for node in nodes if node.partitions_def and not node.is_materializable]
    records = context.instance.get_asset_records(written)
    return {r.asset_entry.asset_key: r.asset_entry.last_materialization_storage_id for r in records}


def _at_work(instance: dg.DagsterInstance) -> bool:
    """Return whether automatic runs wait or are at work."""
    return instance.get_runs_count(dg.RunsFilter(tags={AUTOMATIC: "yes"}, statuses=NOT_FINISHED_STATUSES)) > 0


automation = FollowingSensor(
    "automation",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    emit_backfills=False,
    use_user_code_server=True,  # it is this class that gathers
    description="Tables by day or longer period follow what they are made of, in few runs.",
)
