"""Word counts of lyrics: MapReduce's own example, on songs.

Map: each text becomes its words with how often it has them. Combine: shares add theirs up where they lie. Shuffle:
equal words meet. Reduce: they are added up. Of the texts of a recording the one counts that is chosen among its lyrics;
what is sung again counts again, as far as the text has it again.
"""

import unicodedata
from collections import Counter
from itertools import pairwise

import dagster as dg
import narwhals as nw
import pyarrow as pa
import regex

from assets.checks import complete, unique
from resources.frames.frame import Frame
from resources.schema import as_table, column, declare

WORD_COUNTS = pa.schema(
    [
        column("language", pa.string(), "ISO 639-1 code of the lyrics, where known", null=True),
        column("word", pa.string(), "word, case folded, in Unicode's composed form (NFC)"),
        column("occurrences", pa.int64(), "how often it is sung"),
        column("works", pa.int64(), "in the texts of how many recordings"),
    ]
)
APOSTROPHES = str.maketrans("’ʼ＇", "'''")
DOTLESS = str.maketrans("Iİ", "ıi")  # how Turkish and Azerbaijani lower these two; all others say i and i̇
DOTTED = {"tr", "az"}
ELIDED = {"fr", "it"}  # where an apostrophe stands for a vowel between two words: l'amour, dell'amore
ELISION = regex.compile(r"(?<=')(?!(?<=\baujourd')hui\b)", regex.V1)  # aujourd'hui is one word all the same
HEADING = regex.compile(r"^\[[^\]\n]*\]$", regex.MULTILINE)  # [Chorus] says what is sung, and is not
UNSPACED = r"[[\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&[\p{L}\p{N}]]"
SPACED = rf"[[\p{{L}}\p{{N}}]--{UNSPACED}]"
SIGN = regex.compile(rf"{UNSPACED}\p{{M}}*", regex.V1)
# Letters and digits with the marks that belong to them, an apostrophe between letters included; or what scripts write
# that have no spaces between words.
WORD = regex.compile(
    rf"({UNSPACED}[\p{{M}}{UNSPACED}]*)|{SPACED}[\p{{M}}{SPACED}]*(?:'{SPACED}[\p{{M}}{SPACED}]*)*", regex.V1
)


def words(text: str, language: str | None) -> list[str]:
    """The words of a text, in order. Python decides what a letter is, since engines do not agree.

    English contractions are one word (don't), French and Italian elisions two (l', amour). Scripts without spaces
    between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give each two neighbouring signs, as Lucene's
    CJKAnalyzer does: a dictionary would know words, but each has its own, and neither those of songs.
    """
    text = HEADING.sub("", unicodedata.normalize("NFC", text))
    lower = (text.translate(DOTLESS) if language in DOTTED else text).casefold().translate(APOSTROPHES)
    found: list[str] = []
    for match in WORD.finditer(unicodedata.normalize("NFC", lower)):
        if match[1]:
            signs = SIGN.findall(match[1])
            found += map("".join, pairwise(signs)) if signs[1:] else signs
        else:
            found += ELISION.split(match[0]) if language in ELIDED else [match[0]]
    return found


def count_in_texts(lyrics: pa.Table) -> pa.Table:
    """Map: the words of each text that counts, with how often it has them."""
    rows: list[tuple[str | None, str, int, int]] = []
    told = (lyrics[name].to_pylist() for name in ("language", "text", "chosen"))
    for language, text, chosen in zip(*told, strict=True):
        if text and chosen:
            rows += [(language, word, n, 1) for word, n in Counter(words(text, language)).items()]
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
    counts = lyrics.select("language", "text", "chosen").map(count_in_texts, schema=WORD_COUNTS, kernel="arrow")
    return counts.per("word", add_up, combine=add_up)


checks = [unique(lyrics_word_counts, "language", "word"), complete(lyrics_word_counts, WORD_COUNTS)]
