"""Frames: a table on an engine, and the ways to work on it.

A transformation is a pure function plus the key by which its rows may be divided. The function states what a
listener, a recording or a day needs; the key lets an engine hand different listeners, recordings or days to
different cores or machines, sharing nothing. What belongs here is the contract; how an engine keeps it belongs
in `engines/`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from resources.engines.workers import Lost
from resources.frames.scan import Scan

HEAVY = 4  # shares for each place to work where rows take long: who is done early has something left to do

Kernel: TypeAlias = Literal["narwhals", "arrow"]


@dataclass(frozen=True)
class Step:
    """A pure function, the kind of table it works on, and the columns it promises.

    A "narwhals" function takes and returns lazy Narwhals frames and may be planned by the engine; an "arrow" one
    takes and returns `pyarrow.Table` and is opaque, so it declares its schema; a heavy one also says what becomes of
    rows that are `lost`.
    """

    fn: Callable[..., Any]
    schema: pa.Schema | None = None
    kernel: Kernel = "narwhals"
    lost: Lost | None = None

    def __post_init__(self) -> None:
        if self.kernel == "arrow" and self.schema is None:
            raise ValueError(f"{name(self.fn)} is opaque: declare the schema it returns")
        if self.lost and self.kernel != "arrow":
            raise ValueError(
                f"{name(self.fn)} is planned by the engine: only opaque functions have a process of their own"
            )

    @property
    def heavy(self) -> bool:
        """Whether rows are worked on one by one, in processes of their own."""
        return self.lost is not None


@dataclass(frozen=True)
class Frame:
    """A lazy table bound to the engine that holds it."""

    engine: "Engine"
    native: Any

    def per(
        self,
        key: str | Sequence[str],
        fn: Callable[..., Any],
        *others: "Frame",
        combine: Callable[..., Any] | None = None,
        schema: pa.Schema | None = None,
        kernel: Kernel = "narwhals",
    ) -> "Frame":
        """Apply `fn` to whole keys, any number at once, together with the same keys of `others`.

        `combine` may shrink rows where they lie before they travel. As MapReduce's combiner it runs on any parts of
        the rows or on none, so `fn(combine(a) + b)` must equal `fn(a + b)`. An empty key keeps all rows together.
        Raises `KeyError` where a frame lacks the key.
        """
        keys = [key] if isinstance(key, str) else list(key)
        rows = self.combined(combine) if combine else self
        for frame in (rows, *others):
            if missing := set(keys) - set(frame.columns):
                raise KeyError(f"{name(fn)} divides by {sorted(missing)}, absent from {frame.columns}")
        step = Step(fn, schema, kernel)
        return Frame(self.engine, self.engine.per(keys, step, rows.native, *(o.native for o in others)))

    def map(
        self,
        fn: Callable[..., Any],
        *,
        broadcast: "Sequence[Frame | pa.Table]" = (),
        schema: pa.Schema | None = None,
        kernel: Kernel = "narwhals",
        lost: Lost | None = None,
    ) -> "Frame":
        """Apply `fn` to rows wherever they lie, batch by batch, with small tables sent along whole.

        Where `lost` is given the work is heavy, seconds for each row, or may bring down its process: then `fn` gets row
        by row, in processes of its own, as many as there are cores. A row whose process dies is what `lost` makes of
        it and the reason, and costs no other row.
        """
        step = Step(fn, schema, kernel, lost)
        small = [b.native if isinstance(b, Frame) else self.engine.from_arrow(b).native for b in broadcast]
        return Frame(self.engine, self.engine.map(step, self.native, *small))

    def combined(self, fn: Callable[..., Any]) -> "Frame":
        """The rows, fewer of them where they lie apart: `fn` runs on any parts of them or on none."""
        return self.map(fn) if self.engine.is_divided(self.native) else self

    def select(self, *columns: str) -> "Frame":
        """Keep some columns, so that nothing else is read or travels."""
        return Frame(self.engine, self.engine.select(self.native, list(columns)))

    def concat(self, *others: "Frame") -> "Frame":
        """These rows and those of `others`, whose columns have the same names and types."""
        for other in others:
            if other.columns != self.columns:
                raise KeyError(f"cannot put {other.columns} below {self.columns}")
        return Frame(self.engine, self.engine.concat([self.native, *(o.native for o in others)]))

    def persist(self) -> "Frame":
        """Compute the rows once, where they lie: for several uses, or so that a great step is over before the next."""
        return Frame(self.engine, self.engine.persist(self.native))

    @property
    def columns(self) -> list[str]:
        """The names of the columns, known without computing a row."""
        return self.engine.columns(self.native)

    def collect_as(self, schema: pa.Schema) -> pa.Table:
        """These columns alone, brought here."""
        return self.select(*schema.names).collect(schema)

    def collect(self, schema: pa.Schema | None = None) -> pa.Table:
        """Compute the rows and bring them here: for tests and previews, never between assets."""
        table = self.engine.collect(self.native)
        return conform(table, schema) if schema else table


class Engine(ABC):
    """A place to compute: one core, every core, or many machines.

    `native` is whatever the engine keeps its tables in. Nothing is computed before `persist`, `collect` or `store`,
    but on an engine that has no plan to defer (pandas) and for opaque functions on DuckDB.
    """

    scattered: bool = False
    """Whether rows travel between places without a plan that would shrink them first by itself."""
    needs: str | None = None
    """The package that must be installed, if it does not come with the platform."""

    def is_divided(self, native: Any) -> bool:
        """Whether the rows of a table are in parts that no plan would shrink before they come together."""
        return self.scattered

    @abstractmethod
    def from_arrow(self, table: pa.Table) -> Frame:
        """Bring rows from outside onto the engine."""

    @abstractmethod
    def read(self, scan: Scan) -> Frame:
        """Open stored rows."""

    @abstractmethod
    def per(self, keys: list[str], step: Step, *natives: Any) -> Any:
        """Run a step on whole keys, with equal keys of every table together."""

    @abstractmethod
    def map(self, step: Step, native: Any, *small: Any) -> Any:
        """Run a step on rows where they lie."""

    @abstractmethod
    def select(self, native: Any, columns: list[str]) -> Any:
        """Keep some columns."""

    @abstractmethod
    def concat(self, natives: list[Any]) -> Any:
        """Put tables of the same columns below one another."""

    @abstractmethod
    def persist(self, native: Any) -> Any:
        """Compute the rows once and hold them where they are."""

    @abstractmethod
    def columns(self, native: Any) -> list[str]:
        """The names of the columns."""

    @abstractmethod
    def collect(self, native: Any) -> pa.Table:
        """Compute, and bring the rows here."""

    @abstractmethod
    def store(self, native: Any, write: "Writer", order: Sequence[str] = ()) -> list[str]:
        """Compute, and hand the rows, share by share and wherever they are, to `write`; the names of the files.

        The rows of a share come in the order of these columns.
        """


Writer: TypeAlias = Callable[[Iterable[pa.Table]], list[str]]
"""Writes tables as new files and names them; picklable, so that it can run where the rows are."""


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a table exactly the declared columns, types and order. Raises where a value would change."""
    if missing := [n for n in schema.names if n not in table.column_names]:
        raise KeyError(f"the declared columns {missing} are not among {table.column_names}")
    return table.select(schema.names).cast(schema)


def sort(table: pa.Table, order: Sequence[str]) -> pa.Table:
    """The rows by these columns, nulls last; as they are where none is named."""
    return table.sort_by([(c, "ascending") for c in order]) if order else table


def name(fn: Callable[..., Any]) -> str:
    """What a function is called, also when some of its arguments are bound."""
    return name(fn.func) if isinstance(fn, partial) else getattr(fn, "__name__", str(fn))
