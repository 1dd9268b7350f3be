"""ListenBrainz's public dumps: tars of JSON lines or Parquet in every compression, read as streams."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from resources import archives
from resources.sources.exports import UnsupportedFile
from tests.exporting import listen_of, listens, read, reasons

MBID = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0"
AT = datetime(2023, 9, 18, 14, 39, tzinfo=UTC)
UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.compress(data),
}
DUMP = "listenbrainz-listens-dump-1-20230918-000003-full"


def listen(n: int, user: str = "bob") -> dict[str, Any]:
    metadata = {"artist_name": "Artist", "track_name": f"Song {n}", "release_name": "Album", "additional_info": {}}
    at = int(AT.timestamp()) + n
    return {"user_id": 7, "user_name": user, "timestamp": at, "track_metadata": metadata, "recording_msid": MBID}


def lines(*numbers: int) -> bytes:
    return "\n".join(json.dumps(listen(n)) for n in numbers).encode()


def parquet(rows: int = 3, **changes: Any) -> bytes:
    columns: dict[str, Any] = {
        "listened_at": pa.array([AT] * rows, pa.timestamp("ms")),
        "created": pa.array([AT] * rows, pa.timestamp("ms")),
        "user_id": pa.array([7] * rows, pa.int64()),
        "recording_msid": [MBID] * rows,
        "artist_name": ["Artist"] * rows,
        "artist_credit_id": pa.array([1] * rows, pa.int64()),
        "release_name": ["Album"] * rows,
        "release_mbid": [MBID] * rows,
        "recording_name": [f"Song {n}" for n in range(rows)],
        "recording_mbid": [MBID] * rows,
        "artist_credit_mbids": pa.array([[MBID]] * rows, pa.list_(pa.string())),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns | changes), out, row_group_size=2, compression="zstd")
    return out.getvalue()


def tar(files: dict[str, bytes], **changes: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            for field, value in changes.items():
                setattr(entry, field, value)
            file.addfile(entry, io.BytesIO(data))
    return out.getvalue()


WHOLE = {
    f"{DUMP}/SCHEMA_SEQUENCE": b"1",
    f"{DUMP}/TIMESTAMP": b"2023-09-18T00:00:03+00:00",
    f"{DUMP}/COPYING": b"Creative Commons, and so on, at length.\n" * 50,
    f"{DUMP}/listens/2023/9.listens": lines(1, 2),
    f"{DUMP}/listens/2023/10.listens": lines(3),
}


@pytest.mark.parametrize("how", UNPACKERS)
def test_a_dump_yields_the_listens_of_its_months_in_any_compression(tmp_path: Path, how: str) -> None:
    reads = read(tmp_path, UNPACKERS[how](tar(WHOLE)), None)
    assert [x.recording_name for x in listens(reads)] == ["Song 1", "Song 2", "Song 3"]
    assert {x.user_id for x in listens(reads)} == {"bob"}
    assert reads[2].file == f"anything.bin/{DUMP}/listens/2023/10.listens"
    assert reads[2].record == 1


@pytest.mark.parametrize("how", UNPACKERS)
def test_a_single_file_is_read_in_any_compression(tmp_path: Path, how: str) -> None:
    assert len(listens(read(tmp_path, UNPACKERS[how](lines(1, 2)), None))) == 2


@pytest.mark.parametrize("how", ["gz", "bz2", "xz", "zst"])
def test_concatenated_compressed_files_are_read_as_one(tmp_path: Path, how: str) -> None:
    pack = UNPACKERS[how]
    assert len(listens(read(tmp_path, pack(lines(1) + b"\n") + pack(lines(2)), None))) == 2


@pytest.mark.parametrize("how", UNPACKERS)
def test_a_truncated_dump_yields_the_records_before_and_a_reason(tmp_path: Path, how: str) -> None:
    many = {f"{n}.listens": lines(*range(2_000 * n, 2_000 * n + 2_000)) for n in range(4)}
    data = UNPACKERS[how](tar(many))
    reads = read(tmp_path, data[: len(data) * 3 // 4], None)
    found_listens = [listen_of(r) for r in reads if listen_of(r)]
    assert [x.recording_name for x in found_listens] == [f"Song {n}" for n in range(len(found_listens))]
    assert len(found_listens) >= 2_000 or how == "bz2"  # its blocks are larger than the file
    assert "download it again" in reasons(reads)[-1]


def test_a_spark_file_yields_its_rows(tmp_path: Path) -> None:
    rows = listens(read(tmp_path, parquet(), None, name="1.json"))
    assert [x.recording_name for x in rows] == ["Song 0", "Song 1", "Song 2"]
    one = rows[0]
    assert (one.user_id, one.listened_at, one.source, one.ms_played) == ("listenbrainz:7", AT, "listenbrainz", None)
    assert (one.artist_name, one.release_name) == ("Artist", "Album")
    assert (one.recording_mbid, one.artist_mbids) == (MBID, (MBID,))
    assert {x.user_id for x in listens(read(tmp_path, parquet()))} == {"ann"}


@pytest.mark.parametrize("how", UNPACKERS)
def test_a_spark_dump_yields_the_rows_of_its_files(tmp_path: Path, how: str) -> None:
    files = {"dump/COPYING": b"CC0\n", "dump/0.parquet": parquet(3), "dump/1.parquet": parquet(2)}
    assert len(listens(read(tmp_path, UNPACKERS[how](tar(files)), None))) == 5


def test_a_row_without_a_required_field_is_quarantined_with_its_values(tmp_path: Path) -> None:
    reads = read(tmp_path, parquet(3, recording_name=["Song", None, " "]), None)
    assert reasons(reads) == ["recording_name is missing", "recording_name is missing"]
    assert [r.record for r in reads if r.reason] == [1, 2]
    assert "Artist" in str(reads[1].raw)
    late = read(tmp_path, parquet(1, listened_at=pa.array([datetime(2030, 1, 1)], pa.timestamp("ms"))), None)
    assert "in the future" in reasons(late)[0]


def test_foreign_and_broken_parquet_files_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"price": [1]}), out)
    with pytest.raises(UnsupportedFile, match="supported format"):
        read(tmp_path, out.getvalue(), None)
    with pytest.raises(UnsupportedFile, match="download it again"):
        read(tmp_path, parquet()[:200], None)


def test_a_damaged_row_group_does_not_lose_the_others(tmp_path: Path) -> None:
    noise = pa.array([f"{n * 2_654_435_761 % 2**32:x}" * 20 for n in range(40)])
    data = bytearray(parquet(40, release_name=noise))
    data[3_000:3_300] = b"\xff" * 300
    reads = read(tmp_path, bytes(data), None)
    names = [listen_of(r).recording_name for r in reads if listen_of(r)]
    assert names == [f"Song {r.record}" for r in reads if listen_of(r)]
    assert "Song 39" in names
    assert len(names) < 40
    assert "damaged" in reasons(reads)[-1]


@pytest.mark.parametrize("name", ["../up.listens", "/etc/up.listens", "a/../../up", "C:/up", "a\\..\\up"])
def test_a_tar_with_a_path_that_leaves_it_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsupportedFile, match="leads out"):
        read(tmp_path, tar({"1.listens": lines(1), name: lines(2)}), None)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_with_a_link_or_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(UnsupportedFile, match="link or a device"):
        read(tmp_path, tar({"1.listens": lines(1)}, type=kind, linkname="/etc/passwd"), None)


def test_a_tar_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    with pytest.raises(UnsupportedFile, match="files"):
        read(tmp_path, tar({f"{n}.listens": lines(n) for n in range(4)}), None)


@pytest.mark.parametrize("how", ["gz", "bz2", "xz", "zst"])
def test_a_tar_bomb_is_stopped_while_streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MAX_RATIO", 2)
    with pytest.raises(UnsupportedFile, match="unpacks to far more"):
        read(tmp_path, UNPACKERS[how](tar({"1.listens": lines(1), "2.listens": b" " * (8 << 20)})), None)


def test_oversized_tar_headers_cannot_fill_the_memory(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFile, match="file header"):
        read(tmp_path, tar({"x" * 200_000: lines(1)}), None)
