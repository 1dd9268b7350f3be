"""Covers: dominant colors match the picture, and no picture makes the analysis fail."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resources.audio.cover import COLORS, MAX_PIXELS, Cover, cover
from resources.audio.tags import Picture


def saved(image: Image.Image, kind: str) -> bytes:
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def halves() -> Image.Image:
    """Draw three quarters red, one quarter blue."""
    image = Image.new("RGB", (400, 200), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 100, 200))
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_finds_the_dominant_colors(kind: str) -> None:
    result = cover(Picture(saved(halves(), kind), "image/wrong"))
    assert (result.cover_width, result.cover_height) == (400, 200)
    assert result.cover_mime == f"image/{kind.lower()}"
    assert len(result.cover_colors) == len(result.cover_shares) <= COLORS
    assert sum(result.cover_shares) == pytest.approx(1)
    assert near(result.cover_colors[0], (255, 0, 0))
    assert result.cover_shares[0] == pytest.approx(0.75, abs=0.05)
    assert any(near(c, (0, 0, 255)) for c in result.cover_colors)


def near(color: str, rgb: tuple[int, int, int]) -> bool:
    actual = bytes.fromhex(color.removeprefix("#"))
    return all(abs(a - b) < 30 for a, b in zip(actual, rgb, strict=True))


def test_every_pixel_format_has_colors() -> None:
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        result = cover(Picture(saved(Image.new(mode, (3, 5)), "PNG"), None))
        assert result.cover_colors == ["#000000"], mode
        assert result.cover_shares == [1]


def png(width: int, height: int) -> bytes:
    """Return the start of a PNG whose header claims this size in pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (head, data, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_a_picture_too_large_for_memory_is_not_decoded(side: int) -> None:
    assert side**2 > MAX_PIXELS
    result = cover(Picture(png(side, side), "image/png"))
    assert result.cover_colors == []
    assert result.cover_bytes > 0
    assert result.cover_width in (side, None)


def test_a_truncated_picture_has_no_colors() -> None:
    jpeg = saved(halves(), "JPEG")
    result = cover(Picture(jpeg[: len(jpeg) // 2], "image/jpeg"))
    assert (result.cover_width, result.cover_colors) == (400, [])


@given(
    st.binary(max_size=200),
    st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF    WEBP", b"BM")),
)
def test_any_bytes_give_a_cover(rest: bytes, head: bytes) -> None:
    result = cover(Picture(head + rest, "image/\0"))
    assert isinstance(result, Cover)
    assert result.cover_bytes == len(head + rest)
    assert len(result.cover_colors) == len(result.cover_shares)
