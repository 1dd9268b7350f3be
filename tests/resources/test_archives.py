"""Hostile archives: every reader ends, within its allowance, and names the reason."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import zstandard

from resources import archives
from resources.archives import Allowance, Damaged, Refused, TarEntry, tar_entries
from resources.sources.exports import UnsupportedFile
from resources.sources.records.listen import RecordResult
from tests.exporting import listen_of, read, reasons
from tests.hostile_archives import (
    END,
    ending_within,
    entry,
    gzip_bomb,
    nested,
    overlapping_zip,
    pax,
    tars,
    xz_bomb,
    zipped,
)

GOOD = b"".join(
    b'{"listened_at": %d, "user_name": "bob", "track_metadata": {"artist_name": "A", "track_name": "T"}}\n' % at
    for at in range(1_600_000_000, 1_600_000_005)
)
HOSTILE = tars(GOOD)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.compress(data),
}


class Counting(io.BytesIO):
    """A file that counts the bytes it returns."""

    count = 0

    def read1(self, size: int | None = -1, /) -> bytes:
        block = super().read1(size)
        self.count += len(block)
        return block


def peek(found: TarEntry) -> bytes:
    return found.content.read1(10)


def contents(data: bytes, past_end: bool = False) -> dict[str, bytes]:
    found = tar_entries(io.BytesIO(data), Allowance(len(data)), past_end)
    return {entry.info.name: entry.content.read() for entry in found}


@pytest.mark.parametrize("kind", HOSTILE)
def test_each_byte_of_a_hostile_tar_is_read_at_most_once(kind: str) -> None:
    file = Counting(HOSTILE[kind])
    with ending_within(20), pytest.raises((Damaged, Refused)):
        list(map(peek, tar_entries(file, Allowance(len(HOSTILE[kind])))))
    assert file.count <= len(HOSTILE[kind])


@pytest.mark.parametrize("how", PACK)
@pytest.mark.parametrize("kind", HOSTILE)
def test_an_import_of_a_hostile_tar_ends_with_a_reason(tmp_path: Path, kind: str, how: str) -> None:
    results, refusal = list[RecordResult](), ""
    with ending_within(20):
        try:
            results = read(tmp_path, PACK[how](HOSTILE[kind]), None)
        except UnsupportedFile as refused:
            refusal = str(refused)
    if refusal:
        assert "anything.bin" in refusal
    else:
        assert len(list(filter(listen_of, results))) == 5
        assert reasons(results)


def test_entries_are_those_of_the_library(tmp_path: Path) -> None:
    files = {"a.json": b"a" * 511, "n" * 300: b"b" * 512, "ü/é.json": b"", "c": b"c" * 100_000}
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form, pax_headers={"comment": "x"}) as archive:
            for name, content in files.items():
                if len(name) < 300 or form != tarfile.USTAR_FORMAT:
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
            expected = {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]
        assert contents(out.getvalue()) == expected


def test_large_sizes_are_read_from_pax_headers() -> None:
    assert contents(pax("size", "3") + entry("a", b"abc", size=0) + END) == {"a": b"abc"}


def test_entries_after_the_end_are_read_if_asked_for() -> None:
    data = entry("a", b"1") + END + entry("b", b"2") + END
    assert contents(data) == {"a": b"1"}
    assert contents(data, past_end=True) == {"a": b"1", "b": b"2"}


def test_a_tar_with_too_many_files_is_refused_by_any_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    with pytest.raises(Refused, match="files"):
        contents(entry("a", b"1") * 4 + END)


@pytest.mark.parametrize(
    "data",
    [
        gzip_bomb(200),
        xz_bomb(100),
        gzip.compress(entry("a.jsonl", size=99 << 20) + bytes(99 << 20) + END),
        overlapping_zip(2_000, 1),
        zipped({"a.jsonl": bytes(80 << 20)}),
        nested(GOOD, 9),
        zipped({f"{n}.jsonl": b"" for n in range(archives.MAX_FILES + 1)}),
    ],
    ids=["gzip of gzip", "xz", "tar in gzip", "overlapping zip", "zip", "nested", "many files"],
)
def test_a_bomb_is_refused_with_its_name(tmp_path: Path, data: bytes) -> None:
    with ending_within(60), pytest.raises(UnsupportedFile, match=r"anything\.bin"):
        read(tmp_path, data, None)


def test_a_bomb_is_never_copied_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_SPOOLED_BYTES", 40 << 20)
    copied, damage = archives.spooled(io.BytesIO(bytes(40 << 20)))
    with copied:
        assert (len(copied.read()), damage) == (40 << 20, None)
    with pytest.raises(Refused, match="disk"):
        archives.spooled(io.BytesIO(bytes(41 << 20)))


def test_a_copy_leaves_half_of_the_free_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 70 << 20}))
    with pytest.raises(Refused, match="36,700,160 bytes"):
        archives.spooled(io.BytesIO(bytes(36 << 20)))


def test_archives_in_each_other_are_limited() -> None:
    allowance, stack = Allowance(0), ExitStack()
    for _ in range(archives.MAX_DEPTH):
        stack.enter_context(allowance)
    with pytest.raises(Refused, match="archives in each other"):
        stack.enter_context(allowance)
    stack.close()
    stack.enter_context(allowance)


def test_data_after_a_compressed_stream_is_not_ignored() -> None:
    for how in ("gz", "bz2", "xz", "zst"):
        data = PACK[how](GOOD)
        magic = archives.compression_of(data)
        assert magic
        for rest in (PACK[how](b"more"), b"unread"):
            unpacked = archives.unpack(io.BytesIO(data + rest), magic, Allowance(len(data)))
            if rest == b"unread":
                with pytest.raises(Damaged):
                    unpacked.read()
            else:
                assert unpacked.read() == GOOD + b"more"


def test_text_that_begins_like_a_compressed_file_is_text() -> None:
    assert archives.compression_of(b"BZhang, A Song\n") is None
    assert archives.compression_of(bz2.compress(b"")) == archives.BZIP2
