"""What an asset declares of its columns is what the lake reads back."""

import pyarrow as pa
import pytest

from assets.tables import SCHEMAS
from resources.schema import INSTANT, TYPES, column, declare, declared, key, order


def test_a_declaration_is_read_back_as_it_was() -> None:
    kinds = [column(f"c{i}", t, f"column {i}", unit="ms", null=bool(i % 2)) for i, t in enumerate(TYPES.values())]
    schema = pa.schema([*kinds, column("who", pa.string(), "who listened", personal=True)])
    assert declared(declare(schema)).equals(schema, check_metadata=True)


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_table_has_only_types_that_all_engines_and_delta_share(table: str) -> None:
    assert {field.type for field in SCHEMAS[table]} <= set(TYPES.values())
    assert all(field.metadata[b"comment"] for field in SCHEMAS[table])


def test_a_type_that_engines_disagree_about_is_refused() -> None:
    schema = pa.schema([column("at", pa.timestamp("ns"), "when")])
    with pytest.raises(KeyError, match="timestamp"):
        declared(declare(schema))


def test_a_column_says_its_unit() -> None:
    assert column("ms", pa.int64(), "how long", unit="ms").metadata == {b"comment": b"how long (ms)"}
    assert not column("ms", pa.int64(), "how long").nullable


def test_the_column_of_a_table_that_partitions_slice_and_its_order_are_told() -> None:
    schema = pa.schema([column("at", INSTANT, "when")])
    told = declare(schema, key=["id"], slices="at", order=["at", "id"])
    assert told["partition_expr"] == "at"
    assert order(told) == ["at", "id"]
    assert key(told) == ["id"]
    assert "partition_expr" not in declare(schema)
    assert order(declare(schema)) == order({}) == key(declare(schema)) == []
    assert order(declare(schema, key=["at", "id"])) == ["at", "id"]
