"""Malformed files of every kind: each is refused in one line or read in part, without other errors."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.sources.exports import UnsupportedFile
from resources.sources.records.listen import RecordResult
from tests.exporting import read
from tests.fuzz.samples import EXPORTS as SEEDS

PIECES = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [b"", b"\0", b'"', b"{", b"}", b"[", b"]", b",", b"\n", b"\xff" * 4, b"<", b"<!DOCTYPE a>", b"&a;", b"#"]
    ),
    st.sampled_from(
        [b'{"playlist": {"track": [', b'"track": [', b'{"payload": {"listens": [', b"PAR1", b"NaN", b"1e999999"]
    ),
)


def outcome(folder: Path, data: bytes) -> list[RecordResult]:
    """Return the results of a file, or none if it is refused in one line. Other errors fail the test."""
    refusal, reads = "", []
    try:
        reads = read(folder, data)
    except UnsupportedFile as error:
        refusal = str(error)
    assert "\n" not in refusal
    return reads


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_are_valid_exports(tmp_path: Path, seed: str) -> None:
    assert all(r.parsed for r in read(tmp_path, SEEDS[seed]))


@pytest.mark.parametrize("seed", SEEDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_reported_record_by_record(tmp_path: Path, seed: str, data: st.DataObject) -> None:
    hurt = bytearray(SEEDS[seed])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(hurt)))
        piece = data.draw(PIECES)
        end = data.draw(st.sampled_from([at, at + len(piece), at + 1, len(hurt)]))
        hurt[at:end] = piece
    for each in outcome(tmp_path, bytes(hurt)):
        assert sum(outcome is not None for outcome in (each.parsed, each.reason, each.skipped)) == 1
        assert each.raw is None or each.raw.encode() is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_random_bytes_are_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path, data)
