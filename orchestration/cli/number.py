"""Option types of the command line for numbers in a range."""

import sys
from contextlib import suppress
from typing import Any

import click

from resources.errors import TuttiError


class Number(click.ParamType):
    """A number from `lowest` to `highest`, both included. An empty value gives `default`.

    Raises `TuttiError` for any other value. The message contains `label`, the value and `example`.
    """

    name = "number"

    def __init__(
        self,
        label: str,
        example: str,
        lowest: float,
        highest: float = sys.maxsize,
        *,
        kind: type = int,
        default: int | None = None,
    ) -> None:
        self._label, self._example, self._lowest, self._highest = label, example, lowest, highest
        self._kind, self._default = kind, default

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return `value` as a number."""
        if value == "" and self._default is not None:  # `make` passes an unset variable as an empty value
            return self._default
        with suppress(ValueError):
            if self._lowest <= (number := self._kind(value)) <= self._highest:
                return number
        bounds = f"at least {self._lowest}" if self._highest == sys.maxsize else f"{self._lowest} to {self._highest}"
        raise TuttiError(f"invalid {self._label} {value!r}: expected {bounds}, for example `{self._example}`")
