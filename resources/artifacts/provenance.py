"""Provenance: the versions of the tables and artifacts that a step has read, which its own artifact records."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import dagster as dg

_READ: "WeakKeyDictionary[object, dict[str, int | str]]" = WeakKeyDictionary()
"""Versions by name, by Dagster's context of the step, which the step's inputs and outputs share."""


def note(context: dg.InputContext, name: str, version: int | str | None) -> None:
    """Record that an input's step reads a version of a table or artifact; None if it was never written."""
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # loaded by hand, outside a step
        return
    if version is not None:
        _READ.setdefault(step, {})[name] = version


def read_by(context: dg.OutputContext) -> Mapping[str, int | str]:
    """Return the version of each table and artifact that the step of an output has read."""
    try:
        return _READ.get(context.step_context, {})
    except dg.DagsterInvariantViolationError:
        return {}
