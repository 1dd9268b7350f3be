"""Jobs: the partitions that listens of some days can change, and stretches of days that one run makes."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import dagster as dg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assets.partitions import Period
from orchestration.cadence import DATED, LONG, QUIET, owed, reached, stretches
from orchestration.definitions import build

FIRST, TODAY = date(2002, 10, 1), datetime.now(UTC).date()


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
    for period in DATED:
        wanted = changed(period, first, last, TODAY)
        # A listen of tomorrow may lie in a period without a partition yet: the current one is made instead.
        keys = reached(period, first, last, TODAY)
        assert covered(period, keys) == (wanted or [period.first(TODAY)]), period.name


@pytest.mark.parametrize("today", [date(2026, 3, 1), date(2026, 11, 29), date(2023, 12, 31)])
def test_listens_of_tomorrow_alone_ask_for_what_there_is_today(today: date) -> None:
    """Sundays and last days: with a clock an hour ahead, a listen may lie in a period that has not begun."""
    tomorrow = today + timedelta(days=1)
    for period in DATED:
        keys = reached(period, tomorrow, tomorrow, today)
        assert keys.start <= keys.end == period.first(today).isoformat(), period.name


@given(st.lists(st.dates(FIRST, TODAY), max_size=30))
@example([])
@example([date(2010, 1, 1), date(2024, 1, 1), date(2024, 1, 1)])
@example([date(2010, 1, 1) + timedelta(days=n) for n in range(0, 800, 5)])
def test_stretches_hold_every_day_little_quiet_between_and_a_year_at_most(days: list[date]) -> None:
    found = stretches(days)
    assert all(sum(first <= day <= last for first, last in found) == 1 for day in days)
    assert {day for stretch in found for day in stretch} <= set(days)
    for before, after in pairwise(found):
        assert after[0] - before[1] > QUIET or (after[0] - before[0]).days >= LONG
    for first, last in found:
        assert (last - first).days < LONG
        inside = sorted({day for day in days if first <= day <= last})
        assert all(b - a <= QUIET for a, b in pairwise(inside))


@pytest.mark.parametrize(
    ("imported", "jobs"),
    [
        ("events/raw_listens", {"daily", "actives", "weekly", "monthly", "yearly", "all_time"}),
        ("events/raw_posts", {"daily"}),
        ("events/raw_shares", {"daily"}),
        ("events/relations", {"all_time"}),
        ("events/raw_taggings", {"all_time"}),
    ],
)
def test_a_job_is_owed_what_was_imported_into_the_tables_its_own_are_made_of(imported: str, jobs: set[str]) -> None:
    defs = build("laptop")
    graph = defs.resolve_asset_graph()
    with dg.instance_for_test() as instance:
        told = dg.AssetMaterialization(imported.split("/"), partition="2019-05-01")
        instance.report_runless_asset_event(told)
        names = [*(p.name for p in DATED), "all_time"]
        found = {name for name in names if owed(instance, graph, defs.resolve_job_def(name))}
    assert found == jobs
