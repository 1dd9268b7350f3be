"""Word counts of lyrics: MapReduce's own example, on songs.

Map: each text becomes its words with how often it has them. Combine: shares add theirs up where they lie. Shuffle:
equal words meet. Reduce: they are added up.
"""

import unicodedata
from collections import Counter

import dagster as dg
import narwhals as nw
import pyarrow as pa
import regex

from assets.checks import complete, unique
from resources.columns import as_table, column, declare
from resources.frame import Frame

WORD_COUNTS = pa.schema(
    [
        column("language", pa.string(), "ISO 639-1 code of the lyrics, where known", null=True),
        column("word", pa.string(), "word, case folded, in Unicode's composed form (NFC)"),
        column("occurrences", pa.int64(), "how often it is sung"),
        column("works", pa.int64(), "in how many texts"),
    ]
)
# Letters and digits with the marks that belong to them; an apostrophe between letters does not end a word.
WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:['’][\p{L}\p{N}][\p{L}\p{N}\p{M}]*)*")


def words(text: str) -> list[str]:
    """The words of a text, in order. Python decides what a letter is, since engines do not agree."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return WORD.findall(folded)


def count_in_texts(lyrics: pa.Table) -> pa.Table:
    """Map: the words of each text, with how often it has them."""
    rows: list[tuple[str | None, str, int, int]] = []
    for language, text in zip(lyrics["language"].to_pylist(), lyrics["text"].to_pylist(), strict=True):
        rows += [(language, word, n, 1) for word, n in Counter(words(text or "")).items()]
    return as_table(rows, WORD_COUNTS)


def add_up(counts: nw.LazyFrame) -> nw.LazyFrame:
    """Combine and reduce: how often each word is sung, as far as these rows know."""
    return counts.group_by("language", "word").agg(nw.col("occurrences").sum(), nw.col("works").sum())


@dg.asset(
    key_prefix="derived",
    ins={"lyrics": dg.AssetIn(["content", "lyrics"])},
    metadata=declare(WORD_COUNTS, order=["language", "word"]),
)
def lyrics_word_counts(lyrics: Frame) -> Frame:
    """How often each word is sung, by language."""
    counts = lyrics.select("language", "text").map(count_in_texts, schema=WORD_COUNTS, kernel="arrow")
    return counts.per("word", add_up, combine=add_up)


checks = [unique(lyrics_word_counts, "language", "word"), complete(lyrics_word_counts, WORD_COUNTS)]
