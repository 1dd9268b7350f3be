"""Checks: the promises that each table must keep before downstream assets are built on it.

All checks of a table run in one step. Checks of single rows share one pass over the table. Each check has its own
result and blocks downstream assets while it fails. The offending rows stay in the table for inspection, and the
previous version can still be read.
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

from assets.partitions import Period, dates
from resources.frames.filters import RangeFilter
from resources.frames.frame import Frame, Kernel
from resources.frames.windows import windowed
from resources.lake.io_manager import LakeIO
from resources.schema import declared, key, subset
from resources.sources.records.listen import CLOCK_SKEW, MBID
from resources.span import FIRST_DAY

COUNT = pa.schema([("rows", pa.int64())])
# The columns of another table that are needed to count its rows, and to add up the time listened.
ONLY_DAYS = pa.schema([("day", pa.date32())])
DAYS_AND_TIME = pa.schema([*ONLY_DAYS, ("ms_played", pa.int64())])
UUID = f"^{MBID.pattern}$"

Figures: TypeAlias = dict[str, int]
"""The numbers of a check's result, by name."""
Build: TypeAlias = Callable[[], nw.Expr]
"""Builds an expression. Unlike the expression, it can be pickled."""


@dataclass(frozen=True)
class Sum:
    """A sum over the rows of a table: how to add them up, and the columns it needs.

    `add` builds a Narwhals expression. If the kernel is "arrow", it returns the sum of a `pyarrow.Table` instead.
    The sums of parts of a table must add up to the sum of the whole.
    """

    add: Callable[..., Any]
    columns: Sequence[str] = ()
    kernel: Kernel = "narwhals"


@dataclass(frozen=True)
class Table:
    """The rows under check, and the other tables that its checks compare them with."""

    rows: Frame
    open: Callable[[dg.AssetKey, pa.Schema, RangeFilter | None], Frame]
    dates: tuple[date, date] | None  # the first date of the first and of the last partition

    @property
    def days(self) -> RangeFilter | None:
        """Return the filter for the days of a daily table's partitions, or None for a table without partitions."""
        return RangeFilter("day", *self.dates) if self.dates else None


@dataclass(frozen=True)
class Check:
    """A promise about a table.

    The figures of a check are its `sums` by name, or the result of `examine` for the table and these sums. By default
    a check passes if all its figures are zero.
    """

    name: str
    description: str
    sums: Mapping[str, Sum]
    examine: Callable[[Table, Figures], Figures] = lambda table, sums: sums
    passes: Callable[[Figures], bool] = lambda figures: not any(figures.values())
    reads: Sequence[dg.AssetKey] = ()
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def checks_of(asset: dg.AssetsDefinition | dg.AssetSpec, *more: Check) -> dg.AssetChecksDefinition:
    """Return all checks of an asset as one step.

    These are `unique` and `not_null`, which follow from the declared key and columns, and `more`. Raises `ValueError`
    if the asset declares no key.
    """
    spec = asset if isinstance(asset, dg.AssetSpec) else asset.get_asset_spec()
    checks = [unique(*key(spec.metadata)), _not_null(declared(spec.metadata)), *more]
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
        selected = [c for c in checks if dg.AssetCheckKey(spec.key, c.name) in context.selected_asset_check_keys]
        table = Table(rows, io_manager.open, dates(context.partition_key_range) if spec.partitions_def else None)
        sums = iter(add_up(rows, [each for check in selected for each in check.sums.values()]))
        for check in selected:
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
    """Check that no two rows have the same key.

    With `among`, a boolean column, compare only rows for which it is true and whose key has no null. Raises
    `ValueError` without a key.
    """
    if not key:
        raise ValueError("no key to check: declare the asset with one, for example declare(SCHEMA, key=[…])")

    def repeated(table: Table, _: Figures) -> Figures:
        rows = table.rows.select(*key)
        if among:
            rows = table.rows.select(*key, among).map(partial(_flagged, column=among, key=key))
        return {"offending_rows": total(rows.per(list(key), partial(_repeated, key=key)))}

    rows = f"rows with {among}" if among else "rows"
    description = f"No two {rows} have the same {', '.join(key)}."
    return Check(f"unique_{among}" if among else "unique", description, {}, repeated)


def timestamp_in_partition(instant: str) -> Check:
    """Check that every instant is within the day of its row, not before `FIRST_DAY` and not in the future."""
    outside = Sum(partial(_outside, instant=instant), ["day", instant], "arrow")
    description = f"Every {instant} is on the UTC day of its row, not before {FIRST_DAY} and not in the future."
    return Check("timestamp_in_partition", description, {"offending_rows": outside})


def well_formed(*columns: str) -> Check:
    """Check that every id is a UUID, as MusicBrainz ids and ids made of names are."""
    return Check("well_formed", f"Every {', '.join(columns)} is a UUID.", {"offending_rows": _malformed(*columns)})


def accepted_values(column: str, *values: int) -> Check:
    """Check that every value of a column is one of `values`."""
    description = f"Every {column} is one of {', '.join(map(str, values))}."
    return _check_rows("accepted_values", description, partial(_not_accepted, column, values), column)


def expression_is_true(description: str, wrong: Build, *columns: str) -> Check:
    """Check that no row is `wrong`, an expression over these columns. The description states the promise."""
    return _check_rows("expression_is_true", description, wrong, *columns)


def in_range(ranges: Mapping[str, tuple[float, float]]) -> Check:
    """Check that every value is in the range of its column, ends included, or is null."""
    limits = ", ".join(f"{column} {low:,} to {high:,}" for column, (low, high) in ranges.items())
    return _check_rows("in_range", f"Values are in range or null: {limits}.", partial(_out_of_range, ranges), *ranges)


def exactly_one_set(one: str, other: str) -> Check:
    """Check that every row has a value in exactly one of two columns."""
    description = f"Every row has a value in either {one} or {other}, and a null in the other."
    return _check_rows("exactly_one_set", description, partial(_neither_or_both, one, other), one, other)


def ascending(*chains: Sequence[str]) -> Check:
    """Check that within each row no column of a chain is greater than the next. Nulls pass."""
    order = ", and ".join(" ≤ ".join(chain) for chain in chains)
    description = f"Compares columns within each row: {order}. Nulls pass."
    columns = dict.fromkeys(c for chain in chains for c in chain)
    return _check_rows("ascending", description, partial(_descending, chains), *columns)


def error_rate(column: str, share: float) -> Check:
    """Check that at most a share of the rows (from 0 to 1) have a value in an error column. More are a warning."""
    wrong = f"rows_with_{column}"
    return Check(
        "error_rate",
        f"At most {share:.0%} of the rows have a value in {column}. A higher share is a warning.",
        {wrong: rows_where(partial(_present, column), column), "rows": ROWS},
        passes=lambda figures: figures[wrong] <= share * figures["rows"],
        severity=dg.AssetCheckSeverity.WARN,
    )


def monotonic(column: str, key: str, order: str) -> Check:
    """Check that among the rows of a key, in their order, no value is smaller than the one before. Skip nulls."""

    def decreasing(table: Table, _: Figures) -> Figures:
        rows = table.rows.select(key, order, column).map(partial(_without_null, column=column))
        return {"offending_rows": total(rows.per(key, partial(_decreasing, column=column, key=key, order=order)))}

    description = f"Compares rows of the same {key}, ordered by {order}: {column} never decreases. Nulls are skipped."
    return Check("monotonic", description, {}, decreasing)


def covers_upstream(upstream: dg.AssetKey, schema: pa.Schema, key: str) -> Check:
    """Check that every key of another table is a key of this table."""

    def missing(table: Table, _: Figures) -> Figures:
        source = table.open(upstream, subset(schema, [key]), None)
        return {"missing_rows": total(source.per(key, partial(_missing, key=key), table.rows.select(key)).map(count))}

    description = f"Every {key} of {'/'.join(upstream.path)} has a row in this table."
    return Check("covers_upstream", description, {}, missing, reads=[upstream])


def valid_recording_id(catalog: dg.AssetKey) -> Check:
    """Check that every recording id is a UUID. Count ids that the catalog lacks, which are allowed."""
    malformed, recording_id = "malformed_rows", "recording_id"

    def unknown(table: Table, sums: Figures) -> Figures:
        recordings = table.open(catalog, pa.schema([(recording_id, pa.string())]), None)
        missing = table.rows.select(recording_id).per(recording_id, partial(_missing, key=recording_id), recordings)
        return sums | {"rows_without_catalog_entry": total(missing.map(count))}

    return Check(
        "valid_recording_id",
        "Every recording_id is a UUID. Ids that are missing from the catalog are allowed and counted.",
        {malformed: _malformed(recording_id)},
        unknown,
        lambda figures: not figures[malformed],
        [catalog],
    )


def row_count_reconciles(raw: dg.AssetKey, duplicates: dg.AssetKey) -> Check:
    """Check that every raw record of these days is a row of this table or a duplicate, so that none is lost."""

    def lost(table: Table, sums: Figures) -> Figures:
        tables = (("raw_rows", raw), ("duplicate_rows", duplicates))
        upstream = {name: add_up(table.open(key, ONLY_DAYS, table.days), [ROWS])[0] for name, key in tables}
        return upstream | sums | {"rows_lost": upstream["raw_rows"] - upstream["duplicate_rows"] - sums["rows_here"]}

    return Check(
        "row_count_reconciles",
        f"The rows of this table and of {'/'.join(duplicates.path)} add up to those of {'/'.join(raw.path)}.",
        {"rows_here": ROWS},
        lost,
        lambda figures: not figures["rows_lost"],
        [raw, duplicates],
    )


def keys_match_upstream(upstream: dg.AssetKey, schema: pa.Schema, *key: str) -> Check:
    """Check that another table has as many distinct keys on these days.

    Together with `unique`, this shows that no key is lost or counted twice.
    """

    def keys(table: Table, _: Figures) -> Figures:
        source = table.open(upstream, subset(schema, key), table.days)
        return {
            name: total(rows.select(*key).per(list(key), partial(distinct, key=key)).map(count))
            for name, rows in (("keys_here", table.rows), ("keys_there", source))
        }

    return Check(
        "keys_match_upstream",
        f"This table has as many distinct keys ({', '.join(key)}) as {'/'.join(upstream.path)} on the same days.",
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
    """Check that this table adds up to the same as an upstream table on the same days.

    `sums` gives for each name a sum of this table and one of the upstream table. The figures of `shows` appear beside
    them and may have any value.
    """

    def compared(table: Table, here: Figures) -> Figures:
        # Dagster ignores partition mappings of check inputs, and would ask for the days of a year to come.
        days = None
        if period and table.dates:
            first, start = table.dates
            days = RangeFilter("day", first, period.following(start) - timedelta(days=1))
        there = add_up(table.open(upstream, schema, days), [theirs for _, theirs in sums.values()])
        return here | {f"{name}_there": n for name, n in zip(sums, there, strict=True)}

    return Check(
        "sums_match_upstream",
        f"The total {' and '.join(sums)} of this table equal those of {'/'.join(upstream.path)} for the same time.",
        {f"{name}_here": ours for name, (ours, _) in sums.items()} | dict(shows or {}),
        compared,
        lambda figures: all(figures[f"{name}_here"] == figures[f"{name}_there"] for name in sums),
        [upstream],
    )


def rows_where(condition: Build, *columns: str) -> Sum:
    """Return the number of rows that meet a condition over these columns."""
    return Sum(partial(_rows_where, condition), columns)


def sum_of(column: str, where: Build | None = None, *columns: str) -> Sum:
    """Return the sum of a column, limited to rows that meet a condition over these columns if there is one."""
    return Sum(partial(_sum_of, column, where), [column, *columns])


def in_both(column: str) -> tuple[Sum, Sum]:
    """Return the sums of a column that both tables have, for `sums_match_upstream`."""
    return sum_of(column), sum_of(column)


def add_up(rows: Frame, sums: Sequence[Sum]) -> list[int]:
    """Return these sums over the rows, in their order. Each kernel among them needs one pass."""
    totals = [0] * len(sums)
    for kernel, add_part in ADD_PART.items():
        if named := {f"sum_{n}": each for n, each in enumerate(sums) if each.kernel == kernel}:
            columns = dict.fromkeys(c for each in named.values() for c in each.columns) or rows.columns[:1]
            adds = {name: each.add for name, each in named.items()}
            schema = pa.schema([(name, pa.int64()) for name in named])
            parts = (
                rows.select(*columns).map(partial(add_part, sums=adds), schema=schema, kernel=kernel).collect(schema)
            )
            for name in named:
                totals[int(name.removeprefix("sum_"))] = sum(part or 0 for part in parts[name].to_pylist())
    return totals


def total(counts: Frame) -> int:
    """Return the sum of the column `rows`, which has an integer for each part of a table."""
    return sum(n or 0 for n in counts.collect(COUNT)["rows"].to_pylist())


def count(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Return the number of rows in a part of a table as the column `rows`."""
    return rows.select(rows=nw.len())


def distinct(rows: nw.LazyFrame, key: Sequence[str]) -> nw.LazyFrame:
    """Return each key once."""
    return rows.group_by(*key).agg(n=nw.len()).select(*key)


def _not_null(schema: pa.Schema) -> Check:
    """Check that no column that is declared without nulls has one."""
    required = [f.name for f in schema if not f.nullable]
    return _check_rows(
        "not_null", f"No row has a null in {', '.join(required)}.", partial(_any_null, required), *required
    )


def _check_rows(name: str, description: str, wrong: Build, *columns: str) -> Check:
    """Return a check of single rows that counts the wrong ones."""
    return Check(name, description, {"offending_rows": rows_where(wrong, *columns)})


def _malformed(*columns: str) -> Sum:
    """Return the number of ids in these columns that are not UUIDs."""
    return Sum(partial(_not_uuids, columns=columns), columns, "arrow")


def _add_narwhals(rows: nw.LazyFrame, sums: Mapping[str, Build]) -> nw.LazyFrame:
    return rows.select(**{name: build() for name, build in sums.items()})


def _add_arrow(rows: pa.Table, sums: Mapping[str, Callable[[pa.Table], int]]) -> pa.Table:
    return pa.table({name: pa.array([add(rows)], pa.int64()) for name, add in sums.items()})


ADD_PART: Mapping[Kernel, Callable[..., Any]] = {"narwhals": _add_narwhals, "arrow": _add_arrow}


def _rows_where(condition: Build) -> nw.Expr:
    return nw.when(condition()).then(1).otherwise(0).sum()


def _sum_of(column: str, where: Build | None) -> nw.Expr:
    return nw.when(where()).then(nw.col(column)).otherwise(0).sum() if where else nw.col(column).sum()


ROWS = Sum(nw.len)


def _any_null(columns: Sequence[str]) -> nw.Expr:
    return nw.any_horizontal(*(nw.col(c).is_null() for c in columns), ignore_nulls=True)


def _present(column: str) -> nw.Expr:
    return ~nw.col(column).is_null()


def _not_accepted(column: str, values: Sequence[int]) -> nw.Expr:
    return ~nw.col(column).is_in(values)


def _out_of_range(ranges: Mapping[str, tuple[float, float]]) -> nw.Expr:
    outside = (~nw.col(c).is_between(low, high) for c, (low, high) in ranges.items())
    return nw.any_horizontal(*outside, ignore_nulls=True)


def _neither_or_both(one: str, other: str) -> nw.Expr:
    return nw.col(one).is_null() == nw.col(other).is_null()


def _descending(chains: Sequence[Sequence[str]]) -> nw.Expr:
    greater = (nw.col(a) > nw.col(b) for chain in chains for a, b in pairwise(chain))
    return nw.any_horizontal(*greater, ignore_nulls=True)


def _repeated(rows: nw.LazyFrame, key: Sequence[str]) -> nw.LazyFrame:
    repeated = rows.group_by(*key).agg(n=nw.len()).filter(nw.col("n") > 1)
    return repeated.select(rows=nw.col("n").sum())


def _flagged(rows: nw.LazyFrame, column: str, key: Sequence[str]) -> nw.LazyFrame:
    return rows.filter(nw.col(column), *(~nw.col(c).is_null() for c in key)).select(*key)


def _without_null(rows: nw.LazyFrame, column: str) -> nw.LazyFrame:
    return rows.filter(~nw.col(column).is_null())


def _decreasing(rows: nw.LazyFrame, column: str, key: str, order: str) -> nw.LazyFrame:
    before = windowed(rows, [key], [order], before=nw.col(column).shift(1))
    return count(before.filter(nw.col("before") > nw.col(column)))


def _missing(source: nw.LazyFrame, rows: nw.LazyFrame, key: str) -> nw.LazyFrame:
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
