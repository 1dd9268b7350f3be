"""What a victim does: real work of the platform, commit after commit, until it is killed or done."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

from assets.content.recordings import RECORDINGS
from assets.derived.recording_plays import RECORDING_PLAYS
from assets.events.imports import RAW_LISTENS
from assets.events.listens import LISTENS
from assets.events.sessions import SESSIONS
from assets.imports import batch, ledger
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine
from resources.lake.lake import Lake
from tests.tables import LEAP
from tests.transformations import TRANSFORMATIONS

RAW, HEARD = "events/raw_listens", "events/listens"
SCHEMAS = {RAW: RAW_LISTENS, HEARD: LISTENS, "events/sessions": SESSIONS, "derived/recording_plays": RECORDING_PLAYS}
MADE = [table for table in SCHEMAS if table != RAW]
FIRST_DAY, DAYS = LEAP, 6
NOW = datetime(2024, 12, 31, tzinfo=UTC)
Span: TypeAlias = tuple[int, int]  # the first and last of some of the days, counted from 0
STREAMED = 2  # files in a micro-batch
CHUNK = 400  # records at once: with the platform's own number only files of gigabytes are taken in many steps


def dates(span: Span) -> tuple[date, date]:
    """The first and last day of a span."""
    return FIRST_DAY + timedelta(days=span[0]), FIRST_DAY + timedelta(days=span[1])


def replace_days(engine: Engine, lake: Path, spans: Sequence[Span], wanted: Sequence[str]) -> None:
    """Make tables one after the other, each in a commit for each span of days."""
    tables, made = Lake(lake), {t.name: t for t in TRANSFORMATIONS}
    for table in wanted:
        name = table.split("/")[1]
        read = RAW if table == HEARD else HEARD
        for first, last in map(dates, spans):
            near, span = timedelta(days=name != "recording_plays"), (first, last)
            given = [engine.read(tables.scan(read, SCHEMAS[read], RangeFilter("day", first - near, last + near)))]
            if table == HEARD:
                recording_matches = made["recording_matches"].run(
                    *given, engine.from_arrow(RECORDINGS.empty_table()), span=span
                )
                replaced = made["duplicate_listens"].run(*given, recording_matches, span=span)
                own = engine.read(tables.scan(read, SCHEMAS[read], RangeFilter("day", first, last)))
                given = [own, recording_matches, replaced]
            rows = made[name].run(*given, span=span)
            tables.replace(table, rows, SCHEMAS[table], RangeFilter("day", first, last), ["day", "user_id"])


def import_file(engine: Engine, lake: Path, file: str, listener: str) -> None:
    """Import one file of one listener."""
    with patch.object(ledger, "CHUNK", CHUNK):
        batch.import_file(Path(file), listener, Lake(lake), NOW)


def stream_landed(engine: Engine, data: str) -> None:
    """Take in what lies in the landing folder as a stream, in several micro-batches."""
    from orchestration.streaming.query import start, wait
    from orchestration.streaming.sink import Sink

    sink = Sink(engine, Path(data), report=len, log=len)
    wait(start(sink, once=True, files=STREAMED), sink, threading.Event())


TASKS: dict[str, Callable[..., Any]] = {"days": replace_days, "import": import_file, "stream": stream_landed}
