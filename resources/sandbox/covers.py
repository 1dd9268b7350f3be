"""Covers of the invented releases: a few simple shapes, the same for the same release."""

import io
import random
import textwrap

from PIL import Image, ImageDraw, ImageFont

from resources.sandbox.performers import Release

SIDE_PIXELS = 500
MARGIN_PIXELS = 30
SHAPES = 5


def cover(release: Release, artist: str) -> bytes:
    """Draw a square JPEG with a background in the release's hue, shapes in related hues, artist and title."""
    rng = random.Random(f"cover/{release.id}")
    hue = rng.randrange(360)
    image = Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), f"hsl({hue}, {rng.randint(35, 75)}%, {rng.randint(25, 70)}%)")
    draw = ImageDraw.Draw(image)
    kind = rng.choice(("rings", "bars", "hills"))
    for n in range(SHAPES):
        color = f"hsl({(hue + rng.choice((25, 150, 180, 210)) + 6 * n) % 360}, 60%, {rng.randint(30, 80)}%)"
        x, y, size = rng.randrange(SIDE_PIXELS), rng.randrange(SIDE_PIXELS), rng.randrange(60, 260)
        if kind == "rings":
            draw.ellipse((x - size, y - size, x + size, y + size), outline=color, width=rng.randrange(6, 30))
        elif kind == "bars":
            draw.rectangle((x, 0, x + size // 3, SIDE_PIXELS), fill=color)
        else:
            draw.polygon(
                [(x - 2 * size, SIDE_PIXELS), (x, SIDE_PIXELS - size), (x + 2 * size, SIDE_PIXELS)], fill=color
            )
    draw.rectangle((0, MARGIN_PIXELS, SIDE_PIXELS, 4 * MARGIN_PIXELS), fill="#f4efe4")
    title = textwrap.shorten(release.title, 46, placeholder=" …")
    draw.text((MARGIN_PIXELS, MARGIN_PIXELS + 12), title, fill="#222222", font=ImageFont.load_default(20))
    draw.text((MARGIN_PIXELS, MARGIN_PIXELS + 48), artist, fill="#666666", font=ImageFont.load_default(18))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
