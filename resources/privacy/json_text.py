"""Edit JSON where it stands: parts that do not change stay byte for byte, with the spelling of their numbers.

`decode` keeps repeated keys and numbers as written. A change is described by the same tree with `Fields`, `Elements`,
new texts and the marks `REMOVED` and `KEY_REMOVED` in it, and `edit` applies it to the text.
"""

import json
from collections.abc import Callable, Sequence
from json.decoder import WHITESPACE, scanstring  # type: ignore[attr-defined] # json has no other scanner
from typing import Any

REMOVED = object()  # instead of a value: whatever contains it is about the listener
KEY_REMOVED = object()  # instead of a value: its key goes, and the object that contains it stays


class Number:
    """A number as it is spelled."""

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.spelling == self.spelling

    def __hash__(self) -> int:
        return hash(self.spelling)


class Repeated(dict[str, Any]):
    """An object with repeated keys. `pairs` has every value."""

    pairs: Sequence[tuple[str, Any]]


class Fields(list[tuple[str, Any]]):
    """A changed object: every key with its new value, or `KEY_REMOVED`."""


class Elements(list[Any]):
    """A changed list: every element's new value, or `REMOVED`."""


def decode(text: str, at: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at a position, and where it ends. Raises ValueError or RecursionError."""
    return DECODER.raw_decode(text, at)


def pairs_of(value: dict[str, Any]) -> Sequence[tuple[str, Any]]:
    """Return every key of an object with its value, repeated keys included."""
    return value.pairs if isinstance(value, Repeated) else list(value.items())


def pruned(change: Any) -> Any:
    """Return the changed value itself, without what is removed from it."""
    if isinstance(change, Fields):
        return {key: pruned(value) for key, value in change if value is not KEY_REMOVED}
    if isinstance(change, Elements):
        return [pruned(value) for value in change if value is not REMOVED]
    return change


def edit(text: str, at: int, change: Any) -> tuple[str, int]:
    """Return the value that begins at a position with a change applied, and where the value ends in the text."""
    if isinstance(change, Fields):
        return _spliced(text, at, change, _key)
    if isinstance(change, Elements):
        return _spliced(text, at, change, lambda _, start: start)
    value, end = decode(text, at)
    if isinstance(change, str) and change != value:
        return json.dumps(change, ensure_ascii=text.isascii()), end
    return text[at:end], end


def _spliced(text: str, at: int, change: Fields | Elements, value_at: Callable[[str, int], int]) -> tuple[str, int]:
    """Return an object or a list without the parts that are removed, and where it ends in the text."""
    parts: list[str] = []
    end = first = at + 1
    for part in change:
        begin = end
        item = _next(text, begin)
        start = value_at(text, item)
        new = part[1] if isinstance(change, Fields) else part
        if is_left_out := new is REMOVED or new is KEY_REMOVED:
            _, end = decode(text, start)
        else:
            edited, end = edit(text, start, new)
            space = text[begin:item] if parts else text[first : _next(text, first)]
            parts.append(space + text[item:start] + edited)
        closing, end = end, _next(text, end)
        if text[end] == ",":
            if not is_left_out:
                parts[-1] += text[closing:end]
            end += 1
    return text[at] + ",".join(parts) + text[closing : end + 1], end + 1


def _key(text: str, start: int) -> int:
    """Return where the value of the key at a position begins."""
    _, end = scanstring(text, start + 1, False)
    return _next(text, _next(text, end) + 1)


def _next(text: str, at: int) -> int:
    """Skip white space."""
    return WHITESPACE.match(text, at).end()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeated = Repeated(value)
    repeated.pairs = pairs
    return repeated


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=Number, strict=False
)
