"""Covers: colors are those one sees, and no picture is strange or large enough to fail."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resources.audio.cover import COLORS, MOST_PIXELS, Cover, cover
from resources.audio.tags import Picture


def saved(image: Image.Image, kind: str) -> bytes:
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def halves() -> Image.Image:
    """Three quarters red, one quarter blue."""
    image = Image.new("RGB", (400, 200), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 100, 200))
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_colors_are_those_one_sees(kind: str) -> None:
    found = cover(Picture(saved(halves(), kind), "image/wrong"))
    assert (found.cover_width, found.cover_height) == (400, 200)
    assert found.cover_mime == f"image/{kind.lower()}"
    assert len(found.cover_colors) == len(found.cover_shares) <= COLORS
    assert sum(found.cover_shares) == pytest.approx(1)
    assert near(found.cover_colors[0], (255, 0, 0))
    assert found.cover_shares[0] == pytest.approx(0.75, abs=0.05)
    assert any(near(c, (0, 0, 255)) for c in found.cover_colors)


def near(color: str, rgb: tuple[int, int, int]) -> bool:
    found = bytes.fromhex(color.removeprefix("#"))
    return all(abs(a - b) < 30 for a, b in zip(found, rgb, strict=True))


def test_every_kind_of_pixel_has_colors() -> None:
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        found = cover(Picture(saved(Image.new(mode, (3, 5)), "PNG"), None))
        assert found.cover_colors == ["#000000"], mode
        assert found.cover_shares == [1]


def png(width: int, height: int) -> bytes:
    """The head of a PNG that claims to be so large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, data, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_a_picture_too_large_for_memory_is_not_unpacked(side: int) -> None:
    assert side**2 > MOST_PIXELS
    found = cover(Picture(png(side, side), "image/png"))
    assert found.cover_colors == []
    assert found.cover_bytes > 0
    assert found.cover_width in (side, None)


def test_a_picture_that_is_cut_off_has_no_colors() -> None:
    whole = saved(halves(), "JPEG")
    found = cover(Picture(whole[: len(whole) // 2], "image/jpeg"))
    assert (found.cover_width, found.cover_colors) == (400, [])


@given(
    st.binary(max_size=200),
    st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF    WEBP", b"BM")),
)
def test_any_bytes_are_a_picture_or_none(found: bytes, head: bytes) -> None:
    told = cover(Picture(head + found, "image/\0"))
    assert isinstance(told, Cover)
    assert told.cover_bytes == len(head + found)
    assert len(told.cover_colors) == len(told.cover_shares)
