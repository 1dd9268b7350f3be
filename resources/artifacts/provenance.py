"""The versions of the tables and artifacts that a step reads, from which its own artifact gets its version."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import dagster as dg

_READ: "WeakKeyDictionary[object, dict[str, int | str]]" = WeakKeyDictionary()
"""By Dagster's context of a step, which the step's inputs and outputs share."""


def note(context: dg.InputContext, name: str, version: int | str | None) -> None:
    """Note that the step of an input reads a version of a table or artifact; None is one never written."""
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:  # no step reads it: it is loaded by hand
        return
    if version is not None:
        _READ.setdefault(step, {})[name] = version


def read_by(context: dg.OutputContext) -> Mapping[str, int | str]:
    """Return the version of each table and artifact that the step of an output has read."""
    try:
        return _READ.get(context.step_context, {})
    except dg.DagsterInvariantViolationError:
        return {}
