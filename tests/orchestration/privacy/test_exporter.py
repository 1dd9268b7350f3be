"""Exports: importing an export again gives the same records and listens."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.events.listens import LISTENS
from assets.imports.batch import import_file
from assets.imports.feedback import FEEDBACK_RECORDS, RAW_FEEDBACK
from assets.imports.listens import LISTEN_RECORDS, RAW_LISTENS
from orchestration.privacy.exporter import Exporter
from resources.lake.lake import Lake
from tests import oracle, tables
from tests.oracle import Row, assert_same
from tests.tables import CATALOG, raw

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMAS = {LISTEN_RECORDS.table: RAW_LISTENS, FEEDBACK_RECORDS.table: RAW_FEEDBACK}
ARRIVAL = ("import_id", "file", "record")
MBID, MSID = "20ddea3a-1ad2-4036-9ca7-5f3383ad31c1", "9cb0b6f0-8a5e-4e2d-9c6a-1d4f1f2a5b6c"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)


@st.composite
def raw_listens(draw: st.DrawFn) -> list[Row]:
    """Draw raw listens of two listeners with any combination of fields."""
    moment = st.integers(1_100_000_000_000_000, 1_760_000_000_000_000)
    row = st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(("ada", "ada2")),
            "ms_played": st.one_of(st.none(), st.integers(0, 24 * 86_400_000)),
            "source": st.sampled_from(("spotify", "listenbrainz", "lastfm", "maloja")),
            "time_zone": st.sampled_from((None, "Asia/Kathmandu")),
            "artist_name": TEXT,
            "recording_name": TEXT,
            "release_name": st.one_of(st.none(), TEXT),
            "recording_mbid": st.sampled_from((None, MBID)),
            "artist_mbids": st.sampled_from(([], [MBID, MSID])),
            "isrc": st.sampled_from((None, "GBAAA0000001")),
            "source_ref": st.sampled_from((None, "spotify:track:6RjKVXi31fui9m4dbiGRrL", "an origin of another kind")),
            "client": st.one_of(st.none(), TEXT),
            "import_id": st.sampled_from("01"),
        }
    )
    drawn = draw(st.lists(st.tuples(moment, row), max_size=12))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = [(epoch + timedelta(microseconds=at), changes) for at, changes in drawn]
    return [raw(when, n, changes.pop("user_id"), **changes) for n, (when, changes) in enumerate(rows)]


def reimport(lake: Lake, folder: Any, who: str = "ada") -> tuple[Lake, dict[str, int]]:
    """Import the export of a listener into an empty lake, and return the lake."""
    path, counts = Exporter(who, lake, SCHEMAS).write(folder, NOW)
    other = Lake(folder / "again")
    import_file(path, who, other, NOW)
    return other, counts


def stored(rows: list[Row], folder: Any) -> Lake:
    lake = Lake(folder / "lake")
    lake.replace(LISTEN_RECORDS.table, iter([tables.table(rows, RAW_LISTENS)]), RAW_LISTENS, order=LISTEN_RECORDS.order)
    return lake


def without_arrival(rows: list[Row]) -> list[Row]:
    return sorted(({k: r[k] for k in sorted(r) if k not in ARRIVAL} for r in rows), key=repr)


@given(rows=raw_listens())
def test_every_record_survives_a_round_trip(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> None:
    of_ada = [r for r in rows if r["user_id"] == "ada"]
    if not of_ada:
        return
    folder = tmp_path_factory.mktemp("export")
    lake, counts = reimport(stored(rows, folder), folder)
    imported = lake.scan(LISTEN_RECORDS.table, RAW_LISTENS).table().to_pylist()
    assert without_arrival(imported) == without_arrival(tables.table(of_ada, RAW_LISTENS).to_pylist())
    assert counts == {LISTEN_RECORDS.table: len(of_ada)}


@given(rows=tables.feeds())
def test_a_round_trip_gives_the_same_listens_without_duplicates(
    rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> None:
    of_ada = [r for r in rows if r["user_id"] == "ada"]
    if not of_ada:
        return
    folder = tmp_path_factory.mktemp("export")
    lake, _ = reimport(stored(rows, folder), folder)
    imported = lake.scan(LISTEN_RECORDS.table, RAW_LISTENS).table().to_pylist()
    assert_same(tables.table(listens_of(imported), LISTENS), listens_of(of_ada), LISTENS)


def listens_of(rows: list[Row]) -> list[Row]:
    """Return the listens that raw listens give, by the oracle."""
    ids = oracle.recording_matches(rows, CATALOG)
    all_days = (min(r["day"] for r in rows) - timedelta(days=1), max(r["day"] for r in rows) + timedelta(days=1))
    return oracle.listens(rows, ids, oracle.duplicate_listens(rows, ids, *all_days))


def test_feedback_survives_and_tables_are_added_as_json_lines(tmp_path: Any) -> None:
    lake = stored([raw(NOW, 0)], tmp_path)
    common = {"user_id": "ada", "score": 1, "file": "f", "record": 1, "import_id": "1", "source": "listenbrainz"}
    known = common | {"recording_mbid": MBID, "recording_msid": None, "artist_name": "A", "recording_name": "S"}
    unknown = known | {"recording_mbid": None, "record": 2, "source": "lastfm"}
    rows = [r | {"created_at": NOW} for r in (known, unknown, known | {"user_id": "bob", "record": 3})]
    lake.replace(FEEDBACK_RECORDS.table, iter([pa.Table.from_pylist(rows, RAW_FEEDBACK)]), RAW_FEEDBACK)
    path, counts = Exporter("ada", lake, SCHEMAS).write(tmp_path, NOW)
    assert counts == {FEEDBACK_RECORDS.table: 2, LISTEN_RECORDS.table: 1}
    with zipfile.ZipFile(path) as archive:
        added = [json.loads(line) for line in archive.read(f"tutti/{FEEDBACK_RECORDS.table}.jsonl").splitlines()]
    assert {r["table"] for r in added} == {FEEDBACK_RECORDS.table}
    assert [r["row"]["source"] for r in added] == ["listenbrainz", "lastfm"]
    other = Lake(tmp_path / "again")
    import_file(path, "ada", other, NOW)
    imported = other.scan(FEEDBACK_RECORDS.table, RAW_FEEDBACK).table().to_pylist()
    assert without_arrival(imported) == without_arrival(rows[:2])


def test_every_file_has_the_time_of_the_export(tmp_path: Path) -> None:
    path, _ = Exporter("ada", stored([raw(NOW, 0, "ada")], tmp_path), SCHEMAS).write(tmp_path, NOW)
    with zipfile.ZipFile(path) as archive:
        assert {datetime(*member.date_time, tzinfo=UTC) for member in archive.infolist()} == {NOW}
