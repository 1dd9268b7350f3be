"""pandas: one core, in memory. The engine to read, debug and test with.

Rows rest as Arrow and are lent to functions as pandas with Arrow's types, which costs no copy and keeps 64-bit
integers, nulls and UTC as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import islice
from typing import Any

import pyarrow as pa

from resources.engines.cogroup import ROWS, SIDE, key_column, parts, side_column, untagged
from resources.engines.local import run
from resources.engines.workers import CORES
from resources.frames.frame import Engine, Frame, Step, Writer, sort
from resources.frames.scan import Scan


@dataclass(frozen=True)
class Mapped:
    """Stored rows on their way through functions, share by share, so that they come together as late as can be."""

    scan: Scan
    steps: tuple[Callable[[pa.Table], pa.Table], ...] = ()

    @classmethod
    def of(cls, stored: "Scan | Mapped") -> "Mapped":
        """Stored rows as they are."""
        return stored if isinstance(stored, Mapped) else cls(stored)

    def then(self, step: Callable[[pa.Table], pa.Table]) -> "Mapped":
        """The same, through one more function."""
        return Mapped(self.scan, (*self.steps, step))

    def select(self, columns: Sequence[str]) -> "Mapped":
        """The same with fewer columns."""
        return self.then(lambda rows: rows.select(columns))

    def table(self) -> pa.Table:
        """The rows together."""
        shares = (share.table() for share in self.scan.split(ROWS))
        return pa.concat_tables([self._through(rows) for rows in shares if len(rows)] or [self._none])

    @property
    def schema(self) -> pa.Schema:
        """The columns there are in the end."""
        return self._none.schema

    @cached_property
    def long(self) -> bool:
        """Whether there are more rows than are lent at once."""
        return len(list(islice(self.scan.split(ROWS), 2))) > 1

    @cached_property
    def _none(self) -> pa.Table:
        return self._through(self.scan.schema.empty_table())

    def _through(self, rows: pa.Table) -> pa.Table:
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
        if step.kernel == "narwhals" or sum(map(len, tables)) <= ROWS:
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
            return mapped if mapped.long else mapped.table()
        if step.kernel == "narwhals":
            return run(step, native, *sent)
        shares = [run(step, share, *sent, processes=CORES) for share in _slices(native)]
        return pa.concat_tables(shares or [run(step, pa.schema(native.schema).empty_table(), *sent)])

    def is_divided(self, native: Any) -> bool:
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
    return (table.slice(first, ROWS) for first in range(0, len(table), ROWS))


def _tagged(table: pa.Table, side: int, keys: list[str]) -> pa.Table:
    """The rows as they travel together with those of other tables."""
    rows = table.to_struct_array()
    columns = {SIDE: pa.repeat(pa.scalar(side, pa.int8()), len(table))}
    columns |= {key_column(n): table[key] for n, key in enumerate(keys)}
    return pa.table(columns | {side_column(side): rows})
