"""Plots: small pictures of numbers for the web UI, as Markdown with the picture in it.

Pictures are SVG written here: the few shapes that they have cost kilobytes and no drawing library.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

import dagster as dg

WIDTH, HEIGHT, TOP, BOTTOM = 284, 120, 18, 14  # pixels: of one plot, and above and below what is drawn in it
COLUMNS, GAP = 3, 24  # plots beside one another, and pixels between them: the UI shows 950 as they are
WIDE = WIDTH * COLUMNS + GAP * (COLUMNS - 1)
BINS = 40
INK, PAPER, FAINT = "#3c39ee", "#ffffff", "#6b7280"
LONGEST = 44  # characters of a title


def histograms(columns: Mapping[str, Iterable[float]]) -> dg.MetadataValue:
    """How often values lie where, a plot for each column that has any."""
    plots = []
    for name, values in columns.items():
        if not (found := [v for v in values if isfinite(v)]):
            continue
        low, high = min(found), max(found)
        span = (high - low) or 1
        counts = Counter(min(int((v - low) / span * BINS), BINS - 1) for v in found)
        drawn = _bars([counts[n] for n in range(BINS)]) + _text(0, HEIGHT - 3, f"{low:,.3g}")
        plots.append((f"{name}: {len(found):,}", drawn + _text(WIDTH, HEIGHT - 3, f"{high:,.3g}", "end")))
    return _picture("distributions", plots)


def bars(name: str, counts: Mapping[str, int]) -> dg.MetadataValue:
    """How often each of a few things is there, in their order."""
    slot = WIDE / max(1, len(counts))
    names = (_text((n + 0.5) * slot, HEIGHT - 3, of, "middle") for n, of in enumerate(counts))
    return _picture(name, [(name, _bars(list(counts.values()), WIDE) + "".join(names))], columns=1)


def waveforms(files: Mapping[str, Sequence[float]]) -> dg.MetadataValue:
    """The peaks of sounds from their beginning to their end, of full scale 1."""
    middle, reach = (TOP + HEIGHT - BOTTOM) / 2, (HEIGHT - BOTTOM - TOP) / 2
    plots = []
    for name, peaks in files.items():
        step = WIDTH / max(1, len(peaks))
        heights = [max(0.5, min(1.0, abs(p)) * reach) for p in peaks]
        lines = (f"M{(n + 0.5) * step:.1f} {middle - h:.1f}v{2 * h:.1f}" for n, h in enumerate(heights))
        plots.append((name, f'<path d="{"".join(lines)}" stroke="{INK}" stroke-width="{step * 0.8:.2f}"/>'))
    return _picture("waveforms", plots)


def colors(files: Iterable[tuple[str, Sequence[str], Sequence[float]]]) -> dg.MetadataValue:
    """Colors (#rrggbb) of things, each as wide as its share."""
    plots = []
    for name, found, shares in files:
        x, body = 0.0, ""
        for color, share in zip(found, shares, strict=True):
            body += _bar(x, TOP, share * WIDTH, HEIGHT - TOP - BOTTOM, color)
            x += share * WIDTH
        plots.append((name, body))
    return _picture("colors", plots)


def listed(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.MetadataValue:
    """Rows as a table."""
    lines = (
        " | ".join(str(v).replace("|", "\\|").replace("\n", " ") for v in row)
        for row in [head, ["---"] * len(head), *rows]
    )
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def _picture(name: str, plots: Sequence[tuple[str, str]], columns: int = COLUMNS) -> dg.MetadataValue:
    """Plots with their titles, in rows."""
    wide, gap = WIDTH if columns == COLUMNS else WIDE, GAP
    across, down = min(columns, max(1, len(plots))), -(-len(plots) // columns)
    width, height = across * (wide + gap) + gap, down * (HEIGHT + gap) + gap
    drawn = ""
    for n, (title, body) in enumerate(plots):
        x, y = gap + n % columns * (wide + gap), gap + n // columns * (HEIGHT + gap)
        short = title if len(title) <= LONGEST else f"…{title[1 - LONGEST :]}"
        drawn += f'<g transform="translate({x} {y})">{_text(0, 11, short, ink="#111827")}{body}</g>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="11" fill="none"><rect width="{width}" height="{height}" fill="{PAPER}"/>{drawn}</svg>'
    )
    return dg.MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})")


def _bars(counts: Sequence[int], width: float = WIDTH) -> str:
    most, slot, room = max([*counts, 1]), width / max(1, len(counts)), HEIGHT - TOP - BOTTOM
    heights = [room * n / most for n in counts]
    return "".join(_bar(n * slot, HEIGHT - BOTTOM - h, slot * 0.9, h, INK) for n, h in enumerate(heights) if h)


def _bar(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{escape(color)}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", ink: str = FAINT) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)  # XML knows no control characters
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{escape(plain)}</text>'
