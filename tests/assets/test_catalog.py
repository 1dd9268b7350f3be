"""The catalog's tables: landed entities, each once, and the tables built from them on every engine."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.content import artists, credits, genres, mbid_redirects, recordings, release_groups, releases
from assets.content.artists import ARTISTS
from assets.content.credits import CREDITS, count_mismatches
from assets.content.genres import GENRES
from assets.content.mbid_redirects import MBID_REDIRECTS
from assets.content.recordings import RECORDINGS
from assets.content.release_groups import RELEASE_GROUPS
from assets.content.releases import RELEASES
from assets.content.wanted import SUBMITTED_MBIDS, wanted_ids, wanted_recordings
from assets.derived.recording_plays import ARTIST_PLAYS, RECORDING_PLAYS
from resources.folders.landing import Landing
from resources.frames.frame import Engine, Frame
from tests.oracle import Row
from tests.resources.sources.formats.test_musicbrainz import ARTIST, DUET, GROUP, RELEASE
from tests.tables import LEAP, at, catalog_recording, listen, table
from tests.transformations import TRANSFORMATIONS, work_of

A, B, C, D, E = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(5))
F = "00000000-0000-4000-8000-000000000005"
BY_NAME = {t.name: t for t in TRANSFORMATIONS}
ENTITY_TABLES = {
    "recordings": (recordings.recordings, RECORDINGS),
    "artists": (artists.artists, ARTISTS),
    "releases": (releases.releases, RELEASES),
    "release_groups": (release_groups.release_groups, RELEASE_GROUPS),
}


def landed(tmp_path: Path, folder: str, **files: list[Any]) -> list[Row]:
    """Return the rows of the table for a landing folder with these files."""
    for name, records in files.items():
        path = tmp_path / folder / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    asset, schema = ENTITY_TABLES[folder]
    rows = asset(dg.build_asset_context(), landing=Landing(root=str(tmp_path)))
    assert rows.schema.equals(schema)
    return sorted(rows.to_pylist(), key=lambda row: str(next(iter(row.values()))))


@pytest.mark.parametrize("folder", ENTITY_TABLES)
def test_a_missing_landing_folder_is_an_empty_table(tmp_path: Path, folder: str) -> None:
    assert landed(tmp_path, folder) == []


@pytest.mark.parametrize(
    ("folder", "record"), [("recordings", DUET), ("artists", ARTIST), ("releases", RELEASE), ("release_groups", GROUP)]
)
def test_unreadable_lines_are_skipped_and_the_others_are_complete(
    tmp_path: Path, folder: str, record: dict[str, Any]
) -> None:
    (row,) = landed(tmp_path, folder, a=[record | {"id": "no-uuid"}, {"title": 7}, record])
    _, schema = ENTITY_TABLES[folder]
    assert [f.name for f in schema if not f.nullable and row[f.name] is None] == []


def test_an_entity_is_one_row_from_its_latest_file(tmp_path: Path) -> None:
    (row,) = landed(tmp_path, "recordings", b=[DUET | {"title": "Newer"}], a=[DUET, DUET])
    assert row["title"] == "Newer"


def test_a_merged_entity_is_listed_in_merged_ids_of_the_other(tmp_path: Path) -> None:
    old, new = DUET, DUET | {"id": B, "asked_for": A}
    (row,) = landed(tmp_path, "recordings", a=[old], b=[new])
    assert (row["recording_id"], row["merged_ids"]) == (B, [A])


def test_a_chain_of_merges_leads_to_the_last_entity(tmp_path: Path) -> None:
    chain = [DUET, DUET | {"id": B, "asked_for": A}, DUET | {"id": C, "asked_for": B}]
    (row,) = landed(tmp_path, "recordings", a=chain)
    assert (row["recording_id"], row["merged_ids"]) == (C, [A, B])


def test_an_entity_whose_merge_was_undone_has_its_own_row_again(tmp_path: Path) -> None:
    rows = landed(tmp_path, "recordings", a=[DUET | {"id": B, "asked_for": A}], b=[DUET])
    assert [(row["recording_id"], row["merged_ids"]) for row in rows] == [(A, []), (B, [])]


IDS = (A, B, C, D)


@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=8))
def test_every_id_leads_to_one_row_after_any_merges(
    tmp_path_factory: pytest.TempPathFactory, merges: list[tuple[str, str]]
) -> None:
    lines = [DUET | {"id": new, "asked_for": old} for new, old in merges]
    rows = landed(tmp_path_factory.mktemp("merged"), "recordings", a=lines)
    leads = Counter(key for row in rows for key in (row["recording_id"], *row["merged_ids"]))
    assert set(leads.values()) <= {1}
    assert set(leads) == {key for pair in merges for key in pair} if rows else not merges


def catalog() -> dict[str, list[Row]]:
    """Return recordings of two artists, of one, and of one credited twice, a release with tags, and a merged id."""
    names = {"credited_names": ["Ada", "Bob"], "join_phrases": [" & ", ""], "artist_ids": [D, E]}
    twice = {"credited_names": ["Ada", "Ada's Band"], "join_phrases": [" with ", ""], "artist_ids": [D, D]}
    of_release = dict.fromkeys(RELEASES.names) | {
        "release_id": F,
        "title": "Album",
        "provenance": "",
        "artist_ids": [D],
    }
    tags = {"tags": ["rock", "seen live"], "tag_counts": [3, 0], "genres": ["rock"], "merged_ids": []}
    return {
        "recordings": [
            catalog_recording(A, "Ada & Bob", "Duet", **names, merged_ids=["old"]),
            catalog_recording(
                B, "Ada", "Solo", artist_ids=[D], release_id=F, tags=["pop"], tag_counts=[1], genres=["pop"]
            ),
            catalog_recording(C, "Ada with Ada's Band", "Both", **twice),
        ],
        "artists": [],
        "releases": [of_release | tags],
        "release_groups": [],
    }


def frames(engine: Engine, tables: dict[str, list[Row]]) -> list[Frame]:
    return [engine.from_arrow(table(rows, ENTITY_TABLES[name][1])) for name, rows in tables.items()]


def test_credits_have_a_row_for_each_name_in_printed_order(engine: Engine) -> None:
    result = work_of(credits.credits)(frames(engine, catalog())[0], span=(LEAP, LEAP)).collect(CREDITS)
    assert sorted(tuple(row.values()) for row in result.to_pylist()) == [
        (A, 1, D, "Ada", " & "),
        (A, 2, E, "Bob", ""),
        (B, 1, D, "Ada", ""),
        (C, 1, D, "Ada", " with "),
        (C, 2, D, "Ada's Band", ""),
    ]


def test_genres_cover_all_entities_and_separate_genres_from_tags(engine: Engine) -> None:
    result = work_of(genres.genres)(*frames(engine, catalog()), span=(LEAP, LEAP)).collect(GENRES)
    assert sorted(tuple(row.values()) for row in result.to_pylist()) == [
        ("recording", B, "pop", 1, True),
        ("release", F, "rock", 3, True),
        ("release", F, "seen live", 0, False),
    ]


def test_mbid_redirects_have_a_row_for_each_merged_id(engine: Engine) -> None:
    result = work_of(mbid_redirects.mbid_redirects)(*frames(engine, catalog()), span=(LEAP, LEAP))
    rows = result.collect(MBID_REDIRECTS).to_pylist()
    assert [tuple(row.values()) for row in rows] == [("recording", "old", A)]


def test_an_empty_catalog_gives_empty_tables(engine: Engine) -> None:
    empty = frames(engine, {name: [] for name in ENTITY_TABLES})
    assert work_of(credits.credits)(empty[0], span=(LEAP, LEAP)).collect(CREDITS).num_rows == 0
    assert work_of(genres.genres)(*empty, span=(LEAP, LEAP)).collect(GENRES).num_rows == 0
    assert work_of(mbid_redirects.mbid_redirects)(*empty, span=(LEAP, LEAP)).collect(MBID_REDIRECTS).num_rows == 0
    assert wanted_recordings(engine.from_arrow(SUBMITTED_MBIDS.empty_table()), empty[0]) == []


@given(data=st.data())
def test_a_missing_credit_is_counted_as_a_mismatch(pandas: Engine, data: st.DataObject) -> None:
    names = st.lists(st.tuples(st.sampled_from(IDS), st.text(max_size=3), st.sampled_from(["", " & "])), min_size=1)
    drawn = data.draw(st.lists(names, min_size=1, max_size=4))
    rows = [
        catalog_recording(
            f"r{n}",
            "".join(name + phrase for _, name, phrase in credit),
            "Song",
            artist_ids=[artist for artist, _, _ in credit],
            credited_names=[name for _, name, _ in credit],
            join_phrases=[phrase for _, _, phrase in credit],
        )
        for n, credit in enumerate(drawn)
    ]
    catalog = table(rows, RECORDINGS)
    result = work_of(credits.credits)(pandas.from_arrow(catalog), span=(LEAP, LEAP)).collect(CREDITS)
    assert result.num_rows == sum(map(len, drawn))
    assert mismatches(catalog, result) == 0
    lost = data.draw(st.integers(0, result.num_rows - 1))
    assert mismatches(catalog, pa.concat_tables([result.slice(0, lost), result.slice(lost + 1)])) == 1


def mismatches(recordings: pa.Table, credits: pa.Table) -> int:
    count: int = count_mismatches(recordings, credits)["rows"][0].as_py()
    return count


def test_a_recording_of_two_artists_counts_once_for_each(engine: Engine) -> None:
    """An artist whom the credit names twice counts once, too."""
    rows = [
        listen(at(LEAP), recording=A, artist_ids=[D, E], ms_played=1000),
        listen(at(LEAP, 5), recording=C, artist_ids=[D, D], ms_played=500),
    ]
    plays = BY_NAME["recording_plays"].on(engine, [rows], (LEAP, LEAP)).cast(RECORDING_PLAYS).to_pylist()
    assert {row["recording_id"]: (row["plays"], row["ms_played"]) for row in plays} == {A: (1, 1000), C: (1, 500)}
    artist_plays = BY_NAME["artist_plays"].on(engine, [rows], (LEAP, LEAP)).cast(ARTIST_PLAYS).to_pylist()
    assert {row["artist_id"]: (row["plays"], row["ms_played"]) for row in artist_plays} == {
        D: (2, 1500),
        E: (1, 1000),
    }


def test_wanted_recordings_are_those_the_catalog_lacks_by_plays(engine: Engine) -> None:
    recordings = frames(engine, catalog())[0]
    names = ["x", "y", "y", "z", "z", "a", "a", None, None, None, A, B, B, "old"]
    listens = engine.from_arrow(pa.table({"recording_mbid": pa.array(names, pa.string())}, SUBMITTED_MBIDS))
    assert wanted_recordings(listens, recordings) == ["a", "y", "z", "x"]


def test_wanted_ids_are_references_without_a_row(engine: Engine) -> None:
    recordings, artists, releases, _ = frames(engine, catalog())
    assert wanted_ids(artists, "artist_id", (recordings, "artist_ids"), (releases, "artist_ids")) == [D, E]
    assert wanted_ids(releases, "release_id", (recordings, "release_id")) == []
    assert wanted_ids(artists, "artist_id", (releases, "release_id")) == [F]
