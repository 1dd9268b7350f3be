"""Filters: the rows of a stored table that a reader wants or a write replaces, by the values of one column.

A filter states its condition once for Arrow and once for Narwhals, which translates it for every other engine. Rows
without a value in the column never match.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow.compute as pc


@dataclass(frozen=True)
class RangeFilter:
    """The rows whose `column` lies between two values, both included."""

    column: str
    first: Any
    last: Any

    def misses(self, low: Any, high: Any) -> bool:
        """Return whether no value from `low` to `high` matches."""
        return bool(high < self.first or low > self.last)

    def covers(self, low: Any, high: Any) -> bool:
        """Return whether every value from `low` to `high` matches."""
        return bool(self.first <= low and high <= self.last)

    @property
    def arrow(self) -> "pc.Expression":
        """The condition for Arrow, also while it reads files."""
        import pyarrow.dataset as ds

        return (ds.field(self.column) >= self.first) & (ds.field(self.column) <= self.last)

    @property
    def narwhals(self) -> "nw.Expr":
        """The condition for an engine that plans."""
        import narwhals as nw

        # Not `is_between`, which takes text for the name of a column.
        return (nw.col(self.column) >= self.first) & (nw.col(self.column) <= self.last)


@dataclass(frozen=True)
class ValuesFilter(RangeFilter):
    """The rows whose `column` has one of some values, which `first` and `last` enclose."""

    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: str, values: Iterable[Any]) -> "ValuesFilter":
        """Match these values, of which there must be one at least."""
        found = tuple(sorted(set(values)))
        return cls(column, found[0], found[-1], found)

    def misses(self, low: Any, high: Any) -> bool:
        return bisect_left(self.values, low) == bisect_right(self.values, high)

    def covers(self, low: Any, high: Any) -> bool:
        return bool(low == high) and not self.misses(low, high)

    @property
    def arrow(self) -> "pc.Expression":
        import pyarrow.dataset as ds

        return ds.field(self.column).isin(self.values)

    @property
    def narwhals(self) -> "nw.Expr":
        import narwhals as nw

        return nw.col(self.column).is_in(self.values)
