"""Submissions are accepted exactly if they follow ListenBrainz's documented rules, and stored as sent."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.scrobble_endpoint.submission import MAX_LISTEN_BYTES, Submission, read
from resources.sources.formats import listenbrainz
from resources.sources.readers.json_records import DECODER
from resources.sources.records.listen import Malformed
from tests.resources.scrobble_endpoint.support import MBID, listen, single

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
FIRST = 1_033_430_400  # 2002-10-01


def accepted(content: Any) -> Submission:
    return read(content if isinstance(content, bytes) else json.dumps(content).encode(), NOW)


def accepted_listen(content: Any) -> dict[str, Any]:
    (only,) = accepted(content).listens
    return only


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Cannot parse JSON document"),
        (b"\xff", "Cannot parse JSON document"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"payload": [NaN]}', "NaN is not"),
        (b'{"payload": [-Infinity]}', "-Infinity is not"),
        (b'{"payload": [1e999]}', "1e999 is not"),
        (b'{"payload": [' + b"9" * 5000 + b"]}", "Cannot parse JSON document"),
        ([], "should be a json object"),
        ({"listen_type": "single"}, "should be a list"),
        (single(), "does not contain any listens"),
        (single(listen(), listen()), "only one"),
        (single(listen(None), listen(None), listen_type="playing_now"), "only one"),
        (single(listen(), listen_type="scrobble"), "valid listen_type"),
        (single(listen(), listen_type=["single"]), "valid listen_type"),
        ({"payload": [listen()]}, "valid listen_type"),
        (single(*[listen()] * 1001, listen_type="import"), "more than 1000"),
        (single(listen(info={"x": "y" * MAX_LISTEN_BYTES})), "larger than 10240 bytes"),
        (
            single(listen(info={"x": "é" * (MAX_LISTEN_BYTES // 2)}), *[listen()] * 9, listen_type="import"),
            "10240 bytes",
        ),
        (single(None), "json object"),
        (single({"track_metadata": listen()["track_metadata"]}), "key listened_at"),
        (single({"listened_at": 1_700_000_000}), "key track_metadata"),
        (single(listen() | {"user_name": "eve"}), "may only contain"),
        (single(listen(), listen_type="playing_now"), "must not contain listened_at"),
        (single(listen(None) | {"x": 1}, listen_type="playing_now"), "may only contain"),
        (single(listen("soon")), "int value"),
        (single(listen(True)), "int value"),
        (single({**listen(), "listened_at": None}), "int value"),
        (single(listen(FIRST - 1)), "out of range"),
        (single(listen(-1)), "negative"),
        (single(listen(SECONDS + 3601)), "out of range"),
        (single(listen(1_700_000_000_000)), "milliseconds"),
        (single(listen(1_700_000_000_000_000_000)), "milliseconds"),
        (single({**listen(), "track_metadata": None}), "json object"),
        (single(listen(track_name=" \t")), "track_metadata.track_name is missing"),
        (single(listen(artist_name=["A"])), "artist_name is not text"),
        (single(listen(release_name="")), "track_metadata.release_name is missing"),
        (single(listen(track_name="a\0b")), "null"),
        (single(listen(info={"x": [{"y\0": 1}]})), "null"),
        (single(listen(info={"x": "\ud800"})), "half a character"),
        (single(listen(info=[])), "additional_info must be"),
        (single(listen(info={"tags": ["t"] * 51})), "more than 50"),
        (single(listen(info={"tags": ["t" * 65]})), "longer than 64"),
        (single(listen(info={"tags": "rock"})), "list of strings"),
        (single(listen(info={"duration": 1, "duration_ms": 1000})), "both duration and duration_ms"),
        (single(listen(info={"duration": 0})), "positive integer"),
        (single(listen(info={"duration_ms": None})), "positive integer"),
        (single(listen(info={"duration": 24 * 86_400 + 1})), "too large"),
        (single(listen(info={"recording_mbid": "x"})), "recording_mbid MBID format"),
        (single(listen(info={"artist_mbids": [MBID, 7]})), "artist_mbids MBID format"),
        (single(listen(info={"work_mbids": MBID})), "list of MBIDs"),
    ],
)
def test_invalid_submission_is_refused_with_the_reason(content: Any, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        accepted(content)


@pytest.mark.parametrize("listened_at", [FIRST, SECONDS + 3600, str(SECONDS), 1_700_000_000.75])
def test_times_that_listenbrainz_accepts_are_accepted(listened_at: Any) -> None:
    assert accepted_listen(single(listen(listened_at)))["listened_at"] == int(float(listened_at))


def test_names_are_stripped_and_mbids_get_one_spelling() -> None:
    stored = accepted_listen(
        single(listen(artist_name=" A ", info={"recording_mbid": MBID.upper().replace("-", ""), "x": " "}))
    )
    info = {"recording_mbid": MBID, "x": " "}
    assert stored["track_metadata"] == {"artist_name": "A", "track_name": "Song", "additional_info": info}


def test_empty_fields_are_valid() -> None:
    info = {"recording_mbid": "", "release_mbid": None, "artist_mbids": [], "work_mbids": [None, MBID], "tags": []}
    assert accepted_listen(single(listen(info=info)))["track_metadata"]["additional_info"] == info
    assert "additional_info" not in accepted_listen(single(listen(additional_info=None)))["track_metadata"]


def test_fields_about_the_machine_are_dropped_and_the_program_stays() -> None:
    stays = {"submission_client": "mpd/0.23.1", "media_player_version": "4.0.0.1", "duration": "300", "isrc": "x"}
    goes = {
        "ip_address": "x",
        "userAgent": "x",
        "origin_url": "http://203.0.113.77:8096/x",
        "browser": "Mozilla/5.0",
        "nested": {"deep": ["2001:db8::7e57"]},
        "username": "planted",
    }
    assert accepted_listen(single(listen(info=stays | goes)))["track_metadata"]["additional_info"] == stays


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
FREE = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.just("tëxt")


def good(value: Any) -> st.SearchStrategy[tuple[Any, bool]]:
    return st.tuples(value, st.just(True))


def bad(value: Any) -> st.SearchStrategy[tuple[Any, bool]]:
    return st.tuples(value, st.just(False))


PARTS: dict[str, st.SearchStrategy[tuple[Any, bool]]] = {
    "artist_name": good(NAMES.filter(str.strip)) | bad(st.sampled_from(["", " \n", None, 7, [], "\0"])),
    "release_name": good(NAMES.filter(str.strip)) | bad(st.sampled_from(["", None, 7])),
    "duration_ms": good(st.integers(1, 2_073_600_000)) | bad(st.integers(max_value=0) | st.integers(2_073_600_001)),
    "recording_mbid": good(st.uuids().map(str)) | bad(st.sampled_from(["x", 7, MBID + "0", [MBID]])),
    "tags": good(st.lists(st.text(max_size=64).filter(lambda t: "\0" not in t and t.isascii()), max_size=50))
    | bad(st.sampled_from([["t" * 65], ["t"] * 51, "t", [None]])),
    "listened_at": good(st.integers(FIRST, SECONDS + 3600))
    | bad(st.integers(max_value=FIRST - 1) | st.integers(SECONDS + 3601) | st.sampled_from([None, "x", []])),
    "free": good(FREE),
}


@given(st.fixed_dictionaries(PARTS), st.sampled_from(["single", "import"]))
def test_listen_is_accepted_if_every_rule_holds_and_read_back_as_sent(
    parts: dict[str, tuple[Any, bool]], listen_type: str
) -> None:
    sent = {name: value for name, (value, _) in parts.items()}
    info = {name: sent[name] for name in ("duration_ms", "recording_mbid", "tags", "free")}
    submitted = listen(artist_name=sent["artist_name"], release_name=sent["release_name"], info=info)
    content = single(submitted | {"listened_at": sent["listened_at"]}, listen_type=listen_type)
    if not all(sound for _, sound in parts.values()):
        with pytest.raises(Malformed):
            accepted(content)
        return
    line = accepted(content).lines("ada")
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    landed = json.loads(line)
    names = {name: sent[name].strip() for name in ("artist_name", "release_name")} | {"track_name": "Song"}
    assert landed == {
        "listened_at": sent["listened_at"],
        "user_name": "ada",
        "tutti": {"source": "scrobble"},
        "track_metadata": names | {"additional_info": info},
    }
    parsed = listenbrainz.parse(DECODER.decode(line.decode()), None)
    assert (parsed.user_id, parsed.artist_name, parsed.release_name) == (
        "ada",
        names["artist_name"],
        names["release_name"],
    )
    assert (parsed.listened_at.timestamp(), parsed.recording_mbid) == (sent["listened_at"], sent["recording_mbid"])
    assert parsed.source == "scrobble"


@given(JSON | st.builds(single, JSON) | st.builds(lambda info: single(listen(info=info)), JSON), st.binary(max_size=99))
def test_any_body_is_accepted_or_refused_as_malformed(content: Any, noise: bytes) -> None:
    for body in (json.dumps(content).encode(), noise):
        try:
            submission = accepted(body)
        except Malformed:
            continue
        assert submission.lines("ada").count(b"\n") == len(submission.listens) > 0
        assert listenbrainz.parse(DECODER.decode(submission.lines("ada").decode()), None).user_id == "ada"


def test_listen_of_our_own_export_keeps_its_source() -> None:
    line = accepted(single(listen(info={"tutti": {"source": "spotify"}}))).lines("ada")
    assert listenbrainz.parse(DECODER.decode(line.decode()), None).source == "spotify"


def test_numbers_are_stored_as_sent() -> None:
    line = accepted(single(listen(info={"duration_played": 95.25, "big": 2**60, "small": 0.1}))).lines("ada")
    info = json.loads(line, parse_float=Decimal)["track_metadata"]["additional_info"]
    assert info == {"duration_played": Decimal("95.25"), "big": 2**60, "small": Decimal("0.1")}
