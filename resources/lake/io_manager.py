"""The lake as a Dagster IO manager: assets receive frames on the run's engine and return frames.

This module translates between Dagster (keys, partitions, metadata) and the lake (tables, filters, schemas).
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

PREVIEW_ROWS, PREVIEW_VALUES, PREVIEW_CHARS = 10, 3, 100  # rows, values of a list and letters of a text in a preview
DATES = {"day": "days", "period_start": "periods"}  # the metadata key for the number of dates with rows, by column


class LakeIO(dg.ConfigurableIOManager):
    """Reads and writes the partitions of a run; the folder of a table is its asset's key."""

    engine: dg.ResourceDependency[EngineResource]
    root: str
    _days: frozenset[date] = PrivateAttr(default=frozenset())  # days that the run builds; empty if the whole range

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LakeIO"]:
        """Yield itself to a run, under the shared lock of the data folder, so that no erasure starts meanwhile."""
        self._days = tagged_days(context.run.tags if context.run else {})
        with shared_lock_of(self.lake.root):
            yield self

    @property
    def lake(self) -> Lake:
        """Return the lake."""
        return Lake(self.root)

    def open(self, asset: dg.AssetKey, schema: pa.Schema, where: RangeFilter | None = None) -> Frame:
        """Open an asset's table, or the rows that `where` selects, on the run's engine.

        If the run builds only some days, a range is narrowed to them.
        """
        if self._days and type(where) is RangeFilter:
            where = ValuesFilter.of(where.column, (d for d in self._days if where.first <= d <= where.last))
        return self.engine.engine.read(self.lake.scan("/".join(asset.path), schema, where))

    def load_input(self, context: dg.InputContext) -> Frame:
        """Open an upstream asset, or the partitions of it that this run maps to."""
        pa.default_memory_pool().release_unused()  # Arrow would keep the memory of earlier steps
        upstream = context.upstream_output
        metadata = (upstream.definition_metadata if upstream else None) or context.definition_metadata
        where = _slice(context, metadata) if context.has_asset_partitions else None
        if where and self._days:
            where = ValuesFilter.of(where.column, _read(context, self._days))
        table = "/".join(context.asset_key.path)
        if where and not self.lake.exists(table):
            context.log.warning("%s has never been written: reading it as an empty table", table)
        scan = self.lake.scan(table, declared(metadata), where)
        provenance.note(context, table, scan.version)
        return self.engine.engine.read(scan)

    def handle_output(self, context: dg.OutputContext, obj: Frame | pa.Table) -> None:
        """Write an asset's result, and report its metadata: totals, and the number of rows of each partition."""
        metadata = context.definition_metadata
        table, schema = "/".join(context.asset_key.path), declared(metadata)
        rows = obj if isinstance(obj, Frame) else iter([obj])
        where = _slice(context, metadata) if context.has_asset_partitions else None
        if where and self._days:
            keys = [key for key in context.asset_partition_keys if date.fromisoformat(key) in self._days]
            where = ValuesFilter.of(where.column, map(date.fromisoformat, keys))
            rows = (
                obj.map(partial(_matching, where=where)) if isinstance(obj, Frame) else iter([obj.filter(where.arrow)])
            )
            report_only(context, keys)
        written = self.lake.replace(table, rows, schema, where, order(metadata))
        context.log.debug("%s: %s rows in version %s", table, f"{written.rows:,}", written.version)
        files = [self.lake.root / table / f for f in written.files]
        if where is not None:
            rows_on = _count(files, where.column)
            context.add_output_metadata({"rows_written": written.rows, DATES.get(where.column, "dates"): len(rows_on)})
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
    """Return a filter of the dates that a run reads or replaces; a partition key is the first date of a partition."""
    keys = context.asset_partition_key_range
    if not keys.start:
        return None
    return RangeFilter(metadata["partition_expr"], date.fromisoformat(keys.start), date.fromisoformat(keys.end))


def _matching(rows: nw.LazyFrame, where: RangeFilter) -> nw.LazyFrame:
    return rows.filter(where.narwhals)


def _read(context: dg.InputContext, days: Collection[date]) -> list[date]:
    """Return the dates of the upstream partitions that are needed to build these days."""
    step, upstream = context.step_context, context.asset_partitions_def
    definition = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle)
    assert definition
    assert definition.partitions_def
    keys = definition.partitions_def.get_partition_keys_in_range(step.partition_key_range)
    built = definition.partitions_def.subset_with_partition_keys([k for k in keys if date.fromisoformat(k) in days])
    # Dagster's default mapping.
    mapping = definition.get_partition_mapping_for_dep(context.asset_key) or dg.TimeWindowPartitionMapping()
    read = mapping.get_upstream_mapped_partitions_result_for_partitions(built, definition.partitions_def, upstream)
    return [date.fromisoformat(key) for key in read.partitions_subset.get_partition_keys()]


def _count(files: list[Storage], column: str) -> dict[date, int]:
    """Return the number of rows in the files by date."""
    import pyarrow.parquet as pq

    read = (pq.read_table(f.path, columns=[column], filesystem=f.fs)[column] for f in files)
    dates = pa.chunked_array([chunk for rows in read for chunk in rows.chunks], pa.date32())
    return {c["values"]: c["counts"] for c in dates.value_counts().to_pylist()}


def _preview(files: list[Storage], schema: pa.Schema) -> dg.MetadataValue:
    """Return the first rows as a Markdown table, unless the table has personal data."""
    import pyarrow.parquet as pq

    if any(b"personal" in (f.metadata or {}) for f in schema):
        return dg.MetadataValue.text("not shown: the rows contain personal data")
    if not files:
        return dg.MetadataValue.text("no rows")
    with files[0].open() as file:
        rows = next(pq.ParquetFile(file).iter_batches(PREVIEW_ROWS)).to_pylist()
    lines = [" | ".join(_cell(value) for value in row.values()) for row in rows]
    head = [" | ".join(schema.names), " | ".join("---" for _ in schema.names)]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in [*head, *lines]))


def _cell(value: Any) -> str:
    """Format a value for a cell: one line, shortened."""
    if isinstance(value, list):
        return f"[{', '.join(map(_cell, value[:PREVIEW_VALUES]))}{', …' if len(value) > PREVIEW_VALUES else ''}]"
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return (text if len(text) <= PREVIEW_CHARS else f"{text[: PREVIEW_CHARS - 1]}…").replace("|", "\\|")
