"""The scrobble endpoint over HTTP: ListenBrainz's answers, errors and headers, and exactly the acknowledged listens."""

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
from resources.scrobble_endpoint.submission import MAX_BODY_BYTES, MAX_LISTENS
from tests.resources.scrobble_endpoint.conftest import Endpoint
from tests.resources.scrobble_endpoint.support import TOKEN, authorized, listen, single

SUBMIT, VALIDATE = "/1/submit-listens", "/1/validate-token"


def error(answer: requests.Response) -> tuple[int, str]:
    """Return code and text of an error in ListenBrainz's form."""
    content = answer.json()
    assert set(content) == {"code", "error"} and content["code"] == answer.status_code
    return answer.status_code, content["error"]


def test_listens_are_on_disk_under_the_tokens_user_before_the_answer(endpoint: Endpoint) -> None:
    answer = endpoint.post(single(listen(info={"duration_played": 95})))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    many = [listen(1_700_000_001 + n) for n in range(MAX_LISTENS)]
    assert endpoint.post(single(*many, listen_type="import"), "another:one").status_code == 200
    by = {user: {"user_name": user, "tutti": {"source": "scrobble"}} for user in ("ada", "bob")}
    assert endpoint.landed() == [listen(info={"duration_played": 95}) | by["ada"], *(m | by["bob"] for m in many)]


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
def test_submission_without_a_valid_token_is_refused(endpoint: Endpoint, headers: dict[str, str], why: str) -> None:
    answer = requests.post(endpoint.url + SUBMIT, json=single(listen()), headers=headers, timeout=60)
    assert error(answer) == (401, why)
    assert endpoint.landed() == []


def test_scheme_may_be_written_in_any_case(endpoint: Endpoint) -> None:
    for scheme in ("token", "TOKEN"):
        answer = requests.post(
            endpoint.url + SUBMIT, json=single(listen()), headers={"Authorization": f"{scheme} {TOKEN}"}, timeout=60
        )
        assert answer.status_code == 200


def test_tokens_are_validated_by_header_or_query_as_listenbrainz_does(endpoint: Endpoint) -> None:
    valid = {"code": 200, "message": "Token valid.", "valid": True, "user_name": "ada"}
    invalid = {"code": 200, "message": "Token invalid.", "valid": False}
    assert endpoint.get(VALIDATE, **authorized()).json() == valid
    assert endpoint.get(f"{VALIDATE}?token={TOKEN}").json() == valid
    assert endpoint.get(f"{VALIDATE}?token=another%3Aone").json()["user_name"] == "bob"
    assert endpoint.get(VALIDATE, **authorized("wrong")).json() == invalid
    assert endpoint.get(f"{VALIDATE}?token=wrong").json() == invalid
    assert error(endpoint.get(VALIDATE)) == (400, "You need to provide an Authorization token.")


def test_playing_track_is_shown_to_its_user_until_it_ends(endpoint: Endpoint) -> None:
    path = "/1/user/ada/playing-now"
    assert endpoint.get(path, **authorized()).json()["payload"]["listens"] == []
    track = listen(None, info={"duration_ms": 1000})
    assert endpoint.post(single(track, listen_type="playing_now")).json() == {"status": "ok"}
    payload = endpoint.get(path, **authorized()).json()["payload"]
    assert payload["count"] == 1 and payload["listens"] == [track | {"playing_now": True}]
    assert error(endpoint.get(path)) == (401, "You need to provide an Authorization header.")
    assert error(endpoint.get(path, **authorized("another:one")))[0] == 404
    time.sleep(1)
    assert endpoint.get(path, **authorized()).json()["payload"]["count"] == 0
    assert endpoint.landed() == []


def test_invalid_listen_refuses_the_whole_request(endpoint: Endpoint) -> None:
    answer = endpoint.post(single(listen(), listen(track_name=""), listen_type="import"))
    assert error(answer) == (400, "track_metadata.track_name is missing")
    assert endpoint.landed() == []


def test_too_large_body_is_refused_with_and_without_its_length(endpoint: Endpoint) -> None:
    large = b" " * (MAX_BODY_BYTES + 1)
    assert error(endpoint.post(large))[0] == 413

    def endless() -> Iterator[bytes]:
        for _ in range(2 + MAX_BODY_BYTES // 100_000):
            yield b" " * 100_000

    assert error(endpoint.post(endless()))[0] == 413
    assert error(endpoint.post(large[:-1]))[0] == 400  # no listens, but within the limit
    assert endpoint.post(single(listen())).status_code == 200


def test_body_may_be_chunked_but_not_compressed(endpoint: Endpoint) -> None:
    body = json.dumps(single(listen())).encode()
    assert endpoint.post(iter([body[:10], body[10:]])).status_code == 200
    assert error(endpoint.post(gzip.compress(body), **{"Content-Encoding": "gzip"}))[0] == 415


def test_unknown_paths_and_methods_have_the_same_error_form(endpoint: Endpoint) -> None:
    assert error(endpoint.get("/1/elsewhere"))[0] == 404
    assert error(endpoint.get(SUBMIT, **authorized()))[0] == 405


def test_browsers_may_send_requests_from_any_origin(endpoint: Endpoint) -> None:
    asked = {"Origin": "https://player.example", "Access-Control-Request-Method": "POST"}
    before = requests.options(endpoint.url + SUBMIT, headers=asked, timeout=60)
    assert before.status_code == 200 and "POST" in before.headers["Access-Control-Allow-Methods"]
    assert before.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    for answer in (before, endpoint.post(single(listen())), endpoint.post(b"", "wrong"), endpoint.get("/1/elsewhere")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_exceeded_rate_limit_names_the_time_to_retry(endpoint: Endpoint) -> None:
    with patch.object(app.time, "time", return_value=1_700_000_003.0):  # no window ends during the test
        answers = [endpoint.get(VALIDATE, **authorized()) for _ in range(201)]
        assert [a.status_code for a in answers] == [200] * 200 + [429]
        assert error(answers[-1])[0] == 429
        limits = {
            name: answers[0].headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset-In", "Reset")
        }
        assert limits == {"Limit": "200", "Remaining": "199", "Reset-In": "7", "Reset": "1700000010"}
        assert answers[-1].headers["Retry-After"] == "7" and answers[-1].headers["X-RateLimit-Remaining"] == "0"
        assert error(endpoint.post(single(listen())))[0] == 429
        assert endpoint.post(single(listen()), "another:one").status_code == 200  # other users are not affected
    assert endpoint.post(single(listen())).status_code == 200


def test_guesses_at_a_token_are_limited_by_address(endpoint: Endpoint) -> None:
    with patch.object(app, "ANONYMOUS_REQUESTS", 3), patch.object(app.time, "time", return_value=1_700_000_003.0):
        assert [endpoint.post(b"", "wrong").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
        assert endpoint.get(f"{VALIDATE}?token=wrong").status_code == 429
        assert endpoint.post(single(listen())).status_code == 200


def test_listens_that_the_disk_refuses_are_not_acknowledged(endpoint: Endpoint) -> None:
    with patch.object(os, "fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")):
        answer = endpoint.post(single(listen()))
        assert error(answer) == (503, "Cannot store listens now, please try again later.")
        assert answer.headers["Retry-After"] == "10"
    assert endpoint.landed() == []
    assert endpoint.post(single(listen())).status_code == 200
    assert len(endpoint.landed()) == 1


def test_too_many_bytes_at_once_are_refused_and_released(endpoint: Endpoint) -> None:
    with patch.object(app, "MAX_BYTES_IN_MEMORY", 1000):
        assert error(endpoint.post(b" " * 1001))[0] == 503
        for _ in range(3):
            assert error(endpoint.post(b" " * 999))[0] == 400
            assert endpoint.post(single(listen())).status_code == 200


def test_internal_error_has_the_same_form(endpoint: Endpoint) -> None:
    with patch.object(app, "read", side_effect=RuntimeError("a mistake of ours")):
        assert error(endpoint.post(single(listen()))) == (500, "Something went wrong. Please try again.")


def test_concurrent_submissions_are_all_on_disk_once(endpoint: Endpoint) -> None:
    with ThreadPoolExecutor(20) as clients:
        bodies = [single(listen(1_700_000_000 + n)) for n in range(150)]
        assert {a.status_code for a in clients.map(endpoint.post, bodies)} == {200}
    assert sorted(line["listened_at"] for line in endpoint.landed()) == [1_700_000_000 + n for n in range(150)]


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.just(listen()) | st.just(listen(None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["payload", "x"]), inner, max_size=2),
    max_leaves=5,
)
TYPES = st.sampled_from(["single", "import", "playing_now", 1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=ODD | st.builds(single, ODD, listen_type=TYPES) | st.binary(max_size=50))
def test_any_body_is_answered_with_200_or_400_and_lands_only_with_200(endpoint: Endpoint, content: Any) -> None:
    before = len(endpoint.landed())
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = endpoint.post(body)
    assert answer.status_code in (200, 400)
    stored = len(endpoint.landed()) - before
    if answer.status_code == 400:
        assert error(answer) and stored == 0
    else:
        assert stored == (content["listen_type"] != "playing_now")
