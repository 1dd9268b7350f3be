"""Remove a listener from tables, by the columns that are declared personal.

A row is removed if a required personal column names the listener, or if it names nobody else. In other listeners' rows
the name is removed from lists, nullable columns and texts.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa

from resources.privacy.files import matches
from resources.privacy.person import ERASED, REMOVED, Person

IMPORT = "import_id"


def personal(schema: pa.Schema) -> frozenset[str]:
    """Return the personal columns of a declared schema."""
    return frozenset(f.name for f in schema if b"personal" in (f.metadata or {}))


@dataclass(frozen=True)
class Removal:
    """A listener to remove from a table, with the imports to remove completely."""

    person: Person
    columns: frozenset[str]  # the personal columns
    needed: frozenset[str]  # those of them that are never null
    imports: Collection[str] = ()

    @classmethod
    def of(cls, schema: pa.Schema, person: Person, imports: Collection[str] = ()) -> "Removal":
        """Return the removal for a table with this schema."""
        columns = personal(schema)
        return cls(person, columns, frozenset(c for c in columns if not schema.field(c).nullable), imports)

    def going(self, rows: pa.Table) -> Any:
        """Return a mask of the rows to remove."""
        import numpy as np
        import pyarrow.compute as pc

        none = np.zeros(len(rows), bool)
        plain = [c for c in rows.schema.names if c in self.columns and pa.types.is_string(rows.schema.field(c).type)]
        named = {c: matches(rows[c], self.person.name) for c in plain}
        other_names = (~named[c] & pc.is_valid(rows[c]).to_numpy(zero_copy_only=False) for c in plain)
        only_listener = reduce(np.logical_or, named.values(), none) & ~reduce(np.logical_or, other_names, none)
        needed = reduce(np.logical_or, (hits for c, hits in named.items() if c in self.needed), none)
        mask = only_listener | needed
        if self.imports and IMPORT in rows.schema.names:
            in_imports = pc.is_in(rows[IMPORT], pa.array(sorted(self.imports), pa.string()))
            mask = mask | in_imports.to_numpy(zero_copy_only=False)
        return mask

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Return the rows without the listener; the same object if nothing changes."""
        import numpy as np

        going = self.going(rows)
        left = rows.filter(pa.array(~going)) if going.any() else rows
        changed = np.zeros(len(left), bool)
        for name in self.columns & set(left.schema.names):
            column = left[name]  # Arrow returns another object each time
            if (redacted := self._redacted(name, column)) is not column:
                pairs = zip(column.to_pylist(), redacted.to_pylist(), strict=True)
                changed |= np.fromiter((old != new for old, new in pairs), bool, len(left))
                left = left.set_column(left.schema.get_field_index(name), left.schema.field(name), redacted)
        self.person.redacted_records += int(changed.sum())
        return left

    def _redacted(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column without the name; the same object if nothing changes."""
        import pyarrow.compute as pc

        if pa.types.is_string(column.type):
            if not pc.any(self.person.candidates(column)).as_py():
                return column
        elif not matches(column, self.person.name).any():
            return column
        values = column.to_pylist()
        redacted = [self._without(name, value) for value in values]
        return column if redacted == values else pa.chunked_array([pa.array(redacted, column.type)])

    def _without(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [element for element in value if element != self.person.name]
        # The rows that are left belong to others, and a column of texts may contain a record.
        result = REMOVED if value == self.person.name else self.person.without(value, name, owned=name == "extra")
        return (ERASED if name in self.needed else None) if result is REMOVED else result
