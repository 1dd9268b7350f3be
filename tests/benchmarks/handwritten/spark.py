"""The three jobs in SQL, written for Spark alone."""

from collections.abc import Sequence
from typing import Any

from resources.engines.spark import SparkEngine
from tests.benchmarks.jobs import WEEKS


def begin(spill: str) -> Any:
    """Start a session with the platform's settings."""
    return SparkEngine(spill_dir=spill).session


def plays(spark: Any, out: str, listens: Sequence[str]) -> None:
    """Count plays and time per day, listener and recording."""
    spark.read.parquet(*listens).createOrReplaceTempView("listens")
    query = """
        SELECT day, user_id, recording_id, count(*) AS plays, sum(ms_played) AS ms_played
        FROM listens GROUP BY day, user_id, recording_id
    """
    _write(spark.sql(query).sortWithinPartitions("day", "user_id", "recording_id"), out)


def charts(spark: Any, out: str, plays: Sequence[str], artist_plays: Sequence[str], names: Sequence[str]) -> None:
    """Rank recordings and artists by week."""
    for name, files in (("plays", plays), ("artist_plays", artist_plays), ("names", names)):
        spark.read.parquet(*files).createOrReplaceTempView(name)
    first, last = WEEKS
    span = f"day BETWEEN DATE '{first}' - 7 AND DATE '{last}' + 6"
    query = f"""
        WITH counted AS (
            SELECT date(date_trunc('WEEK', day)) AS period_start, 'recording' AS entity, recording_id AS entity_id,
                   user_id, plays, ms_played, least(plays, 3) AS capped
            FROM plays WHERE {span}
            UNION ALL
            SELECT date(date_trunc('WEEK', day)), 'artist', artist_id, user_id, plays, ms_played, least(plays, 3)
            FROM artist_plays WHERE {span}
        ), listened AS (
            SELECT period_start, entity, entity_id, user_id, sum(plays) AS plays, sum(ms_played) AS ms_played,
                   sum(capped) AS capped
            FROM counted GROUP BY 1, 2, 3, 4
        ), totals AS (
            SELECT period_start, entity, entity_id, sum(plays) AS plays, sum(ms_played) AS ms_played,
                   count(*) AS listeners, sum(capped) AS plays_capped
            FROM listened GROUP BY 1, 2, 3
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY period_start, entity ORDER BY plays DESC, entity_id) AS rank
            FROM totals
        ), called AS (
            SELECT date(date_trunc('WEEK', day)) AS period_start, entity, entity_id,
                   max_by(name, struct(day, name)) AS name
            FROM names WHERE {span} GROUP BY 1, 2, 3
        ), named AS (
            SELECT ranked.*, called.name FROM ranked LEFT JOIN called USING (period_start, entity, entity_id)
        ), moved AS (
            SELECT *, lag(struct(period_start, rank, name)) OVER
                (PARTITION BY entity, entity_id ORDER BY period_start) AS before
            FROM named
        )
        SELECT period_start, entity, entity_id, cast(rank AS BIGINT) AS rank, plays, ms_played, listeners, plays_capped,
               cast(if(before.period_start = period_start - 7, before.rank, NULL) AS BIGINT) AS previous_rank,
               coalesce(name, if(before.period_start = period_start - 7, before.name, NULL)) AS name
        FROM moved WHERE period_start BETWEEN DATE '{first}' AND DATE '{last}'
    """
    _write(spark.sql(query).sortWithinPartitions("period_start", "entity", "rank"), out)


def sessions(spark: Any, out: str, listens: Sequence[str]) -> None:
    """Build sessions that end after thirty minutes of silence or at the midnight that closes a day without a gap."""
    spark.read.parquet(*listens).createOrReplaceTempView("listens")
    query = """
        WITH paused AS (
            SELECT user_id, recording_id, listened_at, coalesce(ended_at, listened_at) AS ended_at, ms_played,
                   date_trunc('DAY', listened_at) AS midnight,
                   lag(listened_at) OVER (PARTITION BY user_id ORDER BY listened_at, recording_id) AS before
            FROM listens
        ), opening AS (
            SELECT *, before IS NULL OR listened_at - before > INTERVAL 30 MINUTES AS opens,
                   (before IS NULL OR before < midnight) AND listened_at - midnight <= INTERVAL 30 MINUTES AS early
            FROM paused
        ), opened AS (
            SELECT *, max(CASE WHEN opens AND early THEN midnight WHEN opens THEN listened_at END) OVER
                (PARTITION BY user_id ORDER BY listened_at, recording_id ROWS UNBOUNDED PRECEDING) AS opened
            FROM opening
        ), numbered AS (
            SELECT *, CASE
                WHEN midnight = date_trunc('DAY', opened)
                  OR opened <> date_trunc('DAY', opened)
                     AND midnight - date_trunc('DAY', opened) <= INTERVAL 24 HOURS
                THEN opened ELSE midnight END AS session
            FROM opened
        ), counted AS (
            SELECT user_id, session, recording_id, min(listened_at) AS started_at, max(ended_at) AS ended_at,
                   count(*) AS listens, sum(ms_played) AS ms_played
            FROM numbered GROUP BY 1, 2, 3
        )
        SELECT date(min(started_at)) AS day, user_id, min(started_at) AS started_at, max(ended_at) AS ended_at,
               sum(listens) AS listens, count(*) AS recordings, sum(ms_played) AS ms_played
        FROM counted GROUP BY user_id, session
    """
    _write(spark.sql(query).sortWithinPartitions("day", "user_id", "started_at"), out)


def _write(rows: Any, out: str) -> None:
    rows.write.mode("append").option("compression", "zstd").parquet(out)
