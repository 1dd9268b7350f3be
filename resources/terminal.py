"""The terminal: the only module that prints. It escapes what a terminal would obey, hide or reorder.

Names of artists, files and listeners come from outside, so nothing that Tutti prints may hold a raw control character.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from resources.text.printable import printable


def say(line: object = "") -> None:
    """Print one line at once, even into a pipe. Line breaks inside it are escaped."""
    print(printable(str(line)), flush=True)


def warn(line: object) -> None:
    """Print one line to standard error. Line breaks inside it are escaped."""
    print(printable(str(line)), file=sys.stderr, flush=True)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Escape what libraries print until the end of the block, such as help, warnings and tracebacks."""
    with ExitStack() as stack:
        for stream, redirected in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # what an encoding other than UTF-8 lacks
            stack.enter_context(redirected(_Escaped(stream)))
        yield


class _Escaped:
    """A text stream that keeps line breaks and tabs, and escapes other characters that a terminal would obey."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, escaped."""
        lines = ("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
        self._stream.write("\n".join(lines))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
