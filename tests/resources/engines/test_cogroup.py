"""Tables too long to lend whole are divided so that no key is in two parts."""

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

FEW = 4  # rows that are lent at once here
KEYS = pa.schema([("key0", pa.string()), ("key1", pa.int64()), ("n", pa.int64())])
keys = st.tuples(st.sampled_from(("a", "b", None)), st.sampled_from((1, 2, None)))


def order(key: tuple[object, ...]) -> str:
    return str(key)


@given(found=st.lists(keys, max_size=40).map(lambda k: sorted(k, key=order)), batch=st.integers(1, 7))
def test_parts_are_the_rows_in_order_and_no_key_is_in_two(
    found: list[tuple[str | None, int | None]], batch: int
) -> None:
    rows = pa.table([[k[0] for k in found], [k[1] for k in found], range(len(found))], schema=KEYS)
    with patch.object(resources.engines.cogroup, "ROWS", FEW):
        cut = list(parts(rows.to_batches(batch), 2))
    assert [n for part in cut for n in part["n"].to_pylist()] == list(range(len(found)))
    held = [set(zip(p["key0"].to_pylist(), p["key1"].to_pylist(), strict=True)) for p in cut]
    assert max(Counter(key for part in held for key in part).values(), default=1) == 1
    longest = max((len(list(g)) for _, g in groupby(found)), default=0)
    assert all(len(part) < 2 * (FEW + batch + longest) for part in cut)


def test_one_long_key_stays_whole_and_what_follows_is_cut_again() -> None:
    rows = pa.table([["a"] * 50 + [f"b{n}" for n in range(10, 60)], [1] * 100, range(100)], schema=KEYS)
    with patch.object(resources.engines.cogroup, "ROWS", FEW):
        sizes = [len(p) for p in parts(rows.to_batches(1), 2)]
    assert sizes[0] >= 50
    assert max(sizes[1:]) <= 2 * FEW


def test_rows_without_a_key_stay_together() -> None:
    rows = pa.table([["a", "b"] * 20, [1, 2] * 20, range(40)], schema=KEYS)
    with patch.object(resources.engines.cogroup, "ROWS", FEW):
        assert [len(p) for p in parts(rows.to_batches(3), 0)] == [40]


@pytest.fixture
def little_at_once() -> object:
    with (
        patch.object(resources.engines.cogroup, "ROWS", FEW),
        patch.object(resources.engines.pandas, "ROWS", FEW),
        patch.object(resources.engines.duckdb, "BATCH", 2),
    ):
        yield


@pytest.mark.usefixtures("little_at_once")
def test_opaque_functions_are_lent_little_at_once_and_give_the_same(local: Engine) -> None:
    lent: list[int] = []

    def look(sales: pa.Table) -> pa.Table:
        lent.append(len(sales))
        return basket(sales)

    def look_at_both(sales: pa.Table, fruits: pa.Table) -> pa.Table:
        lent.append(len(sales) + len(fruits))
        return priced(sales, fruits)

    more = [{"buyer": f"buyer {n % 50}", "fruit": n % 70, "price": n, "weight": n / 3} for n in range(400)]
    sales, fruits = table(HARD + more, SALES), table(HARD_FRUITS, FRUITS)
    got = local.from_arrow(sales).per("buyer", look, schema=BASKETS, kernel="arrow").collect(BASKETS)
    assert_same(got, basket(sales).to_pylist(), BASKETS)
    assert max(lent) < len(sales)
    lent.clear()
    both = local.from_arrow(sales).per("fruit", look_at_both, local.from_arrow(fruits), schema=PRICED, kernel="arrow")
    assert_same(both.collect(PRICED), priced(sales, fruits).to_pylist(), PRICED)
    assert max(lent) < len(sales) + len(fruits)
