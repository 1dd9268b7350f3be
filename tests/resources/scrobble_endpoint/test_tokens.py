"""Tokens identify users, and a refusal reveals nothing about them."""

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
def test_token_may_contain_any_character_but_comma_and_newline(pairs: dict[str, str], comma: bool, guess: str) -> None:
    pairs = {user: token for token, user in {t: u for u, t in pairs.items()}.items()}  # each token has one user
    accepted = Tokens((", " if comma else "\n").join(f"{user}:{token}" for user, token in pairs.items()))
    assert {accepted.user(token.encode()) for token in pairs.values()} == set(pairs)
    assert accepted.user(guess.encode()) == next((u for u, t in pairs.items() if t == guess), None)


def test_token_beyond_ascii_is_accepted_in_both_header_encodings() -> None:
    accepted = Tokens("zoë:schlüssel")
    assert accepted.user("schlüssel".encode()) == accepted.user("schlüssel".encode("latin-1")) == "zoë"


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ("", r"no tokens .*TUTTI_SCROBBLE_TOKENS "),
        (" ,\n, ", "no tokens"),
        ("hush", r"token 1 .*user:token"),
        ("ada:x,:hush", r"token 2 .*user:token"),
        ("ada:", r"token 1 .*user:token"),
        ("ada:hush,ada:other", "ada has two tokens"),
        ("ada:hush\nbob:hush", "token 2 is a duplicate"),
        ("a\x07da:hush", "cannot be printed"),
    ],
)
def test_invalid_tokens_are_refused_in_one_line_without_a_token(pairs: str, why: str) -> None:
    with pytest.raises(TuttiError, match=why) as refused:
        Tokens(pairs)
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_tokens_come_from_the_environment_or_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("\ufeffada:one\r\nbob:two:three\r\n")
    accepted = configured({"TUTTI_SCROBBLE_TOKENS_FILE": str(tmp_path / "tokens")})
    assert (accepted.user(b"one"), accepted.user(b"two:three"), accepted.user(b"two")) == ("ada", "bob", None)
    assert configured({"TUTTI_SCROBBLE_TOKENS": "ada:one"}).user(b"one") == "ada"
    with pytest.raises(TuttiError, match="not both"):
        configured({"TUTTI_SCROBBLE_TOKENS": "ada:one", "TUTTI_SCROBBLE_TOKENS_FILE": "x"})
    with pytest.raises(TuttiError, match=r"TUTTI_SCROBBLE_TOKENS_FILE=.*No such file"):
        configured({"TUTTI_SCROBBLE_TOKENS_FILE": str(tmp_path / "none")})
    with pytest.raises(TuttiError, match="no tokens"):
        configured({})


def test_every_token_is_compared_in_constant_time() -> None:
    accepted = Tokens("ada:one,bob:two,cleo:three")
    for token, user in ((b"one", "ada"), (b"three", "cleo"), (b"wrong", None)):
        with patch.object(hmac, "compare_digest", wraps=hmac.compare_digest) as compared:
            assert accepted.user(token) == user
        assert compared.call_count == 3
        assert {len(side) for call in compared.call_args_list for side in call.args} == {32}


def test_no_token_is_looked_up_or_compared_otherwise() -> None:
    tree = ast.parse(inspect.getsource(tokens.Tokens.user).replace("\n    ", "\n").strip())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Compare | ast.Subscript | ast.Break)]
    assert "one" not in repr(vars(Tokens("ada:one-secret")))
