"""What happens by itself: after an import the days it touched are made again, then every chart they are part of."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assets.partitions import Period
from orchestration.definitions import build
from orchestration.jobs import BY_HAND, CUMULATIVE, DATED, QUIET, following, stretches
from orchestration.sensors import follow_imports
from tests.orchestration.support import PROJECT, rows, table

FIRST, TODAY = date(2002, 10, 1), datetime.now(UTC).date()
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def changed(period: Period, first: date, last: date, today: date) -> list[date]:
    """The periods whose tables can change with listens from `first` to `last`, told one by one."""

    def before(start: date) -> date:
        return period.first(start - timedelta(days=1))

    reach = range(-400, (last - first).days + 400)
    starts = sorted({period.first(first + timedelta(days=n)) for n in reach})
    a_day = timedelta(days=1)  # as far as a record decides which listens there are
    found = {s for s in starts if any(first - a_day <= d <= last + a_day for d in _days(period, s))}
    if period.name == "actives":  # each day tells who was active in the thirty that end with it
        found |= {d + timedelta(days=n) for d in found for n in range(30)}
    else:
        found |= {s for s in starts if before(s) in found}  # a chart tells the places of the period before
    if period.name == "daily":
        found |= {s for s in starts if s + timedelta(days=1) in found}  # a session reaches into the day after it began
    assert period.partitions
    oldest = date.fromisoformat(period.partitions.get_first_partition_key() or "")
    return sorted(s for s in found if oldest <= s <= period.first(today))


def _days(period: Period, start: date) -> list[date]:
    return [d for n in range(period.longest) if period.first(d := start + timedelta(days=n)) == start]


def covered(period: Period, keys: dg.PartitionKeyRange) -> list[date]:
    """The periods of a range of partitions."""
    assert period.partitions
    return [date.fromisoformat(k) for k in period.partitions.get_partition_keys_in_range(keys)]


@given(st.dates(FIRST, TODAY), st.integers(0, 800))
@example(FIRST, 0)
@example(TODAY, 0)
@example(TODAY, 1)  # a listener's clock may be an hour ahead, and so a day
@example(date(2024, 12, 31), 0)
@example(date(2024, 2, 29), 1)
def test_an_import_is_followed_by_every_partition_it_can_change_and_no_other(first: date, days: int) -> None:
    last = min(first + timedelta(days=days), TODAY + timedelta(days=1))
    requested = dict(following(first, last, TODAY))
    assert list(requested) == ["daily", "actives", "weekly", "monthly", "yearly"]
    for period in DATED:
        wanted = changed(period, first, last, TODAY)
        # A listen of tomorrow may lie in a period without a partition yet: the current one is made instead.
        assert covered(period, requested[period.name]) == (wanted or [period.first(TODAY)]), period.name


@pytest.mark.parametrize("today", [date(2026, 3, 1), date(2026, 11, 29), date(2023, 12, 31)])
def test_listens_of_tomorrow_alone_ask_for_what_there_is_today(today: date) -> None:
    """Sundays and last days: with a clock an hour ahead, a listen may lie in a period that has not begun."""
    tomorrow = today + timedelta(days=1)
    for (name, keys), period in zip(following(tomorrow, tomorrow, today), DATED, strict=True):
        assert keys.start <= keys.end == period.first(today).isoformat(), name


@given(st.lists(st.dates(FIRST, TODAY), max_size=30))
@example([])
@example([date(2010, 1, 1), date(2024, 1, 1), date(2024, 1, 1)])
def test_stretches_hold_every_day_and_little_quiet_between(days: list[date]) -> None:
    found = stretches(days)
    assert all(sum(first <= day <= last for first, last in found) == 1 for day in days)
    assert {day for stretch in found for day in stretch} <= set(days)
    assert all(after[0] - before[1] > QUIET for before, after in pairwise(found))
    for first, last in found:
        inside = sorted({day for day in days if first <= day <= last})
        assert all(b - a <= QUIET for a, b in pairwise(inside))


# The sensor itself, on runs that really happened.


@pytest.fixture
def instance() -> dg.DagsterInstance:
    """Records of runs that nobody else sees."""
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's history of two days in two weeks, months and years."""
    monkeypatch.setenv("TUTTI_DATA", str(tmp_path / "data"))
    path = tmp_path / "endsong_0.json"
    played = {"ms_played": 60_000, "master_metadata_album_artist_name": "Clara Example"}
    path.write_text(
        json.dumps(
            [
                {"ts": "2023-12-30T12:00:00Z", "master_metadata_track_name": "Prelude", **played},
                {"ts": "2024-01-01T12:00:00Z", "master_metadata_track_name": "Fugue", **played},
            ]
        )
    )
    return path


def imported(instance: dg.DagsterInstance, path: Path, **tags: str) -> dg.ExecuteInProcessResult:
    """A run that imports a file."""
    config = {"ops": {"imports": {"config": {"files": [str(path)], "listener": "ada"}}}}
    job = build("laptop").resolve_job_def("import_listens")
    return job.execute_in_process(instance=instance, run_config=config, tags=tags)


def requested(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[dg.RunRequest]:
    """What the sensor asks for once a run has ended well."""
    context = dg.build_run_status_sensor_context(
        sensor_name="follow_imports",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_success_event(),
        repository_def=build("laptop").get_repository_def(),
    )
    return [found for found in follow_imports(context) if isinstance(found, dg.RunRequest)]


def granted(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """The run that was asked for."""
    assert request.job_name
    job = build("laptop").resolve_job_def(request.job_name)
    return job.execute_in_process(instance=instance, tags=request.tags, run_config=request.run_config)


def test_an_import_is_followed_by_its_days_and_these_by_every_chart(
    instance: dg.DagsterInstance, export: Path, tmp_path: Path
) -> None:
    (days,) = requested(instance, imported(instance, export))
    assert days.job_name == "daily"
    assert (days.tags[START], days.tags[END]) == ("2023-12-28", "2024-01-03")
    longer = requested(instance, granted(instance, days))
    assert {r.job_name: (r.tags.get(START), r.tags.get(END)) for r in longer} == {
        "actives": ("2023-12-30", "2024-01-30"),
        "weekly": ("2023-12-25", "2024-01-08"),
        "monthly": ("2023-12-01", "2024-02-01"),
        "yearly": ("2023-01-01", "2025-01-01"),
        "all_time": (None, None),
    }
    assert len({r.run_key for r in [days, *longer]}) == 6
    assert [requested(instance, granted(instance, r)) for r in longer] == [[]] * 5  # and that is all
    listened = {(r["user_id"], str(r["day"])) for r in rows(tmp_path / "data", "events/listens")}
    assert listened == {("ada", "2023-12-30"), ("ada", "2024-01-01")}
    charts = ("daily", "weekly", "monthly", "yearly", "all_time")
    places = {name: len(table(tmp_path / "data", f"derived/charts_{name}")) for name in charts}
    assert places == {"daily": 4, "weekly": 4, "monthly": 4, "yearly": 4, "all_time": 3}


@pytest.fixture
def years_apart(export: Path) -> Path:
    """The same history, and one listen many years before."""
    plays = json.loads(export.read_text())
    export.write_text(json.dumps([*plays, plays[0] | {"ts": "2011-05-01T12:00:00Z"}]))
    return export


def test_days_that_lie_years_apart_are_asked_for_apart(instance: dg.DagsterInstance, years_apart: Path) -> None:
    """A run over the years between would make thousands of days that nothing happened to."""
    found = requested(instance, imported(instance, years_apart))
    assert [(r.job_name, r.tags[START], r.tags[END]) for r in found] == [
        ("daily", "2011-04-29", "2011-05-03"),
        ("daily", "2023-12-28", "2024-01-03"),
    ]
    longer = [r for days in found for r in requested(instance, granted(instance, days))]
    assert len({r.run_key for r in [*found, *longer]}) == 2 + 2 * 4 + 1
    assert [r.job_name for r in longer].index("all_time") == len(longer) - 1  # once, when all days are done
    weeks = sorted((r.tags[START], r.tags[END]) for r in longer if r.job_name == "weekly")
    assert weeks == [("2011-04-25", "2011-05-09"), ("2023-12-25", "2024-01-08")]


def test_an_import_of_nothing_new_is_followed_by_nothing(instance: dg.DagsterInstance, export: Path) -> None:
    (days,) = requested(instance, imported(instance, export))
    for request in requested(instance, granted(instance, days)):
        granted(instance, request)
    assert requested(instance, imported(instance, export)) == []


def test_days_that_were_left_undone_are_made_up_for_by_the_next_import(
    instance: dg.DagsterInstance, export: Path
) -> None:
    (days,) = requested(instance, imported(instance, export))
    (once_more,) = requested(instance, imported(instance, export))  # the run that was asked for never happened
    assert (once_more.tags[START], once_more.tags[END]) == (days.tags[START], days.tags[END])
    assert once_more.run_key != days.run_key


def test_days_that_failed_are_not_forgotten_though_later_ones_succeeded(
    instance: dg.DagsterInstance, years_apart: Path
) -> None:
    failed, done = requested(instance, imported(instance, years_apart))
    for request in requested(instance, granted(instance, done)):
        granted(instance, request)
    (once_more,) = requested(instance, imported(instance, years_apart))
    assert (once_more.tags[START], once_more.tags[END]) == (failed.tags[START], failed.tags[END])
    followed = requested(instance, granted(instance, once_more))
    assert [r.job_name for r in followed] == ["actives", "weekly", "monthly", "yearly", "all_time"]
    for request in followed:
        granted(instance, request)
    assert requested(instance, imported(instance, years_apart)) == []


@pytest.mark.parametrize("broken", ["all_time", "monthly", "actives"])
def test_charts_that_failed_are_made_up_for_without_making_days_again(
    instance: dg.DagsterInstance, export: Path, broken: str
) -> None:
    (days,) = requested(instance, imported(instance, export))
    for request in requested(instance, granted(instance, days)):
        if request.job_name != broken:
            granted(instance, request)
    (late,) = requested(instance, imported(instance, export))
    assert late.job_name == broken
    granted(instance, late)
    assert requested(instance, imported(instance, export)) == []


def test_fresh_days_are_asked_for_at_once_and_alone_while_charts_of_all_time_fail(
    instance: dg.DagsterInstance, export: Path
) -> None:
    (days,) = requested(instance, imported(instance, export))
    for request in requested(instance, granted(instance, days)):
        if request.job_name != "all_time":
            granted(instance, request)
    plays = json.loads(export.read_text())
    export.write_text(json.dumps([*plays, plays[0] | {"ts": "2024-01-20T12:00:00Z"}]))
    found = requested(instance, imported(instance, export))
    assert [r.job_name for r in found] == ["daily"]


def test_what_reads_all_history_waits_for_the_rest_and_never_holds_every_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = build("laptop").get_repository_def()
    tags = {job.name: job.tags for job in platform.get_all_jobs()}
    assert [name for name, t in tags.items() if CUMULATIVE in t] == ["all_time"]
    assert int(tags["all_time"]["dagster/priority"]) < 0
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(PROJECT / "orchestration" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.get() as told:
        queue = told.get_concurrency_config().run_queue_config
    assert queue
    (limit,) = queue.tag_concurrency_limits
    assert (limit["key"], limit["limit"]) == (CUMULATIVE, 1)
    assert queue.max_concurrent_runs > 1


def test_runs_from_the_command_line_are_left_to_it(instance: dg.DagsterInstance, export: Path) -> None:
    assert requested(instance, imported(instance, export, **{BY_HAND: "yes"})) == []


def test_days_made_again_by_hand_in_the_browser_ask_for_nothing(instance: dg.DagsterInstance, export: Path) -> None:
    imported(instance, export)
    again = build("laptop").resolve_job_def("daily").execute_in_process(instance=instance, partition_key="2024-01-01")
    assert requested(instance, again) == []
