"""Delta tables as delta-rs has them: made, given the columns they lack, and opened."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from resources.errors import TuttiError
from resources.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable

TRIES = 100  # losing a race costs milliseconds; a hundred losses in a row mean something else is wrong
KEEP_DAYS = 30  # most mistakes are found within a month; a log kept for ever takes ever longer to open
SETTINGS = {
    "delta.logRetentionDuration": f"interval {KEEP_DAYS} days",
    "delta.deletedFileRetentionDuration": f"interval {KEEP_DAYS} days",
}


def exists(folder: Storage) -> bool:
    """Whether there is a table in the folder; one whose making was cut short is none."""
    with understood(folder):
        log = (folder / "_delta_log").files()  # delta-rs would list it whole
        return any(file.name.endswith(".json") for file in log)


def opened(folder: Storage, version: int | None = None) -> "DeltaTable":
    """A table now or at an earlier version. Raises `TuttiError` for a version that is gone."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    with understood(folder):
        try:
            return DeltaTable(folder.url, version=version, storage_options=folder.options)
        except DeltaError as error:
            if version is None or "log segment" not in str(error).lower():
                raise
            raise TuttiError(
                f"{folder} has no version {version}: its versions can be read for {KEEP_DAYS} days"
            ) from error


def prepare(folder: Storage, schema: pa.Schema) -> None:
    """Make a table if there is none, and give it the columns and settings it lacks.

    Raises `TuttiError` where its columns have other types, or some are not in the schema.
    """
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import CommitFailedError

    for attempt in range(TRIES):
        try:
            if exists(folder):
                _adapt(opened(folder), folder, schema)
            else:
                if not folder.remote:
                    os.makedirs(folder, exist_ok=True)
                DeltaTable.create(
                    folder.url,
                    Schema.from_arrow(schema),
                    mode="ignore",
                    configuration=SETTINGS,
                    storage_options=folder.options,
                    # A second try would come after the other's creation and declare the table once more.
                    commit_properties=CommitProperties(max_commit_retries=0),
                )
            return
        except CommitFailedError:  # somebody else was at it
            if attempt == TRIES - 1:
                raise


@contextmanager
def understood(folder: Storage) -> Iterator[None]:
    """Raise `TuttiError` if a table needs a newer delta-rs than the one installed, or its bucket refuses."""
    from deltalake.exceptions import DeltaError

    try:
        with folder.plain_errors():
            yield
    except DeltaError as error:
        told = " ".join(str(error).split())
        if "nsupported" not in told and "features must be" not in told:
            raise
        raise TuttiError(
            f"{folder} was written by a newer version of Delta Lake ({told}): install the deltalake package that wrote "
            "it, or move the folder away and materialize the table again"
        ) from error


def _adapt(delta: "DeltaTable", folder: Storage, schema: pa.Schema) -> None:
    """Give a table the columns and settings it lacks."""
    from deltalake import Schema

    stored = {f.name: f.type for f in pa.schema(delta.schema().to_arrow())}
    for field in schema:
        if stored.get(field.name, field.type) != field.type:
            raise TuttiError(
                f"{folder} was written with {field.name} as {stored[field.name]}, now it is {field.type}: move the "
                "folder away and materialize the table again"
            )
    if unknown := [n for n in stored if n not in schema.names]:
        raise TuttiError(
            f"{folder} holds columns {unknown} that this version of the platform does not know: use the version that "
            "wrote it, or move the folder away and materialize the table again"
        )
    if new := [f for f in schema if f.name not in stored]:
        delta.alter.add_columns(list(Schema.from_arrow(pa.schema(new)).fields))
    if SETTINGS.items() - delta.metadata().configuration.items():
        delta.alter.set_table_properties(SETTINGS)
