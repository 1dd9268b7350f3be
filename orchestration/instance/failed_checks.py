"""Failed checks: of which partitions of tables a check ended with a failure last, as Dagster's event log has it."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from dagster import AssetCheckKey, AssetKey

if TYPE_CHECKING:
    from sqlalchemy import Connection

ENDED = ("SUCCEEDED", "FAILED")  # how a check ended; one that is planned may never end


def failed_checks(index: "Connection", tables: Collection[AssetKey]) -> dict[AssetCheckKey, set[str | None]]:
    """Return the checks of tables that ended with a failure last, each with the partitions, or None for no partition.

    Warnings are not failures.
    """
    # Here: SQLAlchemy takes most of a second to import, and definitions load without it.
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
    from sqlalchemy import func, select, text

    row = AssetCheckExecutionsTable.c
    names = {table.to_string(): table for table in tables}
    # As text: SQLite uses an index with a condition if the query has the same one, not if it has a parameter.
    ever = select(row.asset_key, row.check_name).where(text("execution_status = 'FAILED'")).distinct()
    found: dict[AssetCheckKey, set[str | None]] = {}
    for name, check in index.execute(ever.where(row.asset_key.in_(names))).all():
        ended = (row.asset_key == name, row.check_name == check, row.execution_status.in_(ENDED))
        newest = select(func.max(row.id)).where(*ended).group_by(row.partition)
        failed = select(row.partition).where(row.id.in_(newest), row.execution_status == "FAILED")
        failed = failed.where(~row.evaluation_event.contains("AssetCheckSeverity.WARN"))
        if partitions := set(index.execute(failed).scalars()):
            found[AssetCheckKey(names[name], check)] = partitions
    return found
