"""Reading entire exports: listens, quarantined and skipped records, and refused files."""

import gzip
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.errors import TuttiError
from resources.sources import exports
from resources.sources.formats import spotify
from resources.sources.records.listen import RecordResult
from tests.exporting import listen_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MSID = "2cfad207-3f55-4aec-8120-86cf66e34d59"
ADDRESS, AGENT = "203.0.113.77", "Mozilla/5.0 (X11; Kepler)"


def play(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "ts": (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ms_played": 1_000 * n,
        "ip_addr_decrypted": ADDRESS,
        "user_agent_decrypted": AGENT,
        "master_metadata_track_name": f"Söng {n} }},{{",
        "master_metadata_album_artist_name": 'Ar"tist',
        "master_metadata_album_album_name": "Album",
        "spotify_track_uri": f"spotify:track:{n}",
    } | changes


def listen(n: int, **changes: Any) -> dict[str, Any]:
    metadata = {"artist_name": "Artist", "track_name": f"Song {n}", "mbid_mapping": None}
    return {"listened_at": 1_600_000_000 + n, "inserted_at": 1.5, "track_metadata": metadata} | changes


PLAYS, LISTENS = [play(n) for n in range(5)], [listen(n) for n in range(5)]


def lines(records: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(record) for record in records)


def write(folder: Path, data: str | bytes, name: str = "anything.bin") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(path: Path, listener: str | None = "ann") -> list[RecordResult]:
    return list(exports.read(path, listener, NOW))


def names(reads: list[RecordResult]) -> list[str]:
    return [listen_of(each).recording_name for each in reads if listen_of(each)]


def refusal(path: Path, listener: str | None = "ann") -> str:
    with pytest.raises(TuttiError) as error:
        read(path, listener)
    assert "\n" not in str(error.value)
    return str(error.value)


SONGS = [f"Söng {n} }},{{" for n in range(5)]


@pytest.mark.parametrize("data", [json.dumps(PLAYS), json.dumps(PLAYS, indent=4), lines(PLAYS)])
def test_a_spotify_history_is_recognized_in_any_layout(tmp_path: Path, data: str) -> None:
    for content in (data.encode(), gzip.compress(data.encode())):
        reads = read(write(tmp_path, content))
        assert names(reads) == SONGS
        assert {each.file for each in reads} == {"anything.bin"}


def test_a_zip_yields_the_listens_of_all_its_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as file:
        file.writestr("user.json", json.dumps({"user_id": 1, "username": "bob"}))
        file.writestr("ReadMe.pdf", b"%PDF-1.7\n\xff\xfe\0\n")
        file.writestr("empty.json", "[]")
        file.writestr("feedback.jsonl", lines([{"recording_msid": MSID, "score": 1, "created": 1_600_000_000}]))
        file.writestr("listens/2020/9.jsonl", lines(LISTENS[:2]))
        file.writestr("listens/2020/10.jsonl", lines(LISTENS[2:]))
        file.writestr("Streaming_History_Video_2020.json", json.dumps(PLAYS[:1]))
    reads = read(tmp_path / "export.zip")
    assert names(reads) == [f"Song {n}" for n in range(5)] + SONGS[:1]
    assert [(each.file, each.record) for each in reads[:4]] == [
        ("export.zip/feedback.jsonl", 1),
        ("export.zip/listens/2020/9.jsonl", 1),
        ("export.zip/listens/2020/9.jsonl", 2),
        ("export.zip/listens/2020/10.jsonl", 1),
    ]


def test_a_broken_record_is_quarantined_with_position_reason_and_text(tmp_path: Path) -> None:
    hurt = [json.dumps(record) for record in PLAYS]
    hurt[0] = hurt[0].replace('"ms_played": 0', '"ms_played": NaN')
    hurt[3] = json.dumps(play(3, ms_played=None))
    reads = read(write(tmp_path, "[" + ",".join(hurt) + "]"))
    assert names(reads) == [SONGS[1], SONGS[2], SONGS[4]]
    first, fourth = (each for each in reads if each.reason)
    assert (first.record, first.reason) == (0, "not JSON: NaN is not a number")
    assert (fourth.record, fourth.reason) == (3, "ms_played is missing: without it the start of the play is unknown")
    for each in (first, fourth):
        assert "Söng" in str(each.raw) or "S\\u00f6ng" in str(each.raw)
        assert ADDRESS not in str(each.raw)
        assert "Kepler" not in str(each.raw)


def test_impossible_times_are_quarantined_with_the_time(tmp_path: Path) -> None:
    odd = [listen(0), listen(1, listened_at=1), listen(2, listened_at=1_900_000_000)]
    reads = read(write(tmp_path, lines(odd)))
    assert [each.reason and each.reason[:23] for each in reads] == [
        None,
        "listened at 1970-01-01T",
        "listened at 2030-03-17T",
    ]


def test_half_characters_are_quarantined_as_valid_utf8(tmp_path: Path) -> None:
    data = lines([listen(0), listen(1, track_metadata={"artist_name": "\ud83d", "track_name": "x"})])
    bad = read(write(tmp_path, data))[1]
    assert "half a character" in str(bad.reason)
    assert b"\\ud83d" in str(bad.raw).encode()


def test_episodes_are_skipped_not_quarantined(tmp_path: Path) -> None:
    reads = read(write(tmp_path, json.dumps([play(0), play(1, master_metadata_track_name=None, episode_name="News")])))
    assert reads[1] == RecordResult("anything.bin", 1, skipped="an episode of a podcast or show")


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"hello", b"\x89PNG\r\n\x1a\n\0\0", b"PK", b'[{"endTime": "2020-01-01 10:00", "msPlayed": 5}]',
     b"[" * 5_000],
)  # fmt: skip
def test_an_unsupported_file_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    message = refusal(write(tmp_path, data))
    assert message.startswith("anything.bin ")
    assert "Spotify" in message or "download it again" in message


@pytest.mark.parametrize("data", [b"", gzip.compress(b"", mtime=0)], ids=["plain", "gzip"])
def test_an_empty_file_is_reported_as_empty(tmp_path: Path, data: bytes) -> None:
    assert "anything.bin is empty" in refusal(write(tmp_path, data))


def test_the_track_playing_now_is_skipped_with_the_reason(tmp_path: Path) -> None:
    playing = {"listen_type": "playing_now", "payload": [{k: v for k, v in listen(0).items() if k != "listened_at"}]}
    assert [r.skipped for r in read(write(tmp_path, json.dumps(playing)))] == ["a track that is still playing"]


def test_the_reason_of_the_first_record_is_given_if_none_is_valid(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, json.dumps(listen(0) | {"listened_at": float("nan")})))
    assert "its first record is not JSON: NaN" in message


TEXT = "Words about a program, of the kind that stand in a manual. " * 20


@pytest.mark.parametrize("before", [TEXT.replace(". ", ".\n"), "# Title\n\n" + TEXT + "\n\n```\n"])
@pytest.mark.parametrize("after", ["", "\n```\n" + TEXT])
def test_prose_that_quotes_a_record_is_not_an_export(tmp_path: Path, before: str, after: str) -> None:
    event = {"event": "skip", "event_id": "0b7e", "user_id": "ada", "timestamp": "2025-03-03T08:00:01Z"}
    assert "supported format" in refusal(write(tmp_path, before + "\n" + json.dumps(event) + after))


@pytest.mark.parametrize("end", [-1, 1, 60])
def test_a_file_without_its_beginning_is_read_from_its_first_record(tmp_path: Path, end: int) -> None:
    text = json.dumps([play(0), play(1)])
    rest = text[text.index("}") - end :]
    assert [listen_of(r) is not None for r in read(write(tmp_path, rest))] == [False, True]


def test_a_record_quoted_in_a_readme_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("listens/2020/1.jsonl", lines([listen(0), listen(1)]))
        file.writestr("README.md", f"# How a listen looks\n\n{json.dumps(listen(2))}\n")
    assert [r.file for r in read(tmp_path / "x.zip")] == ["x.zip/listens/2020/1.jsonl"] * 2


def test_a_zip_without_a_listen_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a.txt", "hello")
    assert "supported format" in refusal(tmp_path / "x.zip")


@pytest.mark.parametrize("records", [PLAYS, LISTENS])
@pytest.mark.parametrize("listener", [None, "", "  "])
def test_an_export_without_a_listener_asks_for_one(tmp_path: Path, records: Any, listener: str | None) -> None:
    assert "LISTENER=" in refusal(write(tmp_path, json.dumps(records)), listener)


def test_a_dump_record_without_a_listener_is_quarantined(tmp_path: Path) -> None:
    reads = read(write(tmp_path, lines([listen(0, user_name="bob"), listen(1)])), None)
    assert listen_of(reads[0]) is not None
    assert listen_of(reads[0]).user_id == "bob"
    assert "listener" in str(reads[1].reason)


def damaged_zip(folder: Path, entry: str, records: list[dict[str, Any]]) -> Path:
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(entry, lines(records))
        file.writestr("whole.jsonl", lines(LISTENS))
    data = bytearray((folder / "x.zip").read_bytes())
    middle = data.index(b"whole.jsonl") * 2 // 3
    data[middle : middle + 500] = b"\xff" * 500
    (folder / "x.zip").write_bytes(data)
    return folder / "x.zip"


@pytest.mark.slow
def test_damage_in_a_zip_is_reported_once_after_earlier_records(tmp_path: Path) -> None:
    reads = read(
        damaged_zip(tmp_path, "hurt.jsonl", [listen(n, noise=n * 2_654_435_761 % 2**32) for n in range(20_000)])
    )
    hurt = [each for each in reads if each.file == "x.zip/hurt.jsonl"]
    assert names(hurt)[:10_000] == [f"Song {n}" for n in range(10_000)]
    assert [each for each in hurt if "download it again" in str(each.reason)] == hurt[-1:]
    assert names(reads[len(hurt) :]) == [f"Song {n}" for n in range(5)]


def test_a_gzip_truncated_in_a_record_is_reported_once(tmp_path: Path) -> None:
    data = gzip.compress(lines([listen(n, noise=n * 2_654_435_761 % 2**32) for n in range(5_000)]).encode())
    reads = read(write(tmp_path, data[: len(data) // 2]))
    assert [each for each in reads if each.reason] == reads[-1:]
    assert names(reads) == [f"Song {n}" for n in range(len(reads) - 1)]
    assert "damaged" in str(reads[-1].reason)


def test_damage_from_the_first_byte_is_reported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("gone.jsonl", lines(LISTENS))
        file.writestr("whole.jsonl", lines(LISTENS))
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[0:4] = b"PK\0\0"
    reads = read(write(tmp_path, bytes(data)))
    assert [each.file for each in reads if each.reason] == ["anything.bin/gone.jsonl"]
    assert len(names(reads)) == 5


@pytest.mark.parametrize("data", [json.dumps(PLAYS), json.dumps(PLAYS, indent=2), lines(PLAYS), lines(LISTENS)])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_truncated_export_yields_exactly_the_records_before(tmp_path: Path, data: str, draws: st.DataObject) -> None:
    intact = read(write(tmp_path, data))
    raw = data.encode()
    path = write(tmp_path, raw[: draws.draw(st.integers(0, len(raw)))])
    try:
        reads = read(path)
    except TuttiError:
        assert path.stat().st_size < len(raw) // 4  # not even the first record is intact
        return
    complete = [each for each in reads if listen_of(each)]
    assert complete == intact[: len(complete)]
    assert len(reads) - len(complete) <= 1
    assert all("download it again" in str(each.reason) for each in reads[len(complete) :])
    assert ADDRESS not in str(reads)
    assert "Kepler" not in str(reads)


@pytest.mark.parametrize("before, between, after", [("[", ", ", "]"), ("[\n", ",\n", "\n]"), ("", "\n", "")])  # noqa: PT006
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_corrupted_record_loses_no_other(
    tmp_path: Path, before: str, between: str, after: str, draws: st.DataObject
) -> None:
    parts = [json.dumps(record) for record in PLAYS]
    hurt = draws.draw(st.integers(0, 4))
    text = list(parts[hurt])
    for _ in range(draws.draw(st.integers(1, 3))):
        text[draws.draw(st.integers(0, len(text) - 1))] = draws.draw(st.sampled_from('{}[]",:\\ x0'))
    parts[hurt] = "".join(text)
    reads = read(write(tmp_path, before + between.join(parts) + after))
    rest = [spotify.parse(record, "ann") for n, record in enumerate(PLAYS) if n != hurt]
    assert [listen_of(each) for each in reads if listen_of(each) in rest] == rest
    assert len(names(reads)) <= 5
    assert ADDRESS not in str(reads)


def test_an_export_is_read_in_place(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps(PLAYS))
    path.chmod(0o400)
    read(path)
    assert list(tmp_path.iterdir()) == [path]
    assert exports.fingerprint(path) == exports.fingerprint(write(tmp_path, path.read_bytes(), "copy"))
