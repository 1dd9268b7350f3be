"""The terminal's view of runs: log lines of assets, failed checks, progress, and a summary."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import dagster as dg

from resources.errors import TuttiError
from resources.terminal import say

PATIENCE_S = 10  # a terminal that prints nothing for longer seems to hang
MAX_REASONS = 10
MAX_ITEMS = 3  # per reason
INTERRUPTED = "DagsterExecutionInterruptedError"
SKIPPED = "skipped: "  # of an import, before a file's problem
IGNORED = ("Dependencies for step", "Skipping step")  # Dagster's messages, which follow from failures and options


class Progress(logging.Handler):
    """A log handler that prints the progress of runs after `patience_s` seconds without a line.

    It prints the number of built tables, or each table if `patience_s` is 0. It stores the rows and seconds by table.
    """

    def __init__(self, patience_s: float = PATIENCE_S, write: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.patience_s = patience_s
        self._write = write or say
        self._title: str | None = None
        self._tables = self._built = 0  # of the current run
        self._started = self._last_line = self._first_run = time.monotonic()
        self._expected = self._run = 0  # runs, and the number of the current one
        self.rows: dict[str, int | None] = {}
        self.seconds: dict[str, float] = {}
        self._written: dict[str, int | None] = {}
        self._partial: set[str] = set()  # tables of which a run builds some partitions, so that rows of runs add up
        self.skipped: list[str] = []  # problems of files that an import skipped
        self.cause: str | None = None  # why a run failed
        self.interrupted = False  # by Ctrl-C or a signal

    def expect(self, runs: int) -> None:
        """Number the next runs, and print the title of each as it starts, with an estimate of the time left."""
        self._expected, self._run, self._first_run = runs, 0, time.monotonic()

    def begin(self, title: str, tables: int = 0) -> None:
        """Start a run of `tables` tables, and forget why the last one failed."""
        self.cause = None
        self._tables, self._built = tables, 0
        self._title = title
        if self._run < self._expected:
            self._run += 1
            time_left = ""
            if done := self._run - 1:
                seconds = (time.monotonic() - self._first_run) / done * (self._expected - done)
                time_left = f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"
            self._title = None
            self.say(f"{title} (run {self._run} of {self._expected}{time_left})")

    def say(self, line: str) -> None:
        """Print a line about the current run. The first one follows the title of the run."""
        if self._title:
            self._write(self._title)
        self._title = None
        self._write(line)
        self._last_line = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Handle an event of a run, or print a log line of an asset."""
        event: dg.DagsterEvent | None = getattr(record, "dagster_event", None)
        if event is None:
            message = record.__dict__.get("dagster_meta", {}).get("orig_message") or ""
            if message and record.levelno >= logging.INFO and not message.startswith(IGNORED):
                self.say(f"    {message}")
                if message.startswith(SKIPPED):
                    self.skipped.append(message.removeprefix(SKIPPED))
        elif event.event_type_value == "ASSET_MATERIALIZATION":
            self._materialized(event)
        elif event.event_type_value == "STEP_SUCCESS":
            self._done(event)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            self._checked(event)
        elif event.event_type_value == "STEP_FAILURE" and self.cause is None:
            error = _root(event.step_failure_data.error)
            self.interrupted = error is not None and error.cls_name == INTERRUPTED
            self.cause = _line(error) if error else None

    def _materialized(self, event: dg.DagsterEvent) -> None:
        materialization = event.materialization
        name = materialization.asset_key.to_user_string()
        new = materialization.metadata.get("rows_written")
        rows = new or materialization.metadata.get("dagster/row_count")
        self._written[name] = rows.value if rows else None  # type: ignore[assignment]
        if new or materialization.partition:
            self._partial.add(name)

    def _done(self, event: dg.DagsterEvent) -> None:
        seconds = event.step_success_data.duration_ms / 1000
        name = (event.step_key or "").replace("__", "/", 1)
        if name == "imports":
            name = "events/imports"
        if name not in self._written:  # a check
            return
        rows = self._written.pop(name)
        self.seconds[name] = self.seconds.get(name, 0) + seconds
        before = self.rows.get(name) if name in self._partial else None
        self.rows[name] = (before or 0) + rows if rows is not None else None
        self._built += 1
        if time.monotonic() - self._last_line < self.patience_s:
            return
        if self.patience_s and self._tables > 1:
            self.say(f"  {self._built:,} of {self._tables:,} tables built")
        else:
            self.say(f"  ✓ {name:30s} {'' if rows is None else f'{rows:>10,} rows'} {seconds:8.1f} s")

    def _checked(self, event: dg.DagsterEvent) -> None:
        check = event.asset_check_evaluation_data
        if not check.passed:
            counts = ", ".join(f"{name}: {value.value}" for name, value in check.metadata.items())
            name = check.asset_key.to_user_string()
            if check.severity == dg.AssetCheckSeverity.WARN:
                self.say(f"  ! {name}: warning of check {check.check_name!r} ({counts})")
                return
            self.say(f"  ✗ {name}: check {check.check_name!r} failed ({counts}). Downstream tables are blocked.")
            self.cause = f"{name} failed its check {check.check_name!r} ({counts})"

    def total(self) -> str:
        """Return the summary of all runs in one line."""
        tables, rows = len(self.seconds), sum(n or 0 for n in self.rows.values())
        updated = "Updated 1 table" if tables == 1 else f"Updated {tables:,} tables"
        return f"{updated} ({rows:,} rows) in {time.monotonic() - self._started:,.0f} s"


def reasons(failures: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each reason of failures (pairs of a reason and an item), the most frequent reason first."""
    items_by_reason: dict[str, list[str]] = defaultdict(list)
    for reason, item in failures:
        items_by_reason[reason].append(item)
    ranked = sorted(items_by_reason.items(), key=lambda pair: -len(pair[1]))
    lines = [
        f"  {len(items):,} × {reason}: {', '.join(sorted(items)[:MAX_ITEMS])}{' …' * (len(items) > MAX_ITEMS)}"
        for reason, items in ranked[:MAX_REASONS]
    ]
    if rest := sum(len(items) for _, items in ranked[MAX_REASONS:]):
        lines.append(f"  {rest:,} for other reasons")
    return lines


def logger(progress: Progress) -> dg.LoggerDefinition:
    """Return a Dagster logger that reports to `progress`."""

    @dg.logger
    def terminal(_: dg.InitLoggerContext) -> logging.Logger:
        log = logging.Logger("terminal", logging.DEBUG)
        log.addHandler(progress)
        return log

    return terminal


def _root(error: Any) -> Any:
    """Return the root cause of a failure, or a `TuttiError` above it, which is clearer."""
    while error and error.cause and error.cls_name not in _tutti_errors():
        error = error.cause
    return error


def _line(error: Any) -> str:
    """Return the message of an error in one line. The name of the class is left out of a `TuttiError`."""
    line = " ".join(error.message.split())
    return line.split(f"{error.cls_name}: ", 1)[-1] if error.cls_name in _tutti_errors() else line


def _tutti_errors() -> set[str]:
    return {"TuttiError", *(error_class.__name__ for error_class in TuttiError.__subclasses__())}
