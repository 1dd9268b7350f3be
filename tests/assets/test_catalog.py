"""The catalog's tables: what lies in the landing folder, each entity once, and what follows on every engine."""

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
from assets.content.credits import CREDITS, disagreeing
from assets.content.genres import GENRES
from assets.content.mbid_redirects import MBID_REDIRECTS
from assets.content.recordings import RECORDINGS
from assets.content.release_groups import RELEASE_GROUPS
from assets.content.releases import RELEASES
from assets.content.wanted import HEARD, heard, lacking
from assets.derived.recording_plays import ARTIST_PLAYS, RECORDING_PLAYS
from resources.folders.landing import Landing
from resources.frames.frame import Engine, Frame
from tests.oracle import Row
from tests.resources.sources.formats.test_musicbrainz import ARTIST, DUET, GROUP, RELEASE
from tests.tables import LEAP, at, known, listen, table
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
    """The table made of what lies in a folder."""
    for name, records in files.items():
        path = tmp_path / folder / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    asset, schema = ENTITY_TABLES[folder]
    found = asset(dg.build_asset_context(), landing=Landing(root=str(tmp_path)))
    assert found.schema.equals(schema)
    return sorted(found.to_pylist(), key=lambda row: str(next(iter(row.values()))))


@pytest.mark.parametrize("folder", ENTITY_TABLES)
def test_a_folder_that_is_not_there_is_an_empty_table(tmp_path: Path, folder: str) -> None:
    assert landed(tmp_path, folder) == []


@pytest.mark.parametrize(
    ("folder", "record"), [("recordings", DUET), ("artists", ARTIST), ("releases", RELEASE), ("release_groups", GROUP)]
)
def test_a_bad_line_is_passed_over_and_the_rest_is_there_with_nothing_lacking(
    tmp_path: Path, folder: str, record: dict[str, Any]
) -> None:
    (row,) = landed(tmp_path, folder, a=[record | {"id": "no-uuid"}, {"title": 7}, record])
    _, schema = ENTITY_TABLES[folder]
    assert [f.name for f in schema if not f.nullable and row[f.name] is None] == []


def test_what_a_later_file_tells_counts_and_an_entity_is_there_once(tmp_path: Path) -> None:
    (row,) = landed(tmp_path, "recordings", b=[DUET | {"title": "Newer"}], a=[DUET, DUET])
    assert row["title"] == "Newer"


def test_an_entity_that_was_merged_is_gone_and_the_other_knows_its_id(tmp_path: Path) -> None:
    old, new = DUET, DUET | {"id": B, "asked_for": A}
    (row,) = landed(tmp_path, "recordings", a=[old], b=[new])
    assert (row["recording_id"], row["merged_ids"]) == (B, [A])


def test_merged_and_merged_again_it_is_the_last_that_is_left(tmp_path: Path) -> None:
    chain = [DUET, DUET | {"id": B, "asked_for": A}, DUET | {"id": C, "asked_for": B}]
    (row,) = landed(tmp_path, "recordings", a=chain)
    assert (row["recording_id"], row["merged_ids"]) == (C, [A, B])


def test_what_was_merged_by_mistake_is_itself_again(tmp_path: Path) -> None:
    rows = landed(tmp_path, "recordings", a=[DUET | {"id": B, "asked_for": A}], b=[DUET])
    assert [(row["recording_id"], row["merged_ids"]) for row in rows] == [(A, []), (B, [])]


IDS = (A, B, C, D)


@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), max_size=8))
def test_whatever_is_merged_into_what_every_id_leads_to_one_row(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, str]]
) -> None:
    lines = [DUET | {"id": id, "asked_for": asked} for id, asked in told]
    rows = landed(tmp_path_factory.mktemp("merged"), "recordings", a=lines)
    leads = Counter(id for row in rows for id in (row["recording_id"], *row["merged_ids"]))
    assert set(leads.values()) <= {1}
    assert set(leads) == {id for pair in told for id in pair} if rows else not told


def catalog(*, tags: list[str] | None = None) -> dict[str, list[Row]]:
    """A recording of two, one of one, and one that names an artist twice; a release with tags; something merged."""
    names = {"credited_names": ["Ada", "Bob"], "join_phrases": [" & ", ""], "artist_ids": [D, E]}
    twice = {"credited_names": ["Ada", "Ada's Band"], "join_phrases": [" with ", ""], "artist_ids": [D, D]}
    of_release = dict.fromkeys(RELEASES.names) | {
        "release_id": F,
        "title": "Album",
        "provenance": "",
        "artist_ids": [D],
    }
    told = {"tags": ["rock", "seen live"], "tag_counts": [3, 0], "genres": ["rock"], "merged_ids": []}
    return {
        "recordings": [
            known(A, "Ada & Bob", "Duet", **names, merged_ids=["old"]),
            known(B, "Ada", "Solo", artist_ids=[D], release_id=F, tags=["pop"], tag_counts=[1], genres=["pop"]),
            known(C, "Ada with Ada's Band", "Both", **twice),
        ],
        "artists": [],
        "releases": [of_release | told],
        "release_groups": [],
    }


def frames(engine: Engine, told: dict[str, list[Row]]) -> list[Frame]:
    return [engine.from_arrow(table(rows, ENTITY_TABLES[name][1])) for name, rows in told.items()]


def test_credits_are_a_row_for_each_name_in_its_order(engine: Engine) -> None:
    made = work_of(credits.credits)(frames(engine, catalog())[0], span=(LEAP, LEAP)).collect(CREDITS)
    assert sorted(tuple(row.values()) for row in made.to_pylist()) == [
        (A, 1, D, "Ada", " & "),
        (A, 2, E, "Bob", ""),
        (B, 1, D, "Ada", ""),
        (C, 1, D, "Ada", " with "),
        (C, 2, D, "Ada's Band", ""),
    ]


def test_genres_are_told_of_every_entity_and_from_other_tags(engine: Engine) -> None:
    made = work_of(genres.genres)(*frames(engine, catalog()), span=(LEAP, LEAP)).collect(GENRES)
    assert sorted(tuple(row.values()) for row in made.to_pylist()) == [
        ("recording", B, "pop", 1, True),
        ("release", F, "rock", 3, True),
        ("release", F, "seen live", 0, False),
    ]


def test_merged_ids_are_told_of_every_entity(engine: Engine) -> None:
    made = work_of(mbid_redirects.mbid_redirects)(*frames(engine, catalog()), span=(LEAP, LEAP)).collect(MBID_REDIRECTS)
    assert [tuple(row.values()) for row in made.to_pylist()] == [("recording", "old", A)]


def test_nothing_gives_nothing(engine: Engine) -> None:
    empty = frames(engine, {name: [] for name in ENTITY_TABLES})
    assert work_of(credits.credits)(empty[0], span=(LEAP, LEAP)).collect(CREDITS).num_rows == 0
    assert work_of(genres.genres)(*empty, span=(LEAP, LEAP)).collect(GENRES).num_rows == 0
    assert work_of(mbid_redirects.mbid_redirects)(*empty, span=(LEAP, LEAP)).collect(MBID_REDIRECTS).num_rows == 0
    assert heard(engine.from_arrow(HEARD.empty_table()), empty[0]) == []


@given(data=st.data())
def test_credits_agree_with_recordings_and_one_change_is_seen(pandas: Engine, data: st.DataObject) -> None:
    names = st.lists(st.tuples(st.sampled_from(IDS), st.text(max_size=3), st.sampled_from(["", " & "])), min_size=1)
    told = data.draw(st.lists(names, min_size=1, max_size=4))
    rows = [
        known(
            f"r{n}",
            "".join(name + phrase for _, name, phrase in credit),
            "Song",
            artist_ids=[id for id, _, _ in credit],
            credited_names=[name for _, name, _ in credit],
            join_phrases=[phrase for _, _, phrase in credit],
        )
        for n, credit in enumerate(told)
    ]
    catalog = table(rows, RECORDINGS)
    made = work_of(credits.credits)(pandas.from_arrow(catalog), span=(LEAP, LEAP)).collect(CREDITS)
    assert made.num_rows == sum(map(len, told))
    assert wrong(catalog, made) == 0
    lost = data.draw(st.integers(0, made.num_rows - 1))
    assert wrong(catalog, pa.concat_tables([made.slice(0, lost), made.slice(lost + 1)])) == 1


def wrong(recordings: pa.Table, credits: pa.Table) -> int:
    found: int = disagreeing(recordings, credits)["rows"][0].as_py()
    return found


def test_a_recording_of_two_is_heard_once_and_counts_once_for_either(engine: Engine) -> None:
    """And once for one whom its credit names twice."""
    rows = [
        listen(at(LEAP), recording=A, artist_ids=[D, E], ms_played=1000),
        listen(at(LEAP, 5), recording=C, artist_ids=[D, D], ms_played=500),
    ]
    plays = BY_NAME["recording_plays"].on(engine, [rows], (LEAP, LEAP)).cast(RECORDING_PLAYS).to_pylist()
    assert {row["recording_id"]: (row["plays"], row["ms_played"]) for row in plays} == {A: (1, 1000), C: (1, 500)}
    heard = BY_NAME["artist_plays"].on(engine, [rows], (LEAP, LEAP)).cast(ARTIST_PLAYS).to_pylist()
    assert {row["artist_id"]: (row["plays"], row["ms_played"]) for row in heard} == {D: (2, 1500), E: (1, 1000)}


def test_what_is_played_most_is_wanted_most_and_what_is_known_is_not(engine: Engine) -> None:
    catalogd = frames(engine, catalog())[0]
    names = ["x", "y", "y", "z", "z", "a", "a", None, None, None, A, B, B, "old"]
    listens = engine.from_arrow(pa.table({"recording_mbid": pa.array(names, pa.string())}, HEARD))
    assert heard(listens, catalogd) == ["a", "y", "z", "x"]


def test_what_tables_name_and_another_lacks_is_wanted(engine: Engine) -> None:
    recordings, artists, releases, _ = frames(engine, catalog())
    assert lacking(artists, "artist_id", (recordings, "artist_ids"), (releases, "artist_ids")) == [D, E]
    assert lacking(releases, "release_id", (recordings, "release_id")) == []
    assert lacking(artists, "artist_id", (releases, "release_id")) == [F]
