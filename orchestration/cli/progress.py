"""The terminal's view of runs: what assets say, checks that failed, how far long work is, and what it came to."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import dagster as dg

from resources.errors import TuttiError

PATIENCE = 10  # seconds: a terminal that says nothing for longer seems to hang
SHOWN = 10  # reasons
NAMED = 3  # things of a reason


class Progress(logging.Handler):
    """Tells that an asset is done once nothing was said for `patience` seconds; remembers rows and seconds of each."""

    def __init__(self, patience: float = PATIENCE, say: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.patience = patience
        self._say = say or partial(print, flush=True)  # at once, also into a pipe
        self._title: str | None = None
        self._began = self._said = time.monotonic()
        self.rows: dict[str, int | None] = {}
        self.seconds: dict[str, float] = {}
        self._written: dict[str, int | None] = {}
        self._parts: set[str] = set()  # of which a run makes some partitions: rows of several runs add up
        self.cause: str | None = None
        self._expected = self._begun = 0
        self._first_began = self._began

    def expect(self, runs: int) -> None:
        """Number the next runs, and print the title of each as it begins, with an estimate of the time left."""
        self._expected, self._begun, self._first_began = runs, 0, time.monotonic()

    def begin(self, title: str) -> None:
        """Forget the cause of an earlier failure, and print or keep the title of a run that begins."""
        self.cause = None
        self._title = title
        if self._begun < self._expected:
            self._begun += 1
            left = ""
            if done := self._begun - 1:
                seconds = (time.monotonic() - self._first_began) / done * (self._expected - done)
                left = f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"
            self._title = None
            self._say(f"{title} (run {self._begun} of {self._expected}{left})")
            self._said = time.monotonic()

    def say(self, line: str) -> None:
        """Say something of the run, and before the first line which run it is."""
        if self._title:
            self._say(self._title)
        self._title = None
        self._say(line)
        self._said = time.monotonic()

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
        new = told.metadata.get("rows_written")
        rows = new or told.metadata.get("dagster/row_count")
        self._written[name] = rows.value if rows else None  # type: ignore[assignment]
        if new or told.partition:
            self._parts.add(name)

    def _done(self, event: dg.DagsterEvent) -> None:
        seconds = event.step_success_data.duration_ms / 1000
        name = (event.step_key or "").replace("__", "/", 1)
        if name == "imports":
            name = "events/imports"
        if name in self._written:  # a check has none
            rows = self._written.pop(name)
            self.seconds[name] = self.seconds.get(name, 0) + seconds
            before = self.rows.get(name) if name in self._parts else None
            self.rows[name] = (before or 0) + rows if rows is not None else None
            if time.monotonic() - self._said >= self.patience:
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

    def total(self) -> str:
        """All of it in one line."""
        rows = sum(n or 0 for n in self.rows.values())
        return f"tables made: {len(self.seconds):,}, with {rows:,} rows, in {time.monotonic() - self._began:,.0f} s"

    def table(self) -> str:
        """Asset, rows, seconds."""
        lines = [f"{'asset':32s} {'rows':>10s} {'seconds':>8s}"]
        for name, seconds in self.seconds.items():
            rows = self.rows[name]
            lines.append(f"{name:32s} {'' if rows is None else f'{rows:,}':>10s} {seconds:8.1f}")
        return "\n".join(lines)


def reasons(found: Iterable[tuple[str, str]]) -> list[str]:
    """What went wrong with which things, the most frequent reason first: a line for each, with some of the things."""
    wrong: dict[str, list[str]] = defaultdict(list)
    for reason, what in found:
        wrong[reason].append(what)
    ranked = sorted(wrong.items(), key=lambda item: -len(item[1]))
    lines = [
        f"  {len(whats):,} × {reason}: {', '.join(sorted(whats)[:NAMED])}{' …' * (len(whats) > NAMED)}"
        for reason, whats in ranked[:SHOWN]
    ]
    if rest := sum(len(whats) for _, whats in ranked[SHOWN:]):
        lines.append(f"  {rest:,} for other reasons")
    return lines


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
