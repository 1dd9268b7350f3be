"""Distant days that one run builds have the same rows as after a backfill of the whole range."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.imports.listens import RAW_LISTENS
from assets.tables import ASSETS, SCHEMAS
from orchestration.cadence import Cadence
from orchestration.instance.home import terminal_instance
from orchestration.run_tags import over
from orchestration.stretches import portions
from resources.environments import environment
from resources.lake.lake import Lake
from tests.oracle import Row, assert_same
from tests.orchestration.support import platform
from tests.tables import LEAP, at, raw, table

RAW = dg.AssetKey(["events", "raw_listens"])
ERRORS_ONLY = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
TODAY = date(2030, 1, 1)
JOBS = ("daily", "active_listeners", "weekly")  # monthly and yearly work like weekly
TABLE_NAMES = {
    "events": ("recording_matches", "duplicate_listens", "listens", "sessions", "daily_listening", "active_listeners"),
    "derived": ("recording_plays", "artist_plays", "display_names", "charts_daily", "charts_weekly"),
}
TABLES = [dg.AssetKey([layer, name]) for layer, names in TABLE_NAMES.items() for name in names]
BEFORE = {0: "ada bo", 3: "ada", 45: "bo", 60: "ada bo", 90: "ada"}  # who listens on which day
AFTER = {0: "ada bo", 3: "ada", 45: "bo", 75: "cy", 90: "ada bo"}
CHANGED = (60, 75, 90)


@pytest.mark.slow
def test_one_run_of_distant_days_gives_the_rows_of_a_full_backfill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cadence = Cadence(platform().resolve_asset_graph())
    jobs = [(job, sorted(job.assets & set(TABLES))) for job in cadence.dated if job.name in JOBS]

    def build(folder: Path, listeners_by_day: Mapping[int, str], days: range | tuple[int, ...]) -> Lake:
        monkeypatch.setenv("TUTTI_DATA_DIR", str(folder))
        monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        lake = Lake(folder / "lake")
        lake.replace("/".join(RAW.path), iter([table(evenings(listeners_by_day), RAW_LISTENS)]), RAW_LISTENS)
        with terminal_instance() as instance:  # its event log stores many partitions at once
            for job, assets in jobs:
                ((portion, keys),) = portions(job, [LEAP + timedelta(days=n) for n in days], TODAY)
                tags = over(keys) | portion.tags
                dg.materialize(ASSETS, ERRORS_ONLY, instance, environment("laptop"), selection=assets, tags=tags)
        return lake

    build(tmp_path / "bit by bit", BEFORE, tuple(BEFORE))
    bit_by_bit = build(tmp_path / "bit by bit", AFTER, CHANGED)
    at_once = build(tmp_path / "at once", AFTER, range(91))
    for name in ("/".join(key.path) for key in TABLES):
        schema = SCHEMAS[name]
        expected = at_once.scan(name, schema).table().to_pylist()
        assert expected, name
        assert_same(bit_by_bit.scan(name, schema).table(), expected, schema)


def evenings(listeners_by_day: Mapping[int, str]) -> list[Row]:
    """Raw listens of evenings that last past midnight, one of them submitted twice."""
    starts = [(LEAP + timedelta(days=n), user) for n, users in listeners_by_day.items() for user in users.split()]
    instants = [(at(day, 23 * 60 + minutes), user) for day, user in starts for minutes in (0, 0, 25, 50, 75)]
    return [raw(when, n, user, recording_name=f"Song {when.minute}") for n, (when, user) in enumerate(instants)]
