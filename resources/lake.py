"""The lake: Delta tables under one root, each slice of dates replaced in one commit.

A table is a folder of Parquet files, each sorted and carrying its least and greatest values, so that a reader opens
only those it needs. Files are not laid out by day: a day replaced inside a larger file leaves the file's other days
behind in a new one, and fifteen years of one person are a few files, not thousands. What belongs here is storing and
finding; computing belongs to the engines.
"""

import json
import os
import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from resources.errors import TuttiError
from resources.frame import Frame, conform
from resources.scan import Scan

if TYPE_CHECKING:
    from deltalake import DeltaTable

FILE_ROWS = 1_000_000  # what replacing one day may have to copy, and what one core sorts in a second
GROUP_ROWS = 100_000  # the least a reader skips within a file
TRIES = 100  # losing a race costs milliseconds; a hundred losses in a row mean something else is wrong
FOREVER = "interval 36500 days"  # versions are kept until somebody vacuums
LONG_TEXT = 32  # longer bounds would bloat the log
LAST = "\U0010ffff"  # no text goes on with a greater character
BEYOND = 10**309  # JSON has no infinity, but readers take what no float can hold for one


@dataclass(frozen=True)
class Slice:
    """The rows of a table whose `column` lies between two values, both included."""

    column: str
    first: Any
    last: Any

    def misses(self, low: Any, high: Any) -> bool:
        """Whether no value from `low` to `high` is in the slice."""
        return bool(high < self.first or low > self.last)

    def covers(self, low: Any, high: Any) -> bool:
        """Whether every value from `low` to `high` is in the slice."""
        return bool(self.first <= low and high <= self.last)


@dataclass(frozen=True)
class Written:
    """What a write left behind: the table's new version, and the rows, bytes and files of the slice."""

    version: int
    rows: int
    bytes: int
    files: tuple[str, ...]


class Lake:
    """Tables by name ("layer/asset") under one folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def exists(self, table: str) -> bool:
        """Whether the table has been written."""
        return (self.root / table / "_delta_log").is_dir()

    def scan(self, table: str, schema: pa.Schema, slice: Slice | None = None, version: int | None = None) -> Scan:
        """The rows of a table, whole or a slice of dates, now or at an earlier version; none if never written."""
        if not self.exists(table):
            return Scan([], _plain(schema))
        files = [
            str(self.root / table / f["path"])
            for f in _files(self._open(table, version))
            if slice is None or not slice.misses(*_bounds(f, slice.column))
        ]
        return Scan(files, _plain(schema), *((slice.column, slice.first, slice.last) if slice else ()))

    def replace(
        self,
        table: str,
        rows: Frame | Iterator[pa.Table],
        schema: pa.Schema,
        slice: Slice | None = None,
        order: Sequence[str] = (),
    ) -> Written:
        """Compute rows and publish them as the table, or as this slice of it, in one commit.

        Readers see the old version until the commit and the new one after it. Raises `TuttiError` for rows outside
        the slice and for columns that are not those declared; the table then stays as it was.
        """
        return self.publish(table, self.stage(table, rows, schema, order), schema, slice, order)

    def stage(
        self, table: str, rows: Frame | Iterator[pa.Table], schema: pa.Schema, order: Sequence[str] = ()
    ) -> list[str]:
        """Compute rows and write them as files of the table that nobody sees before they are published."""
        self._create(table, _plain(schema))
        write = partial(write_files, folder=str(self.root / table), schema=_plain(schema), order=tuple(order))
        return rows.engine.store(rows.native, write) if isinstance(rows, Frame) else write(rows)

    def publish(
        self, table: str, staged: Sequence[str], schema: pa.Schema, slice: Slice | None, order: Sequence[str] = ()
    ) -> Written:
        """Make staged files the table, or this slice of it, in one commit."""
        adds = [_add(self.root / table, name) for name in staged]
        if slice:
            _refuse_strays(table, adds, slice)
        version = self._commit(table, _plain(schema), adds, slice, order)
        return Written(version, sum(a.rows for a in adds), sum(a.bytes for a in adds), tuple(a.path for a in adds))

    def version(self, table: str) -> int:
        """The table's newest version."""
        return self._open(table).version()

    def _open(self, table: str, version: int | None = None) -> "DeltaTable":
        from deltalake import DeltaTable

        return DeltaTable(str(self.root / table), version=version)

    def _create(self, table: str, schema: pa.Schema) -> None:
        """Make the table if it is new, and give it the columns it lacks."""
        from deltalake import DeltaTable, Schema

        folder = self.root / table
        if not self.exists(table):
            folder.mkdir(parents=True, exist_ok=True)
            keep = {"delta.logRetentionDuration": FOREVER, "delta.deletedFileRetentionDuration": FOREVER}
            DeltaTable.create(str(folder), Schema.from_arrow(schema), mode="ignore", configuration=keep)
            return
        delta = self._open(table)
        stored = {f.name: f for f in pa.schema(delta.schema().to_arrow())}
        for field in schema:
            if field.name in stored and stored[field.name].type != field.type:
                raise TuttiError(
                    f"{table} was written with {field.name} as {stored[field.name].type}, now it is {field.type}: "
                    f"move {folder} away and materialize it again"
                )
        if gone := [n for n in stored if n not in schema.names]:
            raise TuttiError(
                f"{table} holds columns {gone} that this version of the platform does not know: use the version that "
                f"wrote it, or move {folder} away and materialize it again"
            )
        if new := [f for f in schema if f.name not in stored]:
            delta.alter.add_columns(list(Schema.from_arrow(pa.schema(new)).fields))

    def _commit(
        self, table: str, schema: pa.Schema, adds: "list[_Add]", slice: Slice | None, order: Sequence[str]
    ) -> int:
        """Swap the slice's files for new ones at once, while others may be doing the same with theirs."""
        from deltalake import CommitProperties, Schema, Transaction
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import RemoveAction

        folder, now = self.root / table, int(time.time() * 1000)
        for attempt in range(TRIES):
            delta = self._open(table)
            actions: list[Any] = [a.action() for a in adds]
            for file in _files(delta):
                if slice is not None:
                    bounds = _bounds(file, slice.column)
                    if slice.misses(*bounds):
                        continue
                    if not slice.covers(*bounds):
                        rest = write_files(_rest(folder / file["path"], schema, slice), str(folder), schema, order)
                        actions += [_add(folder, name).action() for name in rest]
                actions.append(RemoveAction(file["path"], True, now, file["size_bytes"], {}))
            # One counter per table: of two commits that started from one version, the second is refused and retried,
            # also where both add the same new day and neither removes a file.
            turn = CommitProperties(max_commit_retries=0, app_transactions=[Transaction("tutti", delta.version() + 1)])
            try:
                delta.create_write_transaction(actions, "append", Schema.from_arrow(schema), commit_properties=turn)
                return delta.version() + 1
            except CommitFailedError:
                if attempt == TRIES - 1:
                    raise
                time.sleep(random.random() * 0.05 * (1 + min(attempt, 5)))
        raise AssertionError("unreachable")


def write_files(tables: Iterator[pa.Table], folder: str, schema: pa.Schema, order: Sequence[str]) -> list[str]:
    """Write rows as new Parquet files, sorted, of at most `FILE_ROWS` rows, under names nobody has used before.

    Nobody sees the files until they are committed. Memory holds one file's rows. Raises `TuttiError` for rows that the
    columns cannot hold as they are.
    """
    import pyarrow.parquet as pq

    names: list[str] = []

    def flush(rows: list[pa.Table]) -> None:
        table = pa.concat_tables(rows)
        if order:
            table = table.sort_by([(c, "ascending") for c in order])
        names.append(f"{uuid.uuid4().hex}.parquet")
        path = os.path.join(folder, names[-1])
        pq.write_table(table, path, row_group_size=GROUP_ROWS, compression="zstd", write_page_index=True)

    held: list[pa.Table] = []
    size = 0
    for given in tables:
        try:
            table = conform(given, schema)
        except (pa.ArrowException, KeyError) as error:
            raise TuttiError(f"{folder} cannot hold these rows: {error}") from error
        while len(table):
            part = table.slice(0, FILE_ROWS - size)
            table = table.slice(len(part))
            held, size = [*held, part], size + len(part)
            if size == FILE_ROWS:
                flush(held)
                held, size = [], 0
    if held:
        flush(held)
    return names


@dataclass(frozen=True)
class _Add:
    """A new file and what the log says of it."""

    path: str
    bytes: int
    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    nulls: Mapping[str, int]

    def action(self) -> Any:
        """The file as Delta's log has it."""
        from deltalake.transaction import AddAction

        known = {c: b for c, b in self.bounds.items() if b[0] is not None}
        stats = {
            "numRecords": self.rows,
            "minValues": {c: _told(low) for c, (low, _) in known.items()},
            "maxValues": {c: _told(high, up=True) for c, (_, high) in known.items()},
            "nullCount": dict(self.nulls),
        }
        return AddAction(self.path, self.bytes, {}, int(time.time() * 1000), True, json.dumps(stats))


def _add(folder: Path, name: str) -> _Add:
    """Describe a written file from its own footer."""
    import pyarrow.parquet as pq

    meta = pq.read_metadata(folder / name)
    bounds: dict[str, tuple[Any, Any]] = {}
    nulls: dict[str, int] = {}
    for i, path in enumerate(meta.row_group(0).column(i).path_in_schema for i in range(meta.num_columns)):
        stats = [meta.row_group(g).column(i).statistics for g in range(meta.num_row_groups)]
        if "." in path or any(s is None for s in stats):
            continue  # lists have no order
        nulls[path] = sum(s.null_count for s in stats)
        ranges = [(s.min, s.max) for s in stats if s.has_min_max]
        bounds[path] = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (None, None)
    return _Add(name, (folder / name).stat().st_size, meta.num_rows, bounds, nulls)


def _files(delta: "DeltaTable") -> list[dict[str, Any]]:
    """The files of a version, with their bounds."""
    return pa.table(delta.get_add_actions(flatten=True)).to_pylist()


def _bounds(file: Mapping[str, Any], column: str) -> tuple[Any, Any]:
    """A file's least and greatest value of a column."""
    return file[f"min.{column}"], file[f"max.{column}"]


def _rest(path: Path, schema: pa.Schema, slice: Slice) -> Iterator[pa.Table]:
    """The rows of a file outside the slice."""
    import pyarrow.dataset as ds

    outside = (ds.field(slice.column) < slice.first) | (ds.field(slice.column) > slice.last)
    yield ds.dataset(str(path), schema, "parquet").to_table(filter=outside)


def _plain(schema: pa.Schema) -> pa.Schema:
    """A declared schema as it is stored: what must not be null is for checks to say, so that one can look at it."""
    comments = {f.name: {"comment": f.metadata[b"comment"]} for f in schema if f.metadata and b"comment" in f.metadata}
    return pa.schema([pa.field(f.name, f.type, metadata=comments.get(f.name)) for f in schema])


def _told(value: Any, up: bool = False) -> Any:
    """A bound as Delta writes it, rounded outwards: instants in whole milliseconds, texts cut.

    None is left out, since delta-rs takes a column with some bounds missing to hold nothing at all.
    """
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return value[:LONG_TEXT] + (LAST if up else "")
    if isinstance(value, float) and isinf(value):
        return BEYOND if value > 0 else -BEYOND
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
        floor = value.replace(microsecond=value.microsecond // 1000 * 1000)
        whole = floor + timedelta(milliseconds=1) if up and floor < value else floor
        return whole.strftime("%Y-%m-%dT%H:%M:%S.") + f"{whole.microsecond // 1000:03d}Z"
    return value.isoformat() if isinstance(value, date) else value


def _refuse_strays(table: str, adds: Sequence[_Add], slice: Slice) -> None:
    """Raise where a file holds rows outside the slice."""
    for add in adds:
        low, high = add.bounds[slice.column]
        if low is None or add.nulls[slice.column] or not slice.covers(low, high):
            raise TuttiError(
                f"{table} was given rows with {slice.column} from {low} to {high}, but this run replaces only "
                f"{slice.first} to {slice.last}: nothing was written"
            )
