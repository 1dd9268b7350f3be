"""Malformed files of every kind: each is refused in words or read in part, and nothing else ever happens."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.sources.exports import NoExport
from resources.sources.listen import Read
from tests.exporting import read

UTS = 1_695_047_940
NAMES = {"artist_name": "Artist", "track_name": "Song"}
LISTENS = [{"listened_at": UTS + n, "track_metadata": NAMES} for n in range(3)]
TRACKS = [{"artist": {"#text": "A"}, "name": "S", "album": {"#text": "B"}, "date": {"uts": str(UTS)}}] * 2
SCROBBLES = [{"time": UTS, "track": {"artists": ["A"], "title": "S"}, "origin": "client:x"}] * 2
PLAYLIST = {"playlist": {"title": "P", "track": [{"title": "a", "creator": "b", "identifier": ["x"]}] * 2}}
CSV = f'# a comment\nArtist,Track,Album,Time\n"A",C,B,{UTS}\nA,C,B,{UTS}\n'
XSPF = '<playlist xmlns="http://xspf.org/ns/0/"><title>P</title><trackList><track><title>a</title></track></trackList></playlist>'


def lines(records: list[Any]) -> bytes:
    return "\n".join(map(json.dumps, records)).encode()


def parquet() -> bytes:
    out = io.BytesIO()
    when = pa.array([UTS * 1000] * 3, pa.timestamp("ms"))
    columns = {"listened_at": when, "user_id": [1, 2, 3], "artist_name": ["A"] * 3, "recording_name": ["S"] * 3}
    pq.write_table(pa.table(columns), out, row_group_size=1)
    return out.getvalue()


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.json", data)
        file.writestr("b.json", data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in ("a.json", "x" * 150):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return out.getvalue()


PRESSED = [
    {"event": "play", "user_id": "ada", "timestamp": UTS + n, "properties": {"position_ms": n, "new": {"a": [1.5]}}}
    for n in range(3)
]
SEEDS = {
    "lines": lines(LISTENS),
    "app events": lines(PRESSED),
    "list": json.dumps(LISTENS).encode(),
    "page": json.dumps({"recenttracks": {"track": TRACKS, "@attr": {"user": "ada"}}}).encode(),
    "maloja": json.dumps({"maloja": {"export_time": 1}, "scrobbles": SCROBBLES}, indent=1).encode(),
    "jspf": json.dumps(PLAYLIST).encode(),
    "csv": CSV.encode(),
    "bare csv": b'A,B,C,"18 Sep 2023, 14:39"\n' * 3,
    "xspf": XSPF.encode(),
    "parquet": parquet(),
    "zip": zipped(lines(LISTENS)),
    "tar": tarred(lines(LISTENS)),
    "tar of parquet": tarred(parquet()),
    "gz": gzip.compress(tarred(lines(LISTENS))),
    "bz2": bz2.compress(lines(LISTENS)),
    "xz": lzma.compress(lines(LISTENS)),
    "zst": zstandard.compress(tarred(lines(LISTENS))),
}
PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"", b"\0", b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\xff" * 4, b"<", b"<!DOCTYPE a>", b"&a;", b"#"]
    ),
    st.sampled_from(
        [b'{"playlist": {"track": [', b'"track": [', b'{"payload": {"listens": [', b"PAR1", b"NaN", b"1e999999"]
    ),
)


def outcome(folder: Path, data: bytes) -> list[Read]:
    """What is read of a file, nothing if it is refused in one line; any other error is a failure."""
    refusal, reads = "", []
    try:
        reads = read(folder, data)
    except NoExport as error:
        refusal = str(error)
    assert "\n" not in refusal
    return reads


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_are_exports(tmp_path: Path, seed: str) -> None:
    assert all(r.found for r in read(tmp_path, SEEDS[seed]))


@pytest.mark.parametrize("seed", SEEDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_bytes_changed_cut_or_put_in_anywhere_are_told_of_or_read_past(
    tmp_path: Path, seed: str, data: st.DataObject
) -> None:
    hurt = bytearray(SEEDS[seed])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(hurt)))
        piece = data.draw(PIECES)
        kept = data.draw(st.sampled_from([at, at + len(piece), at + 1, len(hurt)]))
        hurt[at:kept] = piece
    for each in outcome(tmp_path, bytes(hurt)):
        assert sum(told is not None for told in (each.found, each.reason, each.passed_over)) == 1
        assert each.raw is None or each.raw.encode() is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_bytes_at_random_are_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path, data)
