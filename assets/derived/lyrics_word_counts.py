"""Word counts of lyrics, by language: the classic example of MapReduce.

Map counts the words of each text, combine adds up the counts within a partition, the shuffle groups equal words, and
reduce adds up the rest. Only the preferred text of each recording counts. A repeated line counts each time.
"""

from collections import Counter

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import checks_of
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare
from resources.text.words import words

WORD_COUNTS = pa.schema(
    [
        column("language", pa.string(), "ISO 639-1 code of the lyrics' language, null if unknown", null=True),
        column("word", pa.string(), "word, case-folded, in Unicode normalization form C"),
        column("occurrences", pa.int64(), "number of occurrences in all texts"),
        column("works", pa.int64(), "number of recordings whose text has the word"),
    ]
)


def count_in_texts(lyrics: pa.Table) -> pa.Table:
    """Map: count the words of each preferred text."""
    rows: list[tuple[str | None, str, int, int]] = []
    texts = (lyrics[name].to_pylist() for name in ("language", "text", "is_preferred"))
    for language, text, is_preferred in zip(*texts, strict=True):
        if text and is_preferred:
            rows += [(language, word, n, 1) for word, n in Counter(words(text, language)).items()]
    return as_table(rows, WORD_COUNTS)


def add_up(counts: nw.LazyFrame) -> nw.LazyFrame:
    """Combine and reduce: add up the counts of equal words."""
    return counts.group_by("language", "word").agg(nw.col("occurrences").sum(), nw.col("works").sum())


@dg.asset(
    key_prefix="derived",
    ins={"lyrics": dg.AssetIn(["content", "lyrics"])},
    metadata=declare(WORD_COUNTS, key=["language", "word"]),
)
def lyrics_word_counts(lyrics: Frame) -> Frame:
    """Occurrences of each word in the preferred lyrics of recordings, by language."""
    counts = lyrics.select("language", "text", "is_preferred").map(count_in_texts, schema=WORD_COUNTS, kernel="arrow")
    return counts.per("word", add_up, combine=add_up)


checks = [checks_of(lyrics_word_counts)]
