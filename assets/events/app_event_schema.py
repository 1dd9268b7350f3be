"""Application event fields: which fields programs send, of which JSON type, and what becomes of them.

The registry that nobody has to keep: a field that is new, that changes its type or that no column holds is seen here on
the day it first arrives, with the program and the version that sent it. All records count, those sent twice too.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import ONLY_DAYS, ROWS, added, checks_of, sums_match_upstream
from assets.partitions import DAY, daily
from resources.frames.frame import Frame
from resources.schema import column

APP_EVENT_SCHEMA = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the events happened"),
        column("field", pa.string(), "name of the field, and of the objects around it"),
        column("type", pa.string(), "its JSON type: string, integer, number, boolean, array, object or null"),
        column(
            "outcome",
            pa.string(),
            "read into a column; extra, as no column is for it; unreadable, so extra as well; personal, so dropped",
        ),
        column("client", pa.string(), "program that sent it", null=True),
        column("client_version", pa.string(), "its version", null=True),
        column("events", pa.int64(), "records that have such a field"),
    ]
)
FIELD = ["day", "field", "type", "outcome", "client", "client_version"]
SHAPE = ["day", "shape", "client", "client_version"]


def count_shapes(raw: nw.LazyFrame) -> nw.LazyFrame:
    """How many records of a program have the same fields: few shapes, however many records."""
    return raw.group_by(*SHAPE).agg(events=nw.len())


def take_apart(shapes: pa.Table) -> pa.Table:
    """A row for each field of each shape."""
    fields = pc.split_pattern(shapes["shape"].combine_chunks(), "\n")
    rows = pc.list_parent_indices(fields)
    told = pc.split_pattern(pc.list_flatten(fields), "\t")
    parts = [pc.list_element(told, n) for n in range(3)] if len(told) else [pa.array([], pa.string())] * 3
    field, type_, outcome = parts
    day, client, version, events = (shapes[c].take(rows) for c in ("day", "client", "client_version", "events"))
    return pa.table([day, field, type_, outcome, client, version, events], APP_EVENT_SCHEMA.names).cast(
        APP_EVENT_SCHEMA
    )


def add_up(fields: nw.LazyFrame) -> nw.LazyFrame:
    """How many records have each field, of whatever shapes."""
    return fields.group_by(*FIELD).agg(nw.col("events").sum())


@dg.asset(
    key_prefix="events",
    ins={"raw_app_events": dg.AssetIn(["events", "raw_app_events"])},
    **daily(APP_EVENT_SCHEMA, key=FIELD, order=["field"]),
)
def app_event_schema(raw_app_events: Frame) -> Frame:
    """Which fields application events had on a day, of which type, and what became of them."""
    shapes = raw_app_events.select(*SHAPE).per(SHAPE, count_shapes)
    return shapes.map(take_apart, schema=APP_EVENT_SCHEMA, kernel="arrow").per(FIELD, add_up)


def is_timestamp() -> nw.Expr:
    """The field that every record has, so that its rows add up to the number of records."""
    return nw.col("field") == "timestamp"


def is_unreadable() -> nw.Expr:
    """Values that are not of the type their column is declared with."""
    return nw.col("outcome") == "unreadable"


checks = [
    checks_of(
        app_event_schema,
        sums_match_upstream(
            dg.AssetKey(["events", "raw_app_events"]),
            ONLY_DAYS,
            {"records": (added("events", is_timestamp, "field"), ROWS)},
            DAY,
            shows={"unreadable_values": added("events", is_unreadable, "outcome")},
        ),
    )
]
