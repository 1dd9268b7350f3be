"""Filters: conditions on one column that select the rows a reader needs or a write replaces.

A filter provides its condition for Arrow, and for Narwhals, which translates it for every other engine. Rows without a
value in the column never match.
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
    """Select the rows whose `column` is between `first` and `last`, both included."""

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
        """Return the condition for Arrow, also for reading files."""
        import pyarrow.dataset as ds

        return (ds.field(self.column) >= self.first) & (ds.field(self.column) <= self.last)

    @property
    def narwhals(self) -> "nw.Expr":
        """Return the condition for engines that plan."""
        import narwhals as nw

        # Not `is_between`, which interprets text as the name of a column.
        return (nw.col(self.column) >= self.first) & (nw.col(self.column) <= self.last)


@dataclass(frozen=True)
class ValuesFilter(RangeFilter):
    """Select the rows whose `column` has one of `values`; `first` and `last` are the least and the greatest."""

    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: str, values: Iterable[Any]) -> "ValuesFilter":
        """Select these values. Raises `IndexError` if there are none."""
        distinct = tuple(sorted(set(values)))
        return cls(column, distinct[0], distinct[-1], distinct)

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
