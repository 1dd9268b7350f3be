"""pandas: one core, in memory. The engine to read, debug and test with.

Rows rest as Arrow and are lent to functions as pandas with Arrow's types, which costs no copy and keeps 64-bit
integers, nulls and UTC as they are.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from resources.frame import Engine, Frame, Step, Writer, run
from resources.scan import Scan


@dataclass(frozen=True)
class PandasEngine(Engine):
    """Tables are `pyarrow.Table`; a stored one is a `Scan` until a step needs its rows."""

    def lift(self, table: pa.Table) -> Frame:
        return Frame(self, table)

    def read(self, scan: Scan) -> Frame:
        return Frame(self, scan)

    def per(self, keys: list[str], step: Step, *natives: Any) -> pa.Table:
        return run(step, *map(self.collect, natives))

    def map(self, step: Step, native: Any, *small: Any) -> pa.Table:
        return self.per([], step, native, *small)

    def select(self, native: Any, columns: list[str]) -> Any:
        return native.select(columns)

    def concat(self, natives: list[Any]) -> pa.Table:
        return pa.concat_tables(map(self.collect, natives), promote_options="permissive")

    def keep(self, native: Any) -> pa.Table:
        return self.collect(native)

    def columns(self, native: Any) -> list[str]:
        return list((native.schema).names)

    def collect(self, native: Any) -> pa.Table:
        return native.table() if isinstance(native, Scan) else native

    def store(self, native: Any, write: Writer) -> list[str]:
        return write(iter([self.collect(native)]))
