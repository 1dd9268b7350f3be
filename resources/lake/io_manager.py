"""The lake as a Dagster IO manager: assets receive frames on the run's engine and return frames.

This module translates between Dagster (keys, partitions, metadata) and the lake (tables, filters, schemas).
"""

from collections.abc import Collection, Iterator, Mapping
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
from resources.lake.preview import figures, preview
from resources.locks import shared_lock_of
from resources.materializations import add_partition_metadata, report_only
from resources.schema import declared, order

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
        dated = context.has_asset_partitions and _consumer(context).partitions_def
        where = _slice(context, metadata) if dated else None
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
        keys = context.asset_partition_keys if where else []
        if where and self._days:
            keys = [key for key in keys if date.fromisoformat(key) in self._days]
            where = ValuesFilter.of(where.column, map(date.fromisoformat, keys))
            rows = (
                obj.map(partial(_matching, where=where)) if isinstance(obj, Frame) else iter([obj.filter(where.arrow)])
            )
            report_only(context, keys)
        written = self.lake.replace(table, rows, schema, where, order(metadata))
        context.log.debug("%s: %s rows in version %s", table, f"{written.rows:,}", written.version)
        files = [self.lake.root / table / f for f in written.files]
        totals: dict[str, Any] = {
            "dagster/row_count": self.lake.rows(table),
            "bytes": written.bytes,
            "files": len(files),
            "version": written.version,
            "folder": dg.MetadataValue.path(str(self.lake.root / table)),
        }
        if where is None:
            context.add_output_metadata(totals | preview(files, schema))
            return
        by_date = figures(files, schema, where.column)
        totals |= {
            "rows_written": written.rows,
            DATES.get(where.column, "dates"): len(by_date),
            **preview(files, schema, where.column, by_date),
        }
        by_partition = {key: _partition(by_date.get(date.fromisoformat(key), {})) for key in keys}
        # Totals are shown with the last partition only: repeated for each, Dagster would plot them as a flat line.
        add_partition_metadata(context, by_partition | {last: by_partition[last] | totals for last in keys[-1:]})


def _partition(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures of a partition, under Dagster's name for its rows."""
    return {"dagster/partition_row_count": figures.get("rows", 0)} | {k: v for k, v in figures.items() if k != "rows"}


def _slice(context: dg.InputContext | dg.OutputContext, metadata: Any) -> RangeFilter | None:
    """Return a filter of the dates that a run reads or replaces; a partition key is the first date of a partition."""
    keys = context.asset_partition_key_range
    if not keys.start:
        return None
    return RangeFilter(metadata["partition_expr"], date.fromisoformat(keys.start), date.fromisoformat(keys.end))


def _consumer(context: dg.InputContext) -> dg.AssetsDefinition:
    """Return the definition whose step reads. Without partitions it reads all rows, also those without a date."""
    definition = context.step_context.job_def.asset_layer.get_assets_def_for_node(context.step_context.node_handle)
    assert definition
    return definition


def _matching(rows: nw.LazyFrame, where: RangeFilter) -> nw.LazyFrame:
    return rows.filter(where.narwhals)


def _read(context: dg.InputContext, days: Collection[date]) -> list[date]:
    """Return the dates of the upstream partitions that are needed to build these days."""
    step, upstream, definition = context.step_context, context.asset_partitions_def, _consumer(context)
    assert definition.partitions_def
    keys = definition.partitions_def.get_partition_keys_in_range(step.partition_key_range)
    built = definition.partitions_def.subset_with_partition_keys([k for k in keys if date.fromisoformat(k) in days])
    # Dagster's default mapping.
    mapping = definition.get_partition_mapping_for_dep(context.asset_key) or dg.TimeWindowPartitionMapping()
    read = mapping.get_upstream_mapped_partitions_result_for_partitions(built, definition.partitions_def, upstream)
    return [date.fromisoformat(key) for key in read.partitions_subset.get_partition_keys()]
