"""Every operation on a frame gives the same result on every engine, for any rows."""

import os
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.engines.dask import _shuffled
from resources.frames.frame import Engine, Frame, Step, conform
from resources.frames.scan import Scan
from tests.oracle import Row, assert_same
from tests.resources.frames.heavy import BASKETS, COUNTS, DEADLY, bought, fail, never_bought
from tests.tables import BEYOND, TITLES, table

SALES = pa.schema([("buyer", pa.string()), ("fruit", pa.int64()), ("price", pa.int64()), ("weight", pa.float64())])
FRUITS = pa.schema([("fruit", pa.int64()), ("called", pa.string())])
LABELLED = pa.schema([*SALES, FRUITS.field("called")])
PRICED = pa.schema([("fruit", pa.int64()), ("n", pa.int64()), ("called", pa.string())])
WEIGHTS = pa.schema([("buyer", pa.string()), ("weight", pa.float64())])
ON_DAYS = pa.schema([("day", pa.date32()), ("called", pa.string())])
BY_DAY = pa.schema([*ON_DAYS, ("n", pa.int64())])
LISTED = pa.schema([*ON_DAYS, ("fruits", pa.list_(pa.int64()))])
COUNTED = pa.schema([("day", pa.date32()), ("n", pa.int64())])
PLACES = pa.schema([("fruit", pa.int64()), ("n", pa.int64()), ("place", pa.int64())])

buyers = st.sampled_from((*TITLES[:8], None))
fruits = st.sampled_from((None, 1, 2, BEYOND))
prices = st.one_of(st.none(), st.sampled_from((0, -1, BEYOND)))
weights = st.one_of(st.none(), st.floats(0, 1e6))
sold = st.lists(
    st.builds(lambda *v: dict(zip(SALES.names, v, strict=True)), buyers, fruits, prices, weights), max_size=15
)
fruit_names = st.dictionaries(fruits, st.one_of(st.none(), st.sampled_from(TITLES)), max_size=4).map(
    lambda found: [{"fruit": f, "called": c} for f, c in found.items()]
)

HARD = [
    {"buyer": buyer, "fruit": fruit, "price": price, "weight": weight}
    for buyer, fruit, price, weight in [
        ("é", 1, BEYOND, 0.1),
        ("é", 1, BEYOND, 0.2),
        ("é", BEYOND, -1, 0.3),
        ("é", BEYOND - 1, 0, None),
        (None, 1, None, 1e-300),
        (None, None, 7, 1e300),
        ("हिन्दी", None, None, 1.5),
        ("👩‍🎤", 2, 2**62, 3.0),
    ]
    + [("many", n % 3, n, n / 7) for n in range(30)]
]
HARD_FRUITS: list[Row] = [
    {"fruit": f, "called": c} for f, c in [(1, "ß"), (BEYOND, None), (None, "nothing"), (9, "nine")]
]


@dataclass(frozen=True, repr=False)
class Way:
    """An operation on two frames, the columns of its result, and the expected result in plain Python."""

    name: str
    work: Callable[[Frame, Frame], Frame]
    schema: pa.Schema
    answer: Callable[[list[Row], list[Row]], list[Row]]

    def __repr__(self) -> str:
        return self.name


def label(sales: nw.LazyFrame, fruits: nw.LazyFrame) -> nw.LazyFrame:
    return sales.join(fruits, on="fruit", how="left").select(LABELLED.names)


def known(sales: nw.LazyFrame, fruits: nw.LazyFrame) -> nw.LazyFrame:
    return sales.filter(nw.col("price") >= 0).join(fruits, on="fruit", how="inner").select(LABELLED.names)


def basket(sales: pa.Table) -> pa.Table:
    """Return the fruits and the sum paid of each buyer (opaque, whole keys)."""
    fruits: dict[Any, list[int]] = {}
    paid: Counter[Any] = Counter()
    for buyer, fruit, price in zip(*(sales[c].to_pylist() for c in ("buyer", "fruit", "price")), strict=True):
        fruits.setdefault(buyer, []).extend([fruit] if fruit is not None else [])
        paid[buyer] += price or 0
    return table([{"buyer": b, "fruits": sorted(f), "paid": paid[b]} for b, f in fruits.items()], BASKETS)


def priced(sales: pa.Table, fruits: pa.Table) -> pa.Table:
    """Return the number of sales and the name of each fruit (opaque, equal keys of two tables)."""
    n = Counter(sales["fruit"].to_pylist())
    called = dict(zip(fruits["fruit"].to_pylist(), fruits["called"].to_pylist(), strict=True))
    return table([{"fruit": f, "n": n[f], "called": called.get(f)} for f in {*n, *called}], PRICED)


def dearer(sales: pa.Table, fruits: pa.Table) -> pa.Table:
    """Add the length of the small table to each price (opaque, any rows)."""
    by = len(fruits)
    price = pc.add(pc.fill_null(sales["price"], 0), by)
    return sales.set_column(2, SALES.field("price"), price).cast(SALES)


def one_each(sales: nw.LazyFrame) -> nw.LazyFrame:
    return sales.group_by("buyer").agg(n=nw.len(), price=nw.col("price").sum())


def as_counts(sales: nw.LazyFrame) -> nw.LazyFrame:
    return sales.with_columns(n=nw.lit(1)).select("buyer", "n", "price")


def add_up(counts: nw.LazyFrame) -> nw.LazyFrame:
    return counts.group_by("buyer").agg(nw.col("n").sum(), nw.col("price").sum())


def weigh(sales: nw.LazyFrame) -> nw.LazyFrame:
    return sales.group_by("buyer").agg(nw.col("weight").sum())


def count_fruits(sales: nw.LazyFrame) -> nw.LazyFrame:
    return sales.group_by("fruit").agg(n=nw.len())


def place(counts: nw.LazyFrame) -> nw.LazyFrame:
    """Number the fruits, the most sold first (all rows together)."""
    rows = counts.filter(~nw.col("fruit").is_null()).with_columns(one=nw.lit(1), down=-nw.col("n").cast(nw.Int64))
    return rows.with_columns(place=nw.col("one").cum_sum().over(order_by=["down", "fruit"])).select(PLACES.names)


def all_labelled(sales: list[Row], fruits: list[Row]) -> list[Row]:
    names = {r["fruit"]: r["called"] for r in fruits if r["fruit"] is not None}
    return [r | {"called": names.get(r["fruit"])} for r in sales]


def known_labelled(sales: list[Row], fruits: list[Row]) -> list[Row]:
    known_fruits = {r["fruit"] for r in fruits} - {None}
    return all_labelled(
        [r for r in sales if r["price"] is not None and r["price"] >= 0 and r["fruit"] in known_fruits], fruits
    )


def counted(sales: list[Row]) -> list[Row]:
    return [
        {
            "buyer": buyer,
            "n": sum(r["buyer"] == buyer for r in sales),
            "price": sum(r["price"] or 0 for r in sales if r["buyer"] == buyer),
        }
        for buyer in {r["buyer"] for r in sales}
    ]


def placed(sales: list[Row]) -> list[Row]:
    n = Counter(r["fruit"] for r in sales if r["fruit"] is not None)
    order = sorted(n, key=lambda f: (-n[f], f))
    return [{"fruit": f, "n": n[f], "place": i} for i, f in enumerate(order, start=1)]


def combined_in_parts(sales: Frame, fruits: Frame) -> Frame:
    """Count before the shuffle, then add up: the result is that of counting once."""
    return sales.map(as_counts).per("buyer", add_up, combine=add_up)


def on_days(sales: pa.Table) -> pa.Table:
    """Turn small fruit numbers into days and others into nulls (opaque, any rows)."""
    days = pc.if_else(pc.less(sales["fruit"], 9), sales["fruit"], None)
    return pa.table([days.cast(pa.int32()).cast(pa.date32()), sales["called"]], schema=ON_DAYS)


def count_days(sales: nw.LazyFrame) -> nw.LazyFrame:
    return sales.group_by("day", "called").agg(n=nw.len())


def counted_by_day(sales: Frame, fruits: Frame) -> Frame:
    """Group by a date after a join of two tables by another key."""
    labeled = sales.per("fruit", label, fruits).map(on_days, schema=ON_DAYS, kernel="arrow")
    return labeled.per(["day", "called"], count_days)


def all_counted_by_day(sales: list[Row], fruits: list[Row]) -> list[Row]:
    n = Counter(map(tuple, (r.values() for r in on_days(table(all_labelled(sales, fruits), LABELLED)).to_pylist())))
    return [{"day": day, "called": called, "n": n[day, called]} for day, called in n]


def label_all(sales: nw.LazyFrame, fruits: nw.LazyFrame) -> nw.LazyFrame:
    return sales.join(fruits, on="fruit", how="left").select("fruit", "called", "fruits")


def on_day(sales: pa.Table) -> pa.Table:
    return on_days(sales).append_column("fruits", sales["fruits"]).cast(LISTED)


def count_day(sales: nw.LazyFrame) -> nw.LazyFrame:
    return sales.group_by("day").agg(n=nw.len())


def persisted(sales: Frame, fruits: Frame) -> Frame:
    """Compute rows once for two uses."""
    once = sales.per("buyer", one_each).persist()
    return once.concat(once)


WAYS = (
    Way("equal keys of two tables together", lambda s, f: s.per("fruit", label, f), LABELLED, all_labelled),
    Way("a small table sent along", lambda s, f: s.map(known, broadcast=[f]), LABELLED, known_labelled),
    Way(
        "an opaque function of whole keys",
        lambda s, f: s.per("buyer", basket, schema=BASKETS, kernel="arrow"),
        BASKETS,
        lambda s, f: basket(table(s, SALES)).to_pylist(),
    ),
    Way(
        "an opaque function of rows with a small table sent along",
        lambda s, f: s.map(dearer, broadcast=[f], schema=SALES, kernel="arrow"),
        SALES,
        lambda s, f: [r | {"price": (r["price"] or 0) + len(f)} for r in s],
    ),
    Way(
        "an opaque function of equal keys of two tables together",
        lambda s, f: s.per("fruit", priced, f, schema=PRICED, kernel="arrow"),
        PRICED,
        lambda s, f: priced(table(s, SALES), table(f, FRUITS)).to_pylist(),
    ),
    Way("rows that shrink before they travel", combined_in_parts, COUNTS, lambda s, f: counted(s)),
    Way("all rows together", lambda s, f: s.per("fruit", count_fruits).per([], place), PLACES, lambda s, f: placed(s)),
    Way("dates as keys, after two tables came together", counted_by_day, BY_DAY, all_counted_by_day),
    Way("one table below another", lambda s, f: s.concat(s), SALES, lambda s, f: s + s),
    Way("rows computed once for two uses", persisted, COUNTS, lambda s, f: counted(s) * 2),
    Way(
        "some columns",
        lambda s, f: s.select("price", "buyer"),
        pa.schema([SALES.field(2), SALES.field(0)]),
        lambda s, f: s,
    ),
    Way(
        "fractions",
        lambda s, f: s.per("buyer", weigh),
        WEIGHTS,
        lambda s, f: [
            {"buyer": b, "weight": sum(r["weight"] or 0 for r in s if r["buyer"] == b)} for b in {r["buyer"] for r in s}
        ],
    ),
)
every_way = pytest.mark.parametrize("way", WAYS, ids=str)


@every_way
@given(sales=sold, fruits=fruit_names)
def test_operation_on_any_rows_equals_plain_python(
    way: Way, local: Engine, sales: list[Row], fruits: list[Row]
) -> None:
    check(way, local, sales, fruits)


@every_way
@pytest.mark.parametrize("sales", [[], HARD[:1], HARD], ids=["no rows", "a single row", "hard rows"])
def test_operation_on_hard_rows_equals_plain_python(way: Way, engine: Engine, sales: list[Row]) -> None:
    check(way, engine, sales, HARD_FRUITS)


def test_operation_with_an_empty_second_table(engine: Engine) -> None:
    for way in (w for w in WAYS if "small" in w.name or "two tables" in w.name):
        check(way, engine, HARD, [])


def check(way: Way, engine: Engine, sales: list[Row], fruits: list[Row]) -> None:
    got = way.work(engine.from_arrow(table(sales, SALES)), engine.from_arrow(table(fruits, FRUITS))).collect(way.schema)
    assert_same(got, way.answer(sales, fruits), way.schema)


@pytest.mark.cluster
@pytest.mark.dask
def test_dask_shuffles_each_table_once_by_dates_and_with_lists(dask: Engine) -> None:
    baskets = SALES.append(pa.field("fruits", pa.list_(pa.int64())))
    rows = dask.from_arrow(table([r | {"fruits": [1, 2]} for r in HARD], baskets))
    labeled = rows.per("fruit", label_all, dask.from_arrow(table(HARD_FRUITS, FRUITS)))
    counts = labeled.map(on_day, schema=LISTED, kernel="arrow").per("day", count_day)
    shuffles = [step for step in counts.native.optimize(fuse=False).expr.walk() if "Shuffle" in type(step).__name__]
    assert len({step._name for step in shuffles}) == 3
    assert sum(counts.collect(COUNTED)["n"].to_pylist()) == len(HARD)


def test_columns_are_known_without_computing_a_row(engine: Engine) -> None:
    sales = engine.from_arrow(table(HARD, SALES))
    assert sales.per("fruit", label, engine.from_arrow(table(HARD_FRUITS, FRUITS))).columns == LABELLED.names
    assert sales.map(basket, schema=BASKETS, kernel="arrow").columns == BASKETS.names


def test_missing_key_column_is_refused_before_work_begins(engine: Engine) -> None:
    sales, fruits = engine.from_arrow(table(HARD, SALES)), engine.from_arrow(table(HARD_FRUITS, FRUITS))
    with pytest.raises(KeyError, match=r"label .*\['buyer'\].*\['fruit', 'called'\]"):
        sales.per("buyer", label, fruits)
    with pytest.raises(KeyError, match="cannot append"):
        sales.concat(fruits)


def test_opaque_function_must_declare_its_columns(pandas: Engine) -> None:
    with pytest.raises(ValueError, match=r"basket.*schema"):
        pandas.from_arrow(table(HARD, SALES)).map(basket, kernel="arrow")
    with pytest.raises(ValueError, match="basket"):
        Step(partial(basket), kernel="arrow")


def lack(sales: pa.Table) -> pa.Table:
    return sales.select(["buyer"])


@pytest.mark.parametrize("of", ["rows", "keys"])
def test_error_of_an_opaque_function_reaches_the_caller(engine: Engine, of: str) -> None:
    with pytest.raises(Exception, match="the scales are broken"):
        opaque(engine, fail, of).collect()


@pytest.mark.parametrize("of", ["rows", "keys"])
def test_missing_declared_columns_are_named(engine: Engine, of: str) -> None:
    with pytest.raises(Exception, match=r"\['fruits', 'paid'\].*\['buyer'\]"):
        opaque(engine, lack, of).collect()


@pytest.mark.process
def test_crash_of_a_worker_process_costs_only_its_row(engine: Engine) -> None:
    sales, fruits = engine.from_arrow(table(HARD, SALES)), table(HARD_FRUITS, FRUITS)
    collected = sales.map(bought, broadcast=[fruits], schema=COUNTS, kernel="arrow", on_crash=never_bought).collect(
        COUNTS
    )
    rows = collected.to_pylist()
    killed = [r for r in HARD if r["price"] == DEADLY]
    assert killed
    reasons = [r["buyer"] for r in rows if r["n"] is None]
    assert len(reasons) == len(killed)
    assert all("SIGKILL" in reason for reason in reasons)
    assert Counter(r["price"] for r in rows if r["n"]) == Counter(r["price"] for r in HARD if r not in killed)
    assert {r["buyer"][-1] for r in rows if r["n"]} == {"4"}
    assert os.getpid() not in {r["n"] for r in rows}


def test_heavy_work_on_no_rows_returns_no_rows(engine: Engine) -> None:
    nothing = engine.from_arrow(table([], SALES)).map(lack, schema=COUNTS, kernel="arrow", on_crash=never_bought)
    assert nothing.collect(COUNTS) == COUNTS.empty_table()


@pytest.mark.process
def test_error_of_heavy_work_reaches_the_caller(engine: Engine) -> None:
    with pytest.raises(Exception, match="the scales are broken"):
        engine.from_arrow(table(HARD, SALES)).map(fail, schema=BASKETS, kernel="arrow", on_crash=never_bought).collect()


def test_only_opaque_functions_run_in_worker_processes() -> None:
    with pytest.raises(ValueError, match="one_each"):
        Step(one_each, on_crash=never_bought)


def opaque(engine: Engine, fn: Callable[[pa.Table], pa.Table], of: str) -> Frame:
    sales = engine.from_arrow(table(HARD, SALES))
    if of == "rows":
        return sales.map(fn, schema=BASKETS, kernel="arrow")
    return sales.per("buyer", fn, schema=BASKETS, kernel="arrow")


def test_persisted_rows_are_computed_once(engine: Engine, tmp_path: Path) -> None:
    persisted = (
        engine.from_arrow(table(HARD, SALES))
        .map(partial(leave_a_trace, folder=str(tmp_path)), schema=SALES, kernel="arrow")
        .persist()
    )
    assert len(persisted.collect()) == len(HARD)
    before = len(list(tmp_path.iterdir()))
    assert len(persisted.select("buyer").collect()) == len(persisted.collect()) == len(HARD)
    assert len(list(tmp_path.iterdir())) == before > 0


def test_persisted_rows_outlive_their_source_file(local: Engine, tmp_path: Path) -> None:
    file = tmp_path / "sales.parquet"
    pq.write_table(table(HARD, SALES), file)
    persisted = local.read(Scan([str(file)], SALES)).per("buyer", one_each).persist()
    file.unlink()
    assert_same(persisted.collect(COUNTS), counted(HARD), COUNTS)


def leave_a_trace(sales: pa.Table, folder: str) -> pa.Table:
    if len(sales):
        Path(folder, uuid.uuid4().hex).touch()
    return sales


def test_conform_casts_only_without_loss() -> None:
    small = pa.schema([("a", pa.int64())])
    assert conform(pa.table({"b": ["x"], "a": pa.array([1.0])}), small).to_pydict() == {"a": [1]}
    for wrong in (pa.array([1.5]), pa.array([2.0**64]), pa.array(["one"]), pa.array([2**64 - 1], pa.uint64())):
        with pytest.raises(pa.ArrowInvalid):
            conform(pa.table({"a": wrong}), small)


@pytest.mark.cluster
@pytest.mark.dask
def test_text_stays_arrow_in_a_dask_shuffle(dask: Engine) -> None:
    """As Python objects it takes two to five times the memory, enough to kill workers."""
    words = pa.table(
        {"n": pa.array(range(400), pa.int64()), "word": [None if i % 7 == 0 else str(i) for i in range(400)]}
    )
    shuffled = _shuffled(dask.from_arrow(words).native, ["n"], 3)
    arrived = dict(
        shuffled.map_partitions(types_of, meta={"name": object, "type": object}).compute().to_numpy().tolist()
    )
    assert arrived == {"n": "int64[pyarrow]", "word": "string[pyarrow]"}


def types_of(partition: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"name": [*partition.columns], "type": [type_name(t) for t in partition.dtypes]})


def type_name(dtype: object) -> str:
    """Return the name of a type; pandas' own text type has the same name as Arrow's, so it gets a prefix."""
    return str(dtype) if isinstance(dtype, pd.ArrowDtype) else f"pandas {dtype}"
