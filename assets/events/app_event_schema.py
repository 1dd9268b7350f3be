"""Application event schema: the fields that programs send, their JSON types, and their outcomes.

A schema registry without maintenance: a new field, a changed type or a field without a column appears here on its first
day, with the program and version that sent it. All records count, including duplicates.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import ONLY_DAYS, ROWS, checks_of, sum_of, sums_match_upstream
from assets.partitions import DAY, daily
from resources.frames.frame import Frame
from resources.schema import column

APP_EVENT_SCHEMA = pa.schema(
    [
        column("day", pa.date32(), "UTC day of the events"),
        column("field", pa.string(), "name of the field, after the names of its enclosing objects"),
        column("type", pa.string(), "JSON type: string, integer, number, boolean, array, object or null"),
        column(
            "outcome",
            pa.string(),
            "read (in a column), extra (in `extra`, without a column), unreadable (in `extra`, wrong type) or "
            "personal (dropped)",
        ),
        column("client", pa.string(), "program that sent the field", null=True),
        column("client_version", pa.string(), "version of the program", null=True),
        column("events", pa.int64(), "number of records with the field"),
    ]
)
FIELD = ["day", "field", "type", "outcome", "client", "client_version"]
SHAPE = ["day", "shape", "client", "client_version"]


def count_shapes(raw: nw.LazyFrame) -> nw.LazyFrame:
    """Count the records of each shape and program. There are few shapes, even with many records."""
    return raw.group_by(*SHAPE).agg(events=nw.len())


def split_shapes(shapes: pa.Table) -> pa.Table:
    """Return a row for each field of each shape."""
    fields = pc.split_pattern(shapes["shape"].combine_chunks(), "\n")
    rows = pc.list_parent_indices(fields)
    values = pc.split_pattern(pc.list_flatten(fields), "\t")
    parts = [pc.list_element(values, n) for n in range(3)] if len(values) else [pa.array([], pa.string())] * 3
    field, type_, outcome = parts
    day, client, version, events = (shapes[c].take(rows) for c in ("day", "client", "client_version", "events"))
    return pa.table([day, field, type_, outcome, client, version, events], APP_EVENT_SCHEMA.names).cast(
        APP_EVENT_SCHEMA
    )


def add_up(fields: nw.LazyFrame) -> nw.LazyFrame:
    """Add up the records with each field over all shapes."""
    return fields.group_by(*FIELD).agg(nw.col("events").sum())


@dg.asset(
    key_prefix="events",
    ins={"raw_app_events": dg.AssetIn(["events", "raw_app_events"])},
    **daily(APP_EVENT_SCHEMA, key=FIELD, order=["field"]),
)
def app_event_schema(raw_app_events: Frame) -> Frame:
    """Fields of raw application events by UTC day, with JSON type, program and outcome."""
    shapes = raw_app_events.select(*SHAPE).per(SHAPE, count_shapes)
    return shapes.map(split_shapes, schema=APP_EVENT_SCHEMA, kernel="arrow").per(FIELD, add_up)


def is_timestamp() -> nw.Expr:
    """Match the field that every record has, whose rows add up to the number of records."""
    return nw.col("field") == "timestamp"


def is_unreadable() -> nw.Expr:
    """Match values of another type than their column."""
    return nw.col("outcome") == "unreadable"


checks = [
    checks_of(
        app_event_schema,
        sums_match_upstream(
            dg.AssetKey(["events", "raw_app_events"]),
            ONLY_DAYS,
            {"records": (sum_of("events", is_timestamp, "field"), ROWS)},
            DAY,
            shows={"unreadable_values": sum_of("events", is_unreadable, "outcome")},
        ),
    )
]
