"""Checks: what must be true of a table before anything is built on it.

All checks of a table are computed in one step, with one pass over its rows for those that add up what is wrong with
single rows. Each has a result of its own and blocks downstream assets while it fails. The offending rows stay in the
table for inspection, and the version before it can still be read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.partitions import FIRST_DAY, Period, dates
from resources.frames.filters import RangeFilter
from resources.frames.frame import Frame, Kernel
from resources.frames.windows import windowed
from resources.lake.io_manager import LakeIO
from resources.schema import declared, key, subset
from resources.sources.records.listen import CLOCK_SKEW, MBID

COUNT = pa.schema([("rows", pa.int64())])
ONLY_DAYS = pa.schema([("day", pa.date32())])  # the columns needed of another table to count its rows
DAYS_AND_TIME = pa.schema([*ONLY_DAYS, ("ms_played", pa.int64())])  # and to add up the time listened
UUID = f"^{MBID.pattern}$"

Figures: TypeAlias = dict[str, int]  # numbers by what they count, shown with a check's result
Build: TypeAlias = Callable[[], nw.Expr]  # builds an expression; unlike the expression it can be pickled


@dataclass(frozen=True)
class Sum:
    """A sum over the rows of a table: the columns it needs and how to add them up.

    `of` builds a Narwhals expression, or adds up a `pyarrow.Table` itself if its kernel is "arrow". Sums of parts of
    the rows add up to the sum of all.
    """

    of: Callable[..., Any]
    columns: Sequence[str] = ()
    kernel: Kernel = "narwhals"


@dataclass(frozen=True)
class Table:
    """The rows under check, and the other tables that its checks compare them with."""

    rows: Frame
    open: Callable[[dg.AssetKey, pa.Schema, RangeFilter | None], Frame]
    dates: tuple[date, date] | None  # with which the first and the last partition begin

    @property
    def days(self) -> RangeFilter | None:
        """The days of a daily table's partitions."""
        return RangeFilter("day", *self.dates) if self.dates else None


@dataclass(frozen=True)
class Check:
    """A promise about a table.

    The figures of a check are its `sums` by name, or what `examine` makes of the table and these. By default it passes
    if all its figures are zero.
    """

    name: str
    description: str
    sums: Mapping[str, Sum]
    examine: Callable[[Table, Figures], Figures] = lambda table, sums: sums
    passes: Callable[[Figures], bool] = lambda figures: not any(figures.values())
    reads: Sequence[dg.AssetKey] = ()
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def checks_of(asset: dg.AssetsDefinition | dg.AssetSpec, *more: Check) -> dg.AssetChecksDefinition:
    """Return all checks of an asset as one step: `unique` and `complete`, which it declares, and `more`."""
    spec = asset if isinstance(asset, dg.AssetSpec) else asset.get_asset_spec()
    checks = [unique(*key(spec.metadata)), _complete(declared(spec.metadata)), *more]
    specs = [
        dg.AssetCheckSpec(
            check.name,
            asset=spec.key,
            description=check.description,
            blocking=True,
            partitions_def=spec.partitions_def,
            additional_deps=check.reads,
        )
        for check in checks
    ]

    @dg.multi_asset_check(
        name=f"{spec.key.to_python_identifier()}_checks",
        specs=specs,
        ins={"rows": dg.AssetIn(spec.key)},
        can_subset=True,
    )
    def check_table(
        context: dg.AssetCheckExecutionContext, rows: Frame, io_manager: dg.ResourceParam[LakeIO]
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = [c for c in checks if dg.AssetCheckKey(spec.key, c.name) in context.selected_asset_check_keys]
        within = dates(context.partition_key_range) if spec.partitions_def else None
        table = Table(rows, io_manager.open, within)
        sums = iter(add_up(rows, [each for check in wanted for each in check.sums.values()]))
        for check in wanted:
            figures = check.examine(table, {name: next(sums) for name in check.sums})
            yield dg.AssetCheckResult(
                asset_key=spec.key,
                check_name=check.name,
                passed=check.passes(figures),
                severity=check.severity,
                metadata=figures,
            )

    return check_table


def unique(*key: str, among: str | None = None) -> Check:
    """No two rows have the same key; with `among`, no two that have a key and for which that column is true.

    Raises `ValueError` without a key.
    """
    if not key:
        raise ValueError("no key to check: declare the asset with one, as in declare(SCHEMA, key=[…])")

    def repeated(table: Table, _: Figures) -> Figures:
        rows = table.rows.select(*key)
        if among:
            rows = table.rows.select(*key, among).map(partial(_true, column=among, key=key))
        return {"offending_rows": total(rows.per(list(key), partial(_repeated, key=key)))}

    says = f"No two {f'{among} rows' if among else 'rows'} have the same {', '.join(key)}."
    return Check(f"unique_{among}" if among else "unique", says, {}, repeated)


def timestamp_in_partition(instant: str) -> Check:
    """Every instant is within its day, and none is before the first day there is or in the future."""
    outside = Sum(partial(_outside, instant=instant), ["day", instant], "arrow")
    says = f"Every {instant} is within its UTC day, none before {FIRST_DAY} or in the future."
    return Check("timestamp_in_partition", says, {"offending_rows": outside})


def well_formed(*columns: str) -> Check:
    """Every id is a UUID, as MusicBrainz ids are and ours of names."""
    return Check("well_formed", f"Every {', '.join(columns)} is a UUID.", {"offending_rows": _malformed(*columns)})


def accepted_values(column: str, *values: int) -> Check:
    """Every value is one of a few."""
    says = f"Every {column} is one of {', '.join(map(str, values))}."
    return _right("accepted_values", says, partial(_other, column, values), column)


def expression_is_true(says: str, wrong: Build, *columns: str) -> Check:
    """No row is `wrong`, an expression over these columns; `says` describes the others."""
    return _right("expression_is_true", says, wrong, *columns)


def in_range(ranges: Mapping[str, tuple[float, float]]) -> Check:
    """Every value is in the range of its column, ends included, or is null."""
    says = "; ".join(f"{low:,} ≤ {column} ≤ {high:,}" for column, (low, high) in ranges.items())
    return _right("in_range", f"In every row {says}, or null.", partial(_beyond, ranges), *ranges)


def exactly_one_set(one: str, other: str) -> Check:
    """Every row has a value in exactly one of two columns."""
    says = f"Every row has either {one} or {other}."
    return _right("exactly_one_set", says, partial(_neither_nor_both, one, other), one, other)


def ascending(*chains: Sequence[str]) -> Check:
    """In no row is a column of a chain greater than the next."""
    says = "; ".join(" ≤ ".join(chain) for chain in chains)
    columns = dict.fromkeys(c for chain in chains for c in chain)
    return _right("ascending", f"In every row {says}.", partial(_descending, chains), *columns)


def error_rate(column: str, share: float) -> Check:
    """At most a share of the rows have something in a column that names an error. More are a warning."""
    wrong = f"rows_with_{column}"
    return Check(
        "error_rate",
        f"At most {share:.0%} of the rows have a value in {column}; more are a warning.",
        {wrong: number(partial(_present, column), column), "rows": ROWS},
        passes=lambda figures: figures[wrong] <= share * figures["rows"],
        severity=dg.AssetCheckSeverity.WARN,
    )


def monotonic(column: str, key: str, order: str) -> Check:
    """Among the rows of a key no value is smaller than that of the row before; rows without one are skipped."""

    def falling(table: Table, _: Figures) -> Figures:
        known = table.rows.select(key, order, column).map(partial(_known, column=column))
        return {"offending_rows": total(known.per(key, partial(_falling, column=column, key=key, order=order)))}

    return Check("monotonic", f"By {order}, no {column} of a {key} is smaller than the one before.", {}, falling)


def covers_upstream(upstream: dg.AssetKey, schema: pa.Schema, key: str) -> Check:
    """Every key of another table is a key of this table."""

    def absent(table: Table, _: Figures) -> Figures:
        source = table.open(upstream, subset(schema, [key]), None)
        return {"missing_rows": total(source.per(key, partial(_absent, key=key), table.rows.select(key)).map(count))}

    return Check("covers_upstream", f"Every {key} of {'/'.join(upstream.path)} is here.", {}, absent, reads=[upstream])


def valid_recording_id(catalog: dg.AssetKey) -> Check:
    """Every recording id is a UUID; ids that the catalog lacks are allowed, and counted."""
    malformed, id = "malformed_rows", "recording_id"

    def unknown(table: Table, sums: Figures) -> Figures:
        recordings = table.open(catalog, pa.schema([(id, pa.string())]), None)
        missing = table.rows.select(id).per(id, partial(_absent, key=id), recordings)
        return sums | {"rows_without_catalog_entry": total(missing.map(count))}

    return Check(
        "valid_recording_id",
        "Every recording_id is a UUID. Those without a row in the catalog are allowed and counted.",
        {malformed: _malformed(id)},
        unknown,
        lambda figures: not figures[malformed],
        [catalog],
    )


def row_count_reconciles(raw: dg.AssetKey, replaced: dg.AssetKey) -> Check:
    """Every raw record of these days is a row of this table, or was replaced by another record: none is lost."""

    def lost(table: Table, sums: Figures) -> Figures:
        tables = (("raw_rows", raw), ("duplicate_rows", replaced))
        there = {what: add_up(table.open(key, ONLY_DAYS, table.days), [ROWS])[0] for what, key in tables}
        return there | sums | {"rows_lost": there["raw_rows"] - there["duplicate_rows"] - sums["rows_here"]}

    return Check(
        "row_count_reconciles",
        f"Rows here and in {'/'.join(replaced.path)} are as many as in {'/'.join(raw.path)}.",
        {"rows_here": ROWS},
        lost,
        lambda figures: not figures["rows_lost"],
        [raw, replaced],
    )


def keys_match_upstream(upstream: dg.AssetKey, schema: pa.Schema, *key: str) -> Check:
    """Every key of another table on these days is a key of this one: with `unique`, none is lost or counts twice."""

    def keys(table: Table, _: Figures) -> Figures:
        there = table.open(upstream, subset(schema, key), table.days)
        return {
            where: total(rows.select(*key).per(list(key), partial(distinct, key=key)).map(count))
            for where, rows in (("keys_here", table.rows), ("keys_there", there))
        }

    return Check(
        "keys_match_upstream",
        f"There are as many {', '.join(key)} here as in {'/'.join(upstream.path)}.",
        {},
        keys,
        lambda figures: figures["keys_here"] == figures["keys_there"],
        [upstream],
    )


def sums_match_upstream(
    upstream: dg.AssetKey,
    schema: pa.Schema,
    sums: Mapping[str, tuple[Sum, Sum]],
    period: Period | None = None,
    shows: Mapping[str, Sum] | None = None,
) -> Check:
    """This table adds up to the same as the table it is built from, on the same days.

    `sums` gives, by what is added up, a sum of this table and one of the other. The sums that it `shows` beside them
    may have any value.
    """

    def compared(table: Table, here: Figures) -> Figures:
        # Dagster maps the inputs of checks without their mapping, and would ask for the days of a year to come.
        days = None
        if period and table.dates:
            first, start = table.dates
            days = RangeFilter("day", first, period.following(start) - timedelta(days=1))
        there = add_up(table.open(upstream, schema, days), [theirs for _, theirs in sums.values()])
        return here | {f"{what}_there": n for what, n in zip(sums, there, strict=True)}

    return Check(
        "sums_match_upstream",
        f"The {' and '.join(sums)} here add up to those of {'/'.join(upstream.path)}.",
        {f"{what}_here": ours for what, (ours, _) in sums.items()} | dict(shows or {}),
        compared,
        lambda figures: all(figures[f"{what}_here"] == figures[f"{what}_there"] for what in sums),
        [upstream],
    )


def number(condition: Build, *columns: str) -> Sum:
    """Return the number of rows that meet a condition over these columns."""
    return Sum(partial(_number, condition), columns)


def added(column: str, where: Build | None = None, *columns: str) -> Sum:
    """Return the sum of a column, of the rows alone that meet a condition over these columns."""
    return Sum(partial(_sum, column, where), [column, *columns])


def alike(column: str) -> tuple[Sum, Sum]:
    """Return the sums of a column that both tables have, for `totals`."""
    return added(column), added(column)


def add_up(rows: Frame, sums: Sequence[Sum]) -> list[int]:
    """Return these sums over the rows, computed in one pass for each kernel among them."""
    found = [0] * len(sums)
    for kernel, adding in PASSES.items():
        if named := {f"sum_{n}": each for n, each in enumerate(sums) if each.kernel == kernel}:
            columns = dict.fromkeys(c for each in named.values() for c in each.columns) or rows.columns[:1]
            of = {name: each.of for name, each in named.items()}
            schema = pa.schema([(name, pa.int64()) for name in named])
            parts = rows.select(*columns).map(partial(adding, sums=of), schema=schema, kernel=kernel).collect(schema)
            for name in named:
                found[int(name.removeprefix("sum_"))] = sum(part or 0 for part in parts[name].to_pylist())
    return found


def total(counts: Frame) -> int:
    """Return the sum of the column `rows`, an integer for each part of a table."""
    return sum(n or 0 for n in counts.collect(COUNT)["rows"].to_pylist())


def count(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Count rows, a number for each part of a table."""
    return rows.select(rows=nw.len())


def distinct(rows: nw.LazyFrame, key: Sequence[str]) -> nw.LazyFrame:
    """Return each key once."""
    return rows.group_by(*key).agg(n=nw.len()).select(*key)


def _complete(schema: pa.Schema) -> Check:
    """No column that is declared without nulls has one."""
    needed = [f.name for f in schema if not f.nullable]
    return _right("not_null", f"No row lacks {', '.join(needed)}.", partial(_lacking, needed), *needed)


def _right(name: str, says: str, wrong: Build, *columns: str) -> Check:
    """A check of rows one by one, that counts those that are wrong."""
    return Check(name, says, {"offending_rows": number(wrong, *columns)})


def _malformed(*columns: str) -> Sum:
    """The number of ids in these columns that are not UUIDs."""
    return Sum(partial(_not_uuids, columns=columns), columns, "arrow")


def _added(rows: nw.LazyFrame, sums: Mapping[str, Build]) -> nw.LazyFrame:
    return rows.select(**{name: build() for name, build in sums.items()})


def _added_here(rows: pa.Table, sums: Mapping[str, Callable[[pa.Table], int]]) -> pa.Table:
    return pa.table({name: pa.array([add(rows)], pa.int64()) for name, add in sums.items()})


PASSES: Mapping[Kernel, Callable[..., Any]] = {"narwhals": _added, "arrow": _added_here}


def _number(condition: Build) -> nw.Expr:
    return nw.when(condition()).then(1).otherwise(0).sum()


def _sum(column: str, where: Build | None) -> nw.Expr:
    return nw.when(where()).then(nw.col(column)).otherwise(0).sum() if where else nw.col(column).sum()


ROWS = Sum(nw.len)


def _lacking(columns: Sequence[str]) -> nw.Expr:
    return nw.any_horizontal(*(nw.col(c).is_null() for c in columns), ignore_nulls=True)


def _present(column: str) -> nw.Expr:
    return ~nw.col(column).is_null()


def _other(column: str, values: Sequence[int]) -> nw.Expr:
    return ~nw.col(column).is_in(values)


def _beyond(ranges: Mapping[str, tuple[float, float]]) -> nw.Expr:
    outside = (~nw.col(c).is_between(low, high) for c, (low, high) in ranges.items())
    return nw.any_horizontal(*outside, ignore_nulls=True)


def _neither_nor_both(one: str, other: str) -> nw.Expr:
    return nw.col(one).is_null() == nw.col(other).is_null()


def _descending(chains: Sequence[Sequence[str]]) -> nw.Expr:
    greater = (nw.col(a) > nw.col(b) for chain in chains for a, b in pairwise(chain))
    return nw.any_horizontal(*greater, ignore_nulls=True)


def _repeated(rows: nw.LazyFrame, key: Sequence[str]) -> nw.LazyFrame:
    many = rows.group_by(*key).agg(n=nw.len()).filter(nw.col("n") > 1)
    return many.select(rows=nw.col("n").sum())


def _true(rows: nw.LazyFrame, column: str, key: Sequence[str]) -> nw.LazyFrame:
    return rows.filter(nw.col(column), *(~nw.col(c).is_null() for c in key)).select(*key)


def _known(rows: nw.LazyFrame, column: str) -> nw.LazyFrame:
    return rows.filter(~nw.col(column).is_null())


def _falling(rows: nw.LazyFrame, column: str, key: str, order: str) -> nw.LazyFrame:
    before = windowed(rows, [key], [order], before=nw.col(column).shift(1))
    return count(before.filter(nw.col("before") > nw.col(column)))


def _absent(source: nw.LazyFrame, rows: nw.LazyFrame, key: str) -> nw.LazyFrame:
    return source.join(rows, on=key, how="anti")


def _outside(rows: pa.Table, instant: str) -> int:
    import pyarrow.compute as pc

    latest = pa.scalar(datetime.now(UTC) + CLOCK_SKEW, rows[instant].type)
    day = pc.equal(pc.cast(rows[instant], pa.date32()), rows["day"])
    early = pc.greater_equal(rows["day"], pa.scalar(FIRST_DAY))
    late = pc.less_equal(rows[instant], latest)
    good = pc.fill_null(pc.and_(day, pc.and_(early, late)), False)
    return len(rows) - (pc.sum(good).as_py() or 0)


def _not_uuids(rows: pa.Table, columns: Sequence[str]) -> int:
    import pyarrow.compute as pc

    return sum(len(rows) - (pc.sum(pc.match_substring_regex(rows[c], UUID)).as_py() or 0) for c in columns)
