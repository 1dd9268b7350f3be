"""Tokens: who may send listens, and how little a refusal tells."""

import ast
import hmac
import inspect
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import TuttiError
from resources.scrobble_endpoint import tokens
from resources.scrobble_endpoint.tokens import Tokens, configured

USERS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=",:"), min_size=1)
SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=",\r\n"), min_size=1).filter(str.strip)


@given(pairs=st.dictionaries(USERS, SECRETS.map(str.strip), min_size=1), comma=st.booleans(), guess=SECRETS)
def test_a_token_may_hold_any_character_but_comma_and_newline(pairs: dict[str, str], comma: bool, guess: str) -> None:
    pairs = {user: token for token, user in {t: u for u, t in pairs.items()}.items()}  # a token is one user's
    found = Tokens((", " if comma else "\n").join(f"{user}:{token}" for user, token in pairs.items()))
    assert {found.user(token.encode()) for token in pairs.values()} == set(pairs)
    assert found.user(guess.encode()) == next((u for u, t in pairs.items() if t == guess), None)


def test_a_token_beyond_ascii_counts_in_both_encodings_that_clients_give_headers() -> None:
    found = Tokens("zoë:schlüssel")
    assert found.user("schlüssel".encode()) == found.user("schlüssel".encode("latin-1")) == "zoë"


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ("", "nobody may send listens yet: set TUTTI_SCROBBLE_TOKENS=ada:her-secret"),
        (" ,\n, ", "nobody may send listens yet"),
        ("hush", "token 1 is not of the form user:token"),
        ("ada:x,:hush", "token 2 is not of the form user:token"),
        ("ada:", "token 1 is not of the form user:token"),
        ("ada:hush,ada:other", "ada has two tokens"),
        ("ada:hush\nbob:hush", "token 2 is there twice"),
        ("a\x07da:hush", "cannot be printed"),
    ],
)
def test_what_is_unsound_is_refused_in_one_line_that_quotes_no_token(pairs: str, why: str) -> None:
    with pytest.raises(TuttiError, match=why) as refused:
        Tokens(pairs)
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_tokens_come_from_the_environment_or_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("\ufeffada:one\r\nbob:two:three\r\n")
    found = configured({"TUTTI_SCROBBLE_TOKENS_FILE": str(tmp_path / "tokens")})
    assert (found.user(b"one"), found.user(b"two:three"), found.user(b"two")) == ("ada", "bob", None)
    assert configured({"TUTTI_SCROBBLE_TOKENS": "ada:one"}).user(b"one") == "ada"
    with pytest.raises(TuttiError, match="not both"):
        configured({"TUTTI_SCROBBLE_TOKENS": "ada:one", "TUTTI_SCROBBLE_TOKENS_FILE": "x"})
    with pytest.raises(TuttiError, match="cannot be read: No such file"):
        configured({"TUTTI_SCROBBLE_TOKENS_FILE": str(tmp_path / "none")})
    with pytest.raises(TuttiError, match="nobody may send listens yet"):
        configured({})


def test_every_token_is_compared_in_constant_time_whichever_is_right() -> None:
    found = Tokens("ada:one,bob:two,cleo:three")
    for token, user in ((b"one", "ada"), (b"three", "cleo"), (b"wrong", None)):
        with patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compared:
            assert found.user(token) == user
        assert compared.call_count == 3
        assert {len(side) for call in compared.call_args_list for side in call.args} == {32}


def test_no_token_is_looked_up_or_compared_otherwise() -> None:
    tree = ast.parse(inspect.getsource(tokens.Tokens.user).replace("\n    ", "\n").strip())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Compare | ast.Subscript | ast.Break)]
    assert "one" not in repr(vars(Tokens("ada:one-secret")))
