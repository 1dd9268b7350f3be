"""Covers: size, format and dominant colors of the picture in an audio file. The picture itself is not stored."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO

from resources.audio.tags import MAX_VALUE_CHARS, Picture

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # untrusted bytes reach no other decoder
MAX_PIXELS = 50_000_000  # 150 MB decoded; the largest scans of covers have half of it
THUMBNAIL_PIXELS = 64  # a small copy is enough to find dominant colors
COLORS = 5


@dataclass(frozen=True)
class Cover:
    """A picture's format, size in pixels and dominant colors (#rrggbb, largest share first).

    If the picture cannot be decoded or is too large, it has no colors, and width and height may be None.
    """

    cover_sha256: str
    cover_bytes: int
    cover_mime: str | None
    cover_width: int | None = None
    cover_height: int | None = None
    cover_colors: list[str] = field(default_factory=list)
    cover_shares: list[float] = field(default_factory=list)


def cover(picture: Picture) -> Cover:
    """Analyze a picture. Its dominant colors come from Pillow's median cut."""
    from PIL import Image

    digest_and_size = (hashlib.sha256(picture.data).hexdigest(), len(picture.data))
    mime = picture.mime[:MAX_VALUE_CHARS] if picture.mime and picture.mime.isprintable() else None
    width = height = None
    try:
        with Image.open(BytesIO(picture.data), formats=FORMATS) as image:
            mime = image.get_format_mimetype() or mime
            width, height = image.size
            if width * height > MAX_PIXELS:
                return Cover(*digest_and_size, mime, width, height)
            image.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))  # decodes a JPEG no larger than needed
            small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        cut = small.quantize(COLORS)
        places = Counter(cut.tobytes()).most_common()
        palette = bytes(cut.getpalette() or [])
        colors = [f"#{palette[3 * place : 3 * place + 3].hex()}" for place, _ in places]
        shares = [n / (small.width * small.height) for _, n in places]
        return Cover(*digest_and_size, mime, width, height, colors, shares)
    except Exception:  # decoders of untrusted bytes raise many kinds, decompression bombs among them
        return Cover(*digest_and_size, mime, width, height)
