"""Words of texts that people write and sing.

Python decides what a letter is, because engines do not agree on it.
"""

import unicodedata
from itertools import pairwise

import regex

APOSTROPHES = str.maketrans("’ʼ＇", "'''")
DOTLESS = str.maketrans("Iİ", "ıi")  # how Turkish and Azerbaijani lower these two; all others say i and i̇
DOTTED = {"tr", "az"}
ELIDED = {"fr", "it"}  # where an apostrophe stands for a vowel between two words: l'amour, dell'amore
ELISION = regex.compile(r"(?<=')(?!(?<=\baujourd')hui\b)", regex.V1)  # aujourd'hui is one word all the same
HEADING = regex.compile(r"^\[[^\]\n]*\]$", regex.MULTILINE)  # [Chorus] names a section and is not sung
UNSPACED = r"[[\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&[\p{L}\p{N}]]"
SPACED = rf"[[\p{{L}}\p{{N}}]--{UNSPACED}]"
SIGN = regex.compile(rf"{UNSPACED}\p{{M}}*", regex.V1)
# Either a run of signs of a script without spaces between words, or letters and digits with their marks, including an
# apostrophe between letters.
WORD = regex.compile(
    rf"({UNSPACED}[\p{{M}}{UNSPACED}]*)|{SPACED}[\p{{M}}{SPACED}]*(?:'{SPACED}[\p{{M}}{SPACED}]*)*", regex.V1
)


def words(text: str, language: str | None) -> list[str]:
    """Split a text into its words, in order, case folded and in Unicode's composed form (NFC).

    An English contraction is one word (don't), a French or Italian elision two (l', amour). Scripts without spaces
    between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) yield every two neighboring signs, as Lucene's
    CJKAnalyzer does: dictionaries differ from each other and lack the words of songs.
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
