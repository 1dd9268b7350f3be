"""Tasks of victims: real work of the platform in several commits."""

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

RAW_TABLE, LISTENS_TABLE = "events/raw_listens", "events/listens"
SCHEMAS = {
    RAW_TABLE: RAW_LISTENS,
    LISTENS_TABLE: LISTENS,
    "events/sessions": SESSIONS,
    "derived/recording_plays": RECORDING_PLAYS,
}
COMPUTED_TABLES = [table for table in SCHEMAS if table != RAW_TABLE]
FIRST_DAY, DAYS = LEAP, 6
NOW = datetime(2024, 12, 31, tzinfo=UTC)
Span: TypeAlias = tuple[int, int]  # first and last day, counted from 0
FILES_PER_BATCH = 2  # of a stream
CHUNK = 400  # records imported at a time: the platform's default splits only files of gigabytes


def dates(span: Span) -> tuple[date, date]:
    """Return the first and last day of a span."""
    return FIRST_DAY + timedelta(days=span[0]), FIRST_DAY + timedelta(days=span[1])


def replace_days(engine: Engine, lake: Path, spans: Sequence[Span], table_names: Sequence[str]) -> None:
    """Compute tables one after the other, with one commit per span of days."""
    tables, transformations = Lake(lake), {t.name: t for t in TRANSFORMATIONS}
    for table in table_names:
        name = table.split("/")[1]
        read = RAW_TABLE if table == LISTENS_TABLE else LISTENS_TABLE
        for first, last in map(dates, spans):
            margin, span = timedelta(days=name != "recording_plays"), (first, last)
            inputs = [engine.read(tables.scan(read, SCHEMAS[read], RangeFilter("day", first - margin, last + margin)))]
            if table == LISTENS_TABLE:
                recording_matches = transformations["recording_matches"].run(
                    *inputs, engine.from_arrow(RECORDINGS.empty_table()), span=span
                )
                duplicates = transformations["duplicate_listens"].run(*inputs, recording_matches, span=span)
                of_span = engine.read(tables.scan(read, SCHEMAS[read], RangeFilter("day", first, last)))
                inputs = [of_span, recording_matches, duplicates]
            rows = transformations[name].run(*inputs, span=span)
            tables.replace(table, rows, SCHEMAS[table], RangeFilter("day", first, last), ["day", "user_id"])


def import_file(engine: Engine, lake: Path, file: str, listener: str) -> None:
    """Import one file of one listener."""
    with patch.object(ledger, "CHUNK_RECORDS", CHUNK):
        batch.import_file(Path(file), listener, Lake(lake), NOW)


def stream_landed(engine: Engine, data: str) -> None:
    """Stream the files of the landing folder in several micro-batches."""
    from orchestration.streaming.query import start, wait
    from orchestration.streaming.sink import Sink

    sink = Sink(engine, Path(data), report=len, log=len)
    wait(start(sink, once=True, files=FILES_PER_BATCH), sink, threading.Event())


TASKS: dict[str, Callable[..., Any]] = {"days": replace_days, "import": import_file, "stream": stream_landed}
