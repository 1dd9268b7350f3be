"""Partition ranges equal the subsets that Dagster computes by itself."""

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
def test_a_range_equals_dagsters_subset(period: Period, data: st.DataObject) -> None:
    keys, definition = KEYS[period.name], period.partitions
    ends = sorted(data.draw(st.tuples(*2 * [st.integers(0, len(keys) - 1)])))
    key_range = dg.PartitionKeyRange(keys[ends[0]], keys[ends[1]])
    subset = definition.empty_subset().with_partition_key_range(definition, key_range)
    assert subset == PartitionsSubset.with_partition_key_range(definition.empty_subset(), definition, key_range)
    assert list(subset.get_partition_keys()) == keys[ends[0] : ends[1] + 1]
    assert len(subset) == ends[1] - ends[0] + 1


def test_a_range_is_added_to_a_subset() -> None:
    definition = DAY.partitions
    some = definition.subset_with_partition_keys(["2010-01-01", "2010-03-05"])
    both = some.with_partition_key_range(definition, dg.PartitionKeyRange("2010-03-04", "2010-03-06"))
    assert list(both.get_partition_keys()) == ["2010-01-01", "2010-03-04", "2010-03-05", "2010-03-06"]


@pytest.mark.parametrize("at", [None, datetime(2002, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 12, tzinfo=UTC)])
@pytest.mark.parametrize("period", PERIODS, ids=lambda period: period.name)
def test_lists_the_partitions_that_exist_at_a_time(period: Period, at: datetime | None) -> None:
    found = period.partitions.get_partition_keys(at)
    with partition_loading_context(at, None):
        starts = [date.fromisoformat(key) for key in found]
        assert all(period.following(before) == after for before, after in pairwise(starts))
        ends = period.partitions.get_first_partition_key(), period.partitions.get_last_partition_key()
    assert (found[0], found[-1]) == ends if found else ends == (None, None)


@pytest.mark.parametrize("ends", [("1999-01-01", "2010-01-01"), ("2010-01-01", "2050-01-01")])
def test_missing_days_are_handled_as_by_dagster(ends: tuple[str, str]) -> None:
    definition, key_range = DAY.partitions, dg.PartitionKeyRange(*ends)

    def outcome(method: object) -> object:
        try:
            return method(definition.empty_subset(), definition, key_range)  # type: ignore[operator]
        except Exception as error:
            return type(error)

    assert outcome(type(definition.empty_subset()).with_partition_key_range) == outcome(
        PartitionsSubset.with_partition_key_range
    )
