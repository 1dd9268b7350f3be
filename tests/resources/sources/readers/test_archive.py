"""Archives from outside: unsafe ones are refused, and damaged ones are read up to the damage."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from resources import archives
from resources.errors import TuttiError
from resources.sources.readers import archive

TEXT = b"".join(b'{"line": %d, "noise": "%x"}\n' % (n, n * 2_654_435_761 % 2**32) for n in range(20_000))


def contents(path: Path) -> dict[str, tuple[bytes, str | None]]:
    read = {}
    for member in archive.members(path):
        data = b"".join(iter(lambda member=member: member.read1(8192), b""))
        read[member.name] = data, member.damage
    return read


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TuttiError) as error:
        contents(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_plain_files_gzips_and_zips_are_recognized_by_content(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.zip", tmp_path / "packed.json"
    plain.write_bytes(TEXT)
    packed.write_bytes(gzip.compress(TEXT))
    both = zipped(tmp_path / "export.json", {"a/b.json": TEXT, "a/": b"", "c.txt": b"c"})
    assert contents(plain) == {"plain.zip": (TEXT, None)}
    assert contents(packed) == {"packed.json": (TEXT, None)}
    assert contents(both) == {"export.json/a/b.json": (TEXT, None), "export.json/c.txt": (b"c", None)}


@pytest.mark.parametrize(
    "name", ["../up.json", "a/../../up.json", "/etc/up.json", "C:/up.json", "a\\..\\up.json", "a/..", "up.json\0.txt"]
)
def test_an_archive_with_a_path_that_leaves_it_is_refused(tmp_path: Path, name: str) -> None:
    entry = zipfile.ZipInfo("PLACEHOLDER"[: len(name)].ljust(len(name), "_"))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("good.json", TEXT)
        file.writestr(entry, b"{}")
    path = tmp_path / "x.zip"
    path.write_bytes(data.getvalue().replace(entry.filename.encode(), name.encode()))
    assert "leads out" in refusal(path)


def test_links_encryption_and_unusual_compression_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    assert "contains a link" in refusal(tmp_path / "link.zip")
    assert "compression method" in refusal(zipped(tmp_path / "lzma.zip", {"a": TEXT}, zipfile.ZIP_LZMA))
    data = bytearray(zipped(tmp_path / "secret.zip", {"a": TEXT}).read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "secret.zip").write_bytes(data)
    assert "is encrypted" in refusal(tmp_path / "secret.zip")


@pytest.mark.parametrize("inner", [gzip.compress(TEXT), b"7z\xbc\xaf\x27\x1c", b"PK\x05\x06" + b"\0" * 18])
def test_a_nested_archive_is_refused(tmp_path: Path, inner: bytes) -> None:
    assert "another archive (b.json)" in refusal(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": inner}))


def test_too_many_files_are_refused_before_the_library_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "x.zip", {f"{n}.json": b"" for n in range(archives.MAX_FILES + 1)})
    assert "10,000 files" in refusal(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x05\x06") + 12, 1 << 31)
    path.write_bytes(data)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read"))
    assert "10,000 files" in refusal(path)


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.json": b" " * (archives.FREE_BYTES + 1)})
    with pytest.raises(TuttiError, match="unpacks to far more"):
        next(archive.members(path))


def test_a_zip_bomb_with_false_sizes_is_stopped_while_reading(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": b" " * (archives.FREE_BYTES + 1)}).read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, 1_000)
    (tmp_path / "x.zip").write_bytes(data)
    [(read, damage)] = contents(tmp_path / "x.zip").values()
    assert len(read) <= 1_000
    assert "checksum" in str(damage)
    (tmp_path / "x.gz").write_bytes(gzip.compress(b" " * (archives.FREE_BYTES + 1)))
    assert "unpacks to far more" in refusal(tmp_path / "x.gz")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9999])
def test_a_truncated_zip_asks_to_download_it_again(tmp_path: Path, share: float) -> None:
    path = zipped(tmp_path / "x.zip", {"a.json": TEXT})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "download it again" in refusal(path)


def test_a_truncated_gzip_yields_the_data_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT)[:-20_000])
    [(read, damage)] = contents(path).values()
    assert len(read) > len(TEXT) // 2
    assert TEXT.startswith(read)
    assert "damaged" in str(damage)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_loses_nothing_and_is_reported(tmp_path: Path, method: int) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": b"b"}, method).read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(data)
    read = contents(tmp_path / "x.zip")
    assert read["x.zip/a.json"][0] == TEXT
    assert "checksum" in str(read["x.zip/a.json"][1])
    assert read["x.zip/b.json"] == (b"b", None)


def test_a_damaged_file_in_a_zip_does_not_lose_the_next_one(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": b"b"}).read_bytes())
    middle = data.index(b"b.json") // 2
    data[middle : middle + 2_000] = b"\xff" * 2_000
    (tmp_path / "x.zip").write_bytes(data)
    read = contents(tmp_path / "x.zip")
    assert read["x.zip/a.json"][0][:50_000] == TEXT[:50_000]
    assert read["x.zip/a.json"][1]
    assert read["x.zip/b.json"] == (b"b", None)


def test_a_file_with_a_lost_header_does_not_lose_the_next_one(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": b"b"}).read_bytes())
    data[0:4] = b"PK\0\0"
    (tmp_path / "x.zip").write_bytes(data)
    read = contents(tmp_path / "x.zip")
    assert read["x.zip/a.json"][0] == b""
    assert "damaged" in str(read["x.zip/a.json"][1])
    assert read["x.zip/b.json"] == (b"b", None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.symlink_to("/dev/null"), "is not a file"),
    ],
)
def test_an_unreadable_file_is_reported_in_one_line(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "two\nlines"
    make(path)
    assert words in refusal(path)


def test_a_fingerprint_depends_on_the_bytes_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert archive.fingerprint(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(TuttiError, match="no such file"):
        archive.fingerprint(tmp_path / "y")
