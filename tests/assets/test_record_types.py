"""Record types: fields of records are stored under their names, and one of them gives the day."""

from dataclasses import fields
from datetime import UTC, date, datetime

import pytest

from assets.imports.record_type import BY_ARRIVAL, RecordType
from assets.imports.record_types import RECORD_TYPES
from assets.imports.relationships import RELATIONSHIP_RECORDS
from resources.sources.records.listen import RecordResult
from resources.sources.records.social import FOLLOW, Relationship


@pytest.mark.parametrize("kind", RECORD_TYPES, ids=lambda kind: kind.table)
def test_a_table_has_all_fields_of_its_record_and_its_place_in_a_file(kind: RecordType) -> None:
    day = ["day"] if kind.dated else []
    assert kind.schema.names[: len(day)] == day
    assert kind.schema.names[-3:] == ["file", "record", "import_id"]
    assert {f.name for f in fields(kind.record)} == set(kind.schema.names) - {*day, *BY_ARRIVAL, "name_key"}


def test_a_record_is_stored_on_its_utc_day_or_the_first_day() -> None:
    times = [datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC), datetime(2024, 3, 1, tzinfo=UTC), None]
    relationships = [Relationship("ada", "bob", FOLLOW, False, at, "x") for at in times]
    reads = [RecordResult("a.zip/b", n, relationship) for n, relationship in enumerate(relationships)]
    stored = RELATIONSHIP_RECORDS.rows([*reads, RecordResult("a.zip/b", 3, reason="no time")], "id")
    assert stored["day"].to_pylist() == [date(2024, 2, 29), date(2024, 3, 1), date(2002, 9, 30)]
    assert stored["happened_at"].to_pylist() == times
    assert stored.select(["file", "record", "import_id"]).to_pylist()[2] == {
        "file": "a.zip/b",
        "record": 2,
        "import_id": "id",
    }
