"""Checks: each fails on a planted error and passes good rows. A failed check blocks downstream assets."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from assets.events.tag_assignments import TAG_ASSIGNMENTS
from assets.imports.feedback import FEEDBACK_RECORDS
from assets.imports.playlists import TRACK_RECORDS
from assets.partitions import PERIODS
from assets.tables import LAYERS
from orchestration.definitions import build
from orchestration.run_tags import over
from resources.environments import environment
from resources.frames.filters import RangeFilter
from resources.frames.frame import Engine
from resources.lake.lake import Lake
from resources.schema import declared
from tests.conftest import ON_DASK, ON_SPARK
from tests.orchestration.conftest import World
from tests.orchestration.support import platform as tutti
from tests.orchestration.support import rows, table, versions

STRANGER = "00000000-0000-5000-8000-000000000000"  # an id that no catalog has
DAY, WEEK, MONTH, YEAR = "2025-03-01", "2025-02-24", "2025-03-01", "2025-01-01"
PARTITION = {"daily": DAY, "weekly": WEEK, "monthly": MONTH, "yearly": YEAR}
SPECS = {spec.key.to_user_string(): spec for spec in sorted(tutti().resolve_all_asset_specs(), key=lambda s: s.key)}
DECLARED = {(key.asset_key.to_user_string(), key.name) for key in tutti().resolve_asset_graph().asset_check_keys}
"""Every check, with its asset."""

Spoil = Callable[[pa.Table, pa.Schema, Mapping[str, Any]], pa.Table]


@dataclass(frozen=True)
class Planted:
    """A planted error: an asset, a function that spoils its rows, and the check that must fail."""

    asset: str
    how: str
    check: str
    spoil: Spoil

    def __str__(self) -> str:
        return f"{self.asset} {self.check} {self.how}".replace(" ", "-")

    @property
    def warns(self) -> bool:
        """Whether the check only warns and blocks nothing."""
        return self.check == "error_rate"

    @property
    def partition(self) -> str | None:
        partitions = SPECS[self.asset].partitions_def
        return next((PARTITION[period.name] for period in PERIODS if period.partitions == partitions), None)


def _last(good: pa.Table, **changes: Any) -> pa.Table:
    """The rows with their last one changed; of a chart that is a recording."""
    last = pa.Table.from_pylist([good.slice(len(good) - 1).to_pylist()[0] | changes], good.schema)
    return pa.concat_tables([good.slice(0, len(good) - 1), last])


def repeated(good: pa.Table, schema: pa.Schema, metadata: Mapping[str, Any]) -> pa.Table:
    """The first row twice."""
    return pa.concat_tables([good, good.slice(0, 1)])


def lacking(good: pa.Table, schema: pa.Schema, metadata: Mapping[str, Any]) -> pa.Table:
    """For each column that must not be null, the first row without it; the lake itself refuses a row without date."""
    needed = [f.name for f in schema if not f.nullable and f.name != metadata.get("partition_expr")]
    first = good.slice(0, 1).to_pylist()[0]
    return pa.concat_tables([good, pa.Table.from_pylist([first | {n: None} for n in needed], good.schema)])


def changed(**changes: Any) -> Spoil:
    """The last row changed."""
    return lambda good, schema, metadata: _last(good, **changes)


def more(column: str) -> Spoil:
    """One more in the last row."""
    return lambda good, schema, metadata: _last(good, **{column: good[column][-1].as_py() + 1})


def fewer(good: pa.Table, schema: pa.Schema, metadata: Mapping[str, Any]) -> pa.Table:
    """Without the last row."""
    return good.slice(0, len(good) - 1)


def chosen_twice(good: pa.Table, schema: pa.Schema, metadata: Mapping[str, Any]) -> pa.Table:
    """The last row once more, under another id."""
    last = good.slice(len(good) - 1).to_pylist()[0] | {"lyrics_id": "another", "is_preferred": True}
    return pa.concat_tables([good, pa.Table.from_pylist([last], good.schema)])


def timed_backwards(good: pa.Table, schema: pa.Schema, metadata: Mapping[str, Any]) -> pa.Table:
    """The lines with times that fall, with one between that has none."""
    rows = [row | {"at_ms": None if row["line"] == 2 else 10_000 - row["line"]} for row in good.to_pylist()]
    return pa.Table.from_pylist(rows, good.schema)


def without_a_text(good: pa.Table, schema: pa.Schema, metadata: Mapping[str, Any]) -> pa.Table:
    """Without the lines of the last text."""
    last = good["lyrics_id"][-1].as_py()
    return pa.Table.from_pylist([row for row in good.to_pylist() if row["lyrics_id"] != last], good.schema)


NEXT_DAY = datetime(2025, 3, 2, 0, 0, tzinfo=UTC)
ANYWHERE = [("a row twice", "unique", repeated), ("columns left empty", "not_null", lacking)]
TOTALS = [("a play too many", "sums_match_upstream", more("plays")), ("a row lost", "sums_match_upstream", fewer)]
ENDED_EARLY = (
    "an end before the beginning",
    "ascending",
    changed(since=NEXT_DAY, until=NEXT_DAY - timedelta(seconds=1)),
)
BELOW_ZERO = ("a length below zero", "in_range", changed(duration_s=-1.0))
TOO_FAST = ("a tempo nobody can follow", "in_range", changed(tempo_bpm=500.0))
NEITHER = ("neither a feature nor a reason", "exactly_one_set", changed(duration_s=None, error=None))
MANY_ERRORS = ("an error in a third of the rows", "error_rate", changed(error="broken", duration_s=None))
OWN: Mapping[str, list[tuple[str, str, Spoil]]] = {
    "content/recordings": [
        ("an id that is not a UUID", "well_formed", changed(recording_id="no-uuid")),
        ("an id in capitals", "well_formed", changed(recording_id=STRANGER.replace("0", "A"))),
    ],
    "content/artists": [("an id that is not a UUID", "well_formed", changed(artist_id="no-uuid"))],
    "content/releases": [("an id that is not a UUID", "well_formed", changed(release_id="no-uuid"))],
    "content/release_groups": [
        ("an id that is not a UUID", "well_formed", changed(release_group_id="no-uuid")),
    ],
    "content/credits": [
        ("an id that is not a UUID", "well_formed", changed(artist_id="no-uuid")),
        ("a credit lost", "credits_match_recordings", fewer),
        ("a credit of another", "credits_match_recordings", changed(artist_id=STRANGER)),
        ("a credit of no recording", "credits_match_recordings", changed(recording_id=STRANGER)),
        ("another name", "credits_match_recordings", changed(credited_name="Somebody")),
        ("another place", "credits_match_recordings", more("position")),
    ],
    "content/genres": [("an id that is not a UUID", "well_formed", changed(entity_id="no-uuid"))],
    "content/mbid_redirects": [
        ("an id that is not a UUID", "well_formed", changed(merged_id="no-uuid")),
    ],
    "content/lyrics": [
        ("a second text that counts", "unique_is_preferred", chosen_twice),
        ("words without text", "expression_is_true", changed(text=None)),
        (
            "an instrumental in a language",
            "expression_is_true",
            changed(status="instrumental", instrumental=True, text=None),
        ),
        ("a status there is not", "expression_is_true", changed(status="unknown", text=None, language=None)),
        ("a source there is not", "expression_is_true", changed(source="hearsay")),
        ("an instrumental without the flag", "expression_is_true", changed(instrumental=True)),
        ("times that are not there", "expression_is_true", changed(synced=True)),
    ],
    "content/lyrics_lines": [
        ("a line sung before the one above", "monotonic", timed_backwards),
        ("a text lost", "sums_match_upstream", without_a_text),
    ],
    "content/audio_files": [BELOW_ZERO, MANY_ERRORS],
    "content/audio_analyses": [BELOW_ZERO, TOO_FAST, NEITHER, MANY_ERRORS],
    "content/audio_features": [BELOW_ZERO, TOO_FAST, NEITHER, ("a file lost", "covers_upstream", fewer)],
    "events/raw_feedback": [("a score there is not", "accepted_values", more("score"))],
    "events/follows": [ENDED_EARLY],
    "events/friendships": [
        ENDED_EARLY,
        ("the two the wrong way", "ascending", changed(user_b="")),
    ],
    "events/tag_assignments": [("an id that is not a UUID", "well_formed", changed(entity_id="no-uuid"))],
    "events/posts": [("an instant of the next day", "timestamp_in_partition", changed(posted_at=NEXT_DAY))],
    "events/shares": [("an instant of the next day", "timestamp_in_partition", changed(shared_at=NEXT_DAY))],
    "events/listens": [
        ("an instant of the next day", "timestamp_in_partition", changed(listened_at=NEXT_DAY)),
        (
            "an instant of the day before",
            "timestamp_in_partition",
            changed(listened_at=NEXT_DAY - timedelta(days=1, seconds=1)),
        ),
        ("an id that is not a UUID", "valid_recording_id", changed(recording_id="no-uuid")),
        ("a row lost", "row_count_reconciles", fewer),
        ("a row twice", "row_count_reconciles", repeated),
    ],
    "events/recording_matches": [
        ("an id that is not a UUID", "well_formed", changed(recording_id="no-uuid")),
    ],
    "events/sessions": [
        ("an instant of the next day", "timestamp_in_partition", changed(started_at=NEXT_DAY)),
    ],
    "events/daily_listening": [
        ("a listen too many", "sums_match_upstream", more("listens")),
        ("time made up", "sums_match_upstream", more("ms_played")),
        ("a row lost", "sums_match_upstream", fewer),
        ("more completed than measured", "ascending", changed(with_track_length=0, completions=1)),
        ("more skipped than timed", "ascending", changed(with_duration=0, skips=1, with_track_length=0, completions=0)),
        ("more recordings than listens", "ascending", changed(recordings=1_000_000)),
        ("a last date before the first", "ascending", changed(last_date=date(2025, 2, 27))),
    ],
    "events/app_events": [
        ("an instant of the next day", "timestamp_in_partition", changed(at=NEXT_DAY)),
        ("a row lost", "keys_match_upstream", fewer),
    ],
    "events/app_event_schema": [
        ("records made up", "sums_match_upstream", changed(field="timestamp")),
    ],
    "events/daily_app_usage": [
        ("an event too many", "sums_match_upstream", more("events")),
        ("a row lost", "sums_match_upstream", fewer),
        ("more completed than measured", "ascending", changed(completed=1_000_000)),
        ("more skipped than ended", "ascending", changed(skipped=1_000_000)),
    ],
    "events/active_listeners": [
        ("a listener too many", "sums_match_upstream", more("dau")),
        ("a listen too many", "sums_match_upstream", more("listens")),
        ("fewer in the month than in the week", "ascending", changed(mau=0)),
        ("fewer in the week than on the day", "ascending", changed(wau=0)),
    ],
    "events/retention": [
        ("more retained than there are", "ascending", changed(retained=1_000_000)),
    ],
    "events/streaks": [
        ("longer now than ever", "ascending", changed(latest_streak=1_000_000)),
        ("more in a row than in all", "ascending", changed(active_days=0)),
        ("the longest after the last", "ascending", changed(longest_last_day=date(2099, 1, 1))),
    ],
    "derived/recording_plays": [*TOTALS, ("time made up", "sums_match_upstream", more("ms_played"))],
    **{f"derived/charts_{period}": TOTALS for period in ("daily", "weekly", "monthly", "yearly", "all_time")},
}
"""For each check of an asset that others do not have, errors that it must see."""
PLANTED = [
    Planted(asset, *error)
    for asset in [*(name for name in SPECS if name not in OWN), *OWN]
    for error in [*(each for each in ANYWHERE if (asset, each[1]) in DECLARED), *OWN.get(asset, [])]
]
ARRIVED = {"file": "export.zip", "import_id": "1"}
LOVED = {"user_id": "ada", "recording_name": "Song", "score": 1, "source": "lastfm"}
TRACK = {"playlist_id": "p", "source": "jspf"}
TAGGED = {"user_id": "ada", "entity": "artist", "entity_id": STRANGER, "source": "hetrec"}
ABSENT = (
    (FEEDBACK_RECORDS.table, FEEDBACK_RECORDS.schema, [LOVED, LOVED | {"user_id": "bob"}]),
    (TRACK_RECORDS.table, TRACK_RECORDS.schema, [TRACK | {"position": n} for n in (1, 2)]),
    ("events/tag_assignments", TAG_ASSIGNMENTS, [TAGGED | {"tag": tag} for tag in ("jig", "reel")]),
)
"""Rows of tables that the small world leaves empty."""


@dataclass(frozen=True)
class Platform:
    """The small world's lake, and the platform's assets and checks, in this process."""

    data: Path
    lake: Lake
    checks: Mapping[str, dg.AssetChecksDefinition]

    def good(self, asset: str, partition: str | None) -> pa.Table:
        """The rows that the platform itself built of the small world."""
        metadata = SPECS[asset].metadata
        start = datetime.fromisoformat(partition).date() if partition else None
        slice = RangeFilter(metadata["partition_expr"], start, start) if start else None
        found = self.lake.scan(asset, declared(metadata), slice).table()
        assert len(found) > 0
        return found

    def spoilt(self, planted: Planted) -> pa.Table:
        """The same with an error."""
        metadata = SPECS[planted.asset].metadata
        return planted.spoil(self.good(planted.asset, planted.partition), declared(metadata), metadata)

    def check(
        self, asset: str, rows: pa.Table, partition: str | None, engine: Engine, only: str | None = None
    ) -> dict[str, dg.AssetCheckResult]:
        """The result of each check of these rows by its name, computed as in a run but without one."""
        checks = self.checks[asset]
        context = SimpleNamespace(
            selected_asset_check_keys={key for key in checks.check_keys if only in (None, key.name)},
            partition_key_range=dg.PartitionKeyRange(partition, partition) if partition else None,
        )
        opened = SimpleNamespace(open=lambda key, *wanted: engine.read(self.lake.scan("/".join(key.path), *wanted)))
        compute = checks.node_def.compute_fn.decorated_fn
        return {result.check_name: result for result in compute(context, engine.from_arrow(rows), opened)}


@pytest.fixture(scope="module")
def platform(laptop: World, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The platform, and a copy of the small world's lake with rows of every table."""
    data = tmp_path_factory.mktemp("checked")
    shutil.copytree(laptop.data / "lake", data / "lake")
    lake = Lake(data / "lake")
    for name, schema, absent in ABSENT:
        added = pa.Table.from_pylist([row | ARRIVED | {"record": n} for n, row in enumerate(absent)], schema)
        lake.replace(name, iter([added]), schema)
    definitions = [check for layer in LAYERS for check in dg.load_asset_checks_from_package_module(layer)]
    checks = {"/".join(key.asset_key.path): check for check in definitions for key in check.check_keys}
    return Platform(data, lake, checks)


def failed(results: Mapping[str, dg.AssetCheckResult]) -> set[str]:
    """Return the names of the failed checks."""
    return {name for name, result in results.items() if not result.passed}


def figures(result: dg.AssetCheckResult) -> dict[str, int]:
    """Return the counts in a check's metadata."""
    return {name: value.value for name, value in result.metadata.items()}


def test_every_check_of_every_asset_has_a_planted_error() -> None:
    assert {(p.asset, p.check) for p in PLANTED} == DECLARED


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_a_planted_error_fails_its_check(platform: Platform, planted: Planted, pandas: Engine) -> None:
    results = platform.check(planted.asset, platform.spoilt(planted), planted.partition, pandas)
    assert planted.check in failed(results)
    warns = results[planted.check].severity == dg.AssetCheckSeverity.WARN
    assert warns == planted.warns


@pytest.mark.parametrize("planted", {p.check: p for p in PLANTED}.values(), ids=str)
@pytest.mark.parametrize("name", ["duckdb", ON_DASK, ON_SPARK])
def test_each_check_counts_the_same_on_every_engine(
    platform: Platform, planted: Planted, name: str, pandas: Engine, request: pytest.FixtureRequest
) -> None:
    other: Engine = request.getfixturevalue(name)
    for table_rows in (platform.spoilt(planted), platform.good(planted.asset, planted.partition)):
        here, there = (
            platform.check(planted.asset, table_rows, planted.partition, engine, planted.check)[planted.check]
            for engine in (pandas, other)
        )
        assert figures(here) == figures(there)
        assert here.passed == there.passed


@pytest.mark.parametrize("asset", sorted({p.asset for p in PLANTED}))
def test_good_rows_pass_every_check(platform: Platform, asset: str, pandas: Engine) -> None:
    partition = next(p.partition for p in PLANTED if p.asset == asset)
    results = platform.check(asset, platform.good(asset, partition), partition, pandas)
    assert failed(results) == set()
    assert results.keys() == {p.check for p in PLANTED if p.asset == asset}


def test_a_check_can_run_alone(platform: Platform, pandas: Engine) -> None:
    good = platform.good("events/listens", DAY)
    assert platform.check("events/listens", good, DAY, pandas, "timestamp_in_partition").keys() == {
        "timestamp_in_partition"
    }


def test_each_empty_column_is_counted(platform: Platform, pandas: Engine) -> None:
    metadata = SPECS["events/listens"].metadata
    schema = declared(metadata)
    bad = lacking(platform.good("events/listens", DAY), schema, metadata)
    needed = [f.name for f in schema if not f.nullable and f.name != "day"]
    found = platform.check("events/listens", bad, DAY, pandas)["not_null"]
    assert figures(found) == {"offending_rows": len(needed)}
    assert {"user_id", "recording_id", "listened_at", "source"} <= set(needed)


def test_listens_in_the_future_are_rejected(platform: Platform, local: Engine) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=70)
    if soon.date() > datetime.now(UTC).date():
        pytest.skip("tomorrow has no partition, so after 22:50 UTC today has no listens in the future")
    today, good = soon.date().isoformat(), platform.good("events/listens", DAY)
    bad = _last(good.slice(0, 1), day=soon.date(), listened_at=soon)
    expected = {"row_count_reconciles"}  # there are no raw listens for these
    assert failed(platform.check("events/listens", bad, today, local)) - expected == {"timestamp_in_partition"}
    clock_ahead = _last(bad, listened_at=soon - timedelta(minutes=30))
    assert failed(platform.check("events/listens", clock_ahead, today, local)) == expected


def test_recordings_without_a_catalog_entry_are_allowed_and_counted(platform: Platform, local: Engine) -> None:
    known = {r["recording_id"] for r in rows(platform.data, "content/recordings")}
    stranger = _last(platform.good("events/listens", DAY), recording_id=STRANGER)
    results = platform.check("events/listens", stranger, DAY, local)
    assert failed(results) == set()
    unknown = sum(i not in known for i in stranger["recording_id"].to_pylist())
    assert unknown > 0
    assert figures(results["valid_recording_id"]) == {"malformed_rows": 0, "rows_without_catalog_entry": unknown}


@pytest.fixture
def data(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the lake that runs read and write."""
    shutil.copytree(platform.data / "lake", tmp_path / "lake")
    monkeypatch.setenv("TUTTI_DATA_DIR", str(tmp_path))
    return tmp_path


def run(
    platform: Platform, instance: dg.DagsterInstance, asset: str, given: pa.Table, first: str | None, last: str | None
) -> dg.ExecuteInProcessResult:
    """Materialize rows as an asset, with the platform's checks and one downstream asset."""
    spec = SPECS[asset]

    @dg.asset(
        key=spec.key,
        partitions_def=spec.partitions_def,
        metadata=spec.metadata,
        backfill_policy=dg.BackfillPolicy.single_run() if spec.partitions_def else None,
    )
    def stand_in() -> pa.Table:
        return given

    @dg.asset(
        deps=[spec.key],
        partitions_def=spec.partitions_def,
        backfill_policy=stand_in.backfill_policy,
        io_manager_key="nothing",
    )
    def reader() -> None:
        """A downstream asset."""

    resources = {**environment("laptop"), "nothing": dg.mem_io_manager}
    defs = dg.Definitions([stand_in, reader], asset_checks=[platform.checks[asset]], resources=resources)
    job = defs.resolve_implicit_global_asset_job_def()
    tags = over(dg.PartitionKeyRange(first, last or first) if first else None)
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def started_steps(result: dg.ExecuteInProcessResult) -> set[str]:
    """Return the steps that were started."""
    return {e.step_key for e in result.all_events if e.event_type_value == "STEP_START"}


RUNS = {
    "a day": ("events/posts", "timestamp_in_partition", DAY, None),
    "days": ("events/posts", "timestamp_in_partition", "2025-02-28", DAY),
    "a month": ("derived/charts_monthly", "sums_match_upstream", MONTH, None),
    "a table without partitions": ("content/audio_analyses", "exactly_one_set", None, None),
    "a table that imports write": ("events/raw_feedback", "accepted_values", None, None),
    "a warning": ("content/audio_analyses", "error_rate", None, None),
}


@pytest.mark.parametrize(("asset", "check", "first", "last"), RUNS.values(), ids=RUNS.keys())
def test_a_failed_check_blocks_downstream_assets(
    platform: Platform, data: Path, asset: str, check: str, first: str | None, last: str | None
) -> None:
    planted = next(p for p in PLANTED if (p.asset, p.check) == (asset, check))
    step = f"{asset.replace('/', '__')}_checks"
    names = {key.name for key in platform.checks[asset].check_keys}
    with dg.DagsterInstance.ephemeral() as instance:
        for given, good in (
            (platform.good(asset, first if not last else DAY), True),
            (platform.spoilt(planted), False),
        ):
            result = run(platform, instance, asset, given, first, last)
            evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
            assert evaluations.keys() == names
            assert {name for name, e in evaluations.items() if not e.passed} == (set() if good else {check})
            assert result.success == (good or planted.warns)
            assert started_steps(result) == {asset.replace("/", "__"), step} | ({"reader"} if result.success else set())
            status = dict.fromkeys(names, "SUCCEEDED") | ({} if good else {check: "FAILED"})
            assert {name: _newest(instance, asset, name) for name in names} == status
    left = sorted(table(data, asset).to_pylist(), key=repr)
    assert all(row in left for row in platform.spoilt(planted).to_pylist())  # the failed rows are stored for inspection


def _newest(instance: dg.DagsterInstance, asset: str, check: str) -> str:
    """Return the status of the last evaluation of a check."""
    key = dg.AssetCheckKey(dg.AssetKey(asset.split("/")), check)
    return instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0].status.value


def test_bad_listens_change_no_downstream_table(platform: Platform, data: Path) -> None:
    """Run all daily assets with raw listens that no asset can correct."""
    schema, day = declared(SPECS["events/raw_listens"].metadata), datetime.fromisoformat(DAY).date()
    lake, slice = Lake(data / "lake"), RangeFilter("day", day, day)
    spoilt = lake.scan("events/raw_listens", schema, slice).table()
    lake.replace("events/raw_listens", iter([_last(spoilt, recording_mbid="no-uuid")]), schema, slice)
    before = versions(data)
    job = build("laptop").resolve_job_def("daily")  # for the changed data folder
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), partition_key=DAY, raise_on_error=False)
    assert not result.success
    assert [e.check_name for e in result.get_asset_check_evaluations() if not e.passed] == ["well_formed"]
    after = versions(data)
    others = {"events/app_event_schema", "events/posts", "events/shares"}  # not downstream of listens
    assert {n for n in after if after[n] != before[n]} == {"events/recording_matches", *others}
    assert "no-uuid" in table(data, "events/recording_matches")["recording_id"].to_pylist()
