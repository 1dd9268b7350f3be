"""Numbers that a person types, with an example in the message when one is invalid."""

import sys
from contextlib import suppress
from typing import Any

import click

from resources.errors import TuttiError


class Number(click.ParamType):
    """A number from `least` to `most`; `default` if nothing was typed. Raises `TuttiError` for anything else.

    The message calls the number `what` and gives an example.
    """

    name = "number"

    def __init__(
        self,
        what: str,
        example: str,
        least: float,
        most: float = sys.maxsize,
        *,
        kind: type = int,
        default: int | None = None,
    ) -> None:
        self._what, self._example, self._least, self._most = what, example, least, most
        self._kind, self._default = kind, default

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number."""
        if value == "" and self._default is not None:  # as `make` passes a variable that is not set
            return self._default
        with suppress(ValueError):
            if self._least <= (number := self._kind(value)) <= self._most:
                return number
        bounds = f"at least {self._least}" if self._most == sys.maxsize else f"{self._least} to {self._most}"
        raise TuttiError(f"invalid {self._what} {value!r}: expected {bounds}, for example `{self._example}`")
