"""Packed events: what the index keeps of each partition of a range, in 116 bytes instead of 980.

Such events differ in an id, a date and a number only, so each is compressed against a sample of them. In a database a
packed event is a BLOB and any other a TEXT, and both can be read side by side.

Erasure cannot look into a packed event. `BatchingEventLog` packs only those in which it would strike nothing: they have
numbers, and names by which Dagster knows its own things.
"""

import zlib
from typing import Any

# Never change it: events that were packed with it can be read with nothing else. zlib refuses another one.
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
    """Compress an event."""
    packer = zlib.compressobj(zdict=SAMPLE)
    return packer.compress(event.encode()) + packer.flush()


def unpack(stored: bytes) -> str:
    """Return an event as it was before `pack`. Raises `zlib.error` for anything else."""
    unpacker = zlib.decompressobj(zdict=SAMPLE)
    return (unpacker.decompress(stored) + unpacker.flush()).decode()


def unpacked(_: Any, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row of a database with the events in it as text. For `sqlite3.Connection.row_factory`."""
    return tuple([unpack(value) if type(value) is bytes else value for value in row])
