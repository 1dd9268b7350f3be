"""Ranges of partitions are the subsets that Dagster makes of them by itself."""

from datetime import UTC, date, datetime
from itertools import pairwise

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.subset import PartitionsSubset
from hypothesis import given
from hypothesis import strategies as st

from assets.partitions import DAY, PERIODS, Period
from orchestration.instance.partition_ranges import quicken
from tests.examples import examples

quicken()
KEYS = {period.name: period.partitions.get_partition_keys() for period in PERIODS}


@examples(8)
@given(period=st.sampled_from(PERIODS), data=st.data())
def test_a_range_is_the_subset_that_dagster_makes(period: Period, data: st.DataObject) -> None:
    keys, of = KEYS[period.name], period.partitions
    ends = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(keys) - 1)])))
    wanted = dg.PartitionKeyRange(keys[ends[0]], keys[ends[1]])
    found = of.empty_subset().with_partition_key_range(of, wanted)
    assert found == PartitionsSubset.with_partition_key_range(of.empty_subset(), of, wanted)
    assert list(found.get_partition_keys()) == keys[ends[0] : ends[1] + 1]
    assert len(found) == ends[1] - ends[0] + 1


def test_a_range_is_added_to_what_a_subset_has() -> None:
    of = DAY.partitions
    some = of.subset_with_partition_keys(["2010-01-01", "2010-03-05"])
    both = some.with_partition_key_range(of, dg.PartitionKeyRange("2010-03-04", "2010-03-06"))
    assert list(both.get_partition_keys()) == ["2010-01-01", "2010-03-04", "2010-03-05", "2010-03-06"]


@pytest.mark.parametrize("at", [None, datetime(2002, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 12, tzinfo=UTC)])
@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
def test_all_partitions_are_those_that_there_are_at_a_time(period: Period, at: datetime | None) -> None:
    found = period.partitions.get_partition_keys(at)
    with partition_loading_context(at, None):
        starts = [date.fromisoformat(key) for key in found]
        assert all(period.following(before) == after for before, after in pairwise(starts))
        ends = period.partitions.get_first_partition_key(), period.partitions.get_last_partition_key()
    assert (found[0], found[-1]) == ends if found else ends == (None, None)


@pytest.mark.parametrize("ends", [("1999-01-01", "2010-01-01"), ("2010-01-01", "2050-01-01")])
def test_days_that_there_are_not_are_refused_or_left_out_as_by_dagster(ends: tuple[str, str]) -> None:
    of, wanted = DAY.partitions, dg.PartitionKeyRange(*ends)

    def outcome(method: object) -> object:
        try:
            return method(of.empty_subset(), of, wanted)  # type: ignore[operator]
        except Exception as error:
            return type(error)

    assert outcome(type(of.empty_subset()).with_partition_key_range) == outcome(
        PartitionsSubset.with_partition_key_range
    )
