"""Imports: each record in the table of its type, each file completely or not at all, once, and reported."""

import errno
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from assets.events import imports
from assets.imports import batch, ledger
from assets.imports.batch import import_file, import_landed
from assets.imports.ledger import IMPORTS, QUARANTINE, ignore_days
from assets.imports.record_type import RecordType
from assets.imports.record_types import RECORD_TYPES
from resources.engines.resource import EngineName, EngineResource
from resources.folders.landing import Landing
from resources.folders.music import UNREADABLE_NAME
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.lake.write_transaction import WriteTransaction
from resources.sources import exports
from resources.sources.readers.archive import Unreadable, UnsupportedFile
from resources.sources.records.listen import RecordResult
from tests.hostile_archives import ending_within, gzip_bomb, nested, tars

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MSID = "2cfad207-3f55-4aec-8120-86cf66e34d59"
SCHEMAS = {k.table: k.schema for k in RECORD_TYPES} | {"events/imports": IMPORTS, "events/quarantine": QUARANTINE}


def listen(n: int, **changes: Any) -> dict[str, Any]:
    names = {"artist_name": "Artist", "track_name": f"Song {n}", "additional_info": {"media_player": "Phone"}}
    return {"listened_at": 1_600_000_000 + 90_000 * n, "user_name": "bob", "track_metadata": names} | changes


LOVED = {"user_name": "bob", "recording_msid": MSID, "score": 1, "created": 1_600_000_000}
PLAYLIST = {"playlist": {"title": "Morning", "track": [{"title": "a"}, {"title": "b", "creator": "c"}]}}
MIXED = [listen(0), LOVED, listen(1), listen(2, listened_at="soon")]


def written(path: Path, *records: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def rows(lake: Lake, table: str) -> list[dict[str, Any]]:
    stored: list[dict[str, Any]] = lake.scan(table, SCHEMAS[table]).table().to_pylist()
    return stored


def all_rows(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    return {table: sorted(rows(lake, table), key=repr) for table in SCHEMAS}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_records_go_to_the_table_of_their_type_and_are_counted(tmp_path: Path, lake: Lake) -> None:
    row, new = import_file(written(tmp_path / "a.bin", *MIXED), None, lake, NOW)
    assert new
    assert (row["listens"], row["feedback"], row["playlist_tracks"], row["quarantined"]) == (2, 1, 0, 1)
    assert (row["first_day"], row["last_day"]) == (date(2020, 9, 13), date(2020, 9, 14))
    assert [(r["recording_name"], r["client"]) for r in rows(lake, "events/raw_listens")] == [
        ("Song 0", "Phone"),
        ("Song 1", "Phone"),
    ]
    assert [(r["user_id"], r["recording_msid"], r["record"]) for r in rows(lake, "events/raw_feedback")] == [
        ("bob", MSID, 2)
    ]
    ((number, reason),) = [(r["record"], r["reason"]) for r in rows(lake, "events/quarantine")]
    assert (number, "listened_at" in reason) == (4, True)
    assert rows(lake, "events/imports") == [row]
    import_file(written(tmp_path / "b.bin", PLAYLIST), "ann", lake, NOW)
    assert [(r["position"], r["recording_name"], r["user_id"]) for r in rows(lake, "content/playlists")] == [
        (1, "a", "ann"),
        (2, "b", "ann"),
    ]


def test_importing_the_same_content_again_changes_nothing(tmp_path: Path, lake: Lake) -> None:
    first, _ = import_file(written(tmp_path / "a.bin", *MIXED), None, lake, NOW)
    before = all_rows(lake)
    again, new = import_file(written(tmp_path / "b.bin", *MIXED), None, lake, NOW)
    assert (again, new) == (first, False)
    assert all_rows(lake) == before


def test_changed_days_are_reported_before_the_file_counts_as_imported(tmp_path: Path, lake: Lake) -> None:
    reported: list[tuple[str, list[date]]] = []

    def report(kind: RecordType, days: Sequence[date]) -> None:
        assert rows(lake, "events/imports") == []
        assert len(rows(lake, "events/raw_listens")) == 2
        reported.append((kind.table, list(days)))

    import_file(written(tmp_path / "a.bin", *MIXED), None, lake, NOW, report)
    assert reported == [("events/raw_listens", [date(2020, 9, 13), date(2020, 9, 14)])]


def test_application_events_have_their_own_table_and_days(tmp_path: Path, lake: Lake) -> None:
    reported: list[tuple[str, list[date]]] = []
    event = {"event": "play", "event_id": "1", "user_id": "bob", "timestamp": 1_600_090_000, "new": {"a": [1]}}
    path = written(tmp_path / "a.bin", listen(0), event, event | {"timestamp": "1600090000", "event_id": 2})
    row, _ = import_file(path, None, lake, NOW, lambda kind, days: reported.append((kind.table, list(days))))
    assert (row["listens"], row["app_events"], row["quarantined"]) == (1, 2, 0)
    assert (row["first_day"], row["last_day"]) == (date(2020, 9, 13), date(2020, 9, 14))
    assert reported == [("events/raw_listens", [date(2020, 9, 13)]), ("events/raw_app_events", [date(2020, 9, 14)])]
    assert [(r["event_id"], r["extra"]) for r in rows(lake, "events/raw_app_events")] == [
        ("1", '{"new":{"a":[1]}}'),
        ("2", '{"new":{"a":[1]}}'),
    ]


@pytest.mark.parametrize("commits", range(4))
def test_an_import_killed_after_any_commit_is_repeated_completely(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    path, left, commit = written(tmp_path / "a.bin", *MIXED), commits, WriteTransaction._commit

    def killed(self: WriteTransaction, *args: Any) -> int:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        return commit(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(WriteTransaction, "_commit", killed)
        with pytest.raises(KeyboardInterrupt):
            import_file(path, None, lake, NOW)
    assert rows(lake, "events/imports") == []
    import_file(path, None, lake, NOW)
    undisturbed = Lake(tmp_path / "undisturbed")
    import_file(path, None, undisturbed, NOW)
    assert all_rows(lake) == all_rows(undisturbed)


def test_rows_of_a_killed_import_are_replaced(tmp_path: Path, lake: Lake) -> None:
    path = written(tmp_path / "a.bin", listen(0), listen(1, listened_at=1_767_300_000))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(path, None, lake, NOW, stop)
    assert len(rows(lake, "events/quarantine")) == 1  # its time is in the future
    import_file(path, None, lake, datetime(2026, 2, 1, tzinfo=UTC))
    assert rows(lake, "events/quarantine") == []
    assert len(rows(lake, "events/raw_listens")) == 2


def test_many_chunks_are_one_import(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "CHUNK_RECORDS", 7)
    row, _ = import_file(written(tmp_path / "a.bin", *(listen(n) for n in range(50))), None, lake, NOW)
    assert row["listens"] == 50
    assert len(rows(lake, "events/raw_listens")) == 50


def test_an_unsupported_named_file_leaves_no_rows(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(UnsupportedFile):
        import_file(written(tmp_path / "a.bin", {"title": "a postcard"}), None, lake, NOW)
    assert all(stored == [] for stored in all_rows(lake).values())


BAD_ARCHIVES = tars(b"") | {"a bomb": gzip_bomb(100), "archives in each other": nested(b"{}", 9)}


@pytest.mark.parametrize("max_bytes", [batch.MAX_BYTES, 1])  # a larger file is read while its rows are written
def test_hostile_archives_hold_back_no_good_file_beside_them(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, max_bytes: int
) -> None:
    monkeypatch.setattr(batch, "MAX_BYTES", max_bytes)
    folder = written(tmp_path / "listens" / "m.bin", *MIXED).parent
    for number, content in enumerate(BAD_ARCHIVES.values()):
        (folder / f"{'az'[number % 2]}{number}.bin").write_bytes(content)  # before and after the good file
    landing = Landing(root=str(tmp_path))
    with ending_within(60):
        list(import_landed(landing, landing.list_files("listens"), None, lake, NOW, ignore_days, pytest.fail))
    assert len(rows(lake, "events/raw_listens")) == 2
    quarantined = {str(row["file"]).partition("/")[0]: row["reason"] for row in rows(lake, "events/quarantine")}
    assert len(quarantined) == len(BAD_ARCHIVES) + 1
    assert all(quarantined.values())


@pytest.mark.parametrize("max_bytes", [batch.MAX_BYTES, 1])  # a larger file is read while its rows are written
def test_an_unsupported_landed_file_is_quarantined_until_it_changes(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, max_bytes: int
) -> None:
    monkeypatch.setattr(batch, "MAX_BYTES", max_bytes)
    landing, path = Landing(root=str(tmp_path)), written(tmp_path / "listens" / "a.bin", {"title": "a postcard"})

    def landed() -> tuple[dict[str, Any], bool]:
        ((row, new),) = import_landed(landing, landing.list_files("listens"), None, lake, NOW, ignore_days, pytest.fail)
        return row, new

    row, new = landed()
    assert (new, row["listens"], row["quarantined"]) == (True, 0, 1)
    (quarantined,) = rows(lake, "events/quarantine")
    assert (quarantined["file"], quarantined["record"]) == ("a.bin", -1)
    assert "a.bin" in quarantined["reason"]
    assert landed() == (row, False)
    written(path, listen(0))
    assert landed()[0]["listens"] == 1


def test_a_file_imported_by_name_adds_nothing_when_it_lands(tmp_path: Path, lake: Lake) -> None:
    path = written(tmp_path / "listens" / "a.bin", *MIXED)
    named, _ = import_file(path, None, lake, NOW)
    landing = Landing(root=str(tmp_path))
    ((landed, new),) = import_landed(landing, landing.list_files("listens"), None, lake, NOW, ignore_days, pytest.fail)
    assert (new, landed["landing_path"], landed["listens"]) == (False, "listens/a.bin", 2)
    assert import_file(path, None, lake, NOW) == (named, False)
    assert len(rows(lake, "events/imports")) == 2  # one row each, so that neither is read again
    assert len(rows(lake, "events/raw_listens")) == 2


def replacing(monkeypatch: pytest.MonkeyPatch, path: Path, *records: Any) -> None:
    """Write other records to a file after it is identified, before it is read."""
    read = exports.read

    def replace_and_read(*args: Any) -> Iterator[RecordResult]:
        written(path, *records)
        return read(*args)

    monkeypatch.setattr(exports, "read", replace_and_read)


@pytest.mark.parametrize("other", [[listen(1), listen(2)], [{"title": "a postcard"}]], ids=["listens", "unsupported"])
def test_a_named_file_that_changes_while_it_is_read_is_not_imported(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, other: list[Any]
) -> None:
    path = written(tmp_path / "a.bin", listen(0))
    with monkeypatch.context() as patch:
        replacing(patch, path, *other)
        with pytest.raises(Unreadable, match=r"a\.bin"):
            import_file(path, None, lake, NOW)
    assert all(stored == [] for stored in all_rows(lake).values())
    written(path, listen(1), listen(2))
    import_file(path, None, lake, NOW)
    assert import_file(path, None, lake, NOW)[1] is False
    assert len(rows(lake, "events/raw_listens")) == 2


def test_a_named_folder_that_changes_while_it_is_read_is_not_imported(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "export" / "a.bin", listen(0))
    replacing(monkeypatch, path, listen(1), listen(2))
    with pytest.raises(Unreadable, match="export"):
        import_file(path.parent, None, lake, NOW)
    assert all(stored == [] for stored in all_rows(lake).values())


@pytest.mark.parametrize("max_bytes", [batch.MAX_BYTES, 1])
@pytest.mark.parametrize("other", [[listen(1), listen(2)], [{"title": "a postcard"}]], ids=["listens", "unsupported"])
def test_a_landed_file_that_changes_while_read_waits_for_the_next_import(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, max_bytes: int, other: list[Any]
) -> None:
    monkeypatch.setattr(batch, "MAX_BYTES", max_bytes)
    landing, path = Landing(root=str(tmp_path)), written(tmp_path / "listens" / "a.bin", listen(0))
    warned: list[str] = []
    with monkeypatch.context() as patch:
        replacing(patch, path, *other)
        assert not list(
            import_landed(landing, landing.list_files("listens"), None, lake, NOW, ignore_days, warned.append)
        )
    assert len(warned) == 1
    assert all(stored == [] for stored in all_rows(lake).values())
    written(path, listen(1), listen(2))
    ((row, new),) = import_landed(landing, landing.list_files("listens"), None, lake, NOW, ignore_days, pytest.fail)
    assert (new, row["listens"]) == (True, 2)


# The asset.


def run(tmp_path: Path, *files: Path, listener: str | None = "ann") -> dg.ExecuteInProcessResult:
    """Import these files or folders, or the landing folder."""
    engine = EngineResource(name=EngineName.pandas, spill_dir=str(tmp_path / "spill"))
    lake = LakeIO(root=str(tmp_path / "lake"), engine=engine)
    config = {"files": [str(f) for f in files], "listener": listener if files else None}
    return dg.materialize(
        [imports.import_listens],
        resources={"io_manager": lake, "landing": Landing(root=str(tmp_path / "landing"))},
        run_config={"ops": {"imports": {"config": config}}},
        raise_on_error=False,
    )


def cause(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = [e.step_failure_data.error for e in result.all_events if e.is_step_failure]
    assert failure
    return failure.message if not failure.cause else failure.cause.message


@pytest.mark.slow
def test_bad_landed_files_do_not_block_others_and_are_not_tried_again(
    tmp_path: Path, lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    landing = tmp_path / "landing" / "listens"
    written(landing / "a.listens", listen(0))
    written(landing / "b.listens", {"title": "a postcard"})
    (landing / "c.listens").write_bytes(b"PK\x03\x04 and no more")
    (landing / "d.listens").write_bytes(b"")
    written(landing / "e.listens", listen(1))
    written(landing / ".f.listens", listen(2))  # still being written
    assert run(tmp_path).success
    assert sorted(r["recording_name"] for r in rows(lake, "events/raw_listens")) == ["Song 0", "Song 1"]
    quarantined = {r["file"]: r for r in rows(lake, "events/quarantine")}
    assert quarantined.keys() == {"b.listens", "c.listens", "d.listens"}
    assert {r["record"] for r in quarantined.values()} == {-1}
    before = all_rows(lake)
    assert "a.listens: 1 listen" in capfd.readouterr().err
    assert run(tmp_path).success
    assert all_rows(lake) == before
    assert "a.listens: 1 listen" not in capfd.readouterr().err  # only new files are logged
    written(landing / "b.listens", listen(3))
    assert run(tmp_path).success
    assert len(rows(lake, "events/raw_listens")) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_waits_for_the_next_import(tmp_path: Path, lake: Lake) -> None:
    landing = tmp_path / "landing" / "listens"
    written(landing / "a.listens", listen(0)).chmod(0)
    written(landing / "b.listens", listen(1))
    assert run(tmp_path).success
    assert len(rows(lake, "events/imports")) == 1
    (landing / "a.listens").chmod(0o600)
    assert run(tmp_path).success
    assert len(rows(lake, "events/imports")) == 2


def test_a_file_deleted_before_it_is_read_does_not_block_others(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "landing" / "listens"
    there = written(landing / "b.listens", listen(1))
    monkeypatch.setattr(Landing, "files", lambda self, kind: [landing / "a.listens", there])
    assert run(tmp_path).success
    assert [r["file"] for r in rows(lake, "events/imports")] == ["b.listens"]


LAST = "9999-12-31T23:59:59.9999Z"
LATE: dict[str, Any] = {
    "listen": listen(9, listened_at="LAST"),
    "post": {
        "type": "Update",
        "actor": "bob",
        "object": {"type": "Note", "id": "https://x.example/1", "content": "A", "published": "2024-02-28T12:00:00Z"}
        | {"updated": LAST},
    },
}


@pytest.mark.parametrize("kind", LATE)
def test_a_record_dated_in_the_last_second_of_9999_is_quarantined(tmp_path: Path, lake: Lake, kind: str) -> None:
    landing = tmp_path / "landing" / "listens"
    written(landing / "a.listens", LATE[kind])
    text = (landing / "a.listens").read_text().replace('"LAST"', "253402300799.9999999")  # no float is so near
    (landing / "a.listens").write_text(text)
    written(landing / "b.listens", listen(0))
    assert run(tmp_path).success
    assert [r["recording_name"] for r in rows(lake, "events/raw_listens")] == ["Song 0"]
    quarantined = rows(lake, "events/quarantine")
    assert {r["file"] for r in quarantined} == {"a.listens"}
    assert all("9999" in r["reason"] for r in quarantined)
    assert {r["file"] for r in rows(lake, "events/imports")} == {"a.listens", "b.listens"}


UNDATED = [253_402_300_799.9999, 0]


@pytest.mark.parametrize("seconds", UNDATED)
def test_feedback_and_playlists_are_imported_with_any_date(tmp_path: Path, lake: Lake, seconds: float) -> None:
    landing, date = tmp_path / "landing" / "listens", LAST if seconds else "1970-01-01T00:00:00Z"
    written(landing / "a.listens", LOVED | {"created": seconds})
    written(landing / "b.listens", {"playlist": PLAYLIST["playlist"] | {"date": date, "creator": "bob"}})
    assert run(tmp_path).success
    assert rows(lake, "events/quarantine") == []
    assert len(rows(lake, "events/imports")) == 2
    assert len(rows(lake, "events/raw_feedback")) == 1
    assert len(rows(lake, "content/playlists")) == len(PLAYLIST["playlist"]["track"])


def test_a_landed_file_without_a_utf_8_name_waits_until_it_is_renamed(
    tmp_path: Path, lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    landing = tmp_path / "landing" / "listens"
    written(landing / "a.listens", listen(0))
    bad = Path(os.fsdecode(os.fsencode(landing) + b"/caf\xe9.listens"))
    written(bad, listen(1))
    assert run(tmp_path).success
    assert [r["file"] for r in rows(lake, "events/imports")] == ["a.listens"]
    warnings = [line for line in capfd.readouterr().err.splitlines() if r"listens/caf\xe9.listens" in line]
    assert len(warnings) == 1
    assert UNREADABLE_NAME in warnings[0]
    bad.rename(landing / "café.listens")
    assert run(tmp_path).success
    assert {r["file"] for r in rows(lake, "events/imports")} == {"a.listens", "café.listens"}
    assert len(rows(lake, "events/raw_listens")) == 2


def test_a_named_file_without_a_utf_8_name_gets_a_readable_name(tmp_path: Path, lake: Lake) -> None:
    path = written(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.bin")), listen(0))
    import_file(path, None, lake, NOW)
    assert [(r["file"], r["listens"]) for r in rows(lake, "events/imports")] == [(r"caf\udce9.bin", 1)]


def failing(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Fail on the file with "Song 3" and its "hate": when it is read, or when its feedback is committed."""
    read, publish = exports.read, WriteTransaction.publish

    def failing_read(path: Path, *args: Any) -> Iterator[RecordResult]:
        if "Song 3" in path.read_text():
            raise KeyError("unforeseen")
        return read(path, *args)

    def failing_publish(self: WriteTransaction, where: Any) -> Any:
        if str(self.folder).endswith("feedback"):
            scores = [pq.read_table(f"{self.folder}/{name}")["score"].to_pylist() for name in self.files]
            if any(-1 in column for column in scores):
                raise KeyError("unforeseen")
        return publish(self, where)

    if moment == "reading":
        monkeypatch.setattr(exports, "read", failing_read)
    else:
        monkeypatch.setattr(WriteTransaction, "publish", failing_publish)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["reading", "committing"])
@pytest.mark.parametrize("landed", [True, False], ids=["landed", "named"])
def test_an_unexpected_error_names_its_file_and_others_are_imported(
    tmp_path: Path,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    moment: str,
    landed: bool,
) -> None:
    folder = tmp_path / "landing" / "listens"
    files = [written(folder / f"{n}.listens", listen(n), LOVED | {"score": -1 if n == 3 else 1}) for n in range(6)]
    named = () if landed else files
    with monkeypatch.context() as patch:
        failing(patch, moment)
        result = run(tmp_path, *named)
    assert not result.success
    assert "3.listens" in cause(result)
    assert "KeyError: 'unforeseen'" in cause(result)
    if landed:
        assert capfd.readouterr().err.count("next import tries again: listens/3.listens") == 1
    good = {f"{n}.listens" for n in range(6) if n != 3}
    assert {r["file"] for r in rows(lake, "events/imports")} == good
    assert {r["file"] for r in rows(lake, "events/raw_listens")} == good  # no row of the failed file stays
    (event,) = [m for m in result.asset_materializations_for_node("imports") if m.asset_key.path[-1] == "imports"]
    assert event.metadata["rows_written"].value == 5

    assert run(tmp_path, *named).success
    assert len(rows(lake, "events/imports")) == 6
    assert len(rows(lake, "events/raw_listens")) == 6


@pytest.mark.slow
def test_a_full_disk_fails_the_import_at_once(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(4):
        written(tmp_path / "landing" / "listens" / f"{n}.listens", listen(n))
    attempts: list[object] = []

    def full(self: WriteTransaction, where: Any) -> Any:
        attempts.append(where)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(WriteTransaction, "publish", full)
    assert not run(tmp_path).success
    assert len(attempts) == 1


def test_supported_files_of_a_named_folder_are_imported(tmp_path: Path, lake: Lake) -> None:
    folder = tmp_path / "export"
    written(folder / "listens" / "2020" / "10.jsonl", listen(1))
    written(folder / "listens" / "2020" / "9.jsonl", listen(0))
    written(folder / "feedback.jsonl", LOVED)
    written(folder / "user.json", {"user_id": 1, "username": "bob"})
    written(folder / ".hidden.jsonl", listen(2))
    written(folder / ".hidden" / "9.jsonl", listen(3))
    written(tmp_path / "elsewhere.jsonl", listen(4))
    (folder / "link.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    (folder / "linked").symlink_to(tmp_path)
    assert run(tmp_path, folder).success
    assert sorted((r["file"], r["recording_name"]) for r in rows(lake, "events/raw_listens")) == [
        ("export/listens/2020/10.jsonl", "Song 1"),
        ("export/listens/2020/9.jsonl", "Song 0"),
    ]
    assert [r["file"] for r in rows(lake, "events/raw_feedback")] == ["export/feedback.jsonl"]
    assert len(rows(lake, "events/imports")) == 3
    assert rows(lake, "events/quarantine") == []


@pytest.mark.slow
def test_a_folder_whose_files_refer_to_one_another_is_one_export(tmp_path: Path, lake: Lake) -> None:
    folder = tmp_path / "hetrec"
    folder.mkdir()
    (folder / "user_taggedartists.dat").write_text("userID\tartistID\ttagID\tday\tmonth\tyear\n2\t52\t13\t1\t4\t2009\n")
    (folder / "user_friends.dat").write_text("userID\tfriendID\n2\t275\n275\t2\n")
    (folder / "artists.dat").write_text("id\tname\turl\tpictureURL\n52\tArtist\t\t\n")
    (folder / "tags.dat").write_text("tagID\ttagValue\n13\tpop\n")
    assert run(tmp_path, folder).success
    assert [(r["artist_name"], r["tag"], r["day"]) for r in rows(lake, "events/raw_tag_assignments")] == [
        ("Artist", "pop", date(2009, 4, 1))
    ]
    friends = rows(lake, "events/raw_relationships")
    assert [(r["user_id"], r["other_id"], r["file"]) for r in friends] == [
        ("hetrec:2", "hetrec:275", "hetrec/user_friends.dat"),
        ("hetrec:275", "hetrec:2", "hetrec/user_friends.dat"),
    ]
    (row,) = rows(lake, "events/imports")
    assert (row["file"], row["relationships"], row["tag_assignments"], row["skipped"]) == ("hetrec", 2, 1, 2)
    before = all_rows(lake)
    assert run(tmp_path, folder).success
    assert all_rows(lake) == before


def test_repeated_activities_stay_raw_and_equal_files_count_once(tmp_path: Path, lake: Lake) -> None:
    note = {
        "type": "Note",
        "id": "https://x.example/1",
        "content": "#nowplaying A – B",
        "published": "2024-02-28T12:00:00Z",
    }
    posted = {"type": "Create", "actor": "ada", "object": note}
    landing = tmp_path / "landing" / "social"
    written(landing / "a.jsonl", posted, {"type": "Follow", "actor": "ada", "object": "bob"})
    written(landing / "b.jsonl", posted, posted)
    written(landing / "c.jsonl", posted, posted)
    assert run(tmp_path).success
    assert len(rows(lake, "events/raw_posts")) == 3
    (follow,) = rows(lake, "events/raw_relationships")
    assert (follow["day"], follow["happened_at"]) == (date(2002, 9, 30), None)  # without a time


@pytest.mark.slow
def test_imported_landed_files_are_not_read_again(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    landing = tmp_path / "landing" / "listens"
    written(landing / "a.listens", listen(0))
    assert run(tmp_path).success
    written(landing / "b.listens", listen(1))
    read = []
    monkeypatch.setattr(batch, "identify", lambda path, who: read.append(path.name) or ledger.identify(path, who))
    assert run(tmp_path).success
    assert read == ["b.listens"]
    assert {r["recording_name"] for r in rows(lake, "events/raw_listens")} == {"Song 0", "Song 1"}
    os.utime(landing / "a.listens")  # looks like a new write
    assert run(tmp_path).success
    assert read == ["b.listens", "a.listens"]


def test_a_named_folder_without_an_export_fails(tmp_path: Path, lake: Lake) -> None:
    written(tmp_path / "photos" / "a.json", {"title": "a postcard"})
    result = run(tmp_path, tmp_path / "photos")
    assert not result.success
    assert "no supported export" in cause(result)
    assert "photos" in cause(result)


def test_a_named_unsupported_file_fails_and_is_not_quarantined(tmp_path: Path, lake: Lake) -> None:
    result = run(tmp_path, written(tmp_path / "a.json", {"title": "a postcard"}))
    assert not result.success
    assert "a.json" in cause(result)
    assert rows(lake, "events/quarantine") == []


def test_a_file_imported_before_under_another_name_is_logged_with_both(
    tmp_path: Path, lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, written(tmp_path / "a.json", listen(0)))
    capfd.readouterr()
    result = run(tmp_path, written(tmp_path / "b.json", listen(0)))
    assert "b.json: 1 listen (already imported as a.json)" in capfd.readouterr().err
    metadata = result.asset_materializations_for_node("imports")[0].metadata
    assert (metadata["rows_written"].value, metadata["dagster/row_count"].value) == (0, 1)


def test_many_landed_files_are_logged_as_totals_without_zeros() -> None:
    none = dict.fromkeys(ledger.COUNTS, 0)
    found = [none | {"landing_path": f"listens/{n}.listens", "listens": 600, "quarantined": n} for n in range(3)]
    found += [none | {"landing_path": "social/a.jsonl", "posts": 1, "shares": None}]
    assert list(imports.totals(found)) == ["listens: 3 files, 1,800 listens, 3 quarantined", "social: 1 file, 1 post"]


def test_files_named_beside_unsupported_ones_are_imported(tmp_path: Path, lake: Lake) -> None:
    good = [written(tmp_path / name, listen(n)) for n, name in enumerate(("a.json", "b.json"))]
    wrong = [written(tmp_path / "x.json", {"title": "a postcard"}), tmp_path / "missing.json"]
    result = run(tmp_path, wrong[0], good[0], wrong[1], good[1])
    assert not result.success
    assert "x.json" in cause(result)
    assert "missing.json" in cause(result)
    assert {r["file"] for r in rows(lake, "events/imports")} == {"a.json", "b.json"}


def test_the_first_import_creates_all_raw_tables(tmp_path: Path, lake: Lake) -> None:
    assert run(tmp_path).success
    assert {k.table for k in RECORD_TYPES} <= set(lake.tables())
