"""The three jobs, written for pandas alone."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from tests.benchmarks.jobs import GAP, WEEKS

ONE_DAY = np.timedelta64(1, "D")
LISTENED = ["day", "user_id", "recording_id", "listened_at", "ended_at", "ms_played"]


def begin(spill: str) -> None:
    """Do nothing: pandas needs no start."""


def plays(handle: None, out: str, listens: Sequence[str]) -> None:
    """Count plays and time per day, listener and recording."""
    write(count_plays(read(listens, ["day", "user_id", "recording_id", "ms_played"])), f"{out}/rows.parquet")


def count_plays(listens: pd.DataFrame) -> pd.DataFrame:
    """Count the plays and time of listens per day, listener and recording."""
    keys = ["day", "user_id", "recording_id"]
    return listens.groupby(keys).agg(plays=("ms_played", "size"), ms_played=("ms_played", "sum")).reset_index()


def charts(handle: None, out: str, plays: Sequence[str], artist_plays: Sequence[str], names: Sequence[str]) -> None:
    """Rank recordings and artists by week."""
    totals = pd.concat(
        [
            count_by_week(read(files, ["day", "user_id", id_column, "plays", "ms_played"]), id_column, entity)
            for files, id_column, entity in (
                (plays, "recording_id", "recording"),
                (artist_plays, "artist_id", "artist"),
            )
        ]
    )
    write(rank(totals, read(names)), f"{out}/rows.parquet")


def count_by_week(plays: pd.DataFrame, id_column: str, entity: str) -> pd.DataFrame:
    """Count plays, time and listeners per week and recording (or artist)."""
    plays = _in_weeks(plays)
    plays["plays_capped"] = plays["plays"].clip(upper=3)
    counts = ["plays", "ms_played", "plays_capped"]
    by_listener = plays.groupby(["period_start", id_column, "user_id"], sort=False)[counts].sum()
    totals = by_listener.groupby(level=["period_start", id_column], sort=False).agg(
        plays=("plays", "sum"),
        ms_played=("ms_played", "sum"),
        listeners=("plays", "size"),
        plays_capped=("plays_capped", "sum"),
    )
    return totals.reset_index().rename(columns={id_column: "entity_id"}).assign(entity=entity)


def rank(totals: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Add rank, previous rank and name."""
    order = ["period_start", "entity", "plays", "entity_id"]
    chart = totals.sort_values(order, ascending=[True, True, False, True])
    chart["rank"] = chart.groupby(["period_start", "entity"]).cumcount() + 1
    key = ["period_start", "entity", "entity_id"]
    latest_names = _in_weeks(names).sort_values(["day", "name"]).drop_duplicates(key, keep="last")[[*key, "name"]]
    chart = chart.merge(latest_names, on=key, how="left")
    before = chart[[*key, "rank", "name"]].rename(columns={"rank": "previous_rank", "name": "earlier"})
    before["period_start"] += pd.Timedelta(days=7)
    chart = chart.merge(before, on=key, how="left")
    chart["name"] = chart["name"].fillna(chart.pop("earlier"))
    chart["previous_rank"] = chart["previous_rank"].astype("Int64")
    first, last = map(pd.Timestamp, WEEKS)
    return chart[chart["period_start"].between(first, last)].sort_values(["period_start", "entity", "rank"])


def sessions(handle: None, out: str, listens: Sequence[str]) -> None:
    """Build sessions that end after thirty minutes of silence or at the midnight that closes a day without a gap."""
    write(sessionize(read(listens, LISTENED)), f"{out}/rows.parquet")


def sessionize(listens: pd.DataFrame) -> pd.DataFrame:
    """Build the sessions of all listens of some listeners."""
    rows = listens.sort_values(["user_id", "listened_at"], ignore_index=True)
    when = rows["listened_at"].dt.tz_localize(None)
    midnight = when.dt.floor("D")
    new = ~rows["user_id"].duplicated()
    before = when.shift().mask(new)
    opens = (new | (when - before > GAP)).to_numpy()
    early = ((new | (before < midnight)) & (when - midnight <= GAP)).to_numpy()
    opening = np.flatnonzero(opens)[np.cumsum(opens) - 1]  # the row that opened the session of each row
    began, day = midnight.to_numpy()[opening], midnight.to_numpy()
    part = np.where(early[opening] | (day - began > ONE_DAY), day, began)
    rows["session"] = np.cumsum(opens | np.concatenate([[True], part[1:] != part[:-1]]))
    rows["ended_at"] = rows["ended_at"].fillna(rows["listened_at"])
    sessions = rows.groupby("session", sort=False).agg(
        day=("day", "first"),
        user_id=("user_id", "first"),
        started_at=("listened_at", "first"),
        ended_at=("ended_at", "max"),
        listens=("listened_at", "size"),
        ms_played=("ms_played", "sum"),
    )
    recordings = rows[["session", "recording_id"]].drop_duplicates().groupby("session", sort=False).size()
    return sessions.assign(recordings=recordings).sort_values(["day", "user_id", "started_at"])


def _in_weeks(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of the charted weeks and the week before, and add the Monday of each."""
    day = rows["day"]
    first, last = pd.Timestamp(WEEKS[0]) - pd.Timedelta(days=7), pd.Timestamp(WEEKS[1]) + pd.Timedelta(days=6)
    rows = rows.assign(period_start=day - pd.to_timedelta(day.dt.day_of_week, unit="D"))
    return rows[day.between(first, last)]


def read(files: Sequence[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Read columns of files, with dates as pandas timestamps."""
    return ds.dataset(list(files)).to_table(columns).to_pandas(date_as_object=False)


def write(rows: pd.DataFrame, path: str) -> None:
    """Write rows to a Parquet file."""
    rows.to_parquet(path, compression="zstd", index=False, row_group_size=100_000)
