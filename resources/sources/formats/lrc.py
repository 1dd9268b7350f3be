"""LRC: lyrics as lines, and when each is sung, in a file beside an audio file or inside one.

There is no standard. What players read and write is told at https://en.wikipedia.org/wiki/LRC_(file_format): stamps
before a line, more than one where it is sung again; stamps of words in angle brackets, which are left out here; and
tags about the song. A positive `offset` makes lyrics appear sooner, so it is taken off every stamp; that is also how
Wikipedia tells it, against the players that add it. Whatever is none of these is text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resources.errors import TuttiError

MOST_BYTES = 1 << 20  # the longest lyrics that LRCLIB's clients meet are a hundredth of it
MOST_SUNG = 1 << 20  # characters once lines are there as often as they are sung: a line may have any number of stamps
PROBED = 1 << 14  # bytes that are looked at to find out an encoding
LATEST = 100 * 3_600_000 - 1  # milliseconds: hours have two digits
TAGS = ("ar", "ti", "al", "au", "lr", "by", "re", "ve", "la", "id", "length", "offset", "tool", "#")
"""The tags there are; `[Chorus: Anna]` is text."""

NOTHING_SUNG = ("instrumental", "纯音乐请欣赏")
"""All letters there are where a program says that nothing is sung: LRCGET as `[au: instrumental]`, NetEase in words."""

STAMP = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:([.:])(\d{1,3}))?(?:\.(\d{1,3}))?\] ?")
WORD = re.compile(r"<\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?(?:\.\d{1,3})?>")
TAG = re.compile(rf"\[({'|'.join(TAGS)}) ?:(.*)\]", re.IGNORECASE)
OFFSET = re.compile(r"[+-]?\d{1,6}")
BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and when it is sung, in milliseconds from the beginning, where that is told."""

    at_ms: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Lrc:
    """What is told about a song, by tag in lower case, and its lines in the order in which they are sung."""

    tags: Mapping[str, str]
    lines: tuple[Line, ...]

    @property
    def synced(self) -> bool:
        """Whether it is told when lines are sung."""
        return any(line.at_ms is not None for line in self.lines)

    @property
    def text(self) -> str:
        """The words alone, a line each."""
        return "\n".join(line.text for line in self.lines).strip("\n")

    @property
    def instrumental(self) -> bool:
        """Whether all it tells is that there is nothing to sing."""
        said = self.text or self.tags.get("au", "")
        return "".join(filter(str.isalpha, said)).casefold() in NOTHING_SUNG


def read(path: Path) -> Lrc:
    """The lyrics in a file. Raises `TuttiError` where it is too long to be one, `OSError` where it cannot be read."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise TuttiError("longer than 1 MB: no lyrics are")
    return parse(decoded(data))


def decoded(data: bytes) -> str:
    """Text in whatever encoding: told by its first bytes, else UTF-8 if it can be, else the likeliest."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        import chardet  # which takes a moment to load, and is seldom needed

    try:
        return data.decode(chardet.detect(data[:PROBED])["encoding"] or "latin-1", "replace")
    except LookupError:
        return data.decode("latin-1")


def parse(text: str) -> Lrc:
    """Lyrics, of any text. Lines are as often in it, and where, as they are sung; a line without a stamp stays below
    the one above it."""
    cleaned = [_clean(line) for line in text.splitlines()]
    # Older programs write [mm:ss:xx], as hours, minutes and seconds are written; no second is the sixtieth.
    colons = any(m[3] == ":" and m[5] is None and int(m[4]) > 59 for line in cleaned for m in STAMP.finditer(line))
    tags: dict[str, str] = {}
    offset, above = 0, -1
    found: list[tuple[int, bool, str]] = []  # when, whether that is told, and what
    once: list[tuple[int, bool, str]] = []
    size = 0
    for line in cleaned:
        stamps, words = _stamped(line, colons)
        if stamps:
            above = stamps[0]
            once.append((above, True, words))
            size += len(stamps) * (len(words) + 1)
            if size <= MOST_SUNG:
                found += ((at, True, words) for at in stamps)
        elif tag := TAG.fullmatch(line):
            name, value = tag[1].lower(), tag[2].strip()
            if name != "offset":
                tags.setdefault(name, value)
            elif OFFSET.fullmatch(value):
                offset = int(value)
        else:
            once.append((above, False, words))
            found.append((above, False, words))
            size += len(words) + 1
    if size > MOST_SUNG:  # of lines that are sung again without end, each counts once
        found = once
    found.sort(key=lambda told: told[0])  # equal ones stay in the order of the file
    if any(told for _, told, _ in found):
        found = [(at, told, words) for at, told, words in found if told or words]
    lines = tuple(Line(_bounded(at - offset) if told else None, words) for at, told, words in found)
    return Lrc({name: value for name, value in tags.items() if value}, _without_margins(lines))


def write(lyrics: Lrc) -> str:
    """Lyrics as a file has them: what `parse` reads to the same lyrics."""
    tags = (f"[{name}:{value}]" for name, value in lyrics.tags.items())
    return "".join(f"{line}\n" for line in (*tags, *(_written(line) for line in lyrics.lines)))


def _clean(line: str) -> str:
    """A line without what no text holds, stamps of words, and runs of white space."""
    line = line.replace("\0", "").replace("\ufeff", "").encode("utf-8", "replace").decode()
    line = WORD.sub(" ", WORD.sub("", line))  # what the first pass puts together is no stamp that was written
    return " ".join(line.split())


def _stamped(line: str, colons: bool) -> tuple[list[int], str]:
    """The stamps before a line, in milliseconds, and what follows them."""
    stamps, at = list[int](), 0
    while (stamp := STAMP.match(line, at)) and (when := _when(stamp, colons)) is not None:
        stamps.append(when)
        at = stamp.end()
    return stamps, line[at:]


def _when(stamp: re.Match[str], colons: bool) -> int | None:
    """Milliseconds of a stamp; None of what is none, as [00:75.00]."""
    first, second, mark, third, fraction = stamp.groups()
    if mark == ":" and (fraction is not None or not colons):
        hours, minutes, seconds = int(first), int(second), int(third)
        if hours > 99 or minutes > 59:
            return None
    elif fraction is None:
        hours, minutes, seconds, fraction = 0, int(first), int(second), third
    else:
        return None
    if seconds > 59:
        return None
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + int((fraction or "0").ljust(3, "0"))


def _bounded(at: int) -> int:
    return max(0, min(at, LATEST))


def _without_margins(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Lines without empty ones, of which no time is told, before the first and after the last."""
    told = [n for n, line in enumerate(lines) if line.text or line.at_ms is not None]
    return lines[told[0] : told[-1] + 1] if told else ()


def _written(line: Line) -> str:
    if line.at_ms is None:
        return line.text
    minutes, ms = divmod(line.at_ms, 60_000)
    hours = f"{minutes // 60}:" if minutes > 99 else ""
    return f"[{hours}{minutes % 60 if hours else minutes:02}:{ms // 1000:02}.{ms % 1000:03}]{line.text}"
