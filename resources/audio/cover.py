"""Covers: what can be told of the picture in an audio file, without keeping it."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO

from resources.audio.tags import MOST_TEXT, Picture

KINDS = ("BMP", "GIF", "JPEG", "PNG", "WEBP")  # no other decoder is let near a picture from somewhere
MOST_PIXELS = 50_000_000  # 150 MB unpacked; the largest scans of sleeves have half of it
SIDE = 64  # pixels: dominant colors are in the smallest copy of a picture
COLORS = 5


@dataclass(frozen=True)
class Cover:
    """A picture: what it is, and its dominant colors, as #rrggbb with their shares, the largest first.

    Width and height are null, and colors none, where it cannot be read, or not within memory.
    """

    cover_sha256: str
    cover_bytes: int
    cover_mime: str | None
    cover_width: int | None = None
    cover_height: int | None = None
    cover_colors: list[str] = field(default_factory=list)
    cover_shares: list[float] = field(default_factory=list)


def cover(picture: Picture) -> Cover:
    """Look at a picture. Colors are those of Pillow's median cut."""
    from PIL import Image

    told = (hashlib.sha256(picture.data).hexdigest(), len(picture.data))
    mime = picture.mime[:MOST_TEXT] if picture.mime and picture.mime.isprintable() else None
    width = height = None
    try:
        with Image.open(BytesIO(picture.data), formats=KINDS) as image:
            mime = image.get_format_mimetype() or mime
            width, height = image.size
            if width * height > MOST_PIXELS:
                return Cover(*told, mime, width, height)
            image.draft("RGB", (SIDE, SIDE))  # JPEG is unpacked no larger than needed
            small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        cut = small.quantize(COLORS)
        places = Counter(cut.tobytes()).most_common()
        palette = bytes(cut.getpalette() or [])
        colors = [f"#{palette[3 * place : 3 * place + 3].hex()}" for place, _ in places]
        shares = [n / (small.width * small.height) for _, n in places]
        return Cover(*told, mime, width, height, colors, shares)
    except Exception:  # whatever a decoder stumbles over in untrusted bytes, decompression bombs among it
        return Cover(*told, mime, width, height)
