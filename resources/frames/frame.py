"""Frames: a table on an engine, and the operations on it.

A transformation is a pure function plus the key by which its rows may be divided. The function computes the result for
whole keys, for example listeners, recordings or days. The key lets an engine send different keys to different cores or
machines, which share nothing. This module contains the contract; its implementations are in `engines/`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from resources.engines.workers import OnCrash
from resources.frames.scan import Scan

PARTS_PER_CORE = 4  # of heavy work: a core that finishes early has more to do

Kernel: TypeAlias = Literal["narwhals", "arrow"]


@dataclass(frozen=True)
class Step:
    """A pure function, the kind of table that it takes, and the columns that it returns.

    - A "narwhals" function takes and returns lazy Narwhals frames, so the engine may plan it.
    - An "arrow" function takes and returns `pyarrow.Table`. It is opaque, so it declares its schema.
    - A heavy function is an "arrow" function with `on_crash`, which makes the result of a row that crashes its process.

    Raises `ValueError` if a function lacks what its kind needs.
    """

    fn: Callable[..., Any]
    schema: pa.Schema | None = None
    kernel: Kernel = "narwhals"
    on_crash: OnCrash | None = None

    def __post_init__(self) -> None:
        if self.kernel == "arrow" and self.schema is None:
            raise ValueError(f"{function_name(self.fn)} takes Arrow tables. Declare the schema that it returns.")
        if self.on_crash and self.kernel != "arrow":
            raise ValueError(
                f"{function_name(self.fn)} takes Narwhals frames. "
                "Only functions on Arrow tables can run in worker processes."
            )

    @property
    def heavy(self) -> bool:
        """Return whether each row is processed alone, in a worker process."""
        return self.on_crash is not None


@dataclass(frozen=True)
class Frame:
    """A lazy table bound to the engine that holds it."""

    engine: "Engine"
    native: Any

    def per(
        self,
        key: str | Sequence[str],
        fn: Callable[..., Any],
        *frames: "Frame",
        combine: Callable[..., Any] | None = None,
        schema: pa.Schema | None = None,
        kernel: Kernel = "narwhals",
    ) -> "Frame":
        """Apply `fn` to whole keys, any number at once, together with the same keys of `frames`.

        `combine` may shrink rows before a shuffle. As MapReduce's combiner it runs on any parts of the rows or on none,
        so `fn(combine(a) + b)` must equal `fn(a + b)`. An empty key keeps all rows together. Raises `KeyError` if a
        frame lacks the key.
        """
        keys = [key] if isinstance(key, str) else list(key)
        rows = self.pre_combined(combine) if combine else self
        for frame in (rows, *frames):
            if missing := set(keys) - set(frame.columns):
                raise KeyError(
                    f"{function_name(fn)} needs the key columns {sorted(missing)}, but a frame has {frame.columns}"
                )
        step = Step(fn, schema, kernel)
        return Frame(self.engine, self.engine.per(keys, step, rows.native, *(o.native for o in frames)))

    def map(
        self,
        fn: Callable[..., Any],
        *,
        broadcast: "Sequence[Frame | pa.Table]" = (),
        schema: pa.Schema | None = None,
        kernel: Kernel = "narwhals",
        on_crash: OnCrash | None = None,
    ) -> "Frame":
        """Apply `fn` to the rows where they are, batch by batch, with the whole of the small tables in `broadcast`.

        Pass `on_crash` for heavy work: seconds for each row, or code that may crash its process. Then `fn` gets one row
        at a time in a worker process, one process per core. If a row crashes its process, its result is
        `on_crash(row, reason)`, and other rows are not affected.
        """
        step = Step(fn, schema, kernel, on_crash)
        small = [b.native if isinstance(b, Frame) else self.engine.from_arrow(b).native for b in broadcast]
        return Frame(self.engine, self.engine.map(step, self.native, *small))

    def pre_combined(self, fn: Callable[..., Any]) -> "Frame":
        """Apply the combiner `fn` to the parts of the rows, if the engine would shuffle them without shrinking them."""
        return self.map(fn) if self.engine.should_combine(self.native) else self

    def select(self, *columns: str) -> "Frame":
        """Keep only these columns, so that no other column is read or shuffled."""
        return Frame(self.engine, self.engine.select(self.native, list(columns)))

    def concat(self, *frames: "Frame") -> "Frame":
        """Append the rows of `frames`, whose columns must have the same names and types.

        Raises `KeyError` if the names differ.
        """
        for other in frames:
            if other.columns != self.columns:
                raise KeyError(f"cannot append rows with the columns {other.columns} to rows with {self.columns}")
        return Frame(self.engine, self.engine.concat([self.native, *(o.native for o in frames)]))

    def persist(self) -> "Frame":
        """Compute the rows once and keep them on the engine, for several uses or to finish a large step first."""
        return Frame(self.engine, self.engine.persist(self.native))

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns, without computing rows."""
        return self.engine.columns(self.native)

    def collect_as(self, schema: pa.Schema) -> pa.Table:
        """Collect only the columns of `schema` as a `pyarrow.Table`, cast to it. Raises KeyError if one is missing."""
        return self.select(*schema.names).collect(schema)

    def collect(self, schema: pa.Schema | None = None) -> pa.Table:
        """Compute the rows and return them as a table in memory; for tests and previews, never between assets."""
        table = self.engine.collect(self.native)
        return conform(table, schema) if schema else table


class Engine(ABC):
    """A place to compute: one core, every core, or many machines.

    `native` is the engine's own kind of table. Nothing is computed before `persist`, `collect` or `store`, with two
    exceptions: pandas, which has no plan to defer, and opaque functions on DuckDB.
    """

    needs_combiner: bool = False
    """Whether a shuffle moves all rows, because no query planner shrinks them first."""
    required_package: str | None = None
    """The package that must be installed, if it is not a dependency of the platform."""

    def should_combine(self, native: Any) -> bool:
        """Return whether a combiner should shrink the parts of a table before they are brought together."""
        return self.needs_combiner

    @abstractmethod
    def from_arrow(self, table: pa.Table) -> Frame:
        """Load a table in memory onto the engine."""

    @abstractmethod
    def read(self, scan: Scan) -> Frame:
        """Open stored rows as a frame."""

    @abstractmethod
    def per(self, keys: list[str], step: Step, *natives: Any) -> Any:
        """Run a step on whole keys, with equal keys of every table together."""

    @abstractmethod
    def map(self, step: Step, native: Any, *small: Any) -> Any:
        """Run a step on the rows where they are."""

    @abstractmethod
    def select(self, native: Any, columns: list[str]) -> Any:
        """Keep only these columns."""

    @abstractmethod
    def concat(self, natives: list[Any]) -> Any:
        """Concatenate tables that have the same columns."""

    @abstractmethod
    def persist(self, native: Any) -> Any:
        """Compute the rows once and keep them on the engine."""

    @abstractmethod
    def columns(self, native: Any) -> list[str]:
        """Return the names of the columns."""

    @abstractmethod
    def collect(self, native: Any) -> pa.Table:
        """Compute the rows and return them as a table in memory."""

    @abstractmethod
    def store(self, native: Any, write: "Writer", order: Sequence[str] = ()) -> list[str]:
        """Compute the rows, pass each partition to `write` where it is, and return the names of all files.

        The rows of a partition are sorted by the columns of `order`.
        """


Writer: TypeAlias = Callable[[Iterable[pa.Table]], list[str]]
"""Writes tables as new files and returns their names; picklable, so that it can run where the rows are."""


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with exactly the declared columns, types and order.

    Raises `KeyError` if a column is missing, and `pyarrow.ArrowInvalid` if a cast would change a value.
    """
    if missing := [n for n in schema.names if n not in table.column_names]:
        raise KeyError(f"the declared columns {missing} are missing; the table has {table.column_names}")
    return table.select(schema.names).cast(schema)


def sort(table: pa.Table, order: Sequence[str]) -> pa.Table:
    """Sort a table by these columns, nulls last; return it unchanged if there are none."""
    return table.sort_by([(c, "ascending") for c in order]) if order else table


def function_name(fn: Callable[..., Any]) -> str:
    """Return the name of a function, also of one wrapped in `functools.partial`."""
    return function_name(fn.func) if isinstance(fn, partial) else getattr(fn, "__name__", str(fn))
