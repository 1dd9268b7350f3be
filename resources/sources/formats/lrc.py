"""LRC: lyrics as lines with the times at which they are sung, in a file beside an audio file or inside one.

There is no standard. https://en.wikipedia.org/wiki/LRC_(file_format) describes what players read and write:

- Stamps before a line, several if the line is repeated.
- Stamps of words in angle brackets, which are dropped here.
- Tags about the song. A positive `offset` makes lyrics appear sooner, so it is subtracted from every stamp. Wikipedia
  describes it so, although some players add it.

Everything else is text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resources.errors import TuttiError

MAX_BYTES = 1 << 20  # a hundred times the longest lyrics in LRCLIB
MAX_CHARS = 1 << 20  # with repeated lines written out: a line may have any number of stamps
PROBED_BYTES = 1 << 14  # from which an encoding is detected
MAX_STAMP_MS = 100 * 3_600_000 - 1  # hours have two digits
TAGS = ("ar", "ti", "al", "au", "lr", "by", "re", "ve", "la", "id", "length", "offset", "tool", "#")
"""The known tags. Other brackets, such as `[Chorus: Anna]`, are text."""

NOTHING_SUNG = ("instrumental", "纯音乐请欣赏")
"""The letters of texts that mark an instrumental: LRCGET's tag `[au: instrumental]` and NetEase's sentence."""

STAMP = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:([.:])(\d{1,3}))?(?:\.(\d{1,3}))?\] ?")
WORD = re.compile(r"<\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?(?:\.\d{1,3})?>")
TAG = re.compile(rf"\[({'|'.join(TAGS)}) ?:(.*)\]", re.IGNORECASE)
OFFSET = re.compile(r"[+-]?\d{1,6}")
BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Line:
    """A line and when it is sung, in milliseconds from the beginning, or None if it has no stamp."""

    at_ms: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Lrc:
    """The tags of a song, with lower-case names, and its lines in the order in which they are sung."""

    tags: Mapping[str, str]
    lines: tuple[Line, ...]

    @property
    def synced(self) -> bool:
        """Return whether any line has a time."""
        return any(line.at_ms is not None for line in self.lines)

    @property
    def text(self) -> str:
        """Return the lines without times, joined by newlines."""
        return "\n".join(line.text for line in self.lines).strip("\n")

    @property
    def instrumental(self) -> bool:
        """Return whether the text only marks the recording as instrumental."""
        text = self.text or self.tags.get("au", "")
        return "".join(filter(str.isalpha, text)).casefold() in NOTHING_SUNG


def read(path: Path) -> Lrc:
    """Read the lyrics in a file. Raises `TuttiError` if it is over 1 MB, `OSError` if it is unreadable."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TuttiError("longer than 1 MB, so it is not lyrics")
    return parse(decoded(data))


def decoded(data: bytes) -> str:
    """Decode text: by its byte order mark, else as UTF-8 if it is valid, else in the most likely encoding."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        import chardet  # slow to load and seldom needed

    try:
        return data.decode(chardet.detect(data[:PROBED_BYTES])["encoding"] or "latin-1", "replace")
    except LookupError:
        return data.decode("latin-1")


def parse(text: str) -> Lrc:
    """Parse lyrics from any text.

    A line with several stamps is repeated at each of them. A line without a stamp stays below the line above it.
    """
    cleaned = [_clean(line) for line in text.splitlines()]
    # Older programs write [mm:ss:xx], which looks like hours, minutes and seconds. A value over 59 reveals it.
    colons = any(m[3] == ":" and m[5] is None and int(m[4]) > 59 for line in cleaned for m in STAMP.finditer(line))
    tags: dict[str, str] = {}
    offset, above = 0, -1
    timed: list[tuple[int, bool, str]] = []  # position in ms, whether it is a stamp, and the words
    once: list[tuple[int, bool, str]] = []
    size = 0
    for line in cleaned:
        stamps, words = _stamped(line, colons)
        if stamps:
            above = stamps[0]
            once.append((above, True, words))
            size += len(stamps) * (len(words) + 1)
            if size <= MAX_CHARS:
                timed += ((at, True, words) for at in stamps)
        elif tag := TAG.fullmatch(line):
            name, value = tag[1].lower(), tag[2].strip()
            if name != "offset":
                tags.setdefault(name, value)
            elif OFFSET.fullmatch(value):
                offset = int(value)
        else:
            once.append((above, False, words))
            timed.append((above, False, words))
            size += len(words) + 1
    if size > MAX_CHARS:  # keep each line once if repeating them would exceed the limit
        timed = once
    timed.sort(key=lambda line: line[0])  # the sort is stable: equal times keep the order of the file
    if any(stamped for _, stamped, _ in timed):
        timed = [(at, stamped, words) for at, stamped, words in timed if stamped or words]
    lines = tuple(Line(_bounded(at - offset) if stamped else None, words) for at, stamped, words in timed)
    return Lrc({name: value for name, value in tags.items() if value}, _without_margins(lines))


def write(lyrics: Lrc) -> str:
    """Format lyrics as the text of an LRC file. `parse` returns the same lyrics."""
    tags = (f"[{name}:{value}]" for name, value in lyrics.tags.items())
    return "".join(f"{line}\n" for line in (*tags, *(_format(line) for line in lyrics.lines)))


def _clean(line: str) -> str:
    """Remove invalid characters, stamps of words and runs of white space from a line."""
    line = line.replace("\0", "").replace("\ufeff", "").encode("utf-8", "replace").decode()
    line = WORD.sub(" ", WORD.sub("", line))  # the second pass removes stamps that the first one joined
    return " ".join(line.split())


def _stamped(line: str, colons: bool) -> tuple[list[int], str]:
    """Return the stamps before a line, in milliseconds, and the rest of the line."""
    stamps, at = list[int](), 0
    while (stamp := STAMP.match(line, at)) and (when := _when(stamp, colons)) is not None:
        stamps.append(when)
        at = stamp.end()
    return stamps, line[at:]


def _when(stamp: re.Match[str], colons: bool) -> int | None:
    """Return the milliseconds of a stamp, or None if it is invalid, such as [00:75.00]."""
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
    return max(0, min(at, MAX_STAMP_MS))


def _without_margins(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Drop empty lines without a time from the beginning and the end."""
    filled = [n for n, line in enumerate(lines) if line.text or line.at_ms is not None]
    return lines[filled[0] : filled[-1] + 1] if filled else ()


def _format(line: Line) -> str:
    if line.at_ms is None:
        return line.text
    minutes, ms = divmod(line.at_ms, 60_000)
    hours = f"{minutes // 60}:" if minutes > 99 else ""
    return f"[{hours}{minutes % 60 if hours else minutes:02}:{ms // 1000:02}.{ms % 1000:03}]{line.text}"
