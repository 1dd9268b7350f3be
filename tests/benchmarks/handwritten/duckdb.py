"""The three jobs in SQL, written for DuckDB alone."""

from collections.abc import Sequence
from typing import Any

import duckdb

from tests.benchmarks.jobs import MEMORY_GB, WEEKS


def begin(spill: str) -> Any:
    """Open a connection."""
    database = duckdb.connect(config={"memory_limit": f"{MEMORY_GB}GB", "temp_directory": spill})
    database.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    return database


def plays(database: Any, out: str, listens: Sequence[str]) -> None:
    """Count plays and time per day, listener and recording."""
    _write(
        database,
        f"""
        SELECT day, user_id, recording_id, count(*) AS plays, sum(ms_played)::BIGINT AS ms_played
        FROM {_table(listens)} GROUP BY ALL ORDER BY day, user_id, recording_id
        """,
        out,
    )


def charts(database: Any, out: str, plays: Sequence[str], artist_plays: Sequence[str], names: Sequence[str]) -> None:
    """Rank recordings and artists by week."""
    first, last = WEEKS
    span = f"day BETWEEN DATE '{first}' - 7 AND DATE '{last}' + 6"
    _write(
        database,
        f"""
        WITH counted AS (
            SELECT date_trunc('week', day)::DATE AS period_start, 'recording' AS entity, recording_id AS entity_id,
                   user_id, plays, ms_played, least(plays, 3) AS capped
            FROM {_table(plays)} WHERE {span}
            UNION ALL
            SELECT date_trunc('week', day)::DATE, 'artist', artist_id, user_id, plays, ms_played, least(plays, 3)
            FROM {_table(artist_plays)} WHERE {span}
        ), totals AS (
            SELECT period_start, entity, entity_id, sum(plays)::BIGINT AS plays, sum(ms_played)::BIGINT AS ms_played,
                   count(DISTINCT user_id) AS listeners, sum(capped)::BIGINT AS plays_capped
            FROM counted GROUP BY ALL
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY period_start, entity ORDER BY plays DESC, entity_id) AS rank
            FROM totals
        ), called AS (
            SELECT date_trunc('week', day)::DATE AS period_start, entity, entity_id, arg_max(name, (day, name)) AS name
            FROM {_table(names)} WHERE {span} GROUP BY ALL
        )
        SELECT now.period_start, now.entity, now.entity_id, now.rank, now.plays, now.ms_played, now.listeners,
               now.plays_capped, before.rank AS previous_rank, coalesce(called.name, earlier.name) AS name
        FROM ranked AS now
        LEFT JOIN ranked AS before ON before.period_start = now.period_start - 7
            AND before.entity = now.entity AND before.entity_id = now.entity_id
        LEFT JOIN called ON called.period_start = now.period_start
            AND called.entity = now.entity AND called.entity_id = now.entity_id
        LEFT JOIN called AS earlier ON earlier.period_start = now.period_start - 7
            AND earlier.entity = now.entity AND earlier.entity_id = now.entity_id
        WHERE now.period_start BETWEEN DATE '{first}' AND DATE '{last}'
        ORDER BY now.period_start, now.entity, now.rank
        """,
        out,
    )


def sessions(database: Any, out: str, listens: Sequence[str]) -> None:
    """Build sessions that end after thirty minutes of silence or at the midnight that closes a day without a gap."""
    _write(
        database,
        f"""
        WITH paused AS (
            SELECT user_id, recording_id, listened_at, coalesce(ended_at, listened_at) AS ended_at, ms_played,
                   date_trunc('day', listened_at) AS midnight,
                   lag(listened_at) OVER (PARTITION BY user_id ORDER BY listened_at, recording_id) AS before
            FROM {_table(listens)}
        ), opening AS (
            SELECT *, before IS NULL OR listened_at - before > INTERVAL 30 MINUTE AS opens,
                   (before IS NULL OR before < midnight) AND listened_at - midnight <= INTERVAL 30 MINUTE AS early
            FROM paused
        ), opened AS (
            SELECT *, max(CASE WHEN opens AND early THEN midnight WHEN opens THEN listened_at END)
                   OVER (PARTITION BY user_id ORDER BY listened_at, recording_id ROWS UNBOUNDED PRECEDING) AS opened
            FROM opening
        ), numbered AS (
            SELECT *, CASE
                WHEN midnight = date_trunc('day', opened)
                  OR opened <> date_trunc('day', opened) AND midnight - date_trunc('day', opened) <= INTERVAL 1 DAY
                THEN opened ELSE midnight END AS session
            FROM opened
        )
        SELECT min(listened_at)::DATE AS day, user_id, min(listened_at) AS started_at, max(ended_at) AS ended_at,
               count(*) AS listens, count(DISTINCT recording_id) AS recordings, sum(ms_played)::BIGINT AS ms_played
        FROM numbered GROUP BY user_id, session ORDER BY day, user_id, started_at
        """,
        out,
    )


def _table(files: Sequence[str]) -> str:
    return f"read_parquet({list(files)!r})"


def _write(database: Any, query: str, out: str) -> None:
    database.execute(
        f"COPY ({query}) TO '{out}/rows.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"
    )
