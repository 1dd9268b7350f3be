"""Delta tables in delta-rs: create a table, add missing columns, and open a version."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from resources.errors import TuttiError
from resources.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

TRIES = 100  # losing a race costs milliseconds; a hundred losses in a row mean that something else is wrong
KEEP_DAYS = 30  # most mistakes are found within a month; a log that is never shortened takes ever longer to open
SETTINGS = {
    "delta.logRetentionDuration": f"interval {KEEP_DAYS} days",
    "delta.deletedFileRetentionDuration": f"interval {KEEP_DAYS} days",
}


def exists(folder: Storage) -> bool:
    """Return whether the folder contains a table; a table whose creation was interrupted does not count."""
    with plain_errors(folder):
        log = (folder / "_delta_log").files()  # delta-rs would list the whole log
        return any(file.name.endswith(".json") for file in log)


def open_table(folder: Storage, version: int | None = None) -> "DeltaTable":
    """Open the newest version of a table, or an earlier one. Raises `TuttiError` if that version was removed."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    with plain_errors(folder):
        try:
            return DeltaTable(folder.url, version=version, storage_options=folder.options)
        except DeltaError as error:
            if version is None or "log segment" not in str(error).lower():
                raise
            raise TuttiError(f"{folder} has no version {version}. Versions are kept for {KEEP_DAYS} days.") from error


def prepare(folder: Storage, schema: pa.Schema) -> None:
    """Create a table if it does not exist, and add missing columns and settings.

    Raises `TuttiError` if columns have other types than in the schema, or are not in the schema.
    """
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import CommitFailedError

    for attempt in range(TRIES):
        try:
            if exists(folder):
                _adapt(open_table(folder), folder, schema)
            else:
                if not folder.remote:
                    os.makedirs(folder, exist_ok=True)
                DeltaTable.create(
                    folder.url,
                    Schema.from_arrow(schema),
                    mode="ignore",
                    configuration=SETTINGS,
                    storage_options=folder.options,
                    # A retry would come after another writer's creation and declare the table once more.
                    commit_properties=CommitProperties(max_commit_retries=0),
                )
            return
        except CommitFailedError:  # another writer changed the table at the same time
            if attempt == TRIES - 1:
                raise


@contextmanager
def plain_errors(folder: Storage) -> Iterator[None]:
    """Raise `TuttiError` if a table needs a newer delta-rs than the installed one, or as `Storage.plain_errors`."""
    from deltalake.exceptions import DeltaError

    try:
        with folder.plain_errors():
            yield
    except DeltaError as error:
        message = " ".join(str(error).split())
        if "nsupported" not in message and "features must be" not in message:
            raise
        raise TuttiError(
            f"{folder} was written by a newer version of Delta Lake ({message}). Install the version of the package "
            "deltalake that wrote it, or move the folder away and materialize the table again."
        ) from error


def _adapt(delta: "DeltaTable", folder: Storage, schema: pa.Schema) -> None:
    """Add missing columns and settings to a table. Raises as `prepare` does."""
    from deltalake import Schema

    stored = {f.name: f.type for f in pa.schema(delta.schema().to_arrow())}
    for field in schema:
        if stored.get(field.name, field.type) != field.type:
            raise TuttiError(
                f"the column {field.name} of {folder} has the type {stored[field.name]}, but this version of Tutti "
                f"declares {field.type}. Move the folder away and materialize the table again."
            )
    if unknown := [n for n in stored if n not in schema.names]:
        raise TuttiError(
            f"{folder} has the columns {unknown}, which this version of Tutti does not know. Use the version that "
            "wrote them, or move the folder away and materialize the table again."
        )
    if new := [f for f in schema if f.name not in stored]:
        delta.alter.add_columns(list(Schema.from_arrow(pa.schema(new)).fields))
    if SETTINGS.items() - delta.metadata().configuration.items():
        delta.alter.set_table_properties(SETTINGS)
