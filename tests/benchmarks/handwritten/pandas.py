"""The three jobs as one would write them for pandas alone."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from tests.benchmarks.jobs import GAP, WEEKS

ONE_DAY = np.timedelta64(1, "D")
LISTENED = ["day", "user_id", "recording_id", "listened_at", "ended_at", "ms_played"]


def begin(spill: str) -> None:
    """Nothing to start."""


def plays(started: None, out: str, listens: Sequence[str]) -> None:
    """Plays and time of each day, listener and recording."""
    write(count_plays(read(listens, ["day", "user_id", "recording_id", "ms_played"])), f"{out}/rows.parquet")


def count_plays(listens: pd.DataFrame) -> pd.DataFrame:
    """Plays and time of each day, listener and recording, by these."""
    keys = ["day", "user_id", "recording_id"]
    return listens.groupby(keys).agg(plays=("ms_played", "size"), ms_played=("ms_played", "sum")).reset_index()


def charts(started: None, out: str, plays: Sequence[str], artist_plays: Sequence[str], names: Sequence[str]) -> None:
    """Weekly charts of recordings and artists."""
    heard = pd.concat(
        [
            of_each(read(files, ["day", "user_id", id, "plays", "ms_played"]), id, entity)
            for files, id, entity in ((plays, "recording_id", "recording"), (artist_plays, "artist_id", "artist"))
        ]
    )
    write(rank(heard, read(names)), f"{out}/rows.parquet")


def of_each(plays: pd.DataFrame, id: str, entity: str) -> pd.DataFrame:
    """Plays, time and listeners of each week and recording (or artist)."""
    plays = _in_weeks(plays)
    plays["plays_capped"] = plays["plays"].clip(upper=3)
    counts = ["plays", "ms_played", "plays_capped"]
    of_each = plays.groupby(["period_start", id, "user_id"], sort=False)[counts].sum()
    totals = of_each.groupby(level=["period_start", id], sort=False).agg(
        plays=("plays", "sum"),
        ms_played=("ms_played", "sum"),
        listeners=("plays", "size"),
        plays_capped=("plays_capped", "sum"),
    )
    return totals.reset_index().rename(columns={id: "entity_id"}).assign(entity=entity)


def rank(totals: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Places, movement and names."""
    order = ["period_start", "entity", "plays", "entity_id"]
    chart = totals.sort_values(order, ascending=[True, True, False, True])
    chart["rank"] = chart.groupby(["period_start", "entity"]).cumcount() + 1
    key = ["period_start", "entity", "entity_id"]
    called = _in_weeks(names).sort_values(["day", "name"]).drop_duplicates(key, keep="last")[[*key, "name"]]
    chart = chart.merge(called, on=key, how="left")
    before = chart[[*key, "rank", "name"]].rename(columns={"rank": "previous_rank", "name": "earlier"})
    before["period_start"] += pd.Timedelta(days=7)
    chart = chart.merge(before, on=key, how="left")
    chart["name"] = chart["name"].fillna(chart.pop("earlier"))
    chart["previous_rank"] = chart["previous_rank"].astype("Int64")
    first, last = map(pd.Timestamp, WEEKS)
    return chart[chart["period_start"].between(first, last)].sort_values(["period_start", "entity", "rank"])


def sessions(started: None, out: str, listens: Sequence[str]) -> None:
    """Sessions of thirty minutes' silence, cut at the closing midnight of a day without a gap."""
    write(sessionize(read(listens, LISTENED)), f"{out}/rows.parquet")


def sessionize(listens: pd.DataFrame) -> pd.DataFrame:
    """The sessions of whole listeners."""
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
    heard = rows[["session", "recording_id"]].drop_duplicates().groupby("session", sort=False).size()
    return sessions.assign(recordings=heard).sort_values(["day", "user_id", "started_at"])


def _in_weeks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the weeks charted and the one before, with the Monday of each."""
    day = rows["day"]
    first, last = pd.Timestamp(WEEKS[0]) - pd.Timedelta(days=7), pd.Timestamp(WEEKS[1]) + pd.Timedelta(days=6)
    rows = rows.assign(period_start=day - pd.to_timedelta(day.dt.day_of_week, unit="D"))
    return rows[day.between(first, last)]


def read(files: Sequence[str], columns: list[str] | None = None) -> pd.DataFrame:
    """Some columns of files, with dates as pandas has them."""
    return ds.dataset(list(files)).to_table(columns).to_pandas(date_as_object=False)


def write(rows: pd.DataFrame, path: str) -> None:
    """Store rows."""
    rows.to_parquet(path, compression="zstd", index=False, row_group_size=100_000)
