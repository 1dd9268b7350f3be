"""Cadence: the job of each table, and the partitions that records can change."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import dagster as dg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assets.partitions import DAILY, PERIODS, WEEKLY, Period, with_earlier, with_neighbors, with_previous
from assets.tables import ASSETS
from orchestration.cadence import ALL_TIME, Cadence, DatedJob, Reach
from orchestration.definitions import build
from orchestration.stretches import FAR, LONG, QUIET, portions, stretches
from resources.dates import DAYS, tagged_days
from resources.dates import date_ranges as days_together
from resources.environments import environment
from tests.orchestration.support import platform

FIRST, TODAY = date(2002, 10, 1), datetime.now(UTC).date()
CADENCE = Cadence(platform().resolve_asset_graph())
COUNTED = (
    "daily",
    "active_listeners",
    "weekly",
    "monthly",
    "yearly",
)  # their reach is computed independently below


# The job of a table follows from its declaration.


def new_asset(name: str, parents: Mapping[str, Any], partitions: Any = None, folders: tuple[str, ...] = ()) -> Any:
    """Return a new asset that reads tables (each with a mapping or None) and folders."""
    deps = [dg.AssetDep(table.split("/"), partition_mapping=mapping) for table, mapping in parents.items()]

    @dg.asset(key=["derived", name], deps=deps, partitions_def=partitions, required_resource_keys=set(folders))
    def table() -> None: ...

    return table


def cadence(*new: Any) -> Cadence:
    """Return the cadence of the platform with new assets."""
    return Cadence(dg.Definitions([*ASSETS, *new], resources=environment("laptop")).resolve_asset_graph())


@pytest.mark.parametrize(
    ("new", "job"),
    [
        (new_asset("new", {"events/listens": None}, DAILY), "daily"),
        (new_asset("new", {"events/listens": with_neighbors()}, DAILY), "daily"),
        (new_asset("new", {"events/posts": with_previous()}, DAILY), "daily"),
        (new_asset("new", {"events/listens": with_earlier(6)}, DAILY), "new"),
        (new_asset("new", {"events/active_listeners": None}, DAILY), "new"),  # after the job of its parent
        (new_asset("new", {"derived/recording_plays": with_previous()}, WEEKLY), "weekly"),
        (new_asset("new", {"derived/charts_weekly": with_previous()}, WEEKLY), "weekly"),
        (new_asset("new", {"derived/recording_plays": None}), "all_time"),
        (new_asset("new", {"events/raw_shares": None}), "all_time"),
        (new_asset("new", {"derived/charts_all_time": None}), "all_time"),
        (new_asset("new", {"content/recordings": None}), "build_catalog"),
        (new_asset("new", {"content/lyrics": None}, folders=("landing", "music")), "build_catalog"),
        (new_asset("new", {"content/playlists": None}), "build_catalog"),
        (new_asset("new", {}), "build_catalog"),
        (new_asset("new", {}, folders=("music",)), "analyze_music"),
        (new_asset("new", {"content/audio_features": None, "content/recordings": None}), "analyze_music"),
    ],
)
def test_the_job_of_a_new_asset_follows_from_partitions_and_parents(new: Any, job: str) -> None:
    found = cadence(new)
    assert found.jobs[dg.AssetKey(["derived", "new"])] == job
    assert {k: v for k, v in found.jobs.items() if k in CADENCE.jobs} == CADENCE.jobs  # no other table moved


def test_a_new_record_type_belongs_to_the_import_job() -> None:
    assert CADENCE.jobs[dg.AssetKey(["events", "raw_deletions"])] == "import_listens"
    assert dg.AssetKey(["events", "raw_listens"]) not in CADENCE.jobs  # no run materializes it: imports report its days


def test_the_daily_close_and_backfills_include_a_new_asset() -> None:
    looking_back = new_asset("month", {"events/listens": with_earlier(29)}, DAILY)
    after_it = new_asset("of_month", {"derived/month": None}, DAILY)
    found = cadence(after_it, looking_back, new_asset("ever", {"events/sessions": None}))
    assert {key.path[-1] for key in found.closed() - CADENCE.closed()} == {"month", "of_month", "ever"}
    names = [job.name for job in found.dated]
    assert sorted({*names} - {job.name for job in CADENCE.dated}) == ["month", "of_month"]
    assert names[0] == "daily"
    assert names.index("month") < names.index("of_month") < names.index("weekly")
    assert "month" in found.upstream("of_month")


def test_a_new_asset_gets_jobs_automation_and_freshness() -> None:
    new = new_asset("month", {"events/listens": with_earlier(29)}, DAILY)
    platform = build("laptop", [*ASSETS, new])
    key = dg.AssetKey(["derived", "month"])
    jobs = {name: platform.resolve_job_def(name).asset_layer.executable_asset_keys for name in ("month", "daily_close")}
    assert jobs["month"] == {key}
    assert key in jobs["daily_close"]
    spec = next(s for s in platform.resolve_all_asset_specs() if s.key == key)
    assert spec.automation_condition
    assert spec.freshness_policy


@pytest.mark.parametrize(
    "new",
    [
        new_asset("new", {"events/listens": None}, dg.HourlyPartitionsDefinition("2020-01-01-00:00")),
        new_asset("new", {"derived/charts_weekly": None}, PERIODS[2].partitions),
        new_asset("new", {"events/listens": dg.AllPartitionMapping()}, DAILY),
    ],
)
def test_refuses_an_asset_that_no_job_can_build(new: Any) -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="derived/new"):
        cadence(new)


# The partitions that records can change.


def test_reach_follows_from_partition_mappings() -> None:
    jobs = {job.name: (job.days, job.periods) for job in CADENCE.dated}
    charts = (Reach(1, 1), Reach(0, 1))  # listens reach a day both ways, and a chart reads the previous chart
    assert (
        jobs
        | {
            "daily": (Reach(2, 2), Reach()),  # sessions read listens of the neighboring days
            "active_listeners": (Reach(1, 1 + 29), Reach()),
            **dict.fromkeys(("weekly", "monthly", "yearly"), charts),
        }
        == jobs
    )
    further = cadence(new_asset("new", {"derived/charts_weekly": with_earlier(3)}, WEEKLY))
    assert next(job.periods for job in further.dated if job.name == "weekly") == Reach(0, 1 + 3)


def changed(job: DatedJob, first: date, last: date, today: date) -> list[date]:
    """Return the periods whose tables listens from `first` to `last` can change, one by one."""
    period = job.period

    def before(start: date) -> date:
        return period.first(start - timedelta(days=1))

    reach = range(-400, (last - first).days + 400)
    starts = sorted({period.first(first + timedelta(days=n)) for n in reach})
    a_day = timedelta(days=1)  # a record can replace a listen of a neighboring day
    found = {s for s in starts if any(first - a_day <= d <= last + a_day for d in _days(period, s))}
    if job.name == "active_listeners":  # each day counts active listeners of the last thirty days
        found |= {d + timedelta(days=n) for d in found for n in range(30)}
    else:
        found |= {s for s in starts if before(s) in found}  # a chart has the ranks of the previous period
    if job.name == "daily":
        found |= {s for s in starts if s + timedelta(days=1) in found}  # a session can last into the next day
    oldest = date.fromisoformat(period.partitions.get_first_partition_key() or "")
    return sorted(s for s in found if oldest <= s <= period.first(today))


def _days(period: Period, start: date) -> list[date]:
    return [d for n in range(period.longest) if period.first(d := start + timedelta(days=n)) == start]


def covered(period: Period, keys: dg.PartitionKeyRange) -> list[date]:
    """Return the first days of the partitions of a range."""
    return [date.fromisoformat(k) for k in period.partitions.get_partition_keys_in_range(keys)]


@given(st.dates(FIRST, TODAY), st.integers(0, 800))
@example(FIRST, 0)
@example(TODAY, 0)
@example(TODAY, 1)  # a listener's clock may be an hour ahead, so that it is the next day
@example(date(2024, 12, 31), 0)
@example(date(2024, 2, 29), 1)
def test_an_import_reaches_exactly_the_partitions_it_can_change(first: date, days: int) -> None:
    last = min(first + timedelta(days=days), TODAY + timedelta(days=1))
    for job in (job for job in CADENCE.dated if job.name in COUNTED):
        period, expected = job.period, changed(job, first, last, TODAY)
        # A listen of tomorrow may be in a period that has no partition yet. Then the current one is built.
        keys = job.reached(first, last, TODAY)
        assert covered(period, keys) == (expected or [period.first(TODAY)]), job.name


@pytest.mark.parametrize("today", [date(2026, 3, 1), date(2026, 11, 29), date(2023, 12, 31)])
def test_listens_of_tomorrow_reach_the_current_partitions(today: date) -> None:
    """On Sundays and last days of a month, a clock that is an hour ahead gives a period that has not begun."""
    tomorrow = today + timedelta(days=1)
    for job in CADENCE.dated:
        keys = job.reached(tomorrow, tomorrow, today)
        assert keys.start <= keys.end == job.period.first(today).isoformat(), job.name


@given(st.lists(st.dates(FIRST, TODAY), max_size=30))
@example([])
@example([date(2010, 1, 1), date(2024, 1, 1), date(2024, 1, 1)])
@example([date(2010, 1, 1) + timedelta(days=n) for n in range(0, 800, 5)])
def test_stretches_have_every_day_short_gaps_and_at_most_a_year(days: list[date]) -> None:
    found = stretches(days)
    assert all(sum(first <= day <= last for first, last in found) == 1 for day in days)
    assert {day for stretch in found for day in stretch} <= set(days)
    for before, after in pairwise(found):
        assert after[0] - before[1] > QUIET or (after[0] - before[0]).days >= LONG
    for first, last in found:
        assert (last - first).days < LONG
        inside = sorted({day for day in days if first <= day <= last})
        assert all(b - a <= QUIET for a, b in pairwise(inside))


@given(st.lists(st.dates(FIRST, TODAY), min_size=1, max_size=40))
@example([date(2010, 1, 4) + timedelta(days=152 * n) for n in range(36)])
@example([date(2010, 1, 1) + timedelta(days=n) for n in range(1500)])
def test_few_runs_build_all_partitions_that_changed_days_reach(days: list[date]) -> None:
    for job in CADENCE.dated:
        found = portions(job, days, TODAY)
        assert set().union(*(portion.changed for portion, _ in found)) >= set(days)
        built = [tagged_days(portion.tags) or set(days_of(keys)) for portion, keys in found]
        for first, last in days_together(days, max_length=timedelta(days=LONG)):
            reached = job.reached(first, last, TODAY)
            assert any(set(days_of(reached)) <= part for part in built)
        for (portion, keys), part in zip(found, built, strict=True):
            assert portion.days <= max(LONG if job.name == "daily" else FAR, 3 * LONG)
            assert min(part) == date.fromisoformat(keys.start)
            assert max(part) >= date.fromisoformat(keys.end)


def test_distant_listens_share_a_run_without_the_days_between() -> None:
    daily = next(job for job in CADENCE.dated if job.name == "daily")
    ((portion, keys),) = portions(daily, [date(2010, 1, 4), date(2020, 5, 6)], TODAY)
    assert portion.tags == {DAYS: "2010-01-02/2010-01-06 2020-05-04/2020-05-08"}
    assert (keys.start, keys.end) == ("2010-01-02", "2020-05-08")


def days_of(keys: dg.PartitionKeyRange) -> list[date]:
    """Return every day from the start of a range to the start of its last partition."""
    first, last = date.fromisoformat(keys.start), date.fromisoformat(keys.end)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imported", "jobs"),
    [
        ("events/raw_listens", {"daily", "active_listeners", "weekly", "monthly", "yearly", "all_time"}),
        ("events/raw_posts", {"daily"}),
        ("events/raw_shares", {"daily"}),
        ("events/raw_relationships", {"all_time"}),
        ("events/raw_tag_assignments", {"all_time"}),
    ],
)
def test_imports_make_the_jobs_downstream_stale(imported: str, jobs: set[str]) -> None:
    with dg.instance_for_test() as instance:
        event = dg.AssetMaterialization(imported.split("/"), partition="2019-05-01")
        instance.report_runless_asset_event(event)
        names = [*(job.name for job in CADENCE.dated), ALL_TIME]
        stale = {name for name in names if CADENCE.stale(instance, name)}
    assert stale & {*COUNTED, ALL_TIME} == jobs


def test_only_tables_downstream_of_an_import_are_stale() -> None:
    with dg.instance_for_test() as instance:
        for table, day in (("raw_app_events", "2019-05-01"), ("raw_posts", "2019-05-02")):
            instance.report_runless_asset_event(dg.AssetMaterialization(["events", table], partition=day))
        stale = {key.to_user_string(): days for key, days in CADENCE.stale(instance, "daily").items()}
    of_events, of_posts = {date(2019, 5, 1)}, {date(2019, 5, 2)}
    assert stale == {
        "events/daily_app_usage": of_events,
        "events/app_event_schema": of_events,
        "events/app_events": of_events,
        "events/posts": of_posts,
    }
