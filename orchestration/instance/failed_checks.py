"""Failed checks: a query on Dagster's event log for the partitions whose last check result is a failure."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from dagster import AssetCheckKey, AssetKey

if TYPE_CHECKING:
    from sqlalchemy import Connection

ENDED = ("SUCCEEDED", "FAILED")  # a planned check may never end


def failed_checks(index: "Connection", tables: Collection[AssetKey]) -> dict[AssetCheckKey, set[str | None]]:
    """Return the checks whose last result is a failure, each with its failed partitions (None without partitions).

    Warnings are not failures.
    """
    # Imported here, since SQLAlchemy takes most of a second and loading definitions does not need it.
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
    from sqlalchemy import func, select, text

    row = AssetCheckExecutionsTable.c
    names = {table.to_string(): table for table in tables}
    # As text: SQLite uses the partial index only if the query has the same condition, not a parameter.
    ever_failed = select(row.asset_key, row.check_name).where(text("execution_status = 'FAILED'")).distinct()
    checks: dict[AssetCheckKey, set[str | None]] = {}
    for name, check in index.execute(ever_failed.where(row.asset_key.in_(names))).all():
        ended = (row.asset_key == name, row.check_name == check, row.execution_status.in_(ENDED))
        newest = select(func.max(row.id)).where(*ended).group_by(row.partition)
        failed = select(row.partition).where(row.id.in_(newest), row.execution_status == "FAILED")
        failed = failed.where(~row.evaluation_event.contains("AssetCheckSeverity.WARN"))
        if partitions := set(index.execute(failed).scalars()):
            checks[AssetCheckKey(names[name], check)] = partitions
    return checks
