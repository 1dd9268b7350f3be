"""Markdown for Dagster's web UI, in which text from data stays text. Only this module makes Markdown of values.

Dagster renders Markdown in the browser of everyone who opens a page: an image in a name would request its address.
"""

from collections.abc import Iterable, Sequence

import dagster as dg
import regex

from resources.text.printable import printable

SYNTAX = regex.compile(r"[\\`*_\[\]<>{}()!#|~&$^]|^[-+=:](?!\d)|(?<=^\d+)[.)]")  # anywhere, or where a block begins
# The UI makes links of addresses even if they are escaped, but not in code.
ADDRESS = regex.compile(r"://|www\.|@|mailto:|xmpp:", regex.IGNORECASE)


def literal(text: str) -> str:
    """Return Markdown for a cell of a table that shows `text` as it is, in one line."""
    line = printable(" ".join(text.split()))
    if not ADDRESS.search(line):
        return SYNTAX.sub(r"\\\g<0>", line)
    fence = _fence(line, 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}".replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table whose cells show their values as they are."""
    lines = [[literal(str(value)) for value in row] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str, language: str = "") -> str:
    """Return a block of code that shows `text` as it is."""
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def shown(markdown: str) -> dg.MetadataValue:
    """Return Markdown of this module as metadata."""
    return dg.MetadataValue.md(markdown)


def listed(head: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    """Return a table as metadata."""
    return shown(table(head, rows))


def image(name: str, address: str) -> dg.MetadataValue:
    """Return a picture as metadata. The address is a `data:` URL, which requests nothing."""
    assert address.startswith("data:image/"), "an image must not be requested from anywhere"
    return shown(f"![{name}]({address})")


def _fence(text: str, least: int) -> str:
    """Return a run of at least `least` backticks that is longer than any in `text`."""
    return "`" * max([least, *(len(run) + 1 for run in regex.findall("`+", text))])
