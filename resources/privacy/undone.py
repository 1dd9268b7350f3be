"""Texts with their escapes undone, whatever program wrote them: JSON, JSON in JSON, HTML, addresses, Python.

A name can be spelled in many ways, such as `j\\u00f6rg`, `j\\u00F6rg` and `j%C3%B6rg`, and escapes can be escaped. Each
level undoes one layer. A name is searched in every level, because undoing too much would destroy a name after a
backslash.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

MAX_LEVELS = 12  # escapes in escapes; programs reach three
CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
BACKSLASHES = (
    r"(?P<run>(?:\\\\)+)"
    r"|\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<hex4>[0-9a-fA-F]{4})|x(?P<hex2>[0-9a-fA-F]{2})|U(?P<hex8>00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"
    r"|(?P<short>[\"'/bfnrt]))"
)
OTHERS = (
    r"|(?P<octets>%(?:[0-7][0-9a-fA-F]|[cdCD][0-9a-fA-F]%[89abAB][0-9a-fA-F]"
    r"|[eE][0-9a-fA-F](?:%[89abAB][0-9a-fA-F]){2}|[fF][0-7](?:%[89abAB][0-9a-fA-F]){3}))"
    r"|(?P<entity>&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});)"
)
# A name may contain `%41` itself, so backslashes are also undone alone.
ESCAPES = (re.compile(BACKSLASHES), "\\"), (re.compile(BACKSLASHES + OTHERS), "%&")


def levels(text: str) -> Iterator[str]:
    """Yield a text as it is, and then with one more layer of escapes undone each time.

    Raises ValueError after `MAX_LEVELS` if escapes are left.
    """
    yield text
    for escape, signs in ESCAPES:
        level = text
        for _ in range(MAX_LEVELS if any(sign in text for sign in signs) else 0):
            before, level = level, escape.sub(_plain, level)
            if level == before:
                break
            yield level
        if escape.sub(_plain, level) != level and level != text:
            raise ValueError("escapes in too many escapes")


def places(text: str, find: Callable[[str], Iterable[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Return the places in a text that `find` finds in any of its levels, sorted and without overlaps."""
    spans = set(find(text))
    for escape, signs in ESCAPES:
        level, maps = text, list[tuple[list[int], list[int]]]()
        for _ in range(MAX_LEVELS if any(sign in text for sign in signs) else 0):
            before, places_of_level = level, ([0], [0])
            level = _undo(escape, level, places_of_level)
            if level == before:
                break
            maps.append(places_of_level)
            spans |= {_in_source(place, maps) for place in find(level)}
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _in_source(place: tuple[int, int], maps: list[tuple[list[int], list[int]]]) -> tuple[int, int]:
    start, end = place
    for new, old in reversed(maps):
        start, end = (old[n := bisect_right(new, at) - 1] + at - new[n] for at in (start, end))
    return start, end


def _undo(escape: re.Pattern[str], text: str, places_of_level: tuple[list[int], list[int]]) -> str:
    """Undo one layer of escapes, and enter where each plain character and the text after it is in the source."""
    parts: list[str] = []
    new = end = 0
    for match in escape.finditer(text):
        plain = _plain(match)
        if plain == match[0]:
            continue
        parts += [text[end : match.start()], plain]
        new += match.start() - end
        places_of_level[0].extend((new, new + len(plain)))
        places_of_level[1].extend((match.start(), match.end()))
        new, end = new + len(plain), match.end()
    return "".join([*parts, text[end:]])


def _plain(match: re.Match[str]) -> str:
    """Return the character that an escape spells."""
    kind, part = match.lastgroup or "", match[match.lastgroup or 0]
    if kind == "run":
        return part[: len(part) // 2]
    if kind == "short":
        return CONTROLS.get(part, part)
    if kind == "low":
        return chr(0x10000 + ((int(match["high"], 16) & 0x3FF) << 10) + (int(part, 16) & 0x3FF))
    if kind == "octets":
        return unquote(part, errors="surrogateescape")
    return html.unescape(part) if kind == "entity" else chr(int(part, 16))
