"""The listen generator writes a sandbox world of any size to the lake, in one commit."""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from numpy.typing import NDArray

from assets.content.recordings import RECORDINGS
from assets.events.duplicate_listens import duplicate_listens
from assets.events.listens import LISTENS, listens
from assets.events.name_ids import artist_id, recording_id
from assets.events.recording_matches import recording_matches
from assets.imports.listens import LISTEN_RECORDS as RAW
from orchestration.cli.generate_listens import generate_listens as command
from resources import schema
from resources.engines.pandas import PandasEngine
from resources.errors import TuttiError
from resources.frames.filters import RangeFilter
from resources.frames.frame import conform
from resources.lake.lake import Lake
from resources.lake.write_transaction import Written
from resources.sandbox import catalog, listen_generator, listeners, performers, world
from resources.sandbox.listen_generator import DAYS, FIRST_DAY, DayRange
from resources.sandbox.listeners import ZONES, population, simulate
from resources.sources import exports
from tests.orchestration.support import PROJECT, TUTTI, environ
from tests.transformations import with_keys, work_of

T, SEED = "events/listens", 7
SIZE = 300_000
CALENDAR = [FIRST_DAY + timedelta(days=n) for n in range(DAYS)]
NAMES = ("artist_name", "recording_name")
Ints = NDArray[np.int64]


def ids(artist: str, title: str) -> tuple[str, str]:
    return recording_id(artist, title), artist_id(artist)


def day_range(size: int, days: int = DAYS) -> DayRange:
    names = listen_generator._names(performers.recordings(catalog.works(), SEED), ids)
    return DayRange(names, size, SEED, FIRST_DAY, days)


def generate(*ranges: DayRange) -> pa.Table:
    return pa.concat_tables([conform(rows, LISTENS) for part in ranges for rows in listen_generator.tables(part)])


def write(lake: Lake, size: int, **options: Any) -> Written:
    return listen_generator.write(lake, T, LISTENS, ids, listens=size, **{"workers": 1, "report": str, **options})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    generated = Lake(tmp_path_factory.mktemp("generated"))
    write(generated, SIZE, workers=2)
    return generated


@pytest.fixture(scope="module")
def loaded(lake: Lake) -> pa.Table:
    return lake.scan(T, LISTENS).table()


def test_writes_about_the_requested_number_of_listens(loaded: pa.Table) -> None:
    assert len(loaded) == pytest.approx(SIZE, rel=0.05)  # listeners differ


def test_every_row_matches_the_declaration_of_the_asset(loaded: pa.Table) -> None:
    for field in LISTENS:
        assert field.nullable or loaded[field.name].null_count == 0, field.name
    assert loaded["day"] == loaded["listened_at"].cast(pa.date32())
    assert sorted(set(loaded["day"].to_pylist())) == CALENDAR
    for names in ("recording_id", "artist_ids"):
        values = pc.list_flatten(loaded[names]) if names == "artist_ids" else loaded[names]
        assert pc.all(pc.match_substring_regex(values, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")).as_py()


def test_no_listener_starts_a_recording_twice_at_the_same_time(loaded: pa.Table) -> None:
    assert len(loaded.group_by(["user_id", "listened_at", "recording_id"]).aggregate([])) == len(loaded)


def test_files_are_sorted_as_declared_and_can_be_skipped_by_day(lake: Lake) -> None:
    order = schema.order(listens.metadata_by_key[listens.key])
    files = lake.scan(T, LISTENS).files
    assert len(files) == 2  # one per worker
    for file in files:
        rows = pq.read_table(file)
        assert rows.equals(rows.sort_by([(name, "ascending") for name in order]))
    assert len(lake.scan(T, LISTENS, RangeFilter("day", FIRST_DAY, FIRST_DAY)).files) == 1  # the other is skipped


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Return the table that the platform builds from the files of a small world, without a catalog."""
    folder, now = tmp_path_factory.mktemp("world"), datetime.now(UTC)
    world.write(folder, first_day=FIRST_DAY, days=DAYS, seed=SEED, listeners=40)
    files = sorted((folder / "listens").iterdir())
    raw = pa.concat_tables([RAW.rows(list(exports.read(path, None, now)), path.name) for path in files])
    raw_frame, recordings = PandasEngine().from_arrow(raw), PandasEngine().from_arrow(RECORDINGS.empty_table())
    span = (CALENDAR[0], CALENDAR[-1])
    matches = with_keys(recording_matches)(raw_frame, recordings, span=span)
    duplicates = work_of(duplicate_listens)(raw_frame, matches, span=span)
    return work_of(listens)(raw_frame, matches, duplicates, span=span).collect(LISTENS)


@pytest.fixture(scope="module")
def generated() -> pa.Table:
    """Generate the same small world."""
    return generate(day_range(40))


RANDOM_COLUMNS = ["recording_id", "artist_ids"]  # which listens lack MBIDs is random


def test_rows_equal_those_built_from_the_files_of_the_same_world(imported: pa.Table, generated: pa.Table) -> None:
    order = [("user_id", "ascending"), ("listened_at", "ascending")]
    assert (
        generated.drop_columns(RANDOM_COLUMNS)
        .sort_by(order)
        .equals(imported.drop_columns(RANDOM_COLUMNS).sort_by(order))
    )


def test_ids_equal_those_of_the_platform_with_the_same_share_by_name(imported: pa.Table, generated: pa.Table) -> None:
    played = performers.recordings(catalog.works(), SEED)
    mapped = {(r.credited, r.work.title, r.id, tuple(artist.id for artist, _ in r.credit)) for r in played}
    by_name = {(r.credited, r.work.title, ids(r.credited, r.work.title)) for r in played}
    names_only = {(artist, title, recording, (artists,)) for artist, title, (recording, artists) in by_name}
    for table in (imported, generated):
        rows = [
            (*row[:-1], tuple(row[-1]))
            for row in zip(*(table[n].to_pylist() for n in (*NAMES, *RANDOM_COLUMNS)), strict=True)
        ]
        assert set(rows) <= mapped | names_only
        assert np.mean([row in names_only for row in rows]) == pytest.approx(world.NAMES_ONLY_SHARE, abs=0.01)


def test_rows_do_not_depend_on_how_the_days_are_divided() -> None:
    all_days = day_range(30, days=6)
    rows = generate(all_days)
    assert generate(*listen_generator._divided(all_days, 3)).equals(rows)
    assert not generate(replace(all_days, seed=8)).equals(rows)


@pytest.mark.parametrize("workers", [1, 2, 7, DAYS, 64])
def test_every_day_has_one_worker(workers: int) -> None:
    ranges = listen_generator._divided(day_range(1), workers)
    assert [s.first_day + timedelta(days=n) for s in ranges for n in range(s.days)] == CALENDAR
    assert len(ranges) == min(workers, DAYS)


# Maximum difference of two worlds: about twice that of any two of five seeds with a thousand listeners. The changed
# worlds below differ at least twice as much again.
MAX_DISTANCES = {
    "activity": 0.025,  # Kolmogorov-Smirnov distance of listens per listener and day
    "hits": 0.04,  # difference of the share of the top 1 % of recordings
    "ranks": 0.25,  # maximum difference of log10 of the plays at a rank
    "session lengths": 0.01,  # Kolmogorov-Smirnov distance of listens per session
    "sessions": 0.1,  # Kolmogorov-Smirnov distance of sessions per listener
    "hours": 0.04,  # share of the listens at another local hour
    "skips": 0.006,  # difference of the share
}
RANKS = np.array([1, 10, 30, 100, 300, 1_000, 3_000])


class Habits:
    """Statistics of the listens of a month that do not depend on identities."""

    def __init__(self, size: int, user: Ints, recording: Ints, zone: Ints, at: Ints, ms_played: Ints) -> None:
        order = np.lexsort((at, user))
        user, recording, zone, at, ms_played = (c[order] for c in (user, recording, zone, at, ms_played))
        day = at // 86_400 - listeners.epoch(FIRST_DAY) // 86_400
        self.activity = np.bincount(user * DAYS + day, minlength=size * DAYS)
        plays = np.sort(np.bincount(recording, minlength=RANKS[-1]))[::-1]
        self.hits = plays[: len(plays) // 100].sum() / plays.sum()
        self.ranks = np.log10(np.maximum(plays[RANKS - 1], 1))
        begins = np.flatnonzero((np.diff(user, prepend=-1) != 0) | (np.diff(at, prepend=0) > 1_800))
        self.session_lengths = np.diff(begins, append=len(user))
        self.sessions = np.bincount(user[begins], minlength=size)
        noon = datetime(2025, 4, 15, 12)  # the change of Sydney's clocks on the sixth hardly matters
        utc_offsets = np.array(
            [int((noon.replace(tzinfo=ZoneInfo(z)).utcoffset() or noon - noon).seconds) for z in ZONES]
        )
        self.hours = np.bincount((at + utc_offsets[zone]) // 3_600 % 24, minlength=24) / len(at)
        self.skips = (ms_played < 30_000).mean()

    def differences(self, other: "Habits") -> set[str]:
        """Return the statistics that differ by more than chance."""
        distances = {
            "activity": _distance(self.activity, other.activity),
            "hits": abs(self.hits - other.hits),
            "ranks": np.abs(self.ranks - other.ranks).max(),
            "session lengths": _distance(self.session_lengths, other.session_lengths),
            "sessions": _distance(self.sessions, other.sessions),
            "hours": np.abs(self.hours - other.hours).sum() / 2,
            "skips": abs(self.skips - other.skips),
        }
        return {name for name, distance in distances.items() if distance > MAX_DISTANCES[name]}


def _distance(first: Ints, second: Ints) -> float:
    """Return the Kolmogorov-Smirnov distance: the maximum difference of the cumulative distributions."""
    at = np.union1d(first, second)
    below = [np.searchsorted(np.sort(values), at, side="right") / len(values) for values in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def of_table(size: int, rows: pa.Table) -> Habits:
    """Return the habits in a table."""
    return Habits(
        size,
        _numbered(rows["user_id"].to_pylist()),
        _numbered(list(zip(*(rows[name].to_pylist() for name in NAMES), strict=True))),
        np.array([list(ZONES).index(zone) for zone in rows["time_zone"].to_pylist()]),
        rows["listened_at"].cast(pa.int64()).to_numpy() // 1_000_000,
        rows["ms_played"].to_numpy(),
    )


def _numbered(values: Sequence[object]) -> Ints:
    number: dict[object, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values])


@pytest.fixture(scope="module")
def simulated() -> Habits:
    """Return the habits of a simulated world of the same size with other listeners and recordings."""
    size, seed = round(SIZE / (DAYS * listen_generator.LISTENS_PER_DAY)), 12
    recordings = performers.recordings(catalog.works(), seed)
    people = population(recordings, seed, size)
    simulated_listens = simulate(people, recordings, first_day=FIRST_DAY, days=DAYS, seed=seed)
    named = _numbered([(r.credited, r.work.title) for r in recordings])
    zone = people.zone[simulated_listens.listener]
    return Habits(
        size,
        simulated_listens.listener,
        named[simulated_listens.recording],
        zone,
        simulated_listens.listened_at,
        simulated_listens.ms_played,
    )


def test_habits_equal_those_of_the_sandbox(loaded: pa.Table, simulated: Habits) -> None:
    assert of_table(len(simulated.sessions), loaded).differences(simulated) == set()


ALL_DAY = (1,) * 24


@pytest.mark.parametrize(
    ("changed", "differing"),
    [
        ({"ZIPF_EXPONENT": 0.0, "REPERTOIRE_FACTOR": 1.0}, {"hits", "ranks"}),  # all recordings equally likely
        ({"SESSIONS_PER_DAY": 0.9}, {"activity", "sessions"}),
        ({"SESSION_PLAYS": 5}, {"activity", "session lengths"}),
        ({"WORKDAY": ALL_DAY, "WEEKEND": ALL_DAY}, {"hours"}),
        ({"SKIP_OWN": 0.16}, {"skips"}),
    ],
    ids=lambda value: ", ".join(sorted(value)),
)
def test_the_comparison_detects_changed_habits(
    simulated: Habits, monkeypatch: pytest.MonkeyPatch, changed: Mapping[str, object], differing: set[str]
) -> None:
    for name, value in changed.items():
        monkeypatch.setattr(listeners, name, value)
    size = len(simulated.sessions)
    assert of_table(size, generate(day_range(size))).differences(simulated) >= differing


def test_existing_listens_are_never_overwritten(lake: Lake) -> None:
    before, report = lake.version(T), Mock()
    with pytest.raises(TuttiError, match="already has listens"):
        write(lake, 5_000, report=report)
    report.assert_not_called()  # it fails at once
    assert lake.version(T) == before


def test_listens_written_during_generation_are_not_overwritten(tmp_path: Path, loaded: pa.Table) -> None:
    lake = Lake(tmp_path)
    other = loaded.slice(0, 1)

    def write_concurrently(line: str) -> None:
        if "per second" in line:
            lake.replace(T, iter([other]), LISTENS)

    with pytest.raises(TuttiError, match="already has listens"):
        write(lake, 300, report=write_concurrently)
    assert lake.scan(T, LISTENS).table().equals(other)


def test_a_size_below_one_listener_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TuttiError, match="294"):
        write(Lake(tmp_path), 100)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def started() -> Callable[[], list[BaseProcess]]:
    """Return a function that returns the processes started since the test began."""
    before = multiprocessing.active_children()
    return lambda: [process for process in multiprocessing.active_children() if process not in before]


def test_a_killed_worker_fails_the_command_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[[], list[BaseProcess]]
) -> None:
    monkeypatch.setattr(listen_generator, "PROGRESS_INTERVAL_S", 0)
    lake = Lake(tmp_path)

    def kill(_: str) -> None:
        for process in started()[-1:]:
            process.kill()

    with pytest.raises(TuttiError, match="was killed"):
        write(lake, 5_000, workers=2, report=kill)
    assert lake.scan(T, LISTENS).files == []
    assert list((tmp_path / T).glob("*.parquet")) == []
    assert started() == []
    assert write(lake, 5_000).rows == len(lake.scan(T, LISTENS).table())


def test_an_error_in_a_worker_is_raised(tmp_path: Path, started: Callable[[], list[BaseProcess]]) -> None:
    narrow = pa.schema([f.with_type(pa.int64()) if f.name == "artist_name" else f for f in LISTENS])
    with pytest.raises(TuttiError, match="cannot write these rows"):
        listen_generator.write(Lake(tmp_path), T, narrow, ids, listens=5_000, workers=2, report=str)
    assert started() == []


def alive(group: int) -> bool:
    """Return whether any process of a group is running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_command_leaves_no_listens_and_no_workers(tmp_path: Path) -> None:
    command = (*TUTTI, "generate-listens", "--listens", "5_000_000")
    with subprocess.Popen(
        command, cwd=PROJECT, env=environ(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        while "per second" not in process.stdout.readline():
            assert process.poll() is None
        process.kill()  # only the parent process: its workers must notice
    deadline = time.monotonic() + 60
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(process.pid)
    table = tmp_path / "lake" / T
    assert DeltaTable(str(table)).version() == 0
    assert DeltaTable(str(table)).file_uris() == []
    assert write(Lake(tmp_path / "lake"), 5_000).version == 1


def test_without_a_folder_the_command_does_not_use_the_default_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Mock(return_value=Written(1, 5_000, 1, ()))
    monkeypatch.setattr("orchestration.cli.generate_listens.write", writing)
    monkeypatch.setenv("TUTTI_DATA_DIR", "")
    command.callback(5_000)
    assert Path(writing.call_args.args[0].root) == PROJECT / "data" / "generated" / "lake"


def test_the_command_reports_progress_and_where_the_listens_are(tmp_path: Path) -> None:
    command = (*TUTTI, "generate-listens", "--listens", "5_000")
    done = subprocess.run(command, cwd=PROJECT, env=environ(tmp_path), capture_output=True, text=True, check=True)
    rows = len(Lake(tmp_path / "lake").scan(T, LISTENS).table())
    assert f"{rows:,} listens, " in done.stdout
    assert f"{rows:,} listens in {tmp_path / 'lake' / T}" in done.stdout
    again = subprocess.run(command, cwd=PROJECT, env=environ(tmp_path), capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith("tutti: ") and "already has listens" in again.stderr
