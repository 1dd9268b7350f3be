"""The load generator writes the sandbox's own world into the lake, at any size, all of it or nothing."""

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
from resources.sandbox.listen_generator import DAYS, FIRST_DAY, Share
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


def share(size: int, days: int = DAYS) -> Share:
    names = listen_generator._names(performers.recordings(catalog.works(), SEED), ids)
    return Share(names, size, SEED, FIRST_DAY, days)


def made(*shares: Share) -> pa.Table:
    return pa.concat_tables([conform(rows, LISTENS) for share in shares for rows in listen_generator.tables(share)])


def write(lake: Lake, size: int, **options: Any) -> Written:
    return listen_generator.write(lake, T, LISTENS, ids, listens=size, **{"workers": 1, "report": str, **options})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    found = Lake(tmp_path_factory.mktemp("load"))
    write(found, SIZE, workers=2)
    return found


@pytest.fixture(scope="module")
def loaded(lake: Lake) -> pa.Table:
    return lake.scan(T, LISTENS).table()


def test_about_as_many_listens_are_written_as_were_asked_for(loaded: pa.Table) -> None:
    assert len(loaded) == pytest.approx(SIZE, rel=0.05)  # a thousand listeners differ


def test_every_row_is_as_the_asset_declares(loaded: pa.Table) -> None:
    for field in LISTENS:
        assert field.nullable or loaded[field.name].null_count == 0, field.name
    assert loaded["day"] == loaded["listened_at"].cast(pa.date32())
    assert sorted(set(loaded["day"].to_pylist())) == CALENDAR
    for names in ("recording_id", "artist_ids"):
        values = pc.list_flatten(loaded[names]) if names == "artist_ids" else loaded[names]
        assert pc.all(pc.match_substring_regex(values, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")).as_py()


def test_no_listener_starts_a_recording_twice_at_one_instant(loaded: pa.Table) -> None:
    assert len(loaded.group_by(["user_id", "listened_at", "recording_id"]).aggregate([])) == len(loaded)


def test_files_are_sorted_as_the_asset_declares_and_tell_their_days(lake: Lake) -> None:
    order = schema.order(listens.metadata_by_key[listens.key])
    files = lake.scan(T, LISTENS).files
    assert len(files) == 2  # one for each worker
    for file in files:
        rows = pq.read_table(file)
        assert rows.equals(rows.sort_by([(name, "ascending") for name in order]))
    assert len(lake.scan(T, LISTENS, RangeFilter("day", FIRST_DAY, FIRST_DAY)).files) == 1  # the other is passed over


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The table that the platform makes of the files of a small world, as in the demo but without a catalog."""
    folder, now = tmp_path_factory.mktemp("world"), datetime.now(UTC)
    world.write(folder, first_day=FIRST_DAY, days=DAYS, seed=SEED, listeners=40)
    files = sorted((folder / "listens").iterdir())
    raw = pa.concat_tables([RAW.rows(list(exports.read(path, None, now)), path.name) for path in files])
    told, known = PandasEngine().from_arrow(raw), PandasEngine().from_arrow(RECORDINGS.empty_table())
    span = (CALENDAR[0], CALENDAR[-1])
    named = with_keys(recording_matches)(told, known, span=span)
    return work_of(listens)(told, named, work_of(duplicate_listens)(told, named, span=span), span=span).collect(LISTENS)


@pytest.fixture(scope="module")
def generated() -> pa.Table:
    """The same small world, generated."""
    return made(share(40))


CHANCE = ["recording_id", "artist_ids"]  # which listens lack MBIDs is chance, in files as here


def test_rows_are_those_that_the_platform_makes_of_the_same_worlds_files(
    imported: pa.Table, generated: pa.Table
) -> None:
    order = [("user_id", "ascending"), ("listened_at", "ascending")]
    assert generated.drop_columns(CHANCE).sort_by(order).equals(imported.drop_columns(CHANCE).sort_by(order))


def test_ids_are_those_that_the_platform_gives_and_as_many_come_from_names(
    imported: pa.Table, generated: pa.Table
) -> None:
    played = performers.recordings(catalog.works(), SEED)
    mapped = {(r.credited, r.work.title, r.id, tuple(artist.id for artist, _ in r.credit)) for r in played}
    named = {(r.credited, r.work.title, ids(r.credited, r.work.title)) for r in played}
    plain = {(artist, title, recording, (artists,)) for artist, title, (recording, artists) in named}
    for table in (imported, generated):
        found = [
            (*row[:-1], tuple(row[-1])) for row in zip(*(table[n].to_pylist() for n in (*NAMES, *CHANCE)), strict=True)
        ]
        assert set(found) <= mapped | plain
        assert np.mean([row in plain for row in found]) == pytest.approx(world.NAMES_ONLY, abs=0.01)


def test_the_same_size_and_seed_give_the_same_rows_however_the_work_is_divided() -> None:
    whole = share(30, days=6)
    rows = made(whole)
    assert made(*listen_generator._divide(whole, 3)).equals(rows)
    assert not made(replace(whole, seed=8)).equals(rows)


@pytest.mark.parametrize("workers", [1, 2, 7, DAYS, 64])
def test_every_day_is_one_workers(workers: int) -> None:
    shares = listen_generator._divide(share(1), workers)
    assert [s.first_day + timedelta(days=n) for s in shares for n in range(s.days)] == CALENDAR
    assert len(shares) == min(workers, DAYS)


# How far apart two worlds may be: about twice what was seen between any two of five seeds, at a thousand listeners.
# What a changed world differs by (below) is at least twice as much again.
MOST = {
    "activity": 0.025,  # Kolmogorov and Smirnov's distance, listens of a listener in a day
    "hits": 0.04,  # difference of the share that the most played hundredth of the recordings has
    "ranks": 0.25,  # greatest difference of the logarithm (base ten) of the plays at a rank
    "session lengths": 0.01,  # Kolmogorov and Smirnov's distance, listens in a session
    "sessions": 0.1,  # Kolmogorov and Smirnov's distance, sessions of a listener
    "hours": 0.04,  # share of the listens at another hour of the listener's day
    "skips": 0.006,  # difference of the share
}
RANKS = np.array([1, 10, 30, 100, 300, 1_000, 3_000])


class Habits:
    """What can be told of the listens of a month without knowing who is who."""

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
        noon = datetime(2025, 4, 15, 12)  # Sydney's clocks change on the sixth, which matters little
        ahead = np.array([int((noon.replace(tzinfo=ZoneInfo(z)).utcoffset() or noon - noon).seconds) for z in ZONES])
        self.hours = np.bincount((at + ahead[zone]) // 3_600 % 24, minlength=24) / len(at)
        self.skips = (ms_played < 30_000).mean()

    def unlike(self, other: "Habits") -> set[str]:
        """In what these differ from others by more than chance."""
        apart = {
            "activity": _distance(self.activity, other.activity),
            "hits": abs(self.hits - other.hits),
            "ranks": np.abs(self.ranks - other.ranks).max(),
            "session lengths": _distance(self.session_lengths, other.session_lengths),
            "sessions": _distance(self.sessions, other.sessions),
            "hours": np.abs(self.hours - other.hours).sum() / 2,
            "skips": abs(self.skips - other.skips),
        }
        return {name for name, distance in apart.items() if distance > MOST[name]}


def _distance(some: Ints, others: Ints) -> float:
    """Kolmogorov and Smirnov's: the greatest difference between the shares up to any value."""
    at = np.union1d(some, others)
    below = [np.searchsorted(np.sort(values), at, side="right") / len(values) for values in (some, others)]
    return float(np.abs(below[0] - below[1]).max())


def of_table(size: int, rows: pa.Table) -> Habits:
    """The habits that the table tells."""
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
    """The habits of an equally big world with other people and other recordings, as the demo's are simulated."""
    size, seed = round(SIZE / (DAYS * listen_generator.LISTENS_A_DAY)), 12
    recordings = performers.recordings(catalog.works(), seed)
    people = population(recordings, seed, size)
    found = simulate(people, recordings, first_day=FIRST_DAY, days=DAYS, seed=seed)
    named = _numbered([(r.credited, r.work.title) for r in recordings])
    zone = people.zone[found.listener]
    return Habits(size, found.listener, named[found.recording], zone, found.listened_at, found.ms_played)


def test_habits_are_those_of_the_sandbox(loaded: pa.Table, simulated: Habits) -> None:
    assert of_table(len(simulated.sessions), loaded).unlike(simulated) == set()


ALL_DAY = (1,) * 24


@pytest.mark.parametrize(
    ("changed", "tells"),
    [
        ({"POPULARITY": 0.0, "DEVOTION": 1.0}, {"hits", "ranks"}),  # all recordings alike
        ({"SESSIONS": 0.9}, {"activity", "sessions"}),
        ({"SESSION_LENGTH": 5}, {"activity", "session lengths"}),
        ({"WORKDAY": ALL_DAY, "WEEKEND": ALL_DAY}, {"hours"}),
        ({"SKIP_OWN": 0.16}, {"skips"}),
    ],
    ids=lambda value: ", ".join(sorted(value)),
)
def test_another_worlds_habits_are_told_apart(
    simulated: Habits, monkeypatch: pytest.MonkeyPatch, changed: Mapping[str, object], tells: set[str]
) -> None:
    for name, value in changed.items():
        monkeypatch.setattr(listeners, name, value)
    size = len(simulated.sessions)
    assert of_table(size, made(share(size))).unlike(simulated) >= tells


def test_listens_that_are_there_are_never_overwritten(lake: Lake) -> None:
    before, said = lake.version(T), Mock()
    with pytest.raises(TuttiError, match="already has listens"):
        write(lake, 5_000, report=said)
    said.assert_not_called()  # nobody waits for minutes to be told
    assert lake.version(T) == before


def test_listens_that_came_while_the_load_was_written_are_not_overwritten(tmp_path: Path, loaded: pa.Table) -> None:
    lake = Lake(tmp_path)
    own = loaded.slice(0, 1)

    def somebody_else(line: str) -> None:
        if "a second" in line:
            lake.replace(T, iter([own]), LISTENS)

    with pytest.raises(TuttiError, match="has listens already"):
        write(lake, 300, report=somebody_else)
    assert lake.scan(T, LISTENS).table().equals(own)


def test_a_size_below_one_listener_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(TuttiError, match="ask for 294 or more"):
        write(Lake(tmp_path), 100)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def started() -> Callable[[], list[BaseProcess]]:
    """The processes that were started since the test began; a cluster that other tests share is none of them."""
    before = multiprocessing.active_children()
    return lambda: [process for process in multiprocessing.active_children() if process not in before]


def test_a_killed_worker_fails_the_load_at_once_and_nothing_is_to_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[[], list[BaseProcess]]
) -> None:
    monkeypatch.setattr(listen_generator, "TELL", 0)
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


def test_what_a_worker_cannot_cope_with_is_told(tmp_path: Path, started: Callable[[], list[BaseProcess]]) -> None:
    narrow = pa.schema([f.with_type(pa.int64()) if f.name == "artist_name" else f for f in LISTENS])
    with pytest.raises(TuttiError, match="cannot write these rows"):
        listen_generator.write(Lake(tmp_path), T, narrow, ids, listens=5_000, workers=2, report=str)
    assert started() == []


def alive(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_load_leaves_nothing_to_be_seen_and_nobody_at_work(tmp_path: Path) -> None:
    command = (*TUTTI, "generate-listens", "--listens", "5_000_000")
    with subprocess.Popen(
        command, cwd=PROJECT, env=environ(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        while "a second" not in process.stdout.readline():
            assert process.poll() is None
        process.kill()  # the first process alone: its workers are to notice
    deadline = time.monotonic() + 60
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(process.pid)
    table = tmp_path / "lake" / T
    assert DeltaTable(str(table)).version() == 0
    assert DeltaTable(str(table)).file_uris() == []
    assert write(Lake(tmp_path / "lake"), 5_000).version == 1


def test_without_a_folder_named_the_command_keeps_away_from_a_persons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Mock(return_value=Written(1, 5_000, 1, ()))
    monkeypatch.setattr("orchestration.cli.generate_listens.write", asked)
    monkeypatch.setenv("TUTTI_DATA_DIR", "")
    command.callback(5_000)
    assert Path(asked.call_args.args[0].root) == PROJECT / "data" / "generated" / "lake"


def test_the_command_tells_how_it_goes_and_where_the_listens_are(tmp_path: Path) -> None:
    command = (*TUTTI, "generate-listens", "--listens", "5_000")
    done = subprocess.run(command, cwd=PROJECT, env=environ(tmp_path), capture_output=True, text=True, check=True)
    rows = len(Lake(tmp_path / "lake").scan(T, LISTENS).table())
    assert f"{rows:,} listens, " in done.stdout
    assert f"{rows:,} listens are in {tmp_path / 'lake' / T}" in done.stdout
    again = subprocess.run(command, cwd=PROJECT, env=environ(tmp_path), capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith("tutti: ") and "has listens already" in again.stderr
