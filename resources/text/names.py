"""Parse artist credits and titles, so that two spellings of one recording can be compared.

This module decides which differences are spelling, which mean another recording, and which may be typos. Numbers are
never typos: "No. 2" and "No. 3" are two works. Assets decide which names are matched with which.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from anyascii import anyascii
from rapidfuzz.distance import OSA

GUEST_SUFFIX = re.compile(r"(?:^|\s)(?:feat\.?|ft\.?|featuring)\s+(.+)$")
# "with" introduces a guest only in brackets, because of titles such as "Gone with the Wind".
GUEST_REMARK = re.compile(r"^(?:feat\.?|ft\.?|featuring|with)\s+(.+)$")
BRACKETS = re.compile(r"\s*[(\[{<]([^()\[\]{}<>]*)[)\]}>]")
ARTICLE_LAST = re.compile(r"^(.+), (the|a|an)$")
ARTIST_SEPARATOR = re.compile(r"\s*(?:[,;&+]|\band\b|\bx\b|\bvs\b\.?)\s*")
LETTERS_OR_DIGITS = re.compile(r"[a-z]+|[0-9]+")
ROMAN = re.compile(r"(?=[ivx]{2,})x{0,3}(?:ix|iv|v?i{0,3})")
ROMAN_LIKE = re.compile(r"[ivxlc]+")
# Signs that artists write for letters (Ke$ha, P!nk). Other signs do not distinguish names.
LETTER_OF_SIGN = str.maketrans({"$": "s", "!": "i", "@": "a"})
SIGN_IN_WORD = re.compile(r"(?<=[a-z])[$!@](?=[a-z])")
# Dropped before a number: "No. 5" equals "5", but "Op. 5" does not.
NUMBER_WORDS = {"no", "nr", "num", "number", "numero"}
SPELLED = {"opus": "op", "volume": "vol", "pt": "part", "vols": "vol", "pts": "part", "featuring": "feat", "ft": "feat"}
JOINING_WORDS = {"the", "and", "feat", "with"}  # ignored in credits: they name nobody

# Remarks after a title that do not mean another recording. A remaster is the same performance and mix. "Explicit"
# distinguishes it from a copy with words bleeped out.
NEUTRAL_WORDS = {
    *("remaster", "remastered", "remasterd", "remastering", "explicit", "deluxe", "bonus", "anniversary", "hd", "hq"),
    *("official", "lyric", "lyrics", "audio", "video", "visualizer", "visualizer"),
}
NEUTRAL_PHRASES = {
    *(("album", "version"), ("lp", "version"), ("original", "version"), ("original", "mix"), ("single", "version")),
    *(("main", "version"), ("explicit", "version"), ("bonus", "track"), ("album",), ("digital", "remaster")),
}
# Words that mean another recording: another performance, mix or cut.
VERSION_WORDS = {
    *("live", "unplugged", "concert", "session", "sessions", "rehearsal", "bootleg", "acoustic", "demo", "outtake"),
    *("remix", "mix", "rmx", "remixed", "edit", "extended", "dub", "mashup", "vip", "rework", "refix"),
    *("karaoke", "instrumental", "acapella", "cappella", "cover", "tribute", "orchestral", "symphonic", "reprise"),
    *("alternate", "alternative", "take", "rerecorded", "rerecording", "slowed", "sped", "nightcore", "clean"),
    *("mono", "version", "ver", "vivo", "backing", "piano", "string", "commentary", "interview", "medley"),
}
MIN_LETTERS = 5  # of a name with a typo: Muse and Mute are two bands
TWO_TYPO_LETTERS = 9  # a word this long may have two typos
# (word length, other matching letters): a word of at least that length may have a typo if that many others match.
TYPO_CONTEXT = ((7, 0), (5, 4), (2, 8))
UMLAUT = re.compile(r"([aou])e(?=[a-z])|(?<=a)a")  # ä, ö, ü and å as ASCII keyboards spell them
CACHED_NAMES = 200_000  # the same names recur every day, and each is compared with many of the catalog


@dataclass(frozen=True, slots=True)
class Name:
    """The words of an artist credit and a title: lower case, in Latin letters without diacritics."""

    lead: tuple[str, ...]  # the credited artists, without guests
    guests: tuple[str, ...]
    first_artist: tuple[str, ...]  # the first credited artist
    base_title: tuple[str, ...]  # the title without the version
    version: tuple[str, ...]  # the performance, mix or cut, if the title names one
    remarks: tuple[str, ...]  # other words of the title, which do not mean another recording

    @property
    def has_single_artist(self) -> bool:
        """Return whether exactly one artist is credited."""
        return self.first_artist == self.lead and not self.guests

    @property
    def letters_key(self) -> str:
        """Return a key of all letters and numbers, equal for every spelling, punctuation and word division."""
        credit = [w for w in (*self.lead, *self.guests) if w not in JOINING_WORDS]
        return _key(credit, (*self.base_title, *self.version, *self.remarks))

    @property
    def recording_key(self) -> str:
        """Return a key of lead artists, title and version, without guests and remarks."""
        return _key(_sorted_credit(self.lead), _without_article(self.title))

    @property
    def first_artist_key(self) -> str:
        """Return a key of the first artist, title and version, for players that submit only one artist."""
        return _key(_sorted_credit(self.first_artist), _without_article(self.title))

    @property
    def any_version_key(self) -> str:
        """Return a key of lead artists and title, equal for all versions."""
        return _key(_sorted_credit(self.lead), _without_article(self.base_title))

    @property
    def title(self) -> tuple[str, ...]:
        """Return the words of the title that distinguish recordings."""
        return (*self.base_title, *self.version)


def normalize(name: str) -> str:
    """Normalize a name for comparison: compatibility characters (NFKC), case and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


@lru_cache(maxsize=CACHED_NAMES)
def parse_name(artist_name: str, recording_name: str) -> Name:
    """Parse an artist credit and a title into comparable words."""
    credit, title = _latin(artist_name), _latin(recording_name)
    guests: list[str] = []
    version: list[str] = []
    remarks: list[str] = []
    credit, base = (_extract_remarks(text, guests, version, remarks) for text in (credit, title))
    lead = _words(_article_first(credit)) or (normalize(artist_name),)
    first = _words(_article_first(ARTIST_SEPARATOR.split(credit)[0])) or lead
    return Name(
        lead,
        tuple(w for guest in guests for w in _words(guest)),
        first,
        _words(_article_first(base)) or (normalize(recording_name),),
        tuple(version),
        tuple(remarks),
    )


def count_typos(left: Sequence[str], right: Sequence[str], context_letters: int = 0) -> int | None:
    """Return how many typos separate two names, or None if they are different names.

    Words must be in the same order, but may run together. A number, a roman numeral, a single letter (a key, a part)
    and a version word must be equal. A word may have one typo, a long word two, and a name two in all. A short word
    may have one only if enough other letters match, in this name or in `context_letters` outside it. So "Muse" and
    "Mute" stay two bands. The distance is optimal string alignment.
    """
    if left == right:
        return 0
    if _fixed_words(left) != _fixed_words(right):
        return None
    left_letters, right_letters = "".join(left), "".join(right)
    if left_letters == right_letters:
        return 0
    if len(left) != len(right):
        left, right = _without_article(tuple(left)), _without_article(tuple(right))
    if len(left) != len(right) or min(len(left_letters), len(right_letters)) < MIN_LETTERS:
        return None
    total = 0
    for a, b in zip(left, right, strict=True):
        if a == b:
            continue
        if is_exact_word(a) or is_exact_word(b):
            return None
        shorter, other_letters = min(len(a), len(b)), len(left_letters) - len(a) + context_letters
        enough = other_letters >= next(needed for length, needed in TYPO_CONTEXT if shorter >= length)
        allowed = 2 if shorter >= TWO_TYPO_LETTERS and other_letters >= MIN_LETTERS else int(enough)
        typos = OSA.distance(UMLAUT.sub(r"\1", a), UMLAUT.sub(r"\1", b), score_cutoff=allowed)
        if typos > allowed:
            return None
        total += max(typos, 1)
    return total if total <= 2 else None


def is_exact_word(word: str) -> bool:
    """Return whether a word cannot be a typo: a number, a roman numeral, a single letter or a version word."""
    return word.isdigit() or len(word) < 2 or word in VERSION_WORDS or bool(ROMAN_LIKE.fullmatch(word))


def numbers(words: Sequence[str]) -> tuple[str, ...]:
    """Return the numbers of a name, in order."""
    return tuple(w for w in words if w.isdigit())


def _fixed_words(words: Sequence[str]) -> list[str]:
    return [w for w in words if w.isdigit() or w in VERSION_WORDS]


def _sorted_credit(words: Sequence[str]) -> Sequence[str]:
    """Return the words of a credit, sorted so that the order of artists does not matter.

    A credit with a number keeps its order: 2D and D2 are two artists.
    """
    names = [w for w in words if w not in JOINING_WORDS]
    return names if any(w.isdigit() for w in names) else sorted(names)


def _key(credit: Sequence[str], title: Sequence[str]) -> str:
    """Join words into a key: letters run together, numbers stay apart, so that "1 2" is not "12"."""
    return "\x1f".join("".join(f" {w} " if w.isdigit() else w for w in words) for words in (credit, title))


def _latin(name: str) -> str:
    """Transliterate a name to lower-case Latin letters. Signs that are not letters stay."""
    return " ".join(anyascii(normalize(name)).casefold().split())


def _words(text: str) -> tuple[str, ...]:
    """Split a text into words, separating letters from numbers and unifying numerals and abbreviations."""
    text = SIGN_IN_WORD.sub(lambda m: m[0].translate(LETTER_OF_SIGN), text.replace("'", "").replace("`", ""))
    text = text.replace("&", " and ").replace("+", " and ").replace("#", " no ")
    words = [SPELLED.get(w, w) for w in LETTERS_OR_DIGITS.findall(text)]
    words = [str(_value(w)) if len(w) > 1 and ROMAN.fullmatch(w) else w.lstrip("0") or "0" for w in words]
    following = [*words[1:], ""][: len(words)]
    return tuple(w for w, after in zip(words, following, strict=True) if not (w in NUMBER_WORDS and after.isdigit()))


def _value(roman: str) -> int:
    """Return the value of a roman numeral below forty."""
    values = [{"i": 1, "v": 5, "x": 10}[c] for c in roman]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _extract_remarks(text: str, guests: list[str], version: list[str], remarks: list[str]) -> str:
    """Move guests, version and remarks (in brackets or after a dash) to the lists and return the rest of a name."""

    def replace(brackets: re.Match[str]) -> str:
        inside = brackets[1].strip()
        return "" if _extract(inside, guests, version, remarks) else f" {inside} "

    text = _extract_guests(" ".join(BRACKETS.sub(replace, text).split()) or text, guests)
    while " - " in text:
        rest, last = text.rsplit(" - ", 1)
        if not rest.strip() or not _extract(last, guests, version, remarks):
            break
        text = _extract_guests(rest, guests)
    return text


def _extract_guests(text: str, guests: list[str]) -> str:
    """Move the guests of "feat. …" at the end of a text to the list and return the rest."""
    if (match := GUEST_SUFFIX.search(text)) and text[: match.start()].strip():
        guests.append(match[1])
        return text[: match.start()].strip()
    return text


def _extract(remark: str, guests: list[str], version: list[str], remarks: list[str]) -> bool:
    """Add a remark to the list it belongs to and return True, or return False if it is part of the name."""
    if guest := GUEST_REMARK.match(remark):
        guests.append(guest[1])
        return True
    words = _words(remark)
    if words in NEUTRAL_PHRASES or (
        set(words) & NEUTRAL_WORDS and not set(words) & (VERSION_WORDS - {"version", "mono"})
    ):
        remarks += words
        return True
    if set(words) & VERSION_WORDS:
        version += words
        return True
    return False


def _without_article(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if len(words) > 1 and words[0] == "the" else words


def _article_first(text: str) -> str:
    """Move a trailing article to the front: "kelp trio, the" becomes "the kelp trio"."""
    match = ARTICLE_LAST.match(text)
    return f"{match[2]} {match[1]}" if match else text
