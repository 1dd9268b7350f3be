"""Lines of lyrics: each as often as it is sung, and when, where that is told."""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, monotonic, number, sums_match_upstream
from assets.content.lyrics import LYRICS
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.sources.formats import lrc
from resources.sources.formats.lrc import Line

LINES = pa.schema(
    [
        column("lyrics_id", pa.string(), "text of `content/lyrics`"),
        column("line", pa.int64(), "from 1, in the order in which they are sung"),
        column("at_ms", pa.int64(), "when it is sung, from the beginning, where that is told", unit="ms", null=True),
        column("text", pa.string(), "the line; empty between verses, and where singing pauses"),
    ]
)


def lines(lyrics: pa.Table) -> pa.Table:
    """The lines of each text: of the words with times where there are some."""
    rows: list[tuple[str, int, int | None, str]] = []
    for id, text, timed in zip(*(lyrics[c].to_pylist() for c in ("lyrics_id", "text", "lrc")), strict=True):
        sung = lrc.parse(timed).lines if timed else [Line(None, line) for line in text.split("\n")] if text else ()
        rows += ((id, n, line.at_ms, line.text) for n, line in enumerate(sung, start=1))
    return as_table(rows, LINES)


@dg.asset(
    key_prefix="content",
    ins={"lyrics": dg.AssetIn(["content", "lyrics"])},
    metadata=declare(LINES, key=["lyrics_id", "line"]),
)
def lyrics_lines(lyrics: Frame) -> Frame:
    """The lines of each text."""
    return lyrics.select("lyrics_id", "text", "lrc").map(lines, schema=LINES, kernel="arrow")


def is_first() -> nw.Expr:
    """First lines: one for each text."""
    return nw.col("line") == 1


def has_text() -> nw.Expr:
    """Lyrics with a text."""
    return ~nw.col("text").is_null()


TEXTS = {"texts": (number(is_first, "line"), number(has_text, "text"))}
checks = [
    checks_of(
        lyrics_lines,
        monotonic("at_ms", "lyrics_id", "line"),
        sums_match_upstream(dg.AssetKey(["content", "lyrics"]), LYRICS, TEXTS),
    )
]
