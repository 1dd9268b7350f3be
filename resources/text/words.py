"""Split lyrics and posts into words.

Python decides which characters are letters, because the engines disagree.
"""

import unicodedata
from itertools import pairwise

import regex

APOSTROPHES = str.maketrans("’ʼ＇", "'''")
# Turkish and Azerbaijani lower-case I and İ to ı and i. All other languages use i and i̇.
TURKIC_LOWER = str.maketrans("Iİ", "ıi")
TURKIC_LANGUAGES = {"tr", "az"}
ELISION_LANGUAGES = {"fr", "it"}  # an apostrophe replaces a vowel between two words: l'amour, dell'amore
ELISION = regex.compile(r"(?<=')(?!(?<=\baujourd')hui\b)", regex.V1)  # aujourd'hui stays one word
HEADING = regex.compile(r"^\[[^\]\n]*\]$", regex.MULTILINE)  # [Chorus] names a section and is not sung
UNSPACED = r"[[\p{Han}\p{Hiragana}\p{Katakana}ーｰ\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&[\p{L}\p{N}]]"
SPACED = rf"[[\p{{L}}\p{{N}}]--{UNSPACED}]"
SIGN = regex.compile(rf"{UNSPACED}\p{{M}}*", regex.V1)
# Either a run of signs of a script without spaces, or letters and digits with their marks and inner apostrophes.
WORD = regex.compile(
    rf"({UNSPACED}[\p{{M}}{UNSPACED}]*)|{SPACED}[\p{{M}}{SPACED}]*(?:'{SPACED}[\p{{M}}{SPACED}]*)*", regex.V1
)


def words(text: str, language: str | None) -> list[str]:
    """Split a text into its words, in order, case folded and in Unicode's composed form (NFC).

    An English contraction is one word (don't), a French or Italian elision two (l', amour). Scripts without spaces
    between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) yield every pair of neighboring signs, as Lucene's
    CJKAnalyzer does. Dictionaries are not used: they differ from each other and lack the words of songs.
    """

    text = HEADING.sub("", unicodedata.normalize("NFC", text))
    lower = (text.translate(TURKIC_LOWER) if language in TURKIC_LANGUAGES else text).casefold().translate(APOSTROPHES)
    result: list[str] = []
    for match in WORD.finditer(unicodedata.normalize("NFC", lower)):
        if match[1]:
            signs = SIGN.findall(match[1])
            result += map("".join, pairwise(signs)) if signs[1:] else signs
        else:
            result += ELISION.split(match[0]) if language in ELISION_LANGUAGES else [match[0]]
    return result
