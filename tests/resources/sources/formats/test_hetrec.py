"""HetRec 2011: six tables that refer to each other, read as one export from a folder or zip."""

import os
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from resources.sources import exports
from resources.sources.readers.archive import UnsupportedFile
from resources.sources.records.listen import RecordResult
from resources.sources.records.social import Relationship, TagAssignment
from tests.exporting import NOW, reasons

TABLES = {
    "artists.dat": "id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://a\thttp://b\n52\tAr\"tist & Sön\thttp://a\thttp://b\n",
    "tags.dat": "tagID\ttagValue\r\n13\tchillout\r\n15\tÄlectro \"pop\r\n",
    "user_artists.dat": "userID\tartistID\tweight\r\n2\t51\t13883\r\n",
    "user_friends.dat": "userID\tfriendID\r\n2\t275\r\n275\t2\r\n2\t2\r\n2\r\n",
    "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\n"
    "2\t52\t13\t1\t4\t2009\n2\t51\t15\t1\t1\t1956\n275\t99\t15\t31\t12\t2010\n2\t51\t16\t1\t4\t2009\n",
    "user_taggedartists-timestamps.dat": "userID\tartistID\ttagID\ttimestamp\r\n2\t52\t13\t1238536800000\r\n",
    "readme.txt": "Ignacio Fernández".encode("latin-1").decode("latin-1"),
}  # fmt: skip


def folder(where: Path) -> Path:
    path = where / "hetrec2011-lastfm-2k"
    path.mkdir()
    for name, text in TABLES.items():
        (path / name).write_bytes(text.encode())
    return path


def zipped(where: Path, names: list[str]) -> Path:
    path = where / "x.bin"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, TABLES[name])
    return path


def read(path: Path) -> list[RecordResult]:
    return list(exports.read(path, "ann", NOW))


def parsed_counts(reads: list[RecordResult]) -> Counter[object]:
    return Counter(r.parsed for r in reads if r.parsed)


def friends(one: str, other: str) -> Relationship:
    return Relationship(one, other, "friendship", False, None, "hetrec")


def tag_assignment(user: str, artist: str | None, number: int, tag: str, on: date | None) -> TagAssignment:
    return TagAssignment(user, artist, f"hetrec:artist:{number}", tag, on, "hetrec")


WANTED = Counter[object](
    [
        friends("hetrec:2", "hetrec:275"),
        friends("hetrec:275", "hetrec:2"),
        tag_assignment(
            "hetrec:2", 'Ar"tist & Sön', 52, "chillout", date(2009, 4, 1)
        ),  # as a date, and as Madrid's midnight
        tag_assignment("hetrec:2", 'Ar"tist & Sön', 52, "chillout", date(2009, 4, 1)),
        tag_assignment("hetrec:2", "Duran Duran", 51, 'Älectro "pop', None),  # in 1956
        tag_assignment("hetrec:275", None, 99, 'Älectro "pop', date(2010, 12, 31)),
    ]
)


def test_tags_get_the_names_from_other_tables(tmp_path: Path) -> None:
    reads = read(folder(tmp_path))
    assert parsed_counts(reads) == WANTED
    assert sorted(reasons(reads)) == [
        "1 columns instead of the table's 2",
        "both persons of the friendship are the same",
        "the name of the tag (import the whole zip or folder) is missing",
    ]
    assert Counter(r.skipped for r in reads if r.skipped) == {
        "the name of an artist or a tag": 4,
        "a play count of an artist, which has no time": 1,
    }


@pytest.mark.parametrize("names", [sorted(TABLES), sorted(TABLES, reverse=True)])
def test_the_order_of_files_in_the_zip_makes_no_difference(tmp_path: Path, names: list[str]) -> None:
    assert parsed_counts(read(zipped(tmp_path, names))) == WANTED


def test_a_folder_is_one_export_if_its_files_refer_to_each_other(tmp_path: Path) -> None:
    assert exports.is_one_export(folder(tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jsonl").write_text("{}")
    assert not exports.is_one_export(other)


def test_a_folders_fingerprint_covers_file_names_and_content(tmp_path: Path) -> None:
    path = folder(tmp_path)
    before = exports.fingerprint(path)
    (path / ".hidden").write_text("x")
    assert exports.fingerprint(path.rename(tmp_path / "other")) == before
    (tmp_path / "other" / "tags.dat").write_text("tagID\ttagValue\n")
    assert exports.fingerprint(tmp_path / "other") != before


def test_tag_times_are_not_read_as_listens(tmp_path: Path) -> None:
    reads = read(zipped(tmp_path, ["user_taggedartists-timestamps.dat"]))
    assert parsed_counts(reads) == {}
    assert reasons(reads) == ["the name of the tag (import the whole zip or folder) is missing"]


def test_a_file_with_similar_headings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("userID\tfriendID\tsince\n2\t275\t2009\n")
    with pytest.raises(UnsupportedFile):
        read(path)


def test_the_real_dataset_yields_the_published_counts(capsys: pytest.CaptureFixture[str]) -> None:
    samples = os.environ.get("TUTTI_SAMPLES")
    if not samples:
        pytest.skip("TUTTI_SAMPLES names no folder of samples")
    path = Path(samples) / "hetrec_lastfm2k"
    if not path.exists():
        pytest.skip("no hetrec_lastfm2k among the samples")
    reads = list(exports.read(path, None, datetime(2026, 1, 1, tzinfo=UTC)))
    relationships = [r.parsed for r in reads if isinstance(r.parsed, Relationship)]
    tag_assignments = [r.parsed for r in reads if isinstance(r.parsed, TagAssignment) and "timestamps" not in r.file]
    counts = {
        "users": len({r.user_id for r in relationships} | {t.user_id for t in tag_assignments}),
        "friend relationships": len({frozenset((r.user_id, r.other_id)) for r in relationships}),
        "tags": sum(r.file.endswith("/tags.dat") for r in reads),
        "tag assignments": len(tag_assignments),
        "without a possible date": sum(t.tagged_on is None for t in tag_assignments),
        "without an artist's name": sum(t.artist_name is None for t in tag_assignments),
    }
    with capsys.disabled():
        print(f"\n{counts}")
    assert reasons(reads) == []
    assert counts["users"] == 1_892
    assert counts["friend relationships"] == 12_717
    assert counts["tags"] == 11_946
    assert counts["tag assignments"] in (186_478, 186_479)  # a copy without the last line is about
