"""The small world, materialized: nothing is lost or duplicated, and the records of runs name no listener."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.imports.record_types import RECORD_TYPES
from orchestration.cadence import Cadence
from orchestration.cli import demo
from orchestration.cli.demo import TODAY, day_of
from resources.errors import TuttiError
from resources.sandbox import world as sandbox
from resources.sandbox.http import lrclib
from tests.orchestration.conftest import DAYS, FIRST_DAY, MUSIC, World, rebuild
from tests.orchestration.support import platform, rows, rows_by_table, table, tables, versions

TABLES = sorted(s.key.to_user_string() for s in platform().resolve_all_asset_specs())
SPECS = {s.key.to_user_string(): s for s in platform().resolve_all_asset_specs()}
JOBS = {key.to_user_string(): job for key, job in Cadence(platform().resolve_asset_graph()).jobs.items()}
IMPORTED = {*(kind.table for kind in RECORD_TYPES), "events/imports", "events/quarantine"}
# The others grow batch by batch.
WITH_PREVIEW = [n for n in TABLES if n not in IMPORTED | {"content/audio_analyses"}]


def latest(world: World, asset: str, partition: str | None = None) -> dg.AssetMaterialization:
    """Return the newest materialization of an asset or of one partition."""
    key = dg.AssetKey(asset.split("/"))
    asked = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
    with world.instance() as instance:
        (record,) = instance.fetch_materializations(asked, limit=1).records
    assert record.asset_materialization
    return record.asset_materialization


def test_today_is_a_past_day_with_room_for_six_weeks() -> None:
    assert day_of(TODAY.isoformat()) == TODAY
    for wrong in ("tomorrow", "2999-01-01", "2002-10-31"):
        with pytest.raises(TuttiError, match=wrong):
            day_of(wrong)


@pytest.mark.slow
def test_the_demo_asks_for_the_lyrics_of_songs_that_have_words() -> None:
    made = sandbox.simulated(first_day=TODAY - timedelta(days=demo.DAYS), days=demo.DAYS, turnover=True)
    most_played = Counter(made.listens.recording.tolist()).most_common(demo.LYRICS_ASKED)
    asked = [made.recordings[n] for n, _ in most_played]
    known = {r["trackName"]: r["plainLyrics"] for r in lrclib.of_world(asked)}
    assert sum(words is not None for words in known.values()) > 10


def test_every_table_is_built(laptop: World) -> None:
    assert tables(laptop.data) == TABLES


def test_every_simulated_listen_is_stored_once(laptop: World) -> None:
    summary = laptop.summary
    assert summary.duplicates
    assert summary.late
    assert len(table(laptop.data, "events/raw_listens")) == summary.listens + summary.duplicates
    assert len(table(laptop.data, "events/listens")) == summary.listens


def test_every_broken_record_is_quarantined_with_its_reason(laptop: World) -> None:
    summary, held = laptop.summary, rows(laptop.data, "events/quarantine")
    assert summary.malformed
    assert summary.impossible
    assert len(held) == summary.malformed + summary.impossible
    assert all(r["reason"] and r["file"] and r["record"] >= 1 for r in held)
    misdated = [r for r in held if "before 2002-10-01" in r["reason"] or "in the future" in r["reason"]]
    negative = [r for r in held if r["reason"] == "timestamp is negative"]  # before 1970
    assert len(misdated) + len(negative) == summary.impossible


def test_every_app_event_is_stored_once_in_two_versions(laptop: World) -> None:
    summary, found = laptop.summary, rows(laptop.data, "events/app_events")
    assert summary.app_events_again
    assert len(table(laptop.data, "events/raw_app_events")) == summary.app_events
    assert len(found) == summary.app_events - summary.app_events_again
    assert {r["schema_version"] for r in found} == {"1", "2"}
    assert all(r["recording_id"] for r in found if r["event"] == "play")
    assert sum(r["events"] for r in rows(laptop.data, "events/daily_app_usage")) == len(found)
    fields = {(r["field"], r["type"], r["outcome"]) for r in rows(laptop.data, "events/app_event_schema")}
    versions = {("properties.position_ms", type_, "read") for type_ in ("integer", "string")}
    assert fields >= versions | {("properties.shuffle", "boolean", "extra"), ("context.ip", "string", "personal")}


def test_plays_of_apps_end_as_their_listens_do(laptop: World) -> None:
    """Both tables describe the same plays, through different assets."""
    done = rows(laptop.data, "events/daily_app_usage")
    users = {r["user_id"] for r in done}
    started = sum(r["plays_started"] for r in done)
    listens = [r for r in rows(laptop.data, "events/listens") if r["user_id"] in users]
    assert started == len(listens)
    assert 0 < sum(r["skipped"] for r in done) < sum(r["plays_ended"] for r in done) <= started
    assert 0 < sum(r["completed"] for r in done) < sum(r["with_track_length"] for r in done)


def test_friends_and_follows_are_stored_once(laptop: World) -> None:
    raw = rows(laptop.data, "events/raw_relationships")
    pairs = {tuple(sorted((r["user_id"], r["other_id"]))) for r in raw if r["relation"] == "friendship"}
    found = rows(laptop.data, "events/friendships")
    assert len(pairs) > 20
    assert sum(r["relation"] == "friendship" and not r["ends"] for r in raw) > len(pairs)  # some reported by both
    assert sorted((r["user_a"], r["user_b"]) for r in found) == sorted(pairs)
    assert all(r["since"] for r in found)
    assert {(r["user_id"], r["followed_id"]) for r in rows(laptop.data, "events/follows")} == {
        (r["user_id"], r["other_id"]) for r in raw if r["relation"] == "follow"
    }


def test_posts_name_what_their_listener_played(laptop: World) -> None:
    played = {(r["user_id"], r["recording_id"]): r for r in rows(laptop.data, "events/listens")}
    posts = rows(laptop.data, "events/posts")
    assert len(posts) == laptop.summary.posts > 5
    assert all(p["hashtags"] == ["nowplaying"] for p in posts)
    # If the catalog has a name twice, the earliest recording is the match, which may not be the one that was played.
    sure = [p for p in posts if p["confidence"] > 0.9]
    assert len(sure) > len(posts) // 2
    assert all((p["user_id"], p["recording_id"]) in played for p in sure)
    shared = rows(laptop.data, "events/shares")
    assert {s["entity_id"] for s in shared if s["entity"] == "post"} <= {p["post_id"] for p in posts}
    assert {s["entity"] for s in shared} <= {"post", "recording"}


def test_artists_are_tagged_once_by_their_listeners(laptop: World) -> None:
    played = {(r["user_id"], artist) for r in rows(laptop.data, "events/listens") for artist in r["artist_ids"]}
    raw, found = (rows(laptop.data, f"events/{name}") for name in ("raw_tag_assignments", "tag_assignments"))
    assert len(raw) >= len(found) > 1
    assert {r["artist_name"] for r in found} == {r["artist_name"] for r in raw}
    assert sum((r["user_id"], r["entity_id"]) in played for r in found) > 0.8 * len(found)  # others by name only


def test_the_catalog_and_the_lyrics_are_complete(laptop: World) -> None:
    assert len(table(laptop.data, "content/recordings")) == laptop.summary.recordings
    lyrics = rows(laptop.data, "content/lyrics")
    assert len(lyrics) == laptop.summary.lyrics
    assert all(row["is_preferred"] and row["recording_id"] and row["language"] for row in lyrics)
    assert {row["language"] for row in lyrics} >= {"en", "it"}
    assert len({row["lyrics_id"] for row in rows(laptop.data, "content/lyrics_lines")}) == len(lyrics)
    assert len(table(laptop.data, "derived/lyrics_word_counts")) > 0


def test_the_music_folder_is_analyzed(laptop: World) -> None:
    features = rows(laptop.data, "content/audio_features")
    assert [r["path"] for r in features] == list(MUSIC)
    assert [r["error"] for r in features] == [None] * len(MUSIC)


def test_derived_tables_add_up_to_the_listens(laptop: World) -> None:
    listens = laptop.summary.listens
    assert sum(r["plays"] for r in rows(laptop.data, "derived/recording_plays")) == listens
    for name in ("sessions", "daily_listening", "active_listeners"):
        assert sum(r["listens"] for r in rows(laptop.data, f"events/{name}")) == listens, name
    for period in ("daily", "weekly", "monthly", "yearly", "all_time"):
        chart = rows(laptop.data, f"derived/charts_{period}")
        assert sum(r["plays"] for r in chart if r["entity"] == "recording") == listens, period


def test_both_engines_build_the_same_tables(laptop: World, workstation: World) -> None:
    assert versions(laptop.data).keys() == versions(workstation.data).keys()
    ours, theirs = rows_by_table(laptop.data), rows_by_table(workstation.data)
    assert [n for n in TABLES if ours[n] != theirs[n]] == []


def test_every_run_succeeds_and_every_check_passes(laptop: World, workstation: World) -> None:
    for world in (laptop, workstation):
        with world.instance() as instance:
            runs = instance.get_runs()
            assert {r.job_name for r in runs} == set(JOBS.values())
            assert {r.status for r in runs} == {dg.DagsterRunStatus.SUCCESS}
            found = Counter(
                (e.dagster_event.asset_check_evaluation_data.passed)
                for r in runs
                for e in instance.all_logs(r.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
                if e.dagster_event
            )
        assert found[False] == 0
        assert found[True] == len(platform().resolve_asset_graph().asset_check_keys)


@pytest.mark.parametrize("asset", WITH_PREVIEW)
def test_materializations_have_rows_bytes_version_and_preview(laptop: World, asset: str) -> None:
    spec, metadata = SPECS[asset], latest(laptop, asset).metadata
    stored = table(laptop.data, asset)
    assert spec.metadata["dagster/column_schema"].columns
    assert metadata["version"].value == versions(laptop.data)[asset]
    assert (metadata["bytes"].value > 0) == (len(stored) > 0)  # nobody in the small world tags artists
    assert Path(str(metadata["folder"].value)) == laptop.made / "lake" / asset
    assert metadata["dagster/row_count"].value == len(stored)
    assert not spec.partitions_def or metadata["rows_written"].value == len(stored)
    preview = str(metadata["preview"].value)
    personal = [c.name for c in spec.metadata["dagster/column_schema"].columns if "personal" in c.tags]
    assert "| user_id |" not in preview
    assert (len(stored) > 0) == (preview != "no rows")
    if len(stored) and not personal:
        assert set(re.findall(r"[a-z]\w+", preview)) & set(stored.column_names)


def test_each_partition_has_its_row_count(laptop: World) -> None:
    for asset in (
        "events/listens",
        "events/sessions",
        "events/daily_listening",
        "derived/recording_plays",
        "derived/display_names",
    ):
        by_day = Counter(r["day"] for r in rows(laptop.data, asset))
        days = [FIRST_DAY + timedelta(days=n) for n in range(-1, DAYS)]
        assert by_day.keys() <= set(days)
        found = {
            day: latest(laptop, asset, day.isoformat()).metadata["dagster/partition_row_count"].value for day in days
        }
        assert found == {day: by_day[day] for day in days}, asset
    chart = Counter(r["period_start"].isoformat() for r in rows(laptop.data, "derived/charts_weekly"))
    for week, n in chart.items():
        assert latest(laptop, "derived/charts_weekly", week).metadata["dagster/partition_row_count"].value == n


def test_no_record_of_a_run_names_a_listener(laptop: World) -> None:
    people = {r["user_id"] for r in rows(laptop.data, "events/listens")}
    assert len(people) > 20
    names = re.compile("|".join(map(re.escape, sorted(people))))
    texts = list(_records(laptop.data))
    assert len(texts) > 500
    assert not [(found[0], text[:200]) for text in texts if (found := names.search(text))]


def _records(data: Path) -> Iterator[str]:
    """Yield the rows of Dagster's databases and the logs of runs."""
    for path in (data / "dagster").rglob("*"):
        if path.suffix == ".db":
            with sqlite3.connect(path) as base:
                names = [n for (n,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for name in names:
                    yield from map(repr, base.execute(f'SELECT * FROM "{name}"'))
        elif path.is_file():
            yield path.read_text(errors="replace")


def test_importing_the_same_files_again_changes_nothing(laptop: World) -> None:
    before = versions(laptop.data)
    process = rebuild(laptop).fine()
    assert "already imported" not in process.out  # files imported before are not listed
    after = versions(laptop.data)
    # These jobs read the landing and music folders each time.
    assert {JOBS.get(n) for n in TABLES if after[n] != before[n]} <= {"build_catalog", "analyze_music"}
