"""Application events of any program version: fields are read, kept in `extra` or, if personal, dropped."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resources.sources.readers import personal
from resources.sources.records.app_event import AppEvent
from resources.sources.records.listen import Listen
from tests.exporting import read, reasons

MBID = "2cfad207-3f55-4aec-8120-86cf66e34d59"
AT = datetime(2025, 3, 3, 8, 0, 1, 250_000, tzinfo=UTC)
ADDRESS, AGENT = "203.0.113.77", "Mozilla/5.0 (X11; Kepler)"

FIRST: dict[str, Any] = {
    "event": "seek",
    "event_id": "0b7e",
    "user_id": "ada",
    "timestamp": "2025-03-03T08:00:01.250Z",
    "client": "Player",
    "client_version": "1.9",
    "schema_version": 1,
    "properties": {"recording_mbid": MBID, "track_name": "Prelude", "position_ms": 60_000, "to_ms": 45_000},
}
SECOND = FIRST | {  # a later version swaps numbers and text
    "timestamp": 1_740_988_801_250,
    "client_version": 2.0,
    "schema_version": "2",
    "properties": {
        "recording_mbid": MBID,
        "track_name": "Prelude",
        "position_ms": "60000",
        "to_s": 45.0,
        "shuffle": True,
    },
}
SEGMENT = {
    "type": "track",
    "event": "Seek",
    "messageId": "0b7e",
    "userId": "ada",
    "timestamp": "2025-03-03T10:00:01.250+02:00",
    "context": {"ip": ADDRESS, "userAgent": AGENT, "app": {"name": "Player", "version": "1.9", "build": "7"}},
    "properties": FIRST["properties"],
}


def lines(*records: Any) -> str:
    return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records)


def events(folder: Path, *records: Any, listener: str | None = None) -> list[AppEvent]:
    """Return the events of records, which must all be events."""
    results = read(folder, lines(*records), listener)
    assert reasons(results) == []
    return [r.parsed for r in results if isinstance(r.parsed, AppEvent)]


def shape(event: AppEvent) -> dict[str, tuple[str, str]]:
    """Return type and outcome of each field of an event."""
    rows = [line.split("\t") for line in event.shape.split("\n")]
    return {field: (type_, outcome) for field, type_, outcome in rows}


def test_two_program_versions_and_segment_yield_the_same_event(tmp_path: Path) -> None:
    first, second, segment = events(tmp_path, FIRST, SECOND, SEGMENT)
    for event in (first, second, segment):
        assert (event.user_id, event.at, event.event.lower(), event.event_id) == ("ada", AT, "seek", "0b7e")
        assert (event.recording_mbid, event.recording_name) == (MBID, "Prelude")
        assert (event.position_ms, event.to_ms) == (60_000, 45_000)
        assert event.client == "Player"
    assert [e.client_version for e in (first, second, segment)] == ["1.9", "2.0", "1.9"]
    assert [e.schema_version for e in (first, second, segment)] == ["1", "2", None]
    assert first.extra is None
    assert json.loads(second.extra or "") == {"properties": {"shuffle": True}}
    assert json.loads(segment.extra or "") == {"type": "track", "context": {"app": {"build": "7"}}}


def test_a_page_call_of_segment_is_a_page_view(tmp_path: Path) -> None:
    (view,) = events(tmp_path, {"type": "page", "name": "Charts", "userId": "ada", "timestamp": 1_740_988_801})
    assert (view.event, view.page, view.at) == ("page_view", "Charts", AT.replace(microsecond=0))


@pytest.mark.parametrize(
    ("properties", "position_ms"),
    [
        ({"position_ms": 60_000}, 60_000),
        ({"position_ms": "60000"}, 60_000),
        ({"position_ms": 60_000.0}, 60_000),
        ({"position_s": 60.0004}, 60_000),
        ({"position_s": "60"}, 60_000),
        ({"position_ms": None, "position_s": 60}, 60_000),
        ({"position_ms": 1.234}, None),  # a fraction may mean seconds, so it is not read
        ({"position_ms": -1}, None),
        ({"position_ms": True}, None),
        ({"position_ms": "a minute"}, None),
        ({"position_ms": [60_000]}, None),
        ({"position_ms": 24 * 86_400_000 + 1}, None),
        ({"position": 60}, None),  # without a unit
    ],
)
def test_a_valid_position_is_read_and_an_invalid_one_kept_in_extra(
    tmp_path: Path, properties: dict[str, Any], position_ms: int | None
) -> None:
    (event,) = events(tmp_path, FIRST | {"properties": properties})
    assert event.position_ms == position_ms
    if position_ms is None:
        assert json.loads(event.extra or "") == {"properties": properties}
    else:
        assert event.extra is None


def test_a_value_of_another_type_is_marked_in_the_shape(tmp_path: Path) -> None:
    changes = {"schema_version": {"major": 3}, "properties": {"recording_mbid": 7, "query": ["a", "b"], "to_ms": "1"}}
    (event,) = events(tmp_path, FIRST | changes)
    assert (event.recording_mbid, event.query, event.schema_version, event.to_ms) == (None, None, None, 1)
    fields = shape(event)
    assert fields["properties.recording_mbid"] == ("integer", "unreadable")
    assert fields["properties.query"] == ("array", "unreadable")
    assert fields["properties.to_ms"] == ("string", "read")
    assert fields["schema_version.major"] == ("integer", "extra")
    assert fields["timestamp"] == ("string", "read")


def test_an_event_without_id_gets_one_from_its_content(tmp_path: Path) -> None:
    nameless = {k: v for k, v in FIRST.items() if k != "event_id"}
    resent = {**nameless, "context": {"ip": ADDRESS}}  # sent again from another place
    first, again, other = events(tmp_path, nameless, resent, nameless | {"new": 1})
    assert first.event_id == again.event_id != other.event_id


def test_the_listener_named_at_import_precedes_the_records_own(tmp_path: Path) -> None:
    ours = {k: v for k, v in FIRST.items() if k != "user_id"}
    assert [e.user_id for e in events(tmp_path, FIRST, ours, listener="bob")] == ["bob", "bob"]
    results = read(tmp_path, lines(FIRST, ours), None)
    assert ["listener" in reason for reason in reasons(results)] == [True]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timestamp": None}, "timestamp is missing"),
        ({"timestamp": "2025-03-03T08:00:01"}, "timestamp is not a time with zone"),
        ({"timestamp": "soon"}, "timestamp is not a time with zone"),
        ({"timestamp": [1]}, "timestamp is not a time with zone"),
        ({"timestamp": "2025-03-03T08:00:01+99:00"}, "timestamp is not a time with zone"),
        ({"timestamp": -1}, "timestamp is not a time with zone"),
        ({"timestamp": 1e300}, "timestamp is not a time with zone"),
        ({"timestamp": 4_102_444_800}, "happened at 2100-01-01T00:00:00+00:00, which is in the future"),
        ({"timestamp": "1999-12-31T23:59:59Z"}, "happened at 1999-12-31T23:59:59+00:00, before 2002-10-01"),
        ({"event": " "}, "event is missing"),
        ({"event": None}, "event is missing"),
        ({"event": ["play"]}, "event is missing"),
    ],
)
def test_an_event_without_valid_time_or_name_is_quarantined(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    results = read(tmp_path, lines(FIRST, FIRST | changes, SECOND), None)
    assert [isinstance(r.parsed, AppEvent) for r in results] == [True, False, True]
    (actual,) = reasons(results)
    assert actual.startswith(reason)


def test_broken_lines_are_quarantined_without_personal_values(tmp_path: Path) -> None:
    broken = json.dumps(SEGMENT | {"event": None})
    results = read(tmp_path, lines(FIRST, broken, broken[:-20], SECOND), None)
    assert [isinstance(r.parsed, AppEvent) for r in results] == [True, False, False, True]
    raw = "".join(r.raw or "" for r in results)
    assert "Seek" in raw or "messageId" in raw
    assert ADDRESS not in raw
    assert "Kepler" not in raw


def test_personal_fields_are_dropped_at_any_depth(tmp_path: Path) -> None:
    hidden = {
        "clientIp": ADDRESS,
        "context": {
            "device": {"model": "Phone", "advertisingId": "x1", "ipAddress": ADDRESS},
            "traits": {"a": "Ada L."},
        },
        "properties": {"from": ADDRESS, "sent": [{"user_agent": AGENT, "by": AGENT}], "email": "ada@example.org"},
        "anonymousId": "y2",
    }
    (event,) = events(tmp_path, FIRST | hidden)
    stored = repr(event)
    assert [secret for secret in (ADDRESS, "Kepler", "x1", "y2", "Ada L.", "example.org") if secret in stored] == []
    assert json.loads(event.extra or "") == {
        "context": {"device": {"model": "Phone"}},
        "properties": {"from": "[cut]", "sent": [{"by": "[cut]"}]},
    }
    assert shape(event)["context.device.ipAddress"] == ("string", "personal")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gz", "zst"])
def test_compressed_files_and_lists_are_read(tmp_path: Path, pack: Any) -> None:
    for data in (lines(FIRST, SECOND), json.dumps([FIRST, SECOND])):
        results = read(tmp_path, pack(data.encode()), None)
        assert [type(r.parsed) for r in results] == [AppEvent, AppEvent]


def test_listens_and_events_in_one_file_are_distinguished(tmp_path: Path) -> None:
    listen = {
        "listened_at": 1_700_000_000,
        "user_name": "ada",
        "track_metadata": {"artist_name": "A", "track_name": "B"},
    }
    results = read(tmp_path, lines(FIRST, listen, SECOND), None)
    assert [type(r.parsed) for r in results] == [AppEvent, Listen, AppEvent]


def test_a_too_deep_record_loses_no_other(tmp_path: Path) -> None:
    deep = json.dumps(FIRST)[:-1] + ',"deep":' + '{"a":' * 600 + "1" + "}" * 600 + "}"
    results = read(tmp_path, lines(FIRST, deep, SECOND), None)
    assert [isinstance(r.parsed, AppEvent) for r in results][::2] == [True, True]
    assert len(results) == 3


# No value is lost.

KEYS = st.sampled_from(
    (
        *("position_ms", "position_s", "to_ms", "query", "page", "path", "playlist", "recording_mbid", "track_name"),
        *(
            "client",
            "client_version",
            "schema_version",
            "event_id",
            "messageId",
            "new",
            "é",
            "",
            "a.b",
            "\x00",
            "\ud800",
        ),
    )
)
TEXTS = st.one_of(st.sampled_from(("", "60000", "1.5", MBID, "é", "\x00", "\ud800", "愛")), st.text(max_size=5))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(0, 90_000),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(KEYS, st.integers(0, 3), max_size=2),
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every value that is not an object with fields, with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def column_values(event: AppEvent) -> set[str]:
    """Return the values of all columns of an event as text."""
    values = [getattr(event, n) for n in event.__slots__ if n not in ("extra", "shape")]
    seconds = [str(v / 1000) for v in (event.position_ms, event.to_ms) if v is not None]
    texts = {str(v).lower() for v in values}
    return texts.union(seconds, *map(_as_number, texts))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OBJECTS, OBJECTS)
@example({"client": {"new": 1}}, {"position_ms": "1", "position_s": 2, "to_ms": 1.5})
@example({"position_ms": 5}, {"position_ms": 6})
def test_every_value_is_in_a_column_or_in_extra(
    tmp_path: Path, beside: dict[str, Any], properties: dict[str, Any]
) -> None:
    record = {"event": "play", "user_id": "ada", "timestamp": 1_740_988_801, **beside, "properties": properties}
    (event,) = events(tmp_path, record)
    left = dict(leaves(json.loads(event.extra or "{}")))
    columns = column_values(event)
    for path, value in leaves(json.loads(json.dumps(record))):
        if path in left:
            stored = left[path]
            same = stored == value and isinstance(stored, bool) == isinstance(value, bool)
            assert same or stored in (personal.redact_addresses(value), repr(value)), (path, value, stored)
        elif value is not None and path != ("timestamp",):
            text = str(value).strip().lower()
            number = _rounded(value) if path[-1].endswith("_s") else None
            assert {text, number} & columns or _as_number(text) & columns, (path, value, event)


def _rounded(value: Any) -> str | None:
    """Return seconds rounded to milliseconds, as a column stores them, or None if it is not a number."""
    try:
        return str(round(float(value) * 1000) / 1000)
    except ValueError:
        return None


def _as_number(text: str) -> set[str]:
    """Return other ways to write a number."""
    try:
        return {str(float(text))}
    except ValueError:
        return set()
