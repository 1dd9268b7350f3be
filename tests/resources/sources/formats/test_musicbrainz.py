"""MusicBrainz entities: valid records become rows, invalid ones a reason, never an exception."""

import copy
import json
import os
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.content.artists import ARTISTS
from assets.content.recordings import RECORDINGS
from assets.content.release_groups import RELEASE_GROUPS
from assets.content.releases import RELEASES
from resources.sandbox import catalog, performers
from resources.sandbox.entities import entities
from resources.sources.formats import musicbrainz
from resources.sources.formats.musicbrainz import KINDS, EntityResult, Kind, read
from tests.examples import examples

A, B, C, D, E = (f"00000000-0000-4000-8000-00000000000{n}" for n in range(5))
SCHEMAS = {"recording": RECORDINGS, "artist": ARTISTS, "release": RELEASES, "release_group": RELEASE_GROUPS}
# As https://musicbrainz.org/doc/MusicBrainz_API/Examples shows them, shortened, with names of our own.
DUET: dict[str, Any] = {
    "id": A,
    "title": "A Song of Two",
    "length": 281000,
    "video": False,
    "disambiguation": "",
    "first-release-date": "2014-06",
    "artist-credit": [
        {"name": "Ada", "joinphrase": " feat. ", "artist": {"id": B, "name": "Ada L.", "sort-name": "L., Ada"}},
        {"name": "Bob", "joinphrase": "", "artist": {"id": C, "name": "Bob", "sort-name": "Bob"}},
    ],
    "isrcs": ["GBAAA0000001"],
    "releases": [
        {"id": E, "title": "Later", "date": "2015"},
        {"id": D, "title": "First", "date": "2014-06-20"},
        {"id": A, "title": "Nobody knows when", "date": ""},
    ],
    "tags": [{"name": "pop", "count": 5}, {"name": "seen live", "count": 7}, {"name": "disputed", "count": -1}],
    "genres": [{"id": E, "name": "pop", "count": 5, "disambiguation": ""}],
}
GROUP: dict[str, Any] = {"id": D, "title": "Album", "primary-type": "Album", "secondary-types": ["Live", "Compilation"]}
RELEASE: dict[str, Any] = {
    "id": E,
    "title": "Album",
    "status": "Official",
    "date": "1998-??-31",
    "country": "XW",
    "barcode": "",
    "artist-credit": DUET["artist-credit"],
    "release-group": GROUP,
    "media": [{"track-count": 10, "format": "CD"}, {"track-count": 9, "format": "CD"}],
}
ARTIST: dict[str, Any] = {
    "id": B,
    "name": "Ada L.",
    "sort-name": "L., Ada",
    "type": "Person",
    "country": "GB",
    "area": {"id": E, "name": "United Kingdom"},
    "life-span": {"begin": "????-12-10", "end": "1852", "ended": True},
}
GOOD = {"recording": DUET, "artist": ARTIST, "release": RELEASE, "release_group": GROUP}
BY_ENTITY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.entity)


def read_results(tmp_path: Path, kind: Kind, *records: Any) -> list[Any]:
    """Write records to a file and return the result of each."""
    path = tmp_path / "file.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return list(read(path, kind))


def test_a_recording_has_its_artists_in_order_and_earliest_release() -> None:
    entity = musicbrainz.recording(DUET)
    assert entity.artist_credit == "Ada feat. Bob"
    assert (entity.artist_ids, entity.credited_names, entity.join_phrases) == ([B, C], ["Ada", "Bob"], [" feat. ", ""])
    assert (entity.release_id, entity.first_release_date, entity.length_ms) == (D, "2014-06", 281000)
    assert (entity.tags, entity.tag_counts) == (["seen live", "pop", "disputed"], [7, 5, -1])
    assert entity.genres == ["pop"]
    assert entity.provenance == "MusicBrainz"


def test_the_disambiguation_is_not_the_provenance() -> None:
    assert musicbrainz.recording(DUET | {"annotation": "Original vinyl"}).provenance == "MusicBrainz"
    assert musicbrainz.recording(DUET | {"provenance": "invented"}).provenance == "invented"


def test_a_release_has_its_group_tracks_and_partial_date() -> None:
    entity = musicbrainz.release(RELEASE)
    assert (entity.release_group_id, entity.media, entity.tracks) == (D, 2, 19)
    assert (entity.date, entity.country, entity.barcode, entity.status) == ("1998-??-31", "XW", None, "Official")
    unknown = musicbrainz.release(RELEASE | {"media": [{"track-count": 10}, {"format": "CD"}]})
    assert (unknown.media, unknown.tracks) == (2, None)
    assert musicbrainz.release({"id": E, "title": "Album"}).tracks is None


def test_artists_and_release_groups_have_none_for_unknown_fields() -> None:
    entity = musicbrainz.artist(ARTIST)
    assert (entity.begin_date, entity.end_date, entity.ended, entity.area) == (
        "????-12-10",
        "1852",
        True,
        "United Kingdom",
    )
    bare = musicbrainz.artist({"id": B, "name": "Ada", "sort-name": "Ada", "area": None, "life-span": None})
    assert (bare.type, bare.area, bare.begin_date, bare.ended, bare.tags) == (None, None, None, None, [])
    group = musicbrainz.release_group(GROUP)
    assert (group.primary_type, group.secondary_types, group.artist_credit) == ("Album", ["Live", "Compilation"], None)


def test_an_invalid_date_leaves_the_entity_intact() -> None:
    entity = musicbrainz.recording(DUET | {"first-release-date": "2014-13-45"})
    assert (entity.first_release_date, entity.title) == (None, "A Song of Two")


def test_a_merged_id_is_returned_if_it_was_requested(tmp_path: Path) -> None:
    lines = [DUET, DUET | {"asked_for": C}, DUET | {"asked_for": A}]
    assert [result.merged_id for result in read_results(tmp_path, musicbrainz.RECORDINGS, *lines)] == [None, C, None]


WRONG: list[dict[str, Any]] = [
    {"id": "no-uuid"},
    {"id": None},
    {"title": " "},
    {"title": "half a character: \ud800"},
    {"artist-credit": []},
    {"artist-credit": [{"name": "Ada", "artist": {}}]},
    {"artist-credit": "Ada"},
    {"length": 1 << 40},
    {"length": "281000"},
    {"length": True},
    {"length": 0.5},
    {"tags": [{"name": "pop", "count": 10**30}]},
    {"tags": [{"name": ["pop"]}]},
    {"isrcs": [None]},
    {"releases": [{"title": "no id"}]},
    {"asked_for": "no-uuid"},
]


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_an_invalid_record_is_reported_and_the_next_is_read(tmp_path: Path, change: dict[str, Any]) -> None:
    bad, good = read_results(tmp_path, musicbrainz.RECORDINGS, DUET | change, DUET)
    assert bad[0] == "line 1" and "invalid record" in bad[1]
    assert isinstance(good, EntityResult)


@BY_ENTITY
def test_every_entity_of_the_sandbox_fits_its_table(kind: Kind) -> None:
    works = catalog.works()[:200]
    records = entities(performers.recordings(works, 7)).of[kind.path].values()
    rows = [kind.parse(record) for record in records]
    assert rows
    assert {row.disambiguation for row in rows if hasattr(row, "disambiguation")} <= {"invented for a sandbox"}
    assert all("invented" in row.provenance.lower() for row in rows)
    fits(kind, rows)


def fits(kind: Kind, rows: list[Any]) -> None:
    """Assert that rows fit their table completely."""
    from dataclasses import asdict

    schema = SCHEMAS[kind.entity]
    table = pa.Table.from_pylist([asdict(row) | {"merged_ids": []} for row in rows], schema)
    assert [f.name for f in schema if not f.nullable and table[f.name].null_count] == []


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([A, "2014", "1e99"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@BY_ENTITY
@given(data=st.data())
@examples(60)
def test_any_record_becomes_a_row_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: Kind, data: st.DataObject
) -> None:
    keys = sorted({*GOOD[kind.entity], "tags", "genres", "asked_for", "provenance", "artist-credit", "life-span"})
    record = GOOD[kind.entity] | data.draw(st.dictionaries(st.sampled_from(keys), JUNK, max_size=3))
    (result,) = read_results(tmp_path_factory.mktemp("junk"), kind, record)
    if isinstance(result, EntityResult):
        fits(kind, [result.entity])
    else:
        assert result[0] == "line 1" and result[1]


@BY_ENTITY
def test_a_short_fuzz_finds_no_exception(tmp_path: Path, kind: Kind) -> None:
    """Swap, drop and replace values at any depth, and damage bytes of the file."""
    chance = random.Random(kind.entity)
    junk = [None, True, -1, 1 << 70, 1.5, "", "\ud800", "x" * 300, [], {}, [[]], {"id": A}]
    good = json.dumps(GOOD[kind.entity])
    path, rows = tmp_path / "fuzzed.jsonl", 0
    for _ in range(400):
        record = copy.deepcopy(GOOD[kind.entity])
        for _ in range(chance.randint(1, 3)):
            spoil(record, chance, junk)
        line = bytearray(json.dumps(record).encode())
        if chance.random() < 0.3:
            for _ in range(chance.randint(1, 4)):
                line[chance.randrange(len(line))] = chance.randrange(256)
        path.write_bytes(bytes(line) + b"\n" + good.encode() + b"\n")
        results = list(read(path, kind))
        assert isinstance(results[-1], EntityResult)  # a valid record is read after any invalid one
        fits(kind, [result.entity for result in results if isinstance(result, EntityResult)])
        rows += len(results)
    assert rows >= 400


def spoil(value: Any, chance: random.Random, junk: list[Any]) -> None:
    """Change a value of a record at any depth."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.7:
        spoil(value[key], chance, junk)
    elif isinstance(value, dict) and chance.random() < 0.3:
        del value[key]
    else:
        value[key] = copy.deepcopy(chance.choice(junk))


@pytest.fixture
def samples() -> Path:
    folder = os.environ.get("TUTTI_SAMPLES")
    if not folder:
        pytest.skip("TUTTI_SAMPLES names no folder of samples")
    return Path(folder) / "musicbrainz"


def test_recorded_answers_are_read(samples: Path) -> None:
    def sample(name: str) -> Any:
        return json.loads((samples / name).read_bytes())

    song = musicbrainz.recording(sample("recording.json"))
    assert (song.title, song.artist_credit, song.isrcs) == ("Thinking Out Loud", "Ed Sheeran", ["GBAHS1400099"])
    assert (song.length_ms, song.first_release_date, len(song.tags)) == (281000, "2014-06-20", 2)
    who = musicbrainz.artist(sample("artist.json"))
    assert (who.sort_name, who.country, who.begin_date, who.ended) == ("Sheeran, Ed", "GB", "1991-02-17", False)
    album = musicbrainz.release(sample("release.json"))
    assert (album.tracks, album.media, album.date, album.barcode) == (10, 1, "1973-03-24", "123")
    assert album.genres == ["genre1", "genre2"] and album.tags == ["genre1", "tag1", "genre2", "tag2"]
    group = musicbrainz.release_group(sample("release_group.json"))
    assert (group.release_group_id, group.first_release_date) == (album.release_group_id, "1973-03-24")
    for kind, result in zip(KINDS, (song, who, album, group), strict=True):
        fits(kind, [result])


def test_recorded_answers_are_read_from_files_as_well(samples: Path, tmp_path: Path) -> None:
    for kind in KINDS:
        record = json.loads((samples / f"{kind.entity}.json").read_bytes())
        (result,) = read_results(tmp_path, kind, record)
        assert isinstance(result, EntityResult), kind.entity


def test_every_recorded_answer_is_tested(samples: Path) -> None:
    ours = {f"{kind.entity}.json" for kind in KINDS}
    assert {path.name for path in samples.iterdir()} - ours == {"track.json"}  # a track of a release: no entity of ours
