"""Naming: how an artist credit and a title are taken apart, so that two spellings of one recording can be compared.

What belongs here is text: which differences are spelling, which mean another recording, and which edits may be typos.
Numbers are never typos: of "No. 2" and "No. 3" each is right. What is matched with what is for assets to decide.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from anyascii import anyascii
from rapidfuzz.distance import OSA

GUESTS = re.compile(r"(?:^|\s)(?:feat\.?|ft\.?|featuring)\s+(.+)$")
INVITED = re.compile(r"^(?:feat\.?|ft\.?|featuring|with)\s+(.+)$")  # "with" only in brackets: else "Gone with the Wind"
BRACKETS = re.compile(r"\s*[(\[{<]([^()\[\]{}<>]*)[)\]}>]")
ARTICLE_LAST = re.compile(r"^(.+), (the|a|an)$")
JOINED = re.compile(r"\s*(?:[,;&+]|\band\b|\bx\b|\bvs\b\.?)\s*")
SPLIT = re.compile(r"[a-z]+|[0-9]+")
ROMAN = re.compile(r"(?=[ivx]{2,})x{0,3}(?:ix|iv|v?i{0,3})")
ROMAN_LIKE = re.compile(r"[ivxlc]+")
# Letters as artists write them (Ke$ha, P!nk), and numbers as catalogs do; other signs tell no names apart.
STYLED = str.maketrans({"$": "s", "!": "i", "@": "a"})
STYLED_WORD = re.compile(r"(?<=[a-z])[$!@](?=[a-z])")
NUMBERED = {"no", "nr", "num", "number", "numero"}  # "No. 5" and "5" are one number; "Op. 5" is another
SPELLED = {"opus": "op", "volume": "vol", "pt": "part", "vols": "vol", "pts": "part", "featuring": "feat", "ft": "feat"}
WEAK = {"the", "and", "feat", "with"}  # what joins a credit says nothing of who is credited

# What may stand after a title without naming another recording: a remaster is the same performance and mix, "Explicit"
# tells it from a copy with words bleeped out.
NEUTRAL = {
    *("remaster", "remastered", "remasterd", "remastering", "explicit", "deluxe", "bonus", "anniversary", "hd", "hq"),
    *("official", "lyric", "lyrics", "audio", "video", "visualizer", "visualizer"),
}
NEUTRAL_PHRASES = {
    *(("album", "version"), ("lp", "version"), ("original", "version"), ("original", "mix"), ("single", "version")),
    *(("main", "version"), ("explicit", "version"), ("bonus", "track"), ("album",), ("digital", "remaster")),
}
# What names another recording: another performance, mix or cut.
VERSIONS = {
    *("live", "unplugged", "concert", "session", "sessions", "rehearsal", "bootleg", "acoustic", "demo", "outtake"),
    *("remix", "mix", "rmx", "remixed", "edit", "extended", "dub", "mashup", "vip", "rework", "refix"),
    *("karaoke", "instrumental", "acapella", "cappella", "cover", "tribute", "orchestral", "symphonic", "reprise"),
    *("alternate", "alternative", "take", "rerecorded", "rerecording", "slowed", "sped", "nightcore", "clean"),
    *("mono", "version", "ver", "vivo", "backing", "piano", "string", "commentary", "interview", "medley"),
}
LEAST_LETTERS = 5  # a name of four letters or fewer is another name when one differs: Muse, Mute
LONG = 9  # letters of a word that may have two typos
BESIDE = ((7, 0), (5, 4), (2, 8))  # a word of at least so many letters may have a typo if so many beside it agree
UMLAUT = re.compile(r"([aou])e(?=[a-z])|(?<=a)a")  # ä, ö, ü and å, as they are spelled where keyboards lack them
CACHE = 200_000  # names held taken apart: the same ones come day after day, and meet many of the catalog's


@dataclass(frozen=True, slots=True)
class Name:
    """An artist credit and a title as words: lower case, in Latin letters without diacritics."""

    lead: tuple[str, ...]  # who is credited, without guests
    guests: tuple[str, ...]
    first: tuple[str, ...]  # the one credited first
    base: tuple[str, ...]  # the title without what is said of the version
    version: tuple[str, ...]  # which performance, mix or cut, if the title says so
    neutral: tuple[str, ...]  # what else the title says that makes no other recording

    @property
    def alone(self) -> bool:
        """Whether one artist is credited."""
        return self.first == self.lead and not self.guests

    @property
    def letters(self) -> str:
        """All that is said, however it is spelled, punctuated and divided into words."""
        credit = [w for w in (*self.lead, *self.guests) if w not in WEAK]
        return _key(credit, (*self.base, *self.version, *self.neutral))

    @property
    def recording(self) -> str:
        """Who plays what in which version: without guests, and without remarks that make no other recording."""
        return _key(_bag(self.lead), _without_article(self.title))

    @property
    def first_credited(self) -> str:
        """The same with the first artist alone, as a player tells it that knows one for each album."""
        return _key(_bag(self.first), _without_article(self.title))

    @property
    def any_version(self) -> str:
        """Who plays what, in whatever version."""
        return _key(_bag(self.lead), _without_article(self.base))

    @property
    def title(self) -> tuple[str, ...]:
        """The words of the title that tell recordings apart."""
        return (*self.base, *self.version)


def normal(name: str) -> str:
    """A name as it is compared: compatibility characters, case and runs of white space make no difference."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


@lru_cache(maxsize=CACHE)
def taken_apart(artist_name: str, recording_name: str) -> Name:
    """A credit and a title as they are compared."""
    credit, title = _latin(artist_name), _latin(recording_name)
    guests: list[str] = []
    version: list[str] = []
    neutral: list[str] = []
    credit, base = (_plain(text, guests, version, neutral) for text in (credit, title))
    lead = _words(_article_first(credit)) or (normal(artist_name),)
    first = _words(_article_first(JOINED.split(credit)[0])) or lead
    return Name(
        lead,
        tuple(w for guest in guests for w in _words(guest)),
        first,
        _words(_article_first(base)) or (normal(recording_name),),
        tuple(version),
        tuple(neutral),
    )


def edits(ours: Sequence[str], theirs: Sequence[str], elsewhere: int = 0) -> int | None:
    """How many typos make one name of the other; None where they are different names.

    Words stand in the same order, but may run together. A number, a roman numeral, a single letter (a key, a part) and
    a word for a version must be equal. A word may have one typo, a long one two, a name two in all; a short word only
    where enough letters beside it agree, in this name or `elsewhere`: "Muse" and "Mute" are two bands.
    """
    if ours == theirs:
        return 0
    if _fixed_words(ours) != _fixed_words(theirs):
        return None
    whole, other = "".join(ours), "".join(theirs)
    if whole == other:
        return 0
    if len(ours) != len(theirs):
        ours, theirs = _without_article(tuple(ours)), _without_article(tuple(theirs))
    if len(ours) != len(theirs) or min(len(whole), len(other)) < LEAST_LETTERS:
        return None
    total = 0
    for a, b in zip(ours, theirs, strict=True):
        if a == b:
            continue
        if fixed(a) or fixed(b):
            return None
        shorter, beside = min(len(a), len(b)), len(whole) - len(a) + elsewhere
        enough = beside >= next(n for least, n in BESIDE if shorter >= least)
        allowed = 2 if shorter >= LONG and beside >= LEAST_LETTERS else int(enough)
        found = OSA.distance(UMLAUT.sub(r"\1", a), UMLAUT.sub(r"\1", b), score_cutoff=allowed)
        if found > allowed:
            return None
        total += max(found, 1)
    return total if total <= 2 else None


def fixed(word: str) -> bool:
    """Whether a word is never a typo of another: a number, a numeral, a single letter, a word for a version."""
    return word.isdigit() or len(word) < 2 or word in VERSIONS or bool(ROMAN_LIKE.fullmatch(word))


def numbers(words: Sequence[str]) -> tuple[str, ...]:
    """The numbers of a name, in order."""
    return tuple(w for w in words if w.isdigit())


def _fixed_words(words: Sequence[str]) -> list[str]:
    return [w for w in words if w.isdigit() or w in VERSIONS]


def _bag(words: Sequence[str]) -> Sequence[str]:
    """Whom a credit names, whatever their order; a number belongs where it stands, as in 2D and D2."""
    named = [w for w in words if w not in WEAK]
    return named if any(w.isdigit() for w in named) else sorted(named)


def _key(credit: Sequence[str], title: Sequence[str]) -> str:
    """Letters run together, numbers apart: "1 2" is not "12"."""
    return "\x1f".join("".join(f" {w} " if w.isdigit() else w for w in words) for words in (credit, title))


def _latin(name: str) -> str:
    """A name in Latin letters, lower case; what no letter stands for stays as it is."""
    return " ".join(anyascii(normal(name)).casefold().split())


def _words(text: str) -> tuple[str, ...]:
    """The words of a text: letters and numbers apart, numerals and abbreviations in one form."""
    text = STYLED_WORD.sub(lambda m: m[0].translate(STYLED), text.replace("'", "").replace("`", ""))
    text = text.replace("&", " and ").replace("+", " and ").replace("#", " no ")
    found = [SPELLED.get(w, w) for w in SPLIT.findall(text)]
    found = [str(_value(w)) if len(w) > 1 and ROMAN.fullmatch(w) else w.lstrip("0") or "0" for w in found]
    following = [*found[1:], ""][: len(found)]
    return tuple(w for w, after in zip(found, following, strict=True) if not (w in NUMBERED and after.isdigit()))


def _value(roman: str) -> int:
    """What a roman numeral below forty stands for."""
    values = [{"i": 1, "v": 5, "x": 10}[c] for c in roman]
    return sum(-v if v < after else v for v, after in zip(values, [*values[1:], 0], strict=True))


def _plain(text: str, guests: list[str], version: list[str], neutral: list[str]) -> str:
    """A name without what brackets in it and dashes after it tell of guests and the version, which is noted."""

    def kept(found: re.Match[str]) -> str:
        inside = found[1].strip()
        return "" if _told(inside, guests, version, neutral) else f" {inside} "

    text = _without_guests(" ".join(BRACKETS.sub(kept, text).split()) or text, guests)
    while " - " in text:
        rest, last = text.rsplit(" - ", 1)
        if not rest.strip() or not _told(last, guests, version, neutral):
            break
        text = _without_guests(rest, guests)
    return text


def _without_guests(text: str, guests: list[str]) -> str:
    """A text without "feat. …" at its end."""
    if (found := GUESTS.search(text)) and text[: found.start()].strip():
        guests.append(found[1])
        return text[: found.start()].strip()
    return text


def _told(remark: str, guests: list[str], version: list[str], neutral: list[str]) -> bool:
    """Whether a remark beside a title tells of guests or the version; then it is noted as such."""
    if invited := INVITED.match(remark):
        guests.append(invited[1])
        return True
    words = _words(remark)
    if words in NEUTRAL_PHRASES or (set(words) & NEUTRAL and not set(words) & (VERSIONS - {"version", "mono"})):
        neutral += words
        return True
    if set(words) & VERSIONS:
        version += words
        return True
    return False


def _without_article(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if len(words) > 1 and words[0] == "the" else words


def _article_first(text: str) -> str:
    """ "Kelp Trio, The" as it is said."""
    found = ARTICLE_LAST.match(text)
    return f"{found[2]} {found[1]}" if found else text
