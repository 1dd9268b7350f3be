"""The front door over HTTP: ListenBrainz's answers, errors and headers, and only what is acknowledged on disk."""

import errno
import gzip
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.scrobble_endpoint import app
from resources.scrobble_endpoint.submission import LONGEST_BODY, MOST_LISTENS
from tests.resources.scrobble_endpoint.conftest import Door
from tests.resources.scrobble_endpoint.support import TOKEN, authorized, listen, single

SUBMIT, VALIDATE = "/1/submit-listens", "/1/validate-token"


def error(answer: requests.Response) -> tuple[int, str]:
    """Code and text of an error in ListenBrainz's form."""
    told = answer.json()
    assert set(told) == {"code", "error"} and told["code"] == answer.status_code
    return answer.status_code, told["error"]


def test_single_and_import_are_on_disk_under_the_tokens_user_before_the_answer(door: Door) -> None:
    answer = door.post(single(listen(info={"duration_played": 95})))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    many = [listen(1_700_000_001 + n) for n in range(MOST_LISTENS)]
    assert door.post(single(*many, listen_type="import"), "another:one").status_code == 200
    by = {user: {"user_name": user, "tutti": {"source": "scrobble"}} for user in ("ada", "bob")}
    assert door.landed() == [listen(info={"duration_played": 95}) | by["ada"], *(m | by["bob"] for m in many)]


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "You need to provide an Authorization header."),
        ({"Authorization": ""}, "Invalid authorization token."),
        ({"Authorization": "Token"}, "Invalid authorization token."),
        ({"Authorization": "Token wrong"}, "Invalid authorization token."),
        ({"Authorization": f"Bearer {TOKEN}"}, "Invalid authorization token."),
        ({"Authorization": f"Token {TOKEN}x"}, "Invalid authorization token."),
        ({"Authorization": TOKEN}, "Invalid authorization token."),
    ],
)
def test_nobody_submits_without_a_token_of_theirs(door: Door, headers: dict[str, str], why: str) -> None:
    answer = requests.post(door.url + SUBMIT, json=single(listen()), headers=headers, timeout=60)
    assert error(answer) == (401, why)
    assert door.landed() == []


def test_the_scheme_may_be_written_in_any_case(door: Door) -> None:
    for scheme in ("token", "TOKEN"):
        answer = requests.post(
            door.url + SUBMIT, json=single(listen()), headers={"Authorization": f"{scheme} {TOKEN}"}, timeout=60
        )
        assert answer.status_code == 200


def test_tokens_are_validated_by_header_or_query_as_listenbrainz_does(door: Door) -> None:
    valid = {"code": 200, "message": "Token valid.", "valid": True, "user_name": "ada"}
    invalid = {"code": 200, "message": "Token invalid.", "valid": False}
    assert door.get(VALIDATE, **authorized()).json() == valid
    assert door.get(f"{VALIDATE}?token={TOKEN}").json() == valid
    assert door.get(f"{VALIDATE}?token=another%3Aone").json()["user_name"] == "bob"
    assert door.get(VALIDATE, **authorized("wrong")).json() == invalid
    assert door.get(f"{VALIDATE}?token=wrong").json() == invalid
    assert error(door.get(VALIDATE)) == (400, "You need to provide an Authorization token.")


def test_what_plays_now_is_told_to_its_user_until_it_ends_and_never_stored(door: Door) -> None:
    path = "/1/user/ada/playing-now"
    assert door.get(path, **authorized()).json()["payload"]["listens"] == []
    given = listen(None, info={"duration_ms": 1000})
    assert door.post(single(given, listen_type="playing_now")).json() == {"status": "ok"}
    payload = door.get(path, **authorized()).json()["payload"]
    assert payload["count"] == 1 and payload["listens"] == [given | {"playing_now": True}]
    assert error(door.get(path)) == (401, "You need to provide an Authorization header.")
    assert error(door.get(path, **authorized("another:one")))[0] == 404
    time.sleep(1)
    assert door.get(path, **authorized()).json()["payload"]["count"] == 0
    assert door.landed() == []


def test_a_bad_listen_refuses_the_whole_request(door: Door) -> None:
    answer = door.post(single(listen(), listen(track_name=""), listen_type="import"))
    assert error(answer) == (400, "no track_metadata.track_name")
    assert door.landed() == []


def test_a_body_is_bounded_while_it_is_read_whether_or_not_it_tells_its_length(door: Door) -> None:
    large = b" " * (LONGEST_BODY + 1)
    assert error(door.post(large))[0] == 413

    def endless() -> Iterator[bytes]:
        for _ in range(2 + LONGEST_BODY // 100_000):
            yield b" " * 100_000

    assert error(door.post(endless()))[0] == 413
    assert error(door.post(large[:-1]))[0] == 400  # no listens, but not too large
    assert door.post(single(listen())).status_code == 200


def test_a_body_may_come_in_chunks_but_not_compressed(door: Door) -> None:
    body = json.dumps(single(listen())).encode()
    assert door.post(iter([body[:10], body[10:]])).status_code == 200
    assert error(door.post(gzip.compress(body), **{"Content-Encoding": "gzip"}))[0] == 415


def test_paths_and_methods_that_are_none_are_told_in_the_same_form(door: Door) -> None:
    assert error(door.get("/1/elsewhere"))[0] == 404
    assert error(door.get(SUBMIT, **authorized()))[0] == 405


def test_browsers_may_ask_from_anywhere(door: Door) -> None:
    asked = {"Origin": "https://player.example", "Access-Control-Request-Method": "POST"}
    before = requests.options(door.url + SUBMIT, headers=asked, timeout=60)
    assert before.status_code == 200 and "POST" in before.headers["Access-Control-Allow-Methods"]
    assert before.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    for answer in (before, door.post(single(listen())), door.post(b"", "wrong"), door.get("/1/elsewhere")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_who_asks_too_often_is_told_when_to_come_back(door: Door) -> None:
    with patch.object(app.time, "time", return_value=1_700_000_003.0):  # no window ends meanwhile
        answers = [door.get(VALIDATE, **authorized()) for _ in range(201)]
        assert [a.status_code for a in answers] == [200] * 200 + [429]
        assert error(answers[-1])[0] == 429
        told = {name: answers[0].headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset-In", "Reset")}
        assert told == {"Limit": "200", "Remaining": "199", "Reset-In": "7", "Reset": "1700000010"}
        assert answers[-1].headers["Retry-After"] == "7" and answers[-1].headers["X-RateLimit-Remaining"] == "0"
        assert error(door.post(single(listen())))[0] == 429
        assert door.post(single(listen()), "another:one").status_code == 200  # others are not held up
    assert door.post(single(listen())).status_code == 200


def test_guesses_at_a_token_are_limited_by_address(door: Door) -> None:
    with patch.object(app, "STRANGERS", 3), patch.object(app.time, "time", return_value=1_700_000_003.0):
        assert [door.post(b"", "wrong").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
        assert door.get(f"{VALIDATE}?token=wrong").status_code == 429
        assert door.post(single(listen())).status_code == 200


def test_what_the_disk_refuses_is_not_acknowledged_and_the_server_goes_on(door: Door) -> None:
    with patch.object(os, "fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        answer = door.post(single(listen()))
        assert error(answer) == (503, "Cannot store listens now, please try again later.")
        assert answer.headers["Retry-After"] == "10"
    assert door.landed() == []
    assert door.post(single(listen())).status_code == 200
    assert len(door.landed()) == 1


def test_too_much_at_once_is_refused_before_memory_is_short_and_what_was_held_is_let_go(door: Door) -> None:
    with patch.object(app, "IN_MEMORY", 1000):
        assert error(door.post(b" " * 1001))[0] == 503
        for _ in range(3):
            assert error(door.post(b" " * 999))[0] == 400
            assert door.post(single(listen())).status_code == 200


def test_an_error_of_our_own_is_told_in_the_same_form(door: Door) -> None:
    with patch.object(app, "read", side_effect=RuntimeError("a mistake of ours")):
        assert error(door.post(single(listen()))) == (500, "Something went wrong. Please try again.")


def test_many_at_once_are_all_on_disk_once(door: Door) -> None:
    with ThreadPoolExecutor(20) as clients:
        given = [single(listen(1_700_000_000 + n)) for n in range(150)]
        assert {a.status_code for a in clients.map(door.post, given)} == {200}
    assert sorted(line["listened_at"] for line in door.landed()) == [1_700_000_000 + n for n in range(150)]


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.just(listen()) | st.just(listen(None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["payload", "x"]), inner, max_size=2),
    max_leaves=5,
)
TYPES = st.sampled_from(["single", "import", "playing_now", 1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=ODD | st.builds(single, ODD, listen_type=TYPES) | st.binary(max_size=50))
def test_whatever_comes_is_answered_with_200_or_400_and_only_the_former_lands(door: Door, content: Any) -> None:
    before = len(door.landed())
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = door.post(body)
    assert answer.status_code in (200, 400)
    stored = len(door.landed()) - before
    if answer.status_code == 400:
        assert error(answer) and stored == 0
    else:
        assert stored == (content["listen_type"] != "playing_now")
