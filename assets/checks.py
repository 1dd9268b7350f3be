"""Checks: what must be true of a table before anything is built on it.

Each function here makes one blocking check of one asset. A check counts the rows that offend, where they lie, on the
run's engine; what is downstream waits until there are none. The offending rows stay in the table to be looked at, and
the version before it can still be read.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.partitions import FIRST_DAY, Period, dates
from resources.frames.filters import RangeFilter
from resources.frames.frame import Frame
from resources.lake.io_manager import LakeIO
from resources.schema import some
from resources.sources.records.listen import CLOCK_SKEW, MBID

COUNT = pa.schema([("rows", pa.int64())])
ONLY_DAYS = pa.schema([("day", pa.date32())])  # what counting rows needs of another table
UUID = f"^{MBID.pattern}$"
Checked: TypeAlias = dg.AssetsDefinition | dg.AssetSpec
Add: TypeAlias = Callable[[nw.LazyFrame], nw.LazyFrame]


def unique(asset: Checked, *key: str, among: str | None = None) -> dg.AssetChecksDefinition:
    """No two rows have the same key; with `among`, no two that have a key and of which that is true."""

    def repeated(rows: Frame) -> int:
        kept = rows.select(*key, among).map(partial(_true, column=among, key=key)) if among else rows.select(*key)
        return _total(kept.per(list(key), partial(_repeated, key=key)))

    says = f"No two {f'{among} rows' if among else 'rows'} have the same {', '.join(key)}."
    return _alone(asset, f"unique_{among}" if among else "unique", says, repeated)


def complete(asset: Checked, schema: pa.Schema) -> dg.AssetChecksDefinition:
    """No column that is declared without nulls has one."""
    needed = [f.name for f in schema if not f.nullable]

    def lacking(rows: Frame) -> int:
        return _total(rows.select(*needed).map(partial(_lacking, columns=needed)))

    return _alone(asset, "complete", f"No row lacks {', '.join(needed)}.", lacking)


def bounded(asset: Checked, instant: str) -> dg.AssetChecksDefinition:
    """Every instant lies within its day, and none before the first day there is or in the future."""

    def outside(rows: Frame) -> int:
        latest = datetime.now(UTC) + CLOCK_SKEW
        count = partial(_outside, instant=instant, latest=latest)
        return _total(rows.select("day", instant).map(count, schema=COUNT, kernel="arrow"))

    says = f"Every {instant} lies within its UTC day, none before {FIRST_DAY} or in the future."
    return _alone(asset, "bounded", says, outside)


def well_formed(asset: Checked, *columns: str) -> dg.AssetChecksDefinition:
    """Every id is a UUID, as MusicBrainz ids are and ours of names."""

    def malformed(rows: Frame) -> int:
        count = partial(_malformed, columns=columns)
        return _total(rows.select(*columns).map(count, schema=COUNT, kernel="arrow"))

    return _alone(asset, "well_formed", f"Every {', '.join(columns)} is a UUID.", malformed)


def one_of(asset: Checked, column: str, *values: int) -> dg.AssetChecksDefinition:
    """Every value is one of a few."""

    def other(rows: Frame) -> int:
        return _total(rows.select(column).map(partial(_other, column=column, values=values)))

    return _alone(asset, "one_of", f"Every {column} is one of {', '.join(map(str, values))}.", other)


def right(asset: Checked, says: str, wrong: Add, *columns: str) -> dg.AssetChecksDefinition:
    """No row is `wrong`, which of these columns keeps the rows that are; `says` is what is true of the others."""

    def offending(rows: Frame) -> int:
        return _total(rows.select(*columns).map(partial(_counted, wrong=wrong)))

    return _alone(asset, "right", says, offending)


def rising(asset: Checked, column: str, key: str, order: str) -> dg.AssetChecksDefinition:
    """Among the rows of a key no value is smaller than that of the row before; what has none is passed over."""

    def falling(rows: Frame) -> int:
        known = rows.select(key, order, column).map(partial(_known, column=column))
        return _total(known.per(key, partial(_falling, column=column, key=key, order=order)))

    return _alone(asset, "rising", f"By {order}, no {column} of a {key} is smaller than the one before.", falling)


def within(asset: Checked, ranges: Mapping[str, tuple[float, float]]) -> dg.AssetChecksDefinition:
    """Every value lies in the range of its column, ends included, or is null."""

    def beyond(rows: Frame) -> int:
        return _total(rows.select(*ranges).map(partial(_beyond, ranges=ranges)))

    says = "; ".join(f"{low:,} ≤ {column} ≤ {high:,}" for column, (low, high) in ranges.items())
    return _alone(asset, "within", f"In every row {says}, or null.", beyond)


def few(asset: Checked, column: str, share: float) -> dg.AssetChecksDefinition:
    """Few rows have something in a column that tells what is wrong. Where many have it is told, and nothing waits."""

    @dg.asset_check(
        asset=asset.key,
        name=f"few_{column}s",
        description=f"At most {share:.0%} of the rows have a value in {column}; more are a warning.",
        blocking=True,
        partitions_def=asset.partitions_def,
    )
    def check(rows: Frame) -> dg.AssetCheckResult:
        told = rows.select(column)
        wrong, total = _total(told.map(partial(_wrong, column=column))), _total(told.map(count))
        return dg.AssetCheckResult(
            passed=wrong <= share * total,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={f"rows with {column}": wrong, "rows": total},
        )

    return check


def either(asset: Checked, one: str, other: str) -> dg.AssetChecksDefinition:
    """Every row has a value in exactly one of two columns."""

    def amiss(rows: Frame) -> int:
        return _total(rows.select(one, other).map(partial(_neither_nor_both, one=one, other=other)))

    return _alone(asset, "either", f"Every row has either {one} or {other}.", amiss)


def every(asset: dg.AssetsDefinition, upstream: dg.AssetKey, key: str) -> dg.AssetChecksDefinition:
    """Every key that another table has is a key of this table."""

    @dg.asset_check(
        asset=asset,
        name="every",
        description=f"Every {key} of {'/'.join(upstream.path)} is here.",
        blocking=True,
        additional_ins={"source": dg.AssetIn(upstream)},
    )
    def check(rows: Frame, source: Frame) -> dg.AssetCheckResult:
        absent = source.select(key).per(key, partial(_absent, key=key), rows.select(key))
        missing = _total(absent.map(count))
        return dg.AssetCheckResult(passed=missing == 0, metadata={"missing rows": missing})

    return check


def ascending(asset: dg.AssetsDefinition, *chains: Sequence[str]) -> dg.AssetChecksDefinition:
    """In no row is a column of a chain greater than the next."""
    columns = list(dict.fromkeys(c for chain in chains for c in chain))

    def descending(rows: Frame) -> int:
        return _total(rows.select(*columns).map(partial(_descending, chains=chains)))

    says = "; ".join(" ≤ ".join(chain) for chain in chains)
    return _alone(asset, "ascending", f"In every row {says}.", descending)


def referential(asset: dg.AssetsDefinition, catalogue: list[str]) -> dg.AssetChecksDefinition:
    """Every recording id is a UUID; those that the catalogue does not know are allowed, and counted."""

    @dg.asset_check(
        asset=asset,
        name="referential",
        description="Every recording_id is a UUID. Those without a row in the catalogue are allowed and counted.",
        blocking=True,
        partitions_def=asset.partitions_def,
        additional_ins={"recordings": dg.AssetIn(catalogue)},
    )
    def check(rows: Frame, recordings: Frame) -> dg.AssetCheckResult:
        ids = rows.select("recording_id")
        malformed = _total(ids.map(partial(_malformed, columns=["recording_id"]), schema=COUNT, kernel="arrow"))
        unknown = _total(ids.per("recording_id", _unknown, recordings.select("recording_id")).map(count))
        return dg.AssetCheckResult(
            passed=malformed == 0, metadata={"malformed rows": malformed, "rows without a catalogue entry": unknown}
        )

    return check


def accounted(asset: dg.AssetsDefinition, told: dg.AssetKey, replaced: dg.AssetKey) -> dg.AssetChecksDefinition:
    """Every record told on these days is a row of this table, or was replaced by another record: none is lost."""

    @dg.asset_check(
        asset=asset,
        name="accounted",
        description=f"Rows here and in {'/'.join(replaced.path)} are as many as in {'/'.join(told.path)}.",
        blocking=True,
        partitions_def=asset.partitions_def,
        additional_deps=[told, replaced],
    )
    def check(
        context: dg.AssetCheckExecutionContext, rows: Frame, io_manager: dg.ResourceParam[LakeIO]
    ) -> dg.AssetCheckResult:
        days = RangeFilter("day", *dates(context.op_execution_context.partition_key_range))
        tables = (("rows told", told), ("rows replaced", replaced))
        found = {what: _total(io_manager.open(key, ONLY_DAYS, days).map(count)) for what, key in tables}
        found["rows here"] = _total(rows.select("day").map(count))
        lost = found["rows told"] - found["rows replaced"] - found["rows here"]
        return dg.AssetCheckResult(passed=lost == 0, metadata=found | {"rows lost": lost})

    return check


def one_for_each(
    asset: dg.AssetsDefinition, told: dg.AssetKey, schema: pa.Schema, *key: str
) -> dg.AssetChecksDefinition:
    """Every key told on these days is a key of this table: with `unique`, none is lost and none counts twice."""

    @dg.asset_check(
        asset=asset,
        name="one_for_each",
        description=f"There are as many {', '.join(key)} here as in {'/'.join(told.path)}.",
        blocking=True,
        partitions_def=asset.partitions_def,
        additional_deps=[told],
    )
    def check(
        context: dg.AssetCheckExecutionContext, rows: Frame, io_manager: dg.ResourceParam[LakeIO]
    ) -> dg.AssetCheckResult:
        days = RangeFilter("day", *dates(context.op_execution_context.partition_key_range))
        source = io_manager.open(told, some(schema, key), days)
        here, there = (
            _total(table.select(*key).per(list(key), partial(distinct, key=key)).map(count)) for table in (rows, source)
        )
        return dg.AssetCheckResult(passed=here == there, metadata={"keys here": here, "keys told": there})

    return check


def totals(
    asset: dg.AssetsDefinition,
    upstream: dg.AssetKey,
    schema: pa.Schema,
    sums: Mapping[str, tuple[Add, Add]],
    period: Period | None = None,
    tells: Mapping[str, Add] | None = None,
) -> dg.AssetChecksDefinition:
    """What this table adds up to is what the table it is made of adds up to, on the same days.

    `sums` gives, by what is added up, a function of this table and one of the other; each returns a column `rows`.
    What `tells` adds up here is told beside them, and may be anything.
    """

    @dg.asset_check(
        asset=asset,
        name="totals",
        description=f"The {' and '.join(sums)} here add up to those of {'/'.join(upstream.path)}.",
        blocking=True,
        partitions_def=asset.partitions_def,
        additional_deps=[upstream],
    )
    def check(
        context: dg.AssetCheckExecutionContext, rows: Frame, io_manager: dg.ResourceParam[LakeIO]
    ) -> dg.AssetCheckResult:
        # Dagster maps the inputs of checks without their mapping, and would ask for the days of a year to come.
        days = None
        if period:
            first, start = dates(context.op_execution_context.partition_key_range)
            days = RangeFilter("day", first, period.following(start) - timedelta(days=1))
        source = io_manager.open(upstream, schema, days)
        found = {what: (_total(rows.map(ours)), _total(source.map(theirs))) for what, (ours, theirs) in sums.items()}
        told = {
            f"{what} {where}": n for what, ns in found.items() for where, n in zip(("here", "there"), ns, strict=True)
        }
        told |= {what: _total(rows.map(ours)) for what, ours in (tells or {}).items()}
        return dg.AssetCheckResult(passed=all(ours == theirs for ours, theirs in found.values()), metadata=told)

    return check


def count(rows: nw.LazyFrame) -> nw.LazyFrame:
    """How many rows, as far as these know: for `totals`."""
    return rows.select(rows=nw.len())


def added(rows: nw.LazyFrame, column: str) -> nw.LazyFrame:
    """What a column adds up to, as far as these rows know: for `totals`."""
    return rows.select(rows=nw.col(column).sum())


def alike(column: str) -> tuple[Add, Add]:
    """What a column adds up to in both tables: for `totals`."""
    return partial(added, column=column), partial(added, column=column)


def _alone(asset: Checked, name: str, says: str, offending: Callable[[Frame], int]) -> dg.AssetChecksDefinition:
    """A check that needs no other table."""

    @dg.asset_check(asset=asset.key, name=name, description=says, blocking=True, partitions_def=asset.partitions_def)
    def check(rows: Frame) -> dg.AssetCheckResult:
        found = offending(rows)
        return dg.AssetCheckResult(passed=found == 0, metadata={"offending rows": found})

    return check


def _total(counts: Frame) -> int:
    """The sum of what the shares counted, an integer each."""
    return sum(n or 0 for n in counts.collect(COUNT)["rows"].to_pylist())


def _repeated(rows: nw.LazyFrame, key: tuple[str, ...]) -> nw.LazyFrame:
    many = rows.group_by(*key).agg(n=nw.len()).filter(nw.col("n") > 1)
    return many.select(rows=nw.col("n").sum())


def _true(rows: nw.LazyFrame, column: str, key: tuple[str, ...]) -> nw.LazyFrame:
    return rows.filter(nw.col(column), *(~nw.col(c).is_null() for c in key)).select(*key)


def _counted(rows: nw.LazyFrame, wrong: Callable[[nw.LazyFrame], nw.LazyFrame]) -> nw.LazyFrame:
    return count(wrong(rows))


def _known(rows: nw.LazyFrame, column: str) -> nw.LazyFrame:
    return rows.filter(~nw.col(column).is_null())


def _falling(rows: nw.LazyFrame, column: str, key: str, order: str) -> nw.LazyFrame:
    before = rows.with_columns(before=nw.col(column).shift(1).over(key, order_by=order))
    return count(before.filter(nw.col("before") > nw.col(column)))


def distinct(rows: nw.LazyFrame, key: Sequence[str]) -> nw.LazyFrame:
    """Each key once."""
    return rows.group_by(*key).agg(n=nw.len()).select(*key)


def _lacking(rows: nw.LazyFrame, columns: list[str]) -> nw.LazyFrame:
    return count(rows.filter(nw.any_horizontal(*(nw.col(c).is_null() for c in columns), ignore_nulls=True)))


def _other(rows: nw.LazyFrame, column: str, values: tuple[int, ...]) -> nw.LazyFrame:
    return count(rows.filter(~nw.col(column).is_in(values)))


def _beyond(rows: nw.LazyFrame, ranges: Mapping[str, tuple[float, float]]) -> nw.LazyFrame:
    outside = (~nw.col(c).is_between(low, high) for c, (low, high) in ranges.items())
    return count(rows.filter(nw.any_horizontal(*outside, ignore_nulls=True)))


def _wrong(rows: nw.LazyFrame, column: str) -> nw.LazyFrame:
    return count(rows.filter(~nw.col(column).is_null()))


def _neither_nor_both(rows: nw.LazyFrame, one: str, other: str) -> nw.LazyFrame:
    return count(rows.filter(nw.col(one).is_null() == nw.col(other).is_null()))


def _absent(source: nw.LazyFrame, rows: nw.LazyFrame, key: str) -> nw.LazyFrame:
    return source.join(rows, on=key, how="anti")


def _descending(rows: nw.LazyFrame, chains: Sequence[Sequence[str]]) -> nw.LazyFrame:
    greater = (nw.col(a) > nw.col(b) for chain in chains for a, b in pairwise(chain))
    return count(rows.filter(nw.any_horizontal(*greater, ignore_nulls=True)))


def _unknown(rows: nw.LazyFrame, recordings: nw.LazyFrame) -> nw.LazyFrame:
    return rows.join(recordings, on="recording_id", how="anti")


def _outside(rows: pa.Table, instant: str, latest: datetime) -> pa.Table:
    import pyarrow.compute as pc

    day = pc.equal(pc.cast(rows[instant], pa.date32()), rows["day"])
    early = pc.greater_equal(rows["day"], pa.scalar(FIRST_DAY))
    late = pc.less_equal(rows[instant], pa.scalar(latest, rows[instant].type))
    good = pc.fill_null(pc.and_(day, pc.and_(early, late)), False)
    return _number(len(rows) - (pc.sum(good).as_py() or 0))


def _malformed(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    import pyarrow.compute as pc

    return _number(sum(len(rows) - (pc.sum(pc.match_substring_regex(rows[c], UUID)).as_py() or 0) for c in columns))


def _number(n: int) -> pa.Table:
    return pa.table({"rows": [n]}, COUNT)
