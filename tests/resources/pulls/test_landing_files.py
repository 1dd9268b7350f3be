"""Landing files: each lands once, and a killed pull's answers land when the next pull begins."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.pulls import landing_files
from resources.pulls.landing_files import JOURNAL, Answers, keep_progress, land, landed, moment, portions, progress
from resources.storage import Storage

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(params=["disk", pytest.param("bucket", marks=pytest.mark.process)])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage.at(tmp_path if request.param == "disk" else request.getfixturevalue("bucket"))


def journals(folder: Path) -> list[Path]:
    return list(folder.glob(JOURNAL.format("*")))


def test_same_lines_make_one_file_and_other_lines_another(folder: Storage) -> None:
    assert land(folder, "1", ["a", "b"])
    assert not land(folder, "1", ["a", "b"])
    assert land(folder, "1", ["b", "a"])
    assert len(folder.names()) == 2


def test_answers_land_in_portions_and_the_rest_at_the_end(
    tmp_path: Path, folder: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing_files, "PORTION_SIZE", 3)
    with Answers(folder, tmp_path, lambda: NOW) as answers:
        for n in range(7):
            answers.add({"n": n})
            assert len(list(landed(folder))) == (n + 1) // 3 * 3
    assert sorted(record["n"] for record in landed(folder)) == [*range(7)]
    assert (answers.files, journals(tmp_path)) == (3, [])


def test_failure_lands_the_answers_before_it(tmp_path: Path, folder: Storage) -> None:
    def fail() -> None:
        with Answers(folder, tmp_path, lambda: NOW) as answers:
            answers.add({"n": 1})
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert list(landed(folder)) == [{"n": 1}]


@pytest.mark.parametrize("torn", ["", '{"n": 2, "text": "la'])
@pytest.mark.parametrize("already", [False, True], ids=["killed before it landed", "killed after it landed"])
def test_answers_of_a_killed_pull_land_once(tmp_path: Path, folder: Storage, torn: str, already: bool) -> None:
    killed = Answers(folder, tmp_path, lambda: NOW)
    killed.add({"n": 0, "text": "\u2028é"})
    killed.add({"n": 1})
    (journal,) = journals(tmp_path)
    if already:
        land(folder, moment(NOW), journal.read_text().splitlines())
    with journal.open("a") as file:
        file.write(torn)
    Answers(folder, tmp_path, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert list(landed(folder)) == [{"n": 0, "text": "\u2028é"}, {"n": 1}]
    assert journals(tmp_path) == []


def test_killed_pull_without_a_complete_answer_leaves_nothing(tmp_path: Path, folder: Storage) -> None:
    (tmp_path / JOURNAL.format(moment(NOW))).write_text('{"n"')
    Answers(folder, tmp_path, lambda: NOW)
    assert (folder.names(), journals(tmp_path)) == ([], [])


def test_broken_lines_are_skipped(folder: Storage) -> None:
    folder.write("a.jsonl", b'{"n": 1}\n{"n\n[]\n\xff\n{"n": 2}\n')
    assert [record["n"] for record in landed(folder)] == [1, 2]


def test_progress_is_replaced_and_unreadable_progress_is_empty(folder: Storage) -> None:
    assert progress(folder / "none") == {}
    keep_progress(folder, {"done": ["x"]})
    assert progress(folder) == {"done": ["x"]}
    for text in ("", "[]", "{"):
        folder.write(landing_files.PROGRESS, text.encode())
        assert progress(folder) == {}


def test_portions_contain_all_items_in_order() -> None:
    assert [*portions("abcde", 2)] == ["ab", "cd", "e"]
    assert [*portions("", 2)] == []
