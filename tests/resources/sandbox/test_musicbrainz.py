"""Mock MusicBrainz: responses in the format of the real one, with consistent entities."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from resources.sandbox import catalog, performers
from resources.sandbox.entities import Entities, entities
from resources.sandbox.http.accounts import Accounts
from tests.serving import sandbox

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def known_entities() -> Entities:
    return entities(performers.recordings(catalog.works()[:200], 7))


@pytest.fixture(scope="module")
def url(known_entities: Entities) -> Iterator[str]:
    with sandbox(Accounts([]), entities=known_entities) as url:
        yield url


def ask(url: str, path: str, **query: Any) -> Any:
    answer = requests.get(f"{url}/ws/2/{path}", {"fmt": "json", **query}, timeout=10, allow_redirects=False)
    return answer.json() if answer.status_code == 200 else (answer.status_code, answer)


def first(known_entities: Entities, kind: str) -> str:
    return next(iter(known_entities.of[kind]))


def test_entities_refer_only_to_existing_entities(known_entities: Entities) -> None:
    artists, releases, groups = (known_entities.of[kind] for kind in ("artist", "release", "release-group"))
    for record in known_entities.of["recording"].values():
        assert {credit["artist"]["id"] for credit in record["artist-credit"]} <= set(artists)
        assert {release["id"] for release in record["releases"]} <= set(releases)
    assert {release["release-group"]["id"] for release in releases.values()} == set(groups)
    tracks = sum(medium["track-count"] for release in releases.values() for medium in release["media"])
    assert tracks == len(known_entities.of["recording"])
    everything = [entity for kind in known_entities.of.values() for entity in kind.values()]
    assert {entity["disambiguation"] for entity in everything} == {"invented for a sandbox"}


def test_begin_dates_may_be_partial(known_entities: Entities) -> None:
    begins = {artist["life-span"]["begin"] for artist in known_entities.of["artist"].values()}
    shapes = {re.sub(r"\d", "9", begin) if begin else None for begin in begins}
    assert shapes >= {"9999-99-99", "9999-99", "9999", None}


def test_responses_contain_only_what_inc_requests(url: str, known_entities: Entities) -> None:
    mbid = first(known_entities, "recording")
    assert set(ask(url, f"recording/{mbid}")) == {
        *("id", "title", "length", "video", "disambiguation", "first-release-date")
    }
    full = ask(url, f"recording/{mbid}", inc="artist-credits+isrcs releases+tags+genres")
    assert full == {key: value for key, value in known_entities.of["recording"][mbid].items() if key != "provenance"}
    release = ask(url, f"release/{first(known_entities, 'release')}", inc="media release-groups")
    assert release["media"][0]["track-count"] > 0 and release["release-group"]["primary-type"] == "Album"


@pytest.mark.parametrize(
    ("path", "query", "status", "error"),
    [
        (f"recording/{UNKNOWN_ID}", {}, 404, "Not Found"),
        ("recording/x", {}, 400, "Invalid mbid."),
        (f"artist/{UNKNOWN_ID}", {"inc": "works"}, 400, "works is not a valid inc parameter for the artist resource."),
        ("recording", {}, 400, "The given parameters do not match any available query type."),
        ("recording", {"query": ""}, 400, "The given parameters do not match any available query type."),
        ("recording", {"artist": UNKNOWN_ID}, 404, "Not Found"),
        ("recording", {"artist": "x"}, 400, "Invalid mbid."),
    ],
)
def test_errors_have_the_messages_of_musicbrainz(url: str, path: str, query: Any, status: int, error: str) -> None:
    actual, answer = ask(url, path, **query)
    assert (actual, answer.json()["error"]) == (status, error)
    assert "help" in answer.json()


def test_a_merged_id_redirects_and_keeps_the_query(url: str, known_entities: Entities) -> None:
    old, new = next(iter(known_entities.merged["artist"].items()))
    status, answer = ask(url, f"artist/{old}", inc="tags genres")
    assert status == 301
    assert answer.headers["Location"] == f"/ws/2/artist/{new}?fmt=json&inc=tags+genres"
    followed = requests.get(f"{url}/ws/2/artist/{old}?fmt=json&inc=tags", timeout=10).json()
    assert followed["id"] == new and "tags" in followed


def test_pages_have_25_entities_by_default_and_at_most_100(url: str, known_entities: Entities) -> None:
    total = len(known_entities.of["recording"])
    assert total > 100
    usual = ask(url, "recording", query="*")
    assert (len(usual["recordings"]), usual["count"], usual["offset"]) == (25, total, 0)
    assert len(ask(url, "recording", query="*", limit=1000)["recordings"]) == 100
    last = ask(url, "recording", query="*", limit=100, offset=total - 1)
    assert (len(last["recordings"]), last["offset"]) == (1, total - 1)
    assert ask(url, "recording", query="*", offset=total)["recordings"] == []
    artist = first(known_entities, "artist")
    browsed = ask(url, "release", artist=artist, limit=1)
    assert browsed["release-count"] == len(ask(url, "release", artist=artist, limit=100)["releases"])
    assert (len(browsed["releases"]), browsed["release-offset"]) == (1, 0)


def test_search_results_have_a_score_and_their_credit(url: str, known_entities: Entities) -> None:
    record = known_entities.of["recording"][first(known_entities, "recording")]
    results = ask(url, "recording", query=f'recording:"{record["title"]}"')["recordings"]
    assert record["id"] in [result["id"] for result in results]
    assert all(result["score"] == 100 and result["artist-credit"] for result in results)
    assert ask(url, "recording", query="nosuchfield:x")["recordings"] == []


def test_more_than_one_request_per_second_gets_503(known_entities: Entities) -> None:
    with sandbox(Accounts([]), entities=known_entities, musicbrainz_per_second=1) as url:
        answers = [requests.get(f"{url}/ws/2/artist/{first(known_entities, 'artist')}", timeout=10) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert answers[0].status_code == 200 and refused
    assert refused[0].headers["Retry-After"] == "1"
    assert "exceeding the allowable rate limit" in refused[0].json()["error"]


def test_a_world_without_a_catalog_has_no_musicbrainz() -> None:
    with sandbox(Accounts([])) as url:
        assert requests.get(f"{url}/ws/2/artist/{UNKNOWN_ID}", timeout=10).status_code == 404
