"""The terminal's view of runs: a line for each asset done and each check failed, and a table at the end."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import dagster as dg

from resources.errors import TuttiError


class Progress(logging.Handler):
    """Tells of assets as they are done (unless `brief`), and remembers rows and seconds of each."""

    def __init__(self, say: Callable[[str], None] | None = None, brief: bool = False) -> None:
        super().__init__()
        self.say = say or partial(print, flush=True)  # at once, also into a pipe
        self.brief = brief
        self.rows: dict[str, int | None] = {}
        self.seconds: dict[str, float] = {}
        self._written: dict[str, int | None] = {}
        self.cause: str | None = None

    def begin(self, title: str) -> None:
        """A run begins: what the one before failed of is not its fault."""
        self.cause = None
        if not self.brief:
            self.say(title)

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of an event of a run, or pass on what an asset has to say."""
        event: dg.DagsterEvent | None = getattr(record, "dagster_event", None)
        if event is None:
            said = record.__dict__.get("dagster_meta", {}).get("orig_message") or ""
            # What waits is plain from what failed, what is skipped from what was asked for.
            if (
                said
                and record.levelno >= logging.INFO
                and not said.startswith(("Dependencies for step", "Skipping step"))
            ):
                self.say(f"    {said}")
        elif event.event_type_value == "ASSET_MATERIALIZATION":
            self._materialized(event)
        elif event.event_type_value == "STEP_SUCCESS":
            self._done(event)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            self._checked(event)
        elif event.event_type_value == "STEP_FAILURE" and self.cause is None:
            self.cause = _root(event.step_failure_data.error)

    def _materialized(self, event: dg.DagsterEvent) -> None:
        told = event.materialization
        name = told.asset_key.to_user_string()
        rows = told.metadata.get("rows written") or told.metadata.get("dagster/row_count")
        self._written[name] = rows.value if rows else None  # type: ignore[assignment]

    def _done(self, event: dg.DagsterEvent) -> None:
        seconds = event.step_success_data.duration_ms / 1000
        name = (event.step_key or "").replace("__", "/", 1)
        if name == "imports":
            name = "events/imports"
        if name in self._written:  # a check has none
            rows = self._written.pop(name)
            self.seconds[name] = self.seconds.get(name, 0) + seconds
            self.rows[name] = (self.rows.get(name) or 0) + rows if rows is not None else None
            if not self.brief:
                self.say(f"  ✓ {name:30s} {'' if rows is None else f'{rows:>10,} rows'} {seconds:8.1f} s")

    def _checked(self, event: dg.DagsterEvent) -> None:
        check = event.asset_check_evaluation_data
        if not check.passed:
            told = ", ".join(f"{k}: {v.value}" for k, v in check.metadata.items())
            name = check.asset_key.to_user_string()
            if check.severity == dg.AssetCheckSeverity.WARN:
                self.say(f"  ! {name}: the check {check.check_name!r} warns ({told})")
                return
            self.say(f"  ✗ {name}: the check {check.check_name!r} failed ({told}); what is downstream waits")
            self.cause = f"{name} failed its check {check.check_name!r} ({told})"

    def table(self) -> str:
        """Asset, rows, seconds."""
        lines = [f"{'asset':32s} {'rows':>10s} {'seconds':>8s}"]
        for name, seconds in self.seconds.items():
            rows = self.rows[name]
            lines.append(f"{name:32s} {'' if rows is None else f'{rows:,}':>10s} {seconds:8.1f}")
        return "\n".join(lines)


def logger(progress: Progress) -> dg.LoggerDefinition:
    """A Dagster logger that tells `progress`."""

    @dg.logger
    def terminal(_: dg.InitLoggerContext) -> logging.Logger:
        log = logging.Logger("terminal", logging.DEBUG)
        log.addHandler(progress)
        return log

    return terminal


def _root(error: Any) -> str | None:
    """The first cause of a failure, in one line; a `TuttiError` says enough by itself."""
    own = {"TuttiError", *(kind.__name__ for kind in TuttiError.__subclasses__())}
    while error and error.cause and error.cls_name not in own:
        error = error.cause
    if error is None:
        return None
    if error.cls_name == "DagsterExecutionInterruptedError":
        return "it was stopped"
    line = " ".join(error.message.split())
    return line.split(f"{error.cls_name}: ", 1)[-1] if error.cls_name in own else line
