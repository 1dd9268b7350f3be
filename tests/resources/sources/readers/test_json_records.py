"""JSON records from bytes, in every layout and broken in every way."""

import io
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.readers import json_records
from resources.sources.readers.json_records import (
    FILE_CUT,
    LIST_CUT,
    MAX_RECORD_CHARS,
    NOT_UTF8,
    TOO_LONG,
    Record,
    records,
)
from tests.hostile_json import GOOD as GOOD_TEXT
from tests.hostile_json import LAYOUTS, PIECES, hostile

GOOD = [{"id": n, "name": f'{{"n"}} \\ é{n}', "inner": [{"a": {}}, {"b": "]},{"}]} for n in range(4)]


def read(data: bytes | str) -> list[Record]:
    raw = data.encode() if isinstance(data, str) else data
    return list(records(io.BytesIO(raw), lambda record: isinstance(record, dict) and "id" in record))


def values(data: bytes | str) -> list[Any]:
    return [record.value for record in read(data)]


def texts(**style: Any) -> list[str]:
    return [json.dumps(record, **style) for record in GOOD]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=4, ensure_ascii=False),
        json.dumps(GOOD, indent=4).replace("\n", "\r\n"),
        json.dumps(GOOD, separators=(",", ":")),
        "\ufeff" + json.dumps(GOOD),
        "[\n" + ",\n".join(texts()) + "\n]\n",
        "\n".join(texts()),
        "\r\n".join(texts()) + "\r\n",
        "\ufeff" + "\n\n".join(texts()),
        "\n".join(texts(indent=2)),
        "".join(texts()),
        json.dumps(GOOD[:2]) + json.dumps(GOOD[2:]),
        json.dumps({"listen_type": "import", "payload": GOOD}),
        json.dumps({"payload": GOOD, "listen_type": "import"}, indent=1),
        json.dumps({"payload": {"count": 4, "listens": GOOD, "user_id": "ann"}}),
        "\n".join(json.dumps({"payload": half}) for half in (GOOD[:2], GOOD[2:])),
    ],
)
def test_every_layout_yields_the_same_records(data: str) -> None:
    assert values(data) == GOOD


def test_json_lines_are_numbered_from_one_and_arrays_from_zero() -> None:
    assert [record.number for record in read("\n" + "\n".join(texts()))] == [2, 3, 4, 5]
    assert [record.number for record in read(json.dumps(GOOD))] == [0, 1, 2, 3]
    assert [read("\n".join(texts()))[0].position, read(json.dumps(GOOD))[0].position] == [
        "line 1",
        "record 0 of the array",
    ]


BROKEN = [
    '{"id": 1,, "x": 2}',
    '{"id": NaN}',
    '{"id": -Infinity}',
    '{"id": 1, "name": "no end}',
    '{"id": 1, "name: "no start"}',
    '{"id": 1, "inner": {"a": 1}',
    '{"id": 1, "inner": {{"a": 1}',
    '{"id": "\\x"}',
    '{"id": "tab\t"}',
    '"id": 1}',
    '{"id": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"id": ' + "9" * 5_000 + "}",
    '{"id": 1e99999999999999999999}',
    "null",
    "17",
    "garbage",
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("layout", ["[{}]", "[\n{}\n]", "lines"])
def test_a_broken_record_loses_no_other(broken: str, place: int, layout: str) -> None:
    parts = texts()
    parts.insert(place, broken)
    data = "\n".join(parts) if layout == "lines" else layout.replace("{}", ", ".join(parts))
    results = read(data)
    assert [record.value for record in results if record.value] == GOOD
    assert len(results) == 5
    assert results[place].reason


def test_two_adjacent_broken_records_are_separated_by_their_braces() -> None:
    results = read('[{"id": 0}, {"id": NaN}, {"id": }, {"id": 3}]')
    assert [(record.number, record.reason is None) for record in results] == [(0, 1), (1, 0), (2, 0), (3, 1)]


def test_invalid_utf8_loses_only_its_record() -> None:
    for glue in (b"\n", b",\n"):
        parts = [text.encode() for text in texts(ensure_ascii=False)]
        parts[1] = b'{"id": 1, "name": "\xff\xfe"}'
        data = glue.join(parts) if glue == b"\n" else b"[" + glue.join(parts) + b"]"
        assert [record.reason for record in read(data)] == [None, NOT_UTF8, None, None]


@pytest.mark.parametrize("closed", ['"}', ""], ids=["whole", "unclosed"])
@pytest.mark.parametrize("length", [MAX_RECORD_CHARS, 5 * MAX_RECORD_CHARS])
@pytest.mark.parametrize("layout", ["list", "lines"])
def test_an_oversized_record_is_skipped(closed: str, length: int, layout: str) -> None:
    parts = texts()
    parts.insert(2, '{"id": 9, "name": "' + "x" * length + closed)
    results = read("\n".join(parts) if layout == "lines" else "[" + ",".join(parts) + "]")
    assert [record.value for record in results if record.value] == GOOD
    assert [record.reason for record in results if record.reason] == [TOO_LONG]
    assert max(len(record.text) for record in results) <= MAX_RECORD_CHARS


def test_a_record_may_begin_anywhere_in_a_block() -> None:
    for length in range(2 * MAX_RECORD_CHARS - 8, 2 * MAX_RECORD_CHARS + 3):
        lead = '{"id": "' + "x" * (MAX_RECORD_CHARS - 20) + '"},{"id": "'
        data = "[" + lead + "x" * (length - len(lead)) + '"},{"id": 2}]'
        assert read(data)[-1].value == {"id": 2}, length


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
def test_the_record_after_an_oversized_one_may_span_two_reads(times: int) -> None:
    for shift in range(-12, -5):
        endless = '{"id": "' + "x" * (times * MAX_RECORD_CHARS + shift)
        results = read("[" + endless + "," + '{"id": 2}, {"id": 3}]')
        assert [record.value for record in results if record.value] == [{"id": 2}, {"id": 3}], shift


def test_records_may_be_any_distance_apart() -> None:
    assert values('[{"id": 1},' + " " * 3 * MAX_RECORD_CHARS + '{"id": 2}' + "\n" * 3 * MAX_RECORD_CHARS + "]") == [
        {"id": 1},
        {"id": 2},
    ]


def test_the_last_of_two_equal_keys_wins() -> None:
    assert values('[{"id": 1, "id": 2}]') == [{"id": 2}]


def test_an_empty_list_yields_nothing_and_no_error() -> None:
    assert read("[]") == read("") == read(" \n") == []


@pytest.mark.parametrize("name", ["track", "payload", "orderedItems"])
@pytest.mark.parametrize("inner", [[], [[[]]], [1], [{"id": 7}]])
def test_a_record_may_have_a_list_with_the_name_of_a_documents_list(name: str, inner: list[Any]) -> None:
    """Regression: such a record was read as a document and lost its own fields."""
    with_list = [{"id": 1, name: inner, "more": True}, GOOD[2]]
    for wanted in (with_list, [GOOD[0], *with_list]):
        assert values(json.dumps(wanted)) == values("\n".join(map(json.dumps, wanted))) == wanted


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_too_deep_record_in_a_documents_list_is_reported(place: str) -> None:
    deep = f'"track": {"[" * 9_000}{"]" * 9_000}'
    record = f'{{"id": 1, {deep}}}' if place == "last" else f'{{{deep}, "id": 1}}'
    for data in (f"[{record}, {json.dumps(GOOD[2])}]", f"{record}\n{json.dumps(GOOD[2])}"):
        broken, sound = read(data)
        assert (broken.value, broken.reason, sound.value) == (None, "nested too deeply", GOOD[2])


@pytest.mark.parametrize("style", [{}, {"indent": 2}], ids=["compact", "pretty"])
def test_a_truncated_list_yields_the_records_before_and_a_reason(style: dict[str, Any]) -> None:
    text, ends = json.dumps(GOOD, ensure_ascii=False, **style), []
    for _ in GOOD:
        start = text.index("{", ends[-1] if ends else 0)
        ends.append(json.JSONDecoder().raw_decode(text, start)[1])
    data, ends = text.encode(), [len(text[:end].encode()) for end in ends]
    for length in range(1, len(data)):
        results = read(data[:length])
        whole = [record.value for record in results if record.value]
        assert whole == GOOD[: len(whole)]
        assert [record.reason in (FILE_CUT, LIST_CUT) for record in results] == [False] * len(whole) + [True], length
        assert len(whole) == sum(end <= length for end in ends), length


def test_truncated_json_lines_yield_the_records_before_and_a_reason() -> None:
    data = "\n".join(texts(ensure_ascii=False)).encode()
    ends = [n for n in range(len(data) + 1) if n == len(data) or data[n : n + 1] == b"\n"]
    for length in range(len(data) + 1):
        complete = sum(end <= length for end in ends)
        if complete == 0:
            continue  # one cut record alone has no layout
        results = read(data[:length])
        assert [record.value for record in results if record.value] == GOOD[:complete]
        assert [record.reason for record in results[complete:]] == (
            [] if length - 1 in (*ends, -1) or length in ends else [FILE_CUT]
        )


@given(st.data())
def test_changed_bytes_lose_only_their_record(data: st.DataObject) -> None:
    parts = [text.encode() for text in texts(ensure_ascii=False)]
    hurt = data.draw(st.integers(0, 3))
    part = bytearray(parts[hurt])
    for _ in range(data.draw(st.integers(1, 4))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.sampled_from(list(b'{}[]",:\\ x0\xff')))
    parts[hurt] = bytes(part)
    glue, brackets = data.draw(st.sampled_from([(b", ", b"[]"), (b",\n", b"[]"), (b"\n", b"")]))
    results = values(brackets[:1] + glue.join(parts) + brackets[1:])
    rest = [record for n, record in enumerate(GOOD) if n != hurt]
    assert [record for record in results if record in rest] == rest


class Counting:
    """Counts the characters that a reader looks at, again and again."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.chars, self.results = 0, 0
        self._decode = json_records.DECODER.raw_decode
        patch.setattr(json_records, "DECODER", self)
        for name in ("_closing", "_next"):
            patch.setattr(json_records, name, partial(self._search, getattr(json_records, name)))

    def raw_decode(self, text: str, at: int = 0) -> tuple[Any, int]:
        end = len(text)
        try:
            value, end = self._decode(text, at)
        except json.JSONDecodeError as error:
            end = end if error.msg.startswith("Unterminated") else error.pos
            raise
        finally:
            self.chars += end - at
        return value, end

    def _search(self, search: Any, where: Any, start: int, limit: int, *plausible: Any) -> int:
        self.chars += limit - start
        return search(where, start, limit, *plausible)


def work(kind: str, layout: str, size: int) -> tuple[int, int, int]:
    """Return the characters of a hostile text, those a reader looks at, and its results."""
    text = hostile(kind, layout, size)
    with pytest.MonkeyPatch.context() as patch:
        counting = Counting(patch)
        results = sum(1 for _ in records(io.BytesIO(text.encode()), lambda record: "ts" in record))
    return len(text), counting.chars, results


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", PIECES)
def test_broken_text_is_read_in_linear_time(kind: str, layout: str) -> None:
    """At most 20 looks at a character, and a result for every 100 broken ones: a second for each megabyte."""
    size, looked_at, results = work(kind, layout, 60_000)
    assert looked_at < 20 * size + 3 * json_records.FREE_WORK
    assert results < size / 25 + json_records.FREE_WORK / json_records.RECORD_WORK


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", PIECES)
def test_ten_times_the_broken_text_takes_ten_times_the_work(kind: str, layout: str) -> None:
    (small, few, _), (large, many, _) = (work(kind, layout, size) for size in (300_000, 3_000_000))
    assert many < 20 * large + 3 * json_records.FREE_WORK
    assert many < 15 * few + 20 * json_records.MAX_RECORD_CHARS
    assert large > 5 * small


@pytest.mark.parametrize("kind", PIECES)
def test_records_after_much_broken_text_are_read(kind: str) -> None:
    text = hostile(kind, "after a record", 200_000) + '"}\n,' + ",".join([GOOD_TEXT] * 20)
    found = list(records(io.BytesIO(text.encode()), lambda record: "ts" in record))
    assert sum(1 for record in found if record.value and "ts" in record.value) >= 15
    assert sum(len(record.text) for record in found) > len(text) * 0.9 or len(text) > 100_000


def test_many_broken_records_are_reported_alone_and_then_together() -> None:
    found = read("[" + "{x}," * 100_000 + json.dumps(GOOD[0]) + "]")
    assert [record.reason for record in found[:500]].count(json_records.MANY) == 0
    assert found[-1].value == GOOD[0]
    assert json_records.MANY in {record.reason for record in found}
    assert sum(record.text.count("{x}") for record in found) == 100_000


@pytest.mark.slow
def test_memory_stays_bounded_for_a_long_list() -> None:
    class Endless:
        left = 5 * MAX_RECORD_CHARS

        def read1(self, size: int, /) -> bytes:
            if self.left <= 0:
                return b""
            self.left -= size
            return b'{"id": 10},' * (size // 11)

    largest = 0
    window_fill = json_records._Window.fill

    def fill(window: Any) -> bool:
        nonlocal largest
        read = window_fill(window)
        largest = max(largest, len(window.text))
        return read

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_records._Window, "fill", fill)
        count = sum(1 for _ in records(Endless(), lambda record: True))
    assert count > 450_000
    assert largest < 3 * MAX_RECORD_CHARS
