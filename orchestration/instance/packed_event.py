"""Packed events: the index entry of a partition of a range, in 116 bytes instead of 980.

These events differ only in an id, a date and a number, so each is compressed with a sample event as its dictionary. In
the database, a packed event is a BLOB and any other event is TEXT, so a reader can distinguish them.

Erasure cannot search packed events. So `BatchingEventLog` packs only events without personal data: they contain only
numbers and Dagster's own names.
"""

import zlib
from typing import Any

# Never change it: packed events can be read only with the same sample. zlib refuses any other.
SAMPLE = (
    b'"AssetMaterializationPlannedData", "partitions_subset": null, "ASSET_MATERIALIZATION_PLANNED", '
    b'{"__class__": "EventLogEntry", "dagster_event": {"__class__": "DagsterEvent", "event_specific_data": '
    b'{"__class__": "StepMaterializationData", "asset_lineage": [], "materialization": '
    b'{"__class__": "AssetMaterialization", "asset_key": {"__class__": "AssetKey", "path": ["derived", "events", "'
    b'"]}, "description": null, "metadata_entries": [{"__class__": "EventMetadataEntry", "description": null, '
    b'"entry_data": {"__class__": "IntMetadataEntryData", "value": 1}, "label": "dagster/partition_row_count"}], '
    b'"partition": "2024-01-01", "tags": null}}, "event_type_value": "ASSET_MATERIALIZATION", "logging_tags": {}, '
    b'"message": null, "pid": null, "pipeline_name": "__ASSET_JOB", "solid_handle": null, "step_handle": null, '
    b'"step_key": "derived__", "step_kind_value": "COMPUTE"}, "error_info": null, "level": 10, "message": "", '
    b'"pipeline_name": "daily", "run_id": "", "step_key": "events__", "timestamp": 17, "user_message": ""}'
)


def pack(event: str) -> bytes:
    """Return an event, compressed."""
    packer = zlib.compressobj(zdict=SAMPLE)
    return packer.compress(event.encode()) + packer.flush()


def unpack(stored: bytes) -> str:
    """Return the event that was packed. Raises `zlib.error` for other bytes."""
    unpacker = zlib.decompressobj(zdict=SAMPLE)
    return (unpacker.decompress(stored) + unpacker.flush()).decode()


def unpacked(_: Any, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with packed events as text. Use it as `sqlite3.Connection.row_factory`."""
    return tuple([unpack(value) if type(value) is bytes else value for value in row])
