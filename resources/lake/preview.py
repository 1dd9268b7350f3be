"""What the UI shows of the rows that a run wrote: figures of each partition, which it plots, and a preview.

Dagster keeps previews in its history. Those of tables about listeners have no rows, so that erasing a listener leaves
none behind: they show figures of the newest partitions and how values are distributed.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import reduce
from operator import and_
from typing import Any, TypeAlias

import dagster as dg
import pyarrow as pa

from resources.report.markdown import shown, table
from resources.report.plots import histograms
from resources.storage import Storage

Figures: TypeAlias = Mapping[date, Mapping[str, float]]

ROWS = 10
SAMPLE_ROWS = 20_000  # for a distribution
LISTENER = "user_id"
SUMMED = {"listens": "listens", "plays": "plays", "skips": "skips", "ms_played": "hours"}  # names of sums, by column
MS_A_MINUTE, MS_AN_HOUR = 60_000, 3_600_000
ENTITIES = ("recording", "artist")  # of a chart
INLINE_CHARS = 1_000  # Dagster shows longer Markdown behind a link
LEADING = ("rank", "name", "title", "recording_name", "artist_name", "plays", "ms_played", "previous_rank")
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ID_CHARS = 8
CELL_VALUES, CELL_CHARS = 3, 100  # of a list and of a text in a cell


def figures(files: Sequence[Storage], schema: pa.Schema, column: str) -> dict[date, dict[str, float]]:
    """Return figures of each date that has rows: rows, listeners, sums; numbers of a table with a row for each date."""
    summed = [name for name in SUMMED if name in schema.names] if LISTENER in schema.names else []
    by_date: dict[date, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    listeners = []
    for rows in _read(files, [column, *summed, *([LISTENER] if LISTENER in schema.names else [])]):
        counts = rows.group_by(column).aggregate([([], "count_all"), *((name, "sum") for name in summed)])
        for row in counts.to_pylist():
            figure = by_date[row[column]]
            figure["rows"] += row["count_all"]
            for name in summed:
                figure[SUMMED[name]] += (row[f"{name}_sum"] or 0) / (MS_AN_HOUR if name == "ms_played" else 1)
        if LISTENER in schema.names:
            listeners.append(rows.group_by([column, LISTENER]).aggregate([]))
    if listeners:
        distinct = pa.concat_tables(listeners).group_by([column, LISTENER]).aggregate([])
        for row in distinct.group_by(column).aggregate([([], "count_all")]).to_pylist():
            by_date[row[column]]["listeners"] = row["count_all"]
    elif by_date and all(figure["rows"] == 1 for figure in by_date.values()):
        numbers = _numbers(schema)
        for rows in _read(files, [column, *numbers]):
            for row in rows.to_pylist():
                by_date[row[column]] |= {name: row[name] for name in numbers if row[name] is not None}
    return {day: {k: round(v, 3) if v % 1 else int(v) for k, v in by_date[day].items()} for day in sorted(by_date)}


def preview(
    files: Sequence[Storage], schema: pa.Schema, column: str | None = None, by_date: Figures | None = None
) -> dict[str, dg.MetadataValue]:
    """Return a preview as metadata: the first rows of the newest date.

    For a table about listeners, return figures of the newest dates and distributions of the newest date's numbers.
    """
    if not files:
        return {"preview": dg.MetadataValue.text("no rows")}
    newest = max(by_date) if column and by_date else None
    if any(b"personal" in (f.metadata or {}) for f in schema):
        hidden = dg.MetadataValue.text("not shown: the rows are about listeners")
        figures_by_date = shown(_table_of(by_date)) if by_date else hidden
        return {"preview": figures_by_date} | _distributions(files, schema, column, newest)
    left_out = {"entity", *([column] if newest else [])}
    names = _ordered([name for name in schema.names if name not in left_out])
    titles = [_title(name, schema.field(name)) for name in names]
    entities = ENTITIES if "entity" in schema.names else [None]
    parts = [_head(files, schema.names, ROWS // len(entities), column, newest, each).to_pylist() for each in entities]
    for rows_per_part in range(ROWS // len(entities), 0, -1):
        shown_as = f"{newest}:" if newest else ""
        for entity, part in zip(entities, parts, strict=True):
            rows = table(titles, [_cells(row, names, schema) for row in part[:rows_per_part]])
            shown_as = "\n\n".join(filter(None, [shown_as, entity and f"{entity}s", rows]))
        if len(shown_as) < INLINE_CHARS:
            break
    return {"preview": shown(shown_as)}


def _distributions(
    files: Sequence[Storage], schema: pa.Schema, column: str | None, newest: date | None
) -> dict[str, dg.MetadataValue]:
    """Return how the numbers of a table are distributed, of the newest date if there are dates."""
    numbers = _numbers(schema)
    sample = _head(files, numbers, SAMPLE_ROWS, column, newest)
    values: dict[str, list[float]] = {}
    for name in numbers:
        numbers_of_column = [v for v in sample[name].to_pylist() if v is not None]
        minutes = _is_ms(schema.field(name))
        title = f"{_title(name, schema.field(name))}, minutes" if minutes else name.replace("_", " ")
        values[title] = [v / MS_A_MINUTE for v in numbers_of_column] if minutes else numbers_of_column
    return {"distributions": histograms(values)} if any(values.values()) else {}


def _read(files: Sequence[Storage], columns: Sequence[str]) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    for file in files:
        yield pq.read_table(file.path, columns=list(columns), filesystem=file.fs)


def _head(
    files: Sequence[Storage],
    columns: Sequence[str],
    count: int,
    column: str | None,
    newest: date | None,
    entity: str | None = None,
) -> pa.Table:
    """Return the first rows, of the newest date if there are dates, and of one kind of entity if one is named."""
    import pyarrow.dataset as ds

    equal_to = {column: newest, "entity": entity}
    conditions = [ds.field(name) == value for name, value in equal_to.items() if name and value is not None]
    condition = reduce(and_, conditions) if conditions else None
    dataset = ds.dataset([file.path for file in files], filesystem=files[0].fs, format="parquet")
    return dataset.head(count, columns=list(columns), filter=condition)


def _numbers(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]


def _table_of(by_date: Figures) -> str:
    """Return the figures of the newest dates as a table."""
    names = list(dict.fromkeys(name for figure in by_date.values() for name in sorted(figure, key=_last_hours)))
    lines = (
        [str(day), *(f"{round(by_date[day].get(name, 0), 1):,}" for name in names)] for day in sorted(by_date)[-ROWS:]
    )
    return table(["date", *names], lines)


def _last_hours(name: str) -> tuple[bool, bool]:
    return name == "hours", name == "listeners"


def _ordered(names: Sequence[str]) -> list[str]:
    """Return columns in the order in which one reads them: ids last."""
    leading = [name for name in LEADING if name in names]
    ids = [name for name in names if name.endswith(("_id", "_ids", "_key", "sha256")) and name not in leading]
    return [*leading, *(name for name in names if name not in leading and name not in ids), *ids]


def _title(name: str, field: pa.Field) -> str:
    if name == "previous_rank":
        return "movement"
    return name.removeprefix("ms_").removesuffix("_ms") if _is_ms(field) else name


def _is_ms(field: pa.Field) -> bool:
    return (field.metadata or {}).get(b"comment", b"").endswith(b"(ms)")


def _cells(row: Mapping[str, Any], names: Sequence[str], schema: pa.Schema) -> list[str]:
    def cell(name: str) -> str:
        if name == "previous_rank" and "rank" in row:
            return _movement(row["rank"], row[name])
        if _is_ms(schema.field(name)) and isinstance(row[name], int):
            seconds = row[name] // 1000
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return _cell(_brief_id(row[name]))

    return [cell(name) for name in names]


def _brief_id(value: Any) -> Any:
    """Return the first characters of a UUID, so that more rows are in the page."""
    return f"{value[:ID_CHARS]}…" if isinstance(value, str) and UUID.fullmatch(value) else value


def _movement(rank: int, before: int | None) -> str:
    if before is None:
        return "new"
    return "=" if before == rank else f"▲ {before - rank}" if before > rank else f"▼ {rank - before}"


def _cell(value: Any) -> str:
    """Return a value as one line of bounded length."""
    if isinstance(value, list):
        return f"[{', '.join(map(_cell, value[:CELL_VALUES]))}{', …' if len(value) > CELL_VALUES else ''}]"
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= CELL_CHARS else f"{text[: CELL_CHARS - 1]}…"
