"""The lake reads back exactly the columns that an asset declares."""

import pyarrow as pa
import pytest

from assets.tables import SCHEMAS
from resources.schema import INSTANT, TYPES, column, declare, declared, key, order


def test_declaration_is_read_back_unchanged() -> None:
    columns = [column(f"c{i}", t, f"column {i}", unit="ms", null=bool(i % 2)) for i, t in enumerate(TYPES.values())]
    schema = pa.schema([*columns, column("who", pa.string(), "who listened", personal=True)])
    assert declared(declare(schema)).equals(schema, check_metadata=True)


@pytest.mark.parametrize("table", SCHEMAS)
def test_table_has_only_types_that_all_engines_support(table: str) -> None:
    assert {field.type for field in SCHEMAS[table]} <= set(TYPES.values())
    assert all(field.metadata[b"comment"] for field in SCHEMAS[table])


def test_refuses_a_type_on_which_engines_disagree() -> None:
    schema = pa.schema([column("at", pa.timestamp("ns"), "when")])
    with pytest.raises(KeyError, match="timestamp"):
        declared(declare(schema))


def test_column_description_ends_with_its_unit() -> None:
    assert column("ms", pa.int64(), "how long", unit="ms").metadata == {b"comment": b"how long (ms)"}
    assert not column("ms", pa.int64(), "how long").nullable


def test_declaration_has_partition_column_key_and_order() -> None:
    schema = pa.schema([column("at", INSTANT, "when")])
    metadata = declare(schema, key=["id"], slices="at", order=["at", "id"])
    assert metadata["partition_expr"] == "at"
    assert order(metadata) == ["at", "id"]
    assert key(metadata) == ["id"]
    assert "partition_expr" not in declare(schema)
    assert order(declare(schema)) == order({}) == key(declare(schema)) == []
    assert order(declare(schema, key=["at", "id"])) == ["at", "id"]
