"""Lines of lyrics: every line in the order of singing, with its time if the text is synced."""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of, monotonic, rows_where, sums_match_upstream
from assets.content.lyrics import LYRICS
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.sources.formats import lrc
from resources.sources.formats.lrc import Line

LINES = pa.schema(
    [
        column("lyrics_id", pa.string(), "id of the text in content/lyrics"),
        column("line", pa.int64(), "number of the line in the order of singing, from 1"),
        column("at_ms", pa.int64(), "time from the beginning of the recording, if synced", unit="ms", null=True),
        column("text", pa.string(), "text of the line, empty between verses and where singing pauses"),
    ]
)


def lines(lyrics: pa.Table) -> pa.Table:
    """Return the lines of each text, from its synced version if it has one."""
    rows: list[tuple[str, int, int | None, str]] = []
    for key, text, synced in zip(*(lyrics[c].to_pylist() for c in ("lyrics_id", "text", "lrc")), strict=True):
        sung = lrc.parse(synced).lines if synced else [Line(None, line) for line in text.split("\n")] if text else ()
        rows += ((key, n, line.at_ms, line.text) for n, line in enumerate(sung, start=1))
    return as_table(rows, LINES)


@dg.asset(
    key_prefix="content",
    ins={"lyrics": dg.AssetIn(["content", "lyrics"])},
    metadata=declare(LINES, key=["lyrics_id", "line"]),
)
def lyrics_lines(lyrics: Frame) -> Frame:
    """Lines of lyrics in the order of singing, with their times if the text is synced."""
    return lyrics.select("lyrics_id", "text", "lrc").map(lines, schema=LINES, kernel="arrow")


def is_first() -> nw.Expr:
    """Match the first line of each text."""
    return nw.col("line") == 1


def has_text() -> nw.Expr:
    """Match lyrics with a text."""
    return ~nw.col("text").is_null()


TEXTS = {"texts": (rows_where(is_first, "line"), rows_where(has_text, "text"))}
checks = [
    checks_of(
        lyrics_lines,
        monotonic("at_ms", "lyrics_id", "line"),
        sums_match_upstream(dg.AssetKey(["content", "lyrics"]), LYRICS, TEXTS),
    )
]
