"""Archives from outside: what is refused, and what is saved from a damaged one."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

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


def test_plain_files_gzips_and_zips_are_told_apart_by_content(tmp_path: Path) -> None:
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
def test_a_path_that_climbs_out_refuses_the_whole_archive(tmp_path: Path, name: str) -> None:
    entry = zipfile.ZipInfo("PLACEHOLDER"[: len(name)].ljust(len(name), "_"))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("good.json", TEXT)
        file.writestr(entry, b"{}")
    path = tmp_path / "x.zip"
    path.write_bytes(data.getvalue().replace(entry.filename.encode(), name.encode()))
    assert "leads out of it" in refusal(path)


def test_links_encryption_and_odd_packing_refuse_the_whole_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    assert "holds a link" in refusal(tmp_path / "link.zip")
    assert "unusual way" in refusal(zipped(tmp_path / "lzma.zip", {"a": TEXT}, zipfile.ZIP_LZMA))
    data = bytearray(zipped(tmp_path / "secret.zip", {"a": TEXT}).read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "secret.zip").write_bytes(data)
    assert "is encrypted" in refusal(tmp_path / "secret.zip")


@pytest.mark.parametrize("inner", [gzip.compress(TEXT), b"7z\xbc\xaf\x27\x1c", b"PK\x05\x06" + b"\0" * 18])
def test_an_archive_in_an_archive_refuses_the_whole(tmp_path: Path, inner: bytes) -> None:
    assert "another archive (b.json)" in refusal(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": inner}))


def test_too_many_files_are_refused_before_the_library_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "x.zip", {f"{n}.json": b"" for n in range(archive.MOST_FILES + 1)})
    assert "10,000 files" in refusal(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x05\x06") + 12, 1 << 31)
    path.write_bytes(data)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read"))
    assert "10,000 files" in refusal(path)


def test_a_zip_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.json": b" " * (archive.HARMLESS + 1)})
    with pytest.raises(TuttiError, match="far more than any export"):
        next(archive.members(path))


def test_a_bomb_whose_directory_lies_is_stopped_while_it_is_read(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": b" " * (archive.HARMLESS + 1)}).read_bytes())
    struct.pack_into("<I", data, data.rindex(b"PK\x01\x02") + 24, 1_000)
    (tmp_path / "x.zip").write_bytes(data)
    [(read, damage)] = contents(tmp_path / "x.zip").values()
    assert len(read) <= 1_000
    assert "checksum" in str(damage)
    (tmp_path / "x.gz").write_bytes(gzip.compress(b" " * (archive.HARMLESS + 1)))
    assert "far more than any export" in refusal(tmp_path / "x.gz")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9999])
def test_a_zip_cut_anywhere_says_to_download_it_again(tmp_path: Path, share: float) -> None:
    path = zipped(tmp_path / "x.zip", {"a.json": TEXT})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "cut or damaged: download it again" in refusal(path)


def test_a_gzip_cut_gives_what_precedes_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT)[:-20_000])
    [(read, damage)] = contents(path).values()
    assert len(read) > len(TEXT) // 2
    assert TEXT.startswith(read)
    assert "damaged here" in str(damage)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_loses_nothing_and_is_told(tmp_path: Path, method: int) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": b"b"}, method).read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(data)
    read = contents(tmp_path / "x.zip")
    assert read["x.zip/a.json"][0] == TEXT
    assert "checksum" in str(read["x.zip/a.json"][1])
    assert read["x.zip/b.json"] == (b"b", None)


def test_a_damaged_file_in_a_zip_gives_what_precedes_and_the_next_file_is_whole(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a.json": TEXT, "b.json": b"b"}).read_bytes())
    middle = data.index(b"b.json") // 2
    data[middle : middle + 2_000] = b"\xff" * 2_000
    (tmp_path / "x.zip").write_bytes(data)
    read = contents(tmp_path / "x.zip")
    assert read["x.zip/a.json"][0][:50_000] == TEXT[:50_000]
    assert read["x.zip/a.json"][1]
    assert read["x.zip/b.json"] == (b"b", None)


def test_a_file_whose_own_header_is_gone_is_told_and_the_next_is_whole(tmp_path: Path) -> None:
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
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.symlink_to("/dev/null"), "is a folder or a device"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "two\nlines"
    make(path)
    assert words in refusal(path)


def test_a_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert archive.fingerprint(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(TuttiError, match="cannot be read"):
        archive.fingerprint(tmp_path / "y")
