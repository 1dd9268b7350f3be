"""Plots: small SVG pictures for the web UI, embedded in Markdown.

The SVG is written by hand: a few shapes take kilobytes and need no drawing library.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isfinite

import dagster as dg

from resources.report.markdown import image

WIDTH, HEIGHT, TOP, BOTTOM = 284, 120, 18, 14  # pixels: size of a plot, and its margins
COLUMNS, GAP = 3, 24  # plots per row, and pixels between them: the UI shows 950 pixels without scaling
FULL_WIDTH = WIDTH * COLUMNS + GAP * (COLUMNS - 1)
BINS = 40
INK, PAPER, FAINT = "#3c39ee", "#ffffff", "#6b7280"
MAX_TITLE_CHARS = 44


def histograms(columns: Mapping[str, Iterable[float]]) -> dg.MetadataValue:
    """Draw a histogram of each column that has finite values."""
    plots = []
    for name, values in columns.items():
        if not (finite := [v for v in values if isfinite(v)]):
            continue
        low, high = min(finite), max(finite)
        span = (high - low) or 1
        counts = Counter(min(int((v - low) / span * BINS), BINS - 1) for v in finite)
        drawn = _bars([counts[n] for n in range(BINS)]) + _text(0, HEIGHT - 3, f"{low:,.3g}")
        plots.append((f"{name}: {len(finite):,}", drawn + _text(WIDTH, HEIGHT - 3, f"{high:,.3g}", "end")))
    return _picture("distributions", plots)


def bars(name: str, counts: Mapping[str, int]) -> dg.MetadataValue:
    """Draw a bar for each count, in the given order."""
    slot = FULL_WIDTH / max(1, len(counts))
    labels = (_text((n + 0.5) * slot, HEIGHT - 3, label, "middle") for n, label in enumerate(counts))
    return _picture(name, [(name, _bars(list(counts.values()), FULL_WIDTH) + "".join(labels))], columns=1)


def waveforms(files: Mapping[str, Sequence[float]]) -> dg.MetadataValue:
    """Draw the waveform of each file from its peaks, where 1 is full scale."""
    middle, reach = (TOP + HEIGHT - BOTTOM) / 2, (HEIGHT - BOTTOM - TOP) / 2
    plots = []
    for name, peaks in files.items():
        step = WIDTH / max(1, len(peaks))
        heights = [max(0.5, min(1.0, abs(p)) * reach) for p in peaks]
        lines = (f"M{(n + 0.5) * step:.1f} {middle - h:.1f}v{2 * h:.1f}" for n, h in enumerate(heights))
        plots.append((name, f'<path d="{"".join(lines)}" stroke="{INK}" stroke-width="{step * 0.8:.2f}"/>'))
    return _picture("waveforms", plots)


def colors(files: Iterable[tuple[str, Sequence[str], Sequence[float]]]) -> dg.MetadataValue:
    """Draw the colors (#rrggbb) of each named file, each as plot_width as its share."""
    plots = []
    for name, palette, shares in files:
        x, body = 0.0, ""
        for color, share in zip(palette, shares, strict=True):
            body += _bar(x, TOP, share * WIDTH, HEIGHT - TOP - BOTTOM, color)
            x += share * WIDTH
        plots.append((name, body))
    return _picture("colors", plots)


def _picture(name: str, plots: Sequence[tuple[str, str]], columns: int = COLUMNS) -> dg.MetadataValue:
    """Combine titled plots to one picture, in rows of `columns`."""
    plot_width, gap = WIDTH if columns == COLUMNS else FULL_WIDTH, GAP
    across, down = min(columns, max(1, len(plots))), -(-len(plots) // columns)
    width, height = across * (plot_width + gap) + gap, down * (HEIGHT + gap) + gap
    drawn = ""
    for n, (title, body) in enumerate(plots):
        x, y = gap + n % columns * (plot_width + gap), gap + n // columns * (HEIGHT + gap)
        short = title if len(title) <= MAX_TITLE_CHARS else f"…{title[1 - MAX_TITLE_CHARS :]}"
        drawn += f'<g transform="translate({x} {y})">{_text(0, 11, short, ink="#111827")}{body}</g>'
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="11" fill="none"><rect width="{width}" height="{height}" fill="{PAPER}"/>{drawn}</svg>'
    )
    return image(name, f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}")


def _bars(counts: Sequence[int], width: float = WIDTH) -> str:
    highest, slot, room = max([*counts, 1]), width / max(1, len(counts)), HEIGHT - TOP - BOTTOM
    heights = [room * n / highest for n in counts]
    return "".join(_bar(n * slot, HEIGHT - BOTTOM - h, slot * 0.9, h, INK) for n, h in enumerate(heights) if h)


def _bar(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{escape(color)}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", ink: str = FAINT) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)  # XML allows no control characters
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{escape(plain)}</text>'
