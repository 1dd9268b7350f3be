"""Texts with every escape undone, whatever program wrote them: JSON, JSON in JSON, HTML, addresses, Python.

A name can be spelled in many ways, such as `j\\u00f6rg`, `j\\u00F6rg` and `j%C3%B6rg`. The parser of a
text decodes the name. If there is none, the name is searched here.
"""

import html
import re
from bisect import bisect_right
from functools import cached_property
from urllib.parse import unquote

MAX_PASSES = 8  # escapes in escapes; programs reach three
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# A run of backslashes counts as one: JSON within JSON doubles them. Possessive quantifiers keep the search linear.
ESCAPE = re.compile(
    r"(?P<run>\\(?:\\|u005[cC])*+)(?:"
    r"u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\(?:\\|u005[cC])*+u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<hex4>[0-9a-fA-F]{4})|x(?P<hex2>[0-9a-fA-F]{2})|U(?P<hex8>00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"
    r"|(?P<short>[\"'/bfnrt]))?"
    r"|(?P<percent>%(?:25)*+)(?P<octets>[0-7][0-9a-fA-F]|[cdCD][0-9a-fA-F]%(?:25)*+[89abAB][0-9a-fA-F]"
    r"|[eE][0-9a-fA-F](?:%(?:25)*+[89abAB][0-9a-fA-F]){2}|[fF][0-7](?:%(?:25)*+[89abAB][0-9a-fA-F]){3})?"
    r"|(?P<and>&(?:amp;|#38;|#[xX]26;)*+)(?P<entity>#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,30};)?"
)


class Undone:
    """A text with every escape undone, and where each part of it is in the source."""

    def __init__(self, source: str) -> None:
        self.source = self.text = source
        self._maps: list[tuple[list[int], list[int]]] = []

    @classmethod
    def of(cls, source: str) -> "Undone":
        """Undo every escape of a text."""
        undone = cls(source)
        for _ in range(MAX_PASSES):
            if not undone._undo():
                break
        return undone

    @cached_property
    def complete(self) -> bool:
        """Whether no escape is left."""
        return _undo(self.text, None) == self.text

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the text begins and ends in the source."""
        for new, old in reversed(self._maps):
            start, end = (old[n := bisect_right(new, at) - 1] + at - new[n] for at in (start, end))
        return start, end

    def _undo(self) -> bool:
        """Undo one level of escapes. Return whether there were any."""
        places: tuple[list[int], list[int]] = ([0], [0])
        text = _undo(self.text, places)
        if text == self.text:
            return False
        self.text = text
        self._maps.append(places)
        return True


def undo(text: str) -> str:
    """Return a text with every escape undone, as far as `MAX_PASSES` reach."""
    for _ in range(MAX_PASSES):
        before, text = text, _undo(text, None)
        if text == before:
            break
    return text


def _undo(text: str, places: tuple[list[int], list[int]] | None) -> str:
    if not any(sign in text for sign in "\\%&"):
        return text
    if places is None:
        return ESCAPE.sub(_plain, text)
    parts: list[str] = []
    new = end = 0
    for match in ESCAPE.finditer(text):
        plain = _plain(match)
        if plain == match[0]:
            continue
        parts += [text[end : match.start()], plain]
        new += match.start() - end
        places[0].extend((new, new + len(plain)))
        places[1].extend((match.start(), match.end()))
        new, end = new + len(plain), match.end()
    return "".join([*parts, text[end:]])


def _plain(match: re.Match[str]) -> str:
    """Return the character that an escape spells."""
    part = match.groupdict()
    if part["high"]:
        return chr(0x10000 + ((int(part["high"], 16) & 0x3FF) << 10) + (int(part["low"], 16) & 0x3FF))
    if digits := part["hex4"] or part["hex2"] or part["hex8"]:
        return chr(int(digits, 16))
    if part["short"]:
        return CONTROLS.get(part["short"], part["short"])
    if part["run"]:
        return "\\"
    if part["percent"]:
        return unquote("%" + part["octets"].replace("%25", "%"), errors="surrogateescape") if part["octets"] else "%"
    return html.unescape("&" + part["entity"]) if part["entity"] else "&"
