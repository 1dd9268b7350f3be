"""Imports: files of listens that a person, a service or the sandbox hands in, and what became of each record.

A file is known by its content, so that importing it twice changes nothing. Its listens go to `raw_listens`, what cannot
be read goes to `quarantine` with the reason, and a row of `imports`, written last, says that the file is all in: a run
that is killed leaves no such row, and the next one takes the file again. Files are read where they are; personal
fields (IP address, user agent, account name) are not among what is kept.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata, generate_event_batch_id
from pydantic import Field

from assets.partitions import DAILY
from resources.columns import INSTANT, column, declare
from resources.errors import TuttiError
from resources.lake import Lake, Slice
from resources.lake_io import LakeIO
from resources.landing import Landing
from resources.sources import exports
from resources.sources.listen import Read

RAW_LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listen began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("listened_at", INSTANT, "start of play", unit="UTC"),
        column("ms_played", pa.int64(), "how long it was heard, where the source tells", unit="ms", null=True),
        column("source", pa.string(), "format of the file"),
        column("time_zone", pa.string(), "where the listener was, as an IANA name", null=True),
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("recording_mbid", pa.string(), "MusicBrainz recording", null=True),
        column("artist_mbids", pa.list_(pa.string()), "MusicBrainz artists; empty where not told"),
        column("isrc", pa.string(), "International Standard Recording Code", null=True),
        column("origin", pa.string(), "the source's own id of the track", null=True),
        column("client", pa.string(), "program that submitted it: a feed is a source and a client", null=True),
        column("file", pa.string(), "name of the file, and of its member in an archive"),
        column("record", pa.int64(), "line from 1, or index from 0 in a JSON array"),
        column("import_id", pa.string(), "the file's content and listener, as half a SHA-256"),
    ]
)
QUARANTINE = pa.schema(
    [
        column("file", pa.string(), "name of the file, and of its member in an archive"),
        column("record", pa.int64(), "line from 1, or index from 0 in a JSON array"),
        column("reason", pa.string(), "what is wrong with the record"),
        column("raw", pa.string(), "its text without personal fields, up to 10,000 characters", personal=True),
        column("seen_at", INSTANT, "when it was read", unit="UTC"),
        column("import_id", pa.string(), "the file's content and listener, as half a SHA-256"),
    ]
)
IMPORTS = pa.schema(
    [
        column("import_id", pa.string(), "the file's content and listener, as half a SHA-256"),
        column("file", pa.string(), "name of the file"),
        column("listener", pa.string(), "for whom it was imported, if one person", null=True, personal=True),
        column("listens", pa.int64(), "records that are listens"),
        column("quarantined", pa.int64(), "records that could not be read"),
        column("passed_over", pa.int64(), "well-formed records that are no music, such as podcast episodes"),
        column("first_day", pa.date32(), "earliest UTC day heard on", null=True),
        column("last_day", pa.date32(), "latest UTC day heard on", null=True),
        column("imported_at", INSTANT, "when it was read", unit="UTC"),
    ]
)
BY_DAY = ("day", "user_id", "listened_at")
CHUNK = 200_000  # records held in memory: about 200 MB


class ImportConfig(dg.Config):
    """What to import: files of one listener, or (with none named) what lies in the landing folder."""

    files: list[str] = Field(default=[], description="paths on this machine; none for the landing folder")
    listener: str | None = Field(default=None, description="whose listens these are, if they are one person's")


def listen_rows(reads: Sequence[Read], import_id: str) -> pa.Table:
    """The listens among the records of a file."""
    rows = [
        (
            r.listen.listened_at.date(),
            r.listen.user_id,
            r.listen.listened_at,
            r.listen.ms_played,
            r.listen.source,
            r.listen.time_zone,
            r.listen.artist_name,
            r.listen.recording_name,
            r.listen.release_name,
            r.listen.recording_mbid,
            list(r.listen.artist_mbids),
            r.listen.isrc,
            r.listen.origin,
            r.listen.client,
            r.file,
            r.record,
            import_id,
        )
        for r in reads
        if r.listen
    ]
    return _table(rows, RAW_LISTENS)


def quarantine_rows(reads: Sequence[Read], import_id: str, now: datetime) -> pa.Table:
    """The records of a file that could not be read."""
    return _table([(r.file, r.record, r.reason, r.raw or "", now, import_id) for r in reads if r.reason], QUARANTINE)


def take(
    path: Path, listener: str | None, lake: Lake, now: datetime, tell: Callable[[Sequence[date]], object] = len
) -> tuple[dict[str, Any], bool]:
    """Import one file, whole or not at all: its row of `imports`, of now or of then, and whether it is new.

    The days whose listens change are told before the file counts as in, so that what follows from them is never
    forgotten. Raises `TuttiError` for what is no export.
    """
    import_id = sha256(f"{exports.fingerprint(path)} {listener or ''}".encode()).hexdigest()[:32]
    slice = Slice("import_id", import_id, import_id)
    known = lake.scan("events/imports", IMPORTS, slice).table().to_pylist()
    if row := next((k for k in known if k["import_id"] == import_id), None):
        return row, False
    count = dict.fromkeys(("listens", "quarantined", "passed_over"), 0)
    days: set[date] = set()
    with (
        lake.writing("events/raw_listens", RAW_LISTENS, BY_DAY) as accepted,
        lake.writing("events/quarantine", QUARANTINE, ("file", "record")) as rejected,
    ):
        for reads in _chunks(exports.read(path, listener, now)):
            listens, refused = listen_rows(reads, import_id), quarantine_rows(reads, import_id, now)
            days.update(r.listen.listened_at.date() for r in reads if r.listen)
            accepted.write(iter([listens]))
            rejected.write(iter([refused]))
            count["listens"] += len(listens)
            count["quarantined"] += len(refused)
            count["passed_over"] += len(reads) - len(listens) - len(refused)
        accepted.publish(slice)
        rejected.publish(slice)
    tell(sorted(days))
    row = {
        "import_id": import_id,
        "file": path.name,
        "listener": listener,
        **count,
        "first_day": min(days, default=None),
        "last_day": max(days, default=None),
        "imported_at": now,
    }
    lake.replace("events/imports", iter([pa.Table.from_pylist([row], IMPORTS)]), IMPORTS, slice)
    return row, True


def tell_days(context: dg.AssetExecutionContext, days: Sequence[date]) -> None:
    """Tell Dagster which days of `raw_listens` have new rows, in one batch: one by one, years would take minutes."""
    step, batch = context.get_step_execution_context(), generate_event_batch_id()
    for i, day in enumerate(days):
        told = dg.AssetMaterialization(["events", "raw_listens"], partition=day.isoformat())
        DagsterEvent.asset_materialization(step, told, DagsterEventBatchMetadata(batch, i == len(days) - 1))


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["events", "imports"],
            description="Files handed in, and how many records of each are listens, quarantined or no music.",
            metadata=declare(IMPORTS),
        ),
        dg.AssetSpec(
            ["events", "quarantine"],
            description="Records that could not be read, each with the reason.",
            metadata=declare(QUARANTINE),
        ),
    ],
    name="imports",
)
def import_listens(
    context: dg.AssetExecutionContext, config: ImportConfig, io_manager: dg.ResourceParam[LakeIO], landing: Landing
) -> Iterator[dg.MaterializeResult]:
    """Import the files named in the configuration for one listener, or everything new in the landing folder."""
    lake, now = io_manager.lake, datetime.now(UTC)
    if config.files and not config.listener:
        raise TuttiError(
            "whose listens are these? name the listener (LISTENER=ada, or `listener: ada` in the launchpad)"
        )
    paths = [Path(f).expanduser() for f in config.files] or landing.files("listens")
    rows: list[dict[str, Any]] = []
    for path in paths:
        row, new = take(path, config.listener, lake, now, partial(tell_days, context))
        context.log.info(
            "%s: %s listens, %s quarantined, %s passed over%s",
            *(path.name, row["listens"], row["quarantined"], row["passed_over"]),
            "" if new else " (already imported, nothing changed)",
        )
        rows.append(row)
    told = {n: sum(r[n] for r in rows) for n in ("listens", "quarantined", "passed_over")}
    days = [day for row in rows for day in (row["first_day"], row["last_day"]) if day]
    span = {"first day": min(days).isoformat(), "last day": max(days).isoformat()} if days else {}
    yield dg.MaterializeResult(["events", "imports"], metadata={"dagster/row_count": len(rows), **told, **span})
    yield dg.MaterializeResult(["events", "quarantine"], metadata={"dagster/row_count": told["quarantined"]})


raw_listens = dg.AssetSpec(
    ["events", "raw_listens"],
    deps=[["events", "imports"]],
    partitions_def=DAILY,
    description="Listens as submitted, before repeats of one listen are told apart; written by imports.",
    metadata=declare(RAW_LISTENS, slices="day", order=BY_DAY),
).with_io_manager_key("io_manager")


def _chunks(reads: Iterator[Read]) -> Iterator[list[Read]]:
    while chunk := list(islice(reads, CHUNK)):
        yield chunk


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)
