"""The listener is found however a file spells their name, and every other byte of the file stays."""

import gzip
import io
import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.privacy.files import remove_listener
from resources.privacy.person import ERASED, REMOVED, Person
from resources.privacy.scanner import Scanner

JOERG = "jörg"
LISTEN = '"listened_at": 1709000000, "track_metadata": {"artist_name": "Band", "track_name": "L"}'


def record(name: str) -> str:
    """Return a listen whose listener is spelled as given."""
    return f'{{"user_name": "{name}", {LISTEN}}}'


OTHERS = (record("kim"), record(r"j\u00F6rg2"), f'{{"user_name": "kim", "gain": 1E400, "n": -0.0, "x": 1.50,{LISTEN}}}')


def erase(path: Path, name: str, content: str | bytes) -> str | None:
    """Write a file, check that the scanner finds the listener in it, and erase them."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert places(path, name)
    return remove_listener(path, Person(name))


def places(path: Path, name: str) -> list[str]:
    """Return the places that name a listener, according to the scanner."""
    folder = path.parent
    return [trace.where for trace in Scanner(Person(name), folder, folder / "history", {}).traces()]


SPELLINGS = [
    (JOERG, r"j\u00F6rg"),
    (JOERG, r"j\u00f6rg"),
    (JOERG, r"\u006aörg"),
    (JOERG, r"\u006A\u00f6\u0072\u0067"),
    ("ada", r"\u0061da"),
    ("ada", r"ad\u0061"),
    ("ada", "ada "),
    ("ada", r"ada\n"),
    ("o'neil", r"o\u0027neil"),
    ("a/b", r"a\/b"),
    ("a/b", r"a\u002Fb"),
    ('a"b', r"a\u0022b"),
    ("a\\b", r"a\u005cb"),
    ("a\\b", r"a\\b"),
    ("ada 😀", r"ada \uD83D\uDE00"),
    ("ada 😀", r"ada \ud83d\ude00"),
    ("日本", r"\u65E5\u672c"),
    ("jo\u0308rg", r"jo\u0308rg"),  # decomposed: imports keep it apart from the composed name
]


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS)
def test_name_is_found_in_any_spelling_and_others_stay(name: str, spelled: str, tmp_path: Path) -> None:
    lines = [OTHERS[0], record(spelled), OTHERS[1], record(spelled).replace("user_name", r"user_n\u0061me"), OTHERS[2]]
    path = tmp_path / "a.jsonl"
    assert erase(path, name, "\n".join(lines)) == "rewritten"
    assert path.read_text().splitlines() == list(OTHERS)
    assert places(path, name) == []


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS)
def test_documents_lose_the_records_and_no_other_byte(name: str, spelled: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    listing = '{\n  "payload": [\n    %s\n  ],\n  "gain": 1E400\n}'
    assert erase(path, name, listing % ",\n    ".join([OTHERS[2], record(spelled), OTHERS[0]])) == "rewritten"
    assert path.read_text() == listing % ",\n    ".join([OTHERS[2], OTHERS[0]])


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS)
def test_name_is_found_in_json_within_json(name: str, spelled: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for inner in (json.dumps(record(spelled)), json.dumps(record(spelled)).replace("\\", r"\u005C")):
        line = f'{{"user_name": "kim", "raw": {inner}, "gain": 1E400}}'
        erase(path, name, f"{line}\n{OTHERS[2]}\n")
        assert places(path, name) == []
        assert path.read_text().splitlines()[-1] == OTHERS[2]


@pytest.mark.parametrize(("name", "spelled"), SPELLINGS)
def test_broken_json_loses_the_record_or_the_name(name: str, spelled: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    erase(path, name, f"[{OTHERS[0]}, {record(spelled)}, {OTHERS[2]}, {record('x')[:-30]}")  # cut off
    assert path.read_text() == f"[{OTHERS[0]}, {OTHERS[2]}, {record('x')[:-30]}"
    path.unlink()
    erase(path, name, f"{OTHERS[0]}\n{record(spelled)[:-9]}\n")
    assert places(path, name) == [] or "\\" in name  # a backslash in broken JSON is undecided
    assert path.read_text().splitlines()[0] == OTHERS[0]


@pytest.mark.parametrize(
    "line",
    [
        '{"x": {"name": "ada"}, "cut": "',
        '{"artists": ["x", "ada"], "cut',
        '{"ada": {"plays": 3}, "cut": ',
        '{"type": "Follow", "object": "ad\\u0061", ',
        '{"creator": "ada", ',
    ],
)
def test_what_cannot_be_decided_is_reported(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert erase(path, "ada", f"{OTHERS[0]}\n{line}\n") is None
    assert places(path, "ada") == ["line 2, which cannot be parsed, and may name the listener"]


def test_an_artist_of_the_same_name_in_broken_json_is_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"artist_name": "ada", "track_name": "ada", "cut": "\n')
    assert places(path, "ada") == []


def test_repeated_keys_hide_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    erase(path, "ada", f'{{"user_name": "ada", "user_name": "kim", {LISTEN}}}\n{OTHERS[0]}\n')
    assert path.read_text() == f"{OTHERS[0]}\n"


def test_numbers_count_as_names_as_in_imports(tmp_path: Path) -> None:
    event = '{"event": "play", "timestamp": 1709000000, "user_id": %s}\n'
    path = tmp_path / "a.jsonl"
    erase(path, "42", "".join(event % number for number in ("42", "4.2e1", '"42"', "420", "42.5")))
    assert path.read_text() == "".join(event % number for number in ("420", "42.5"))


STRAY = 'artist,track,user_name,date\nX,"5"" disc",kim,1709000001\nX,"an open quote,kim,1709000002\n'


@pytest.mark.parametrize("name", ["ada", JOERG, 'a"b'])
@pytest.mark.parametrize("comment", ["", "# made by a program\n"])
def test_csv_with_a_stray_quote_loses_the_rows_after_it_too(comment: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    own = ("X,Y,%s,1709000003\n", 'X,"a\nb",%s,1709000004\n')
    quoted = '"' + name.replace('"', '""') + '"' if '"' in name else name
    others = 'X,"stray" quote,kim,1709000005\n', "X,ada,kim,1709000006\n"
    erase(path, name, comment + STRAY + others[0].join(row % quoted for row in (*own, own[0])) + others[1])
    assert path.read_text() == comment + STRAY + others[0] * 2 + others[1]
    assert places(path, name) == []


def test_rows_with_a_stray_quote_are_removed_or_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    erase(path, "ada", STRAY + 'X,"open,ada,1709000003\nX,Y,kim,1709000004\n')
    assert path.read_text() == STRAY + "X,Y,kim,1709000004\n"
    swallowed = 'artist,track,user_name,date\nX,"open,kim,1\nX,Y,ada,2\nX,Z",kim,3\n'  # one row by its quotes
    assert erase(path, "ada", swallowed) is None
    assert places(path, "ada") == ["row 2, which cannot be parsed, and may name the listener"]


def test_rest_of_a_truncated_gzip_is_searched(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    lines = "\n".join([*OTHERS, record(r"j\u00F6rg"), OTHERS[0], OTHERS[0]])
    packed = gzip.compress(lines.encode())
    erase(path, JOERG, packed[:-12])
    assert places(path, JOERG) == []
    assert gzip.decompress(path.read_bytes()).decode().splitlines()[:3] == list(OTHERS)


def test_other_encodings_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for encoding in ("utf-16", "cp1252"):
        path.write_bytes(f"user_name: {JOERG}\n".encode(encoding))
        assert len(places(path, JOERG)) == 1, encoding


def test_parquet_with_json_in_another_spelling_is_reported(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"payload": [record(r"j\u00F6rg"), record("kim")]}), sink)
    (tmp_path / "a.parquet").write_bytes(sink.getvalue())
    assert places(tmp_path / "a.parquet", JOERG) == ["column payload"]


EVENT = {"event": "share", "timestamp": 1, "user_id": "bob"}


@pytest.mark.parametrize(
    ("properties", "left"),
    [
        ({"friend": "ada", "page": "x"}, {"page": "x"}),
        ({"friend": {"name": "ada", "age": 3}, "page": "x"}, {"page": "x"}),
        ({"friends": [{"name": "ada", "age": 3}, {"name": "kim"}]}, {"friends": [{"name": "kim"}]}),
        ({"profile": {"user_name": "ada", "age": 3}, "page": "x"}, {"page": "x"}),
        ({"room": {"page": "x", "member": "ada"}}, {"room": {"page": "x"}}),
        ({"mentions": ["ada", "kim"]}, {"mentions": ["kim"]}),
        ({"title": "ada"}, {"title": "ada"}),
    ],
)
def test_event_of_another_listener_loses_only_the_property(properties: object, left: object) -> None:
    ada = Person("ada")
    assert ada.without(EVENT | {"properties": properties}) == EVENT | {"properties": left}
    listen = {"user_name": "bob", "track_metadata": {"track_name": "x", "additional_info": properties}}
    assert ada.without({"payload": [listen]})["payload"][0]["track_metadata"]["additional_info"] == left
    assert ada.without(EVENT | {"user_id": "ada", "properties": properties}) is REMOVED


def test_event_that_names_the_listener_at_its_top_is_kept() -> None:
    assert Person("ada").without(EVENT | {"friend": "ada", "text": "to @ada"}) == EVENT | {"text": f"to @{ERASED}"}


def test_redacted_records_of_others_are_counted_and_keep_their_numbers(tmp_path: Path) -> None:
    path, ada = tmp_path / "a.jsonl", Person("ada")
    event = '{"event": "share","user_id":"bob", "timestamp": 1.50, "properties": {"friend": "ad\\u0061", "n": 1E400}}\n'
    path.write_text(event * 20 + OTHERS[0])
    assert remove_listener(path, ada) == "rewritten"
    assert path.read_text() == event.replace('"friend": "ad\\u0061", ', "") * 20 + OTHERS[0]
    assert ada.redacted_records == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "{" * 300_000 + '"ada"',
        "\\" * 1_000_000 + "u0061da",
        r"\u005c" * 200_000 + "u0061da",
        '{"a":' * 50_000 + '"\\u0061da"',
        '{"user_name": "ada", ' * 20_000,
        'x,user\n"' + 'a"b,ada\n"' * 20_000,
        "a" * 1_000_000,
    ],
    ids=["braces", "backslashes", "escaped backslashes", "objects", "cut records", "quotes", "letters"],
)
def test_hostile_texts_take_linear_time(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    began = time.process_time()
    places(path, "ada")
    remove_listener(path, Person("ada"))
    assert time.process_time() - began < 15
