"""Pages: the README and all documentation, as blocks of code, command lines and prose."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
PATHS = (
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
)
PAGES: Mapping[str, str] = {str(path.relative_to(PROJECT)): path.read_text() for path in PATHS}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')*]*\s+(?=[\"'(*\[]*[A-Z0-9])")
WORD = re.compile(r"\w+(?:[-'’.,/:_]\w+)*")


class Block(NamedTuple):
    """A block of code: its page, its language and its text."""

    page: str
    language: str
    text: str


BLOCKS = [Block(page, *found) for page, text in PAGES.items() for found in BLOCK.findall(text)]


def lines(language: str) -> list[tuple[str, str]]:
    """Return each line of code in a language with its page, without comments and repeats."""
    found = (
        (block.page, line.split(" #")[0].strip())
        for block in BLOCKS
        if block.language == language
        for line in block.text.splitlines()
    )
    return [each for each in dict.fromkeys(found) if each[1]]


def prose(text: str) -> str:
    """Return a page's words for people: without code, addresses and pictures."""
    text = BLOCK.sub("", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"<[^>]*>", "", text)
    return re.sub(r"`[^`\n]*`", "`", text)


def paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs and list items of prose, each on one line; no headings and no tables."""
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose(text).replace("`", "Code")):
        if not part.lstrip().startswith(("#", "|")):
            yield " ".join(part.split())


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page."""
    for paragraph in paragraphs(text):
        yield from SENTENCE_END.split(paragraph)


def words(sentence: str) -> int:
    """Count the words of a sentence."""
    return len(WORD.findall(sentence))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
