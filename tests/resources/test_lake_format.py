"""A lake has a format number, and tables of another format are neither read nor written."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from resources.errors import TuttiError
from resources.lake.lake import Lake
from resources.lake_format import FILE, FORMAT, check, claim
from resources.storage import Storage

SCHEMA = pa.schema([("n", pa.int64())])
ROWS = pa.table({"n": [1]}, SCHEMA)


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.replace("layer/table", iter([ROWS]), SCHEMA)
    return lake


def test_new_lake_gets_its_format_number_with_the_first_table(tmp_path: Path, lake: Lake) -> None:
    assert Path(lake.root, FILE).read_text() == f"{FORMAT}\n"
    assert [p.name for p in sorted(Path(lake.root).iterdir())] == ["format", "layer"]
    assert Lake(tmp_path / "lake").scan("layer/table", SCHEMA).table() == ROWS


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (None, "import again"),
        ("0", "import again"),
        (f"{FORMAT + 1}", "Update Tutti"),
        ("", f"/{FILE} is damaged"),
        ("a book of verse\n\nunderneath the bough", f"/{FILE} is damaged"),
    ],
)
def test_tables_of_another_format_are_neither_read_nor_written(lake: Lake, number: str | None, advice: str) -> None:
    file = Path(lake.root, FILE)
    file.unlink()
    if number is not None:
        file.write_text(number)
    before = contents(Path(lake.root))
    for use in (
        lambda: lake.scan("layer/table", SCHEMA),
        lambda: lake.replace("layer/table", iter([ROWS]), SCHEMA),
        lambda: lake.replace("layer/other", iter([ROWS]), SCHEMA),
        lambda: lake.rewrite("layer/table", SCHEMA, lambda rows: rows),
        lambda: lake.vacuum("layer/table"),
        lambda: lake.drop_history("layer/table"),
    ):
        with pytest.raises(TuttiError, match=f"format {FORMAT}") as refused:
            use()
        assert "\n" not in str(refused.value)
        assert str(lake.root) in str(refused.value)
        assert advice in str(refused.value)
    assert contents(Path(lake.root)) == before


def test_a_folder_in_place_of_the_format_number_is_one_clear_error(lake: Lake) -> None:
    file = Path(lake.root, FILE)
    file.unlink()
    file.mkdir()
    with pytest.raises(TuttiError, match=f"{file} is a folder"):
        check(lake.root)


def test_folder_without_tables_counts_as_a_new_lake(tmp_path: Path) -> None:
    check(Storage.at(tmp_path / "nowhere"))
    (tmp_path / "lake" / "layer" / "begun").mkdir(parents=True)
    check(Storage.at(tmp_path / "lake"))
    assert list(tmp_path.iterdir()) == [tmp_path / "lake"]
    claim(Storage.at(tmp_path / "lake"))
    check(Storage.at(tmp_path / "lake"))


def test_concurrent_first_writes_agree_on_the_format(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def begin() -> None:
        try:
            claim(Storage.at(tmp_path / "lake"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [p.name for p in (tmp_path / "lake").iterdir()] == [FILE]
