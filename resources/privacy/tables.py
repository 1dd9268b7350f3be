"""Tables without a person: which of a table's columns tell of persons, and what is left of its rows.

A row goes that must name the person, or names nobody else. In another's row the name is taken out: of a list, of a
column that may be empty, and of text.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa

from resources.privacy.files import names
from resources.privacy.person import ERASED, GONE, Person

IMPORT = "import_id"


def personal(schema: pa.Schema) -> frozenset[str]:
    """The columns of a declared table that tell of persons."""
    return frozenset(f.name for f in schema if b"personal" in (f.metadata or {}))


@dataclass(frozen=True)
class Removal:
    """Who is taken out of a table, and which imports go with them."""

    person: Person
    columns: frozenset[str]  # that tell of persons
    needed: frozenset[str]  # those of them that no row lacks
    imports: Collection[str] = ()

    @classmethod
    def of(cls, schema: pa.Schema, person: Person, imports: Collection[str] = ()) -> "Removal":
        """From a table with these columns."""
        columns = personal(schema)
        return cls(person, columns, frozenset(c for c in columns if not schema.field(c).nullable), imports)

    def going(self, rows: pa.Table) -> Any:
        """Which rows go."""
        import numpy as np
        import pyarrow.compute as pc

        none = np.zeros(len(rows), bool)
        plain = [c for c in rows.schema.names if c in self.columns and pa.types.is_string(rows.schema.field(c).type)]
        named = {c: names(rows[c], self.person.name) for c in plain}
        others = (~named[c] & pc.is_valid(rows[c]).to_numpy(zero_copy_only=False) for c in plain)
        alone = reduce(np.logical_or, named.values(), none) & ~reduce(np.logical_or, others, none)
        needed = reduce(np.logical_or, (hits for c, hits in named.items() if c in self.needed), none)
        found = alone | needed
        if self.imports and IMPORT in rows.schema.names:
            of_imports = pc.is_in(rows[IMPORT], pa.array(sorted(self.imports), pa.string()))
            found = found | of_imports.to_numpy(zero_copy_only=False)
        return found

    def __call__(self, rows: pa.Table) -> pa.Table:
        """What is left of some rows; the very same if that is all."""
        going = self.going(rows)
        left = rows.filter(pa.array(~going)) if going.any() else rows
        for name in self.columns & set(left.schema.names):
            column = left[name]  # Arrow gives another object each time
            if (struck := self._struck(name, column)) is not column:
                left = left.set_column(left.schema.get_field_index(name), left.schema.field(name), struck)
        return left

    def _struck(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column without the name; the very same if nothing of it was in it."""
        import pyarrow.compute as pc

        if pa.types.is_string(column.type):
            hits = [pc.match_substring(column, form) for form in self.person.forms]
            if not pc.any(reduce(pc.or_, hits)).as_py():
                return column
        elif not names(column, self.person.name).any():
            return column
        told = column.to_pylist()
        kept = [self._without(name, value) for value in told]
        return column if kept == told else pa.chunked_array([pa.array(kept, column.type)])

    def _without(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [each for each in value if each != self.person.name]
        found = GONE if value == self.person.name else self.person.without(value, name)
        return (ERASED if name in self.needed else None) if found is GONE else found
