"""Word counts of lyrics: MapReduce's own example, on songs.

Map: count the words of each text. Combine: add up the counts within a partition. Shuffle: bring equal words together.
Reduce: add up the rest. Of the texts of a recording only the chosen one counts. A repeated line counts as often as the
text repeats it.
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
        column("language", pa.string(), "ISO 639-1 code of the lyrics, where known", null=True),
        column("word", pa.string(), "word, case folded, in Unicode's composed form (NFC)"),
        column("occurrences", pa.int64(), "how often it is sung"),
        column("works", pa.int64(), "in the texts of how many recordings"),
    ]
)


def count_in_texts(lyrics: pa.Table) -> pa.Table:
    """Map: count the words of each chosen text."""
    rows: list[tuple[str | None, str, int, int]] = []
    texts = (lyrics[name].to_pylist() for name in ("language", "text", "is_preferred"))
    for language, text, chosen in zip(*texts, strict=True):
        if text and chosen:
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
    """How often each word is sung, by language."""
    counts = lyrics.select("language", "text", "is_preferred").map(count_in_texts, schema=WORD_COUNTS, kernel="arrow")
    return counts.per("word", add_up, combine=add_up)


checks = [checks_of(lyrics_word_counts)]
