"""The sandbox's MusicBrainz: it answers in the shapes and words of the real one, and what it tells hangs together."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from resources.sandbox import catalog, performers
from resources.sandbox.entities import Entities, entities
from resources.sandbox.http.accounts import Accounts
from tests.serving import sandbox

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def told() -> Entities:
    return entities(performers.recordings(catalog.works()[:200], 7))


@pytest.fixture(scope="module")
def url(told: Entities) -> Iterator[str]:
    with sandbox(Accounts([]), entities=told) as url:
        yield url


def ask(url: str, path: str, **query: Any) -> Any:
    answer = requests.get(f"{url}/ws/2/{path}", {"fmt": "json", **query}, timeout=10, allow_redirects=False)
    return answer.json() if answer.status_code == 200 else (answer.status_code, answer)


def first(told: Entities, kind: str) -> str:
    return next(iter(told.of[kind]))


def test_what_one_entity_names_is_there(told: Entities) -> None:
    artists, releases, groups = (told.of[kind] for kind in ("artist", "release", "release-group"))
    for record in told.of["recording"].values():
        assert {credit["artist"]["id"] for credit in record["artist-credit"]} <= set(artists)
        assert {release["id"] for release in record["releases"]} <= set(releases)
    assert {release["release-group"]["id"] for release in releases.values()} == set(groups)
    tracks = sum(medium["track-count"] for release in releases.values() for medium in release["media"])
    assert tracks == len(told.of["recording"])
    everything = [entity for kind in told.of.values() for entity in kind.values()]
    assert {entity["disambiguation"] for entity in everything} == {"invented for a sandbox"}


def test_dates_are_as_partial_as_real_ones(told: Entities) -> None:
    begins = {artist["life-span"]["begin"] for artist in told.of["artist"].values()}
    shapes = {re.sub(r"\d", "9", begin) if begin else None for begin in begins}
    assert shapes >= {"9999-99-99", "9999-99", "9999", None}


def test_only_what_is_to_be_included_is(url: str, told: Entities) -> None:
    id = first(told, "recording")
    assert set(ask(url, f"recording/{id}")) == {
        *("id", "title", "length", "video", "disambiguation", "first-release-date")
    }
    whole = ask(url, f"recording/{id}", inc="artist-credits+isrcs releases+tags+genres")
    assert whole == {key: value for key, value in told.of["recording"][id].items() if key != "provenance"}
    release = ask(url, f"release/{first(told, 'release')}", inc="media release-groups")
    assert release["media"][0]["track-count"] > 0 and release["release-group"]["primary-type"] == "Album"


@pytest.mark.parametrize(
    ("path", "query", "status", "error"),
    [
        (f"recording/{NOBODY}", {}, 404, "Not Found"),
        ("recording/x", {}, 400, "Invalid mbid."),
        (f"artist/{NOBODY}", {"inc": "works"}, 400, "works is not a valid inc parameter for the artist resource."),
        ("recording", {}, 400, "The given parameters do not match any available query type."),
        ("recording", {"query": ""}, 400, "The given parameters do not match any available query type."),
        ("recording", {"artist": NOBODY}, 404, "Not Found"),
        ("recording", {"artist": "x"}, 400, "Invalid mbid."),
    ],
)
def test_it_refuses_in_the_words_of_the_real_one(url: str, path: str, query: Any, status: int, error: str) -> None:
    found, answer = ask(url, path, **query)
    assert (found, answer.json()["error"]) == (status, error)
    assert "help" in answer.json()


def test_an_id_that_was_merged_redirects_with_its_question(url: str, told: Entities) -> None:
    old, new = next(iter(told.merged["artist"].items()))
    status, answer = ask(url, f"artist/{old}", inc="tags genres")
    assert status == 301
    assert answer.headers["Location"] == f"/ws/2/artist/{new}?fmt=json&inc=tags+genres"
    followed = requests.get(f"{url}/ws/2/artist/{old}?fmt=json&inc=tags", timeout=10).json()
    assert followed["id"] == new and "tags" in followed


def test_pages_are_of_25_unless_asked_and_of_100_at_most(url: str, told: Entities) -> None:
    total = len(told.of["recording"])
    assert total > 100
    usual = ask(url, "recording", query="*")
    assert (len(usual["recordings"]), usual["count"], usual["offset"]) == (25, total, 0)
    assert len(ask(url, "recording", query="*", limit=1000)["recordings"]) == 100
    last = ask(url, "recording", query="*", limit=100, offset=total - 1)
    assert (len(last["recordings"]), last["offset"]) == (1, total - 1)
    assert ask(url, "recording", query="*", offset=total)["recordings"] == []
    artist = first(told, "artist")
    browsed = ask(url, "release", artist=artist, limit=1)
    assert browsed["release-count"] == len(ask(url, "release", artist=artist, limit=100)["releases"])
    assert (len(browsed["releases"]), browsed["release-offset"]) == (1, 0)


def test_what_is_found_by_words_has_a_score_and_its_credit(url: str, told: Entities) -> None:
    record = told.of["recording"][first(told, "recording")]
    found = ask(url, "recording", query=f'recording:"{record["title"]}"')["recordings"]
    assert record["id"] in [each["id"] for each in found]
    assert all(each["score"] == 100 and each["artist-credit"] for each in found)
    assert ask(url, "recording", query="nosuchfield:x")["recordings"] == []


def test_the_limit_is_one_request_a_second_and_over_it_the_answer_is_503(told: Entities) -> None:
    with sandbox(Accounts([]), entities=told, musicbrainz_per_second=1) as url:
        answers = [requests.get(f"{url}/ws/2/artist/{first(told, 'artist')}", timeout=10) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert answers[0].status_code == 200 and refused
    assert refused[0].headers["Retry-After"] == "1"
    assert "exceeding the allowable rate limit" in refused[0].json()["error"]


def test_a_world_without_a_catalog_has_no_musicbrainz() -> None:
    with sandbox(Accounts([])) as url:
        assert requests.get(f"{url}/ws/2/artist/{NOBODY}", timeout=10).status_code == 404
