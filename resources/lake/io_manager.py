"""The lake as Dagster's IO manager: assets receive frames on the run's engine and return frames.

What belongs here is what Dagster knows (keys, partitions, metadata) in the lake's words.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import narwhals as nw
import pyarrow as pa
from pydantic import PrivateAttr

from resources.artifacts import provenance
from resources.dates import tagged_days
from resources.engines.resource import EngineResource
from resources.frames.filters import RangeFilter, ValuesFilter
from resources.frames.frame import Frame
from resources.lake.lake import Lake
from resources.locks import shared_lock_of
from resources.materializations import add_partition_metadata, report_only
from resources.schema import declared, order
from resources.storage import Storage

FIRST, WIDEST = 3, 100  # values of a list, letters of a text that a preview shows
PREVIEW = 10  # rows
DATES = {"day": "days", "period_start": "periods"}  # what the UI calls the dates that have rows


class LakeIO(dg.ConfigurableIOManager):
    """Reads and writes the partitions that a run is about; the folder of a table is its asset's key."""

    engine: dg.ResourceDependency[EngineResource]
    root: str
    _days: frozenset[date] = PrivateAttr(default=frozenset())  # the only ones of its range that the run builds, if any

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LakeIO"]:
        """Give itself to a run, which nobody who must be alone with the data comes between."""
        self._days = tagged_days(context.run.tags if context.run else {})
        with shared_lock_of(self.lake.root):
            yield self

    @property
    def lake(self) -> Lake:
        """The tables themselves."""
        return Lake(self.root)

    def open(self, asset: dg.AssetKey, schema: pa.Schema, slice: RangeFilter | None = None) -> Frame:
        """An asset's table, or a slice of it, on the run's engine: of a range, the days that the run builds."""
        if self._days and type(slice) is RangeFilter:
            slice = ValuesFilter.of(slice.column, (d for d in self._days if slice.first <= d <= slice.last))
        return self.engine.engine.read(self.lake.scan("/".join(asset.path), schema, slice))

    def load_input(self, context: dg.InputContext) -> Frame:
        """Open an upstream asset, or the partitions of it that this run maps to."""
        pa.default_memory_pool().release_unused()  # what the steps before needed: Arrow would keep it for later
        upstream = context.upstream_output
        metadata = (upstream.definition_metadata if upstream else None) or context.definition_metadata
        slice = _slice(context, metadata) if context.has_asset_partitions else None
        if slice and self._days:
            slice = ValuesFilter.of(slice.column, _read(context, self._days))
        table = "/".join(context.asset_key.path)
        if slice and not self.lake.exists(table):
            context.log.warning("%s was never written: what is made of it has no rows", table)
        scan = self.lake.scan(table, declared(metadata), slice)
        provenance.note(context, table, scan.version)
        return self.engine.engine.read(scan)

    def handle_output(self, context: dg.OutputContext, obj: Frame | pa.Table) -> None:
        """Store what an asset returned, and tell what became of it: in all, and of each partition its rows."""
        metadata = context.definition_metadata
        table, schema = "/".join(context.asset_key.path), declared(metadata)
        rows = obj if isinstance(obj, Frame) else iter([obj])
        slice = _slice(context, metadata) if context.has_asset_partitions else None
        if slice and self._days:
            keys = [key for key in context.asset_partition_keys if date.fromisoformat(key) in self._days]
            slice = ValuesFilter.of(slice.column, map(date.fromisoformat, keys))
            rows = (
                obj.map(partial(_matching, slice=slice)) if isinstance(obj, Frame) else iter([obj.filter(slice.arrow)])
            )
            report_only(context, keys)
        written = self.lake.replace(table, rows, schema, slice, order(metadata))
        context.log.debug("%s: %s rows in version %s", table, f"{written.rows:,}", written.version)
        files = [self.lake.root / table / f for f in written.files]
        if slice is not None:
            rows_on = _count(files, slice.column)
            context.add_output_metadata({"rows_written": written.rows, DATES.get(slice.column, "dates"): len(rows_on)})
            counts = {key: rows_on.get(date.fromisoformat(key), 0) for key in context.asset_partition_keys}
            add_partition_metadata(context, {key: {"dagster/partition_row_count": n} for key, n in counts.items()})
        context.add_output_metadata(
            {
                "dagster/row_count": self.lake.rows(table),
                "bytes": written.bytes,
                "files": len(files),
                "version": written.version,
                "folder": dg.MetadataValue.path(str(self.lake.root / table)),
                "preview": _preview(files, schema),
            }
        )


def _slice(context: dg.InputContext | dg.OutputContext, metadata: Any) -> RangeFilter | None:
    """The dates that a run reads or replaces: every partition key is the date its partition begins."""
    keys = context.asset_partition_key_range
    if not keys.start:
        return None
    return RangeFilter(metadata["partition_expr"], date.fromisoformat(keys.start), date.fromisoformat(keys.end))


def _matching(rows: nw.LazyFrame, slice: RangeFilter) -> nw.LazyFrame:
    return rows.filter(slice.narwhals)


def _read(context: dg.InputContext, days: Collection[date]) -> list[date]:
    """The dates of an upstream asset's partitions that are read to build these days."""
    step, upstream = context.step_context, context.asset_partitions_def
    own = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle)
    assert own
    assert own.partitions_def
    keys = own.partitions_def.get_partition_keys_in_range(step.partition_key_range)
    built = own.partitions_def.subset_with_partition_keys([k for k in keys if date.fromisoformat(k) in days])
    # Without a mapping Dagster takes this one.
    mapping = own.get_partition_mapping_for_dep(context.asset_key) or dg.TimeWindowPartitionMapping()
    read = mapping.get_upstream_mapped_partitions_result_for_partitions(built, own.partitions_def, upstream)
    return [date.fromisoformat(key) for key in read.partitions_subset.get_partition_keys()]


def _count(files: list[Storage], column: str) -> dict[date, int]:
    """How many rows the files hold of each date."""
    import pyarrow.parquet as pq

    read = (pq.read_table(f.path, columns=[column], filesystem=f.fs)[column] for f in files)
    dates = pa.chunked_array([chunk for rows in read for chunk in rows.chunks], pa.date32())
    return {c["values"]: c["counts"] for c in dates.value_counts().to_pylist()}


def _preview(files: list[Storage], schema: pa.Schema) -> dg.MetadataValue:
    """The first rows as a table, unless rows are about persons."""
    import pyarrow.parquet as pq

    if any(b"personal" in (f.metadata or {}) for f in schema):
        return dg.MetadataValue.text("not shown: each row is about a person")
    if not files:
        return dg.MetadataValue.text("no rows")
    with files[0].open() as file:
        rows = next(pq.ParquetFile(file).iter_batches(PREVIEW)).to_pylist()
    lines = [" | ".join(_cell(value) for value in row.values()) for row in rows]
    head = [" | ".join(schema.names), " | ".join("---" for _ in schema.names)]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in [*head, *lines]))


def _cell(value: Any) -> str:
    """A value as it stands in a cell: in one line, and no longer than one looks at."""
    if isinstance(value, list):
        return f"[{', '.join(map(_cell, value[:FIRST]))}{', …' if len(value) > FIRST else ''}]"
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return (text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…").replace("|", "\\|")
