"""Tables too long for one call are divided so that no key is in two parts."""

from collections import Counter
from itertools import groupby
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import resources.engines.cogroup
import resources.engines.duckdb
import resources.engines.pandas
from resources.engines.cogroup import parts
from resources.frames.frame import Engine
from tests.oracle import assert_same
from tests.resources.frames.test_frame import BASKETS, FRUITS, HARD, HARD_FRUITS, PRICED, SALES, basket, priced
from tests.tables import table

FEW_ROWS = 4  # in a part
KEYS = pa.schema([("key0", pa.string()), ("key1", pa.int64()), ("n", pa.int64())])
keys = st.tuples(st.sampled_from(("a", "b", None)), st.sampled_from((1, 2, None)))


def order(key: tuple[object, ...]) -> str:
    return str(key)


@given(row_keys=st.lists(keys, max_size=40).map(lambda k: sorted(k, key=order)), batch=st.integers(1, 7))
def test_parts_keep_row_order_and_never_split_a_key(row_keys: list[tuple[str | None, int | None]], batch: int) -> None:
    rows = pa.table([[k[0] for k in row_keys], [k[1] for k in row_keys], range(len(row_keys))], schema=KEYS)
    with patch.object(resources.engines.cogroup, "PART_ROWS", FEW_ROWS):
        cut = list(parts(rows.to_batches(batch), 2))
    assert [n for part in cut for n in part["n"].to_pylist()] == list(range(len(row_keys)))
    keys_of_parts = [set(zip(p["key0"].to_pylist(), p["key1"].to_pylist(), strict=True)) for p in cut]
    assert max(Counter(key for part in keys_of_parts for key in part).values(), default=1) == 1
    longest = max((len(list(g)) for _, g in groupby(row_keys)), default=0)
    assert all(len(part) < 2 * (FEW_ROWS + batch + longest) for part in cut)


def test_long_key_stays_whole_and_later_rows_are_cut_again() -> None:
    rows = pa.table([["a"] * 50 + [f"b{n}" for n in range(10, 60)], [1] * 100, range(100)], schema=KEYS)
    with patch.object(resources.engines.cogroup, "PART_ROWS", FEW_ROWS):
        sizes = [len(p) for p in parts(rows.to_batches(1), 2)]
    assert sizes[0] >= 50
    assert max(sizes[1:]) <= 2 * FEW_ROWS


def test_rows_without_a_key_stay_together() -> None:
    rows = pa.table([["a", "b"] * 20, [1, 2] * 20, range(40)], schema=KEYS)
    with patch.object(resources.engines.cogroup, "PART_ROWS", FEW_ROWS):
        assert [len(p) for p in parts(rows.to_batches(3), 0)] == [40]


@pytest.fixture
def small_parts() -> object:
    with (
        patch.object(resources.engines.cogroup, "PART_ROWS", FEW_ROWS),
        patch.object(resources.engines.pandas, "PART_ROWS", FEW_ROWS),
        patch.object(resources.engines.duckdb, "BATCH_ROWS", 2),
    ):
        yield


@pytest.mark.usefixtures("small_parts")
def test_opaque_function_gives_the_same_result_in_small_parts(local: Engine) -> None:
    sizes: list[int] = []

    def counted_basket(sales: pa.Table) -> pa.Table:
        sizes.append(len(sales))
        return basket(sales)

    def counted_priced(sales: pa.Table, fruits: pa.Table) -> pa.Table:
        sizes.append(len(sales) + len(fruits))
        return priced(sales, fruits)

    more = [{"buyer": f"buyer {n % 50}", "fruit": n % 70, "price": n, "weight": n / 3} for n in range(400)]
    sales, fruits = table(HARD + more, SALES), table(HARD_FRUITS, FRUITS)
    got = local.from_arrow(sales).per("buyer", counted_basket, schema=BASKETS, kernel="arrow").collect(BASKETS)
    assert_same(got, basket(sales).to_pylist(), BASKETS)
    assert max(sizes) < len(sales)
    sizes.clear()
    both = local.from_arrow(sales).per("fruit", counted_priced, local.from_arrow(fruits), schema=PRICED, kernel="arrow")
    assert_same(both.collect(PRICED), priced(sales, fruits).to_pylist(), PRICED)
    assert max(sizes) < len(sales) + len(fruits)
