"""pandas: one core, in memory. It is the reference engine, for reading, debugging and testing.

Tables are stored as Arrow. Functions get them as pandas frames with Arrow's types, which needs no copy and preserves
64-bit integers, nulls and UTC.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import islice
from typing import Any

import pyarrow as pa

from resources.engines.cogroup import PART_ROWS, SIDE, key_column, parts, side_column, untagged
from resources.engines.local import run
from resources.engines.workers import CORES
from resources.frames.frame import Engine, Frame, Step, Writer, sort
from resources.frames.scan import Scan


@dataclass(frozen=True)
class Mapped:
    """Stored rows and functions to apply to them, part by part, so that parts are combined as late as possible."""

    scan: Scan
    steps: tuple[Callable[[pa.Table], pa.Table], ...] = ()

    @classmethod
    def of(cls, stored: "Scan | Mapped") -> "Mapped":
        """Return stored rows with no function to apply yet."""
        return stored if isinstance(stored, Mapped) else cls(stored)

    def then(self, step: Callable[[pa.Table], pa.Table]) -> "Mapped":
        """Return the same rows with one more function to apply."""
        return Mapped(self.scan, (*self.steps, step))

    def select(self, columns: Sequence[str]) -> "Mapped":
        """Return the same rows with only these columns."""
        return self.then(lambda rows: rows.select(columns))

    def table(self) -> pa.Table:
        """Read the parts, apply the functions, and return all rows as one table."""
        parts = (part.table() for part in self.scan.split(PART_ROWS))
        return pa.concat_tables([self._apply(rows) for rows in parts if len(rows)] or [self._empty])

    @property
    def schema(self) -> pa.Schema:
        """Return the columns after all functions."""
        return self._empty.schema

    @cached_property
    def has_many_parts(self) -> bool:
        """Return whether the stored rows divide into more than one part."""
        return len(list(islice(self.scan.split(PART_ROWS), 2))) > 1

    @cached_property
    def _empty(self) -> pa.Table:
        return self._apply(self.scan.schema.empty_table())

    def _apply(self, rows: pa.Table) -> pa.Table:
        return reduce(lambda table, step: step(table), self.steps, rows)


@dataclass(frozen=True)
class PandasEngine(Engine):
    """Tables are `pyarrow.Table`; a stored one is a `Scan` until a step needs its rows together."""

    def from_arrow(self, table: pa.Table) -> Frame:
        return Frame(self, table)

    def read(self, scan: Scan) -> Frame:
        return Frame(self, scan)

    def per(self, keys: list[str], step: Step, *natives: Any) -> pa.Table:
        tables = [self.collect(n) for n in natives]
        if step.kernel == "narwhals" or sum(map(len, tables)) <= PART_ROWS:
            return run(step, *tables)
        tagged = pa.concat_tables(
            [_tagged(table, side, keys) for side, table in enumerate(tables)], promote_options="default"
        )
        rows = tagged.sort_by([(key_column(n), "ascending") for n in range(len(keys))]) if keys else tagged
        schemas = [t.schema for t in tables]
        return pa.concat_tables(run(step, *untagged(part, schemas)) for part in parts(rows.to_batches(), len(keys)))

    def map(self, step: Step, native: Any, *small: Any) -> Any:
        sent = [self.collect(s) for s in small]
        if isinstance(native, Scan | Mapped):
            mapped = Mapped.of(native).then(lambda rows: run(step, rows, *sent, processes=CORES))
            return mapped if mapped.has_many_parts else mapped.table()
        if step.kernel == "narwhals":
            return run(step, native, *sent)
        parts = [run(step, part, *sent, processes=CORES) for part in _slices(native)]
        return pa.concat_tables(parts or [run(step, pa.schema(native.schema).empty_table(), *sent)])

    def should_combine(self, native: Any) -> bool:
        return isinstance(native, Mapped)

    def select(self, native: Any, columns: list[str]) -> Any:
        return native.select(columns)

    def concat(self, natives: list[Any]) -> pa.Table:
        return pa.concat_tables(map(self.collect, natives), promote_options="permissive")

    def persist(self, native: Any) -> pa.Table:
        return self.collect(native)

    def columns(self, native: Any) -> list[str]:
        return list((native.schema).names)

    def collect(self, native: Any) -> pa.Table:
        return native.table() if isinstance(native, Scan | Mapped) else native

    def store(self, native: Any, write: Writer, order: Sequence[str] = ()) -> list[str]:
        return write([sort(self.collect(native), order)])


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    return (table.slice(first, PART_ROWS) for first in range(0, len(table), PART_ROWS))


def _tagged(table: pa.Table, side: int, keys: list[str]) -> pa.Table:
    """Tag the rows of a table, as `cogroup` describes."""
    rows = table.to_struct_array()
    columns = {SIDE: pa.repeat(pa.scalar(side, pa.int8()), len(table))}
    columns |= {key_column(n): table[key] for n, key in enumerate(keys)}
    return pa.table(columns | {side_column(side): rows})
