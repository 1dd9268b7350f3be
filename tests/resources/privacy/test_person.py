"""Data that names a listener is distinguished from data that only has the same letters."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.privacy.person import ERASED, REMOVED, Person

ADA = Person("ada", ["listenbrainz_ada.zip"], ["poster"], [Path("/home/ada/tutti/data"), Path("/home/ada")])
AFAR = Person("ada@music.example")  # with the address of a social network
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)


@pytest.mark.parametrize(
    "value",
    [
        {"user_name": "ada", "track": "x"},
        {"user": {"name": "ada"}},
        {"listen": {"userName": "ada"}},
        {"follower": "bob", "followee": "ada"},
        {"from": "ada"},
        {"poster": "ada"},  # a column that a table declares
        {"type": "Follow", "actor": "bob", "object": "ada"},
        {"type": "Create", "actor": "bob", "object": {"type": "Relationship", "subject": "bob", "object": "ada"}},
        {"type": "Create", "object": {"type": "Note", "attributedTo": "@ada", "content": "x"}},
    ],
)
def test_record_that_identifies_the_listener_is_removed(value: Any) -> None:
    assert ADA.without(value) is REMOVED


@pytest.mark.parametrize(
    "address", ["https://music.example/users/ada", "https://music.example/@ada", "acct:ada@music.example"]
)
def test_address_of_a_profile_counts_as_a_name(address: str) -> None:
    assert AFAR.without({"type": "Follow", "actor": "https://other.example/users/bob", "object": address}) is REMOVED
    assert AFAR.without({"type": "Create", "actor": {"id": address}, "object": {"type": "Note"}}) is REMOVED
    other = address.replace("ada", "ada2")
    for record in (
        {"type": "Follow", "actor": "bob", "object": other},
        {"type": "Like", "actor": "bob", "object": other},
    ):
        assert AFAR.without(record) == record


def test_post_of_another_listener_stays_without_the_mention() -> None:
    mentioned = {"type": "Mention", "href": "https://music.example/users/ada", "name": "@ada@music.example"}
    words = '<a href="https://music.example/@ada">@ada@music.example</a>, <a href="https://music.example/@ada2">you</a>'
    note = {"type": "Note", "attributedTo": "bob", "content": words, "tag": [mentioned, {"type": "Hashtag"}]}
    left = AFAR.without({"type": "Create", "actor": "bob", "object": note, "cc": ["https://music.example/users/ada"]})
    assert left["object"]["tag"] == [{"type": "Hashtag"}]
    assert (
        left["object"]["content"] == f'<a href="{ERASED}">@{ERASED}</a>, <a href="https://music.example/@ada2">you</a>'
    )
    assert left["cc"] == [ERASED]
    assert AFAR.without(left) == left


@pytest.mark.parametrize(
    "value",
    [
        {"type": "Like", "actor": "bob", "object": "ada"},  # the object of a Like is not a listener
        {"artist_name": "ada", "track_name": "ada", "user_name": "bob"},
        {"user_name": "ada2"},
        {"user_name": "Ada"},
        {"user_name": "Adagio for Strings"},
        {"user_name": "ada-lovelace", "note": "by ada-lovelace, ada2@example.org and @ada2"},
        {"playlist": {"track": [{"creator": "ada", "title": "ada"}]}},
        {"name": "ada"},
        ["ada"],
        "ada",
    ],
)
def test_other_listeners_and_artists_with_the_same_letters_stay(value: Any) -> None:
    assert ADA.without(value) == value


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"user": "bob", "mentions": ["ada", "ann"]}, {"user": "bob", "mentions": ["ann"]}),
        ({"user": "bob", "text": "to @ada, and @ada2"}, {"user": "bob", "text": f"to @{ERASED}, and @ada2"}),
        ({"payload": [{"user_name": "ada"}, {"user_name": "bob"}]}, {"payload": [{"user_name": "bob"}]}),
        ({"playlist": {"creator": "ada", "track": []}}, {"playlist": {"creator": ERASED, "track": []}}),
        ({"users": {"ada": 1, "bob": 2}}, {"users": {"bob": 2}}),
        (
            {"path": "file:/data/landing/listens/lastfm/ada/x.jsonl"},  # as in a checkpoint of Spark
            {"path": f"file:/data/landing/listens/lastfm/{ERASED}/x.jsonl"},
        ),
        ({"raw": '{"payload": [{"user": "ada"}, 1]}'}, {"raw": '{"payload": [1]}'}),
    ],
)
def test_data_of_others_stays_without_the_name(value: Any, left: Any) -> None:
    assert ADA.without(value) == left
    assert ADA.without(left) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ada: 3 days pulled", f"{ERASED}: 3 days pulled"),
        ("listener ada2 and Adagio and ada-lovelace", "listener ada2 and Adagio and ada-lovelace"),
        ("listenbrainz_ada.zip: 50 listens", f"{ERASED}: 50 listens"),
        ("/home/ada/tutti/data/lake", "/home/ada/tutti/data/lake"),
        ("landing/listens/lastfm/ada/2024", f"landing/listens/lastfm/{ERASED}/2024"),
        ("listener=ada.", f"listener={ERASED}."),
    ],
)
def test_name_is_redacted_in_logs_wherever_it_is_a_word(text: str, left: str) -> None:
    assert ADA.redact_history(text) == left


def test_names_of_dagsters_objects_and_previews_stay() -> None:
    plays = Person("plays")
    event = {
        "asset_key": {"path": ["derived", "recording_plays"]},
        "step_key": "plays",
        "config": {"listener": "plays"},
    }
    assert plays.redact_history(event) == event | {"config": {"listener": ERASED}}
    shown = {"metadata": {"preview": {"md_str": "| ada |"}, "note": {"text": "ada"}}}
    assert ADA.redact_history(shown) == {"metadata": {"preview": {"md_str": "| ada |"}, "note": {"text": ERASED}}}


@given(NAMES, st.integers(0, 2))
@example('Renée "R" O\'Neil ♫', 2)
@example("a.b/c d", 1)
@example("\\", 2)
def test_no_name_survives_at_any_depth_in_any_encoding(name: str, depth: int) -> None:
    person, value = Person(name), {"user_name": name}
    for _ in range(depth):
        value = {"inner": json.dumps(value)}
    record = {"header": 1, "list": [value, {"user_name": f"{name}2"}]}
    for escaped in (True, False):
        left = person.without(json.loads(json.dumps(record, ensure_ascii=escaped)))
        assert left == {"header": 1, "list": [{"user_name": f"{name}2"}]}
    config = {"ops": {"erase": {"config": {"listener": name}}}, "cursor": json.dumps([f"lastfm/{name}"])}
    assert name == ERASED or person.redact_history(person.redact_history(config)) == person.redact_history(config)
    assert person.redact_history(config)["ops"]["erase"]["config"]["listener"] == ERASED
