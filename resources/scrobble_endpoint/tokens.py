"""Tokens: they identify the users who may submit listens.

The time of a refusal must not reveal how much of a guessed token was right. So digests are compared, always all of them
and each in constant time. Each process uses a new random key for digests, which are useless outside it.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from resources.errors import TuttiError

HOW = (
    "Set TUTTI_SCROBBLE_TOKENS to user:token pairs separated by commas, such as ada:a-secret, "
    "or TUTTI_SCROBBLE_TOKENS_FILE to a file with one pair per line."
)


class Tokens:
    """User names by token. Tokens are not stored in plain text, so no traceback or debugger can show them."""

    def __init__(self, pairs: str) -> None:
        """Parse `user:token` pairs, separated by commas or newlines.

        A token may contain any character except those two, a user name any printable one except those and the colon.
        Raises `TuttiError`, without quoting a token, if a pair is invalid or there is none.
        """
        self._key = secrets.token_bytes(32)
        names = set()
        self._users: dict[bytes, str] = {}  # by digest; `user` compares all of them
        for number, pair in enumerate((p.strip() for p in re.split(r"[,\r\n]", pairs)), start=1):
            if not pair:
                continue
            user, _, token = (part.strip() for part in pair.partition(":"))
            if not user or not token:
                raise TuttiError(f"token {number} does not have the form user:token. {HOW}")
            if not user.isprintable():
                raise TuttiError(f"the user name of token {number} has characters that cannot be printed. {HOW}")
            if user in names:
                raise TuttiError(f"{user} has two tokens. Give each user one token.")
            digest = self._digest(token.encode(errors="surrogateescape"))
            if digest in self._users:
                raise TuttiError(f"token {number} is a duplicate. Give each user a different token.")
            self._users[digest] = user
            names.add(user)
        if not names:
            raise TuttiError(f"no tokens are configured. {HOW}")

    def user(self, token: bytes) -> str | None:
        """Return the user of a token, or None."""
        candidate, match = self._digest(token), None
        for digest, user in self._users.items():  # always to the end
            if hmac.compare_digest(digest, candidate):
                match = user
        return match

    def _digest(self, token: bytes) -> bytes:
        return hashlib.blake2b(_utf8(token), key=self._key, digest_size=32).digest()


def configured(environ: Mapping[str, str] = os.environ) -> Tokens:
    """Read the tokens from the environment, or from the file that it names. Raises `TuttiError`."""
    path = environ.get("TUTTI_SCROBBLE_TOKENS_FILE")
    pairs = environ.get("TUTTI_SCROBBLE_TOKENS")
    if path and pairs:
        raise TuttiError("set one of TUTTI_SCROBBLE_TOKENS and TUTTI_SCROBBLE_TOKENS_FILE, not both")
    if not path:
        return Tokens(pairs or "")
    try:
        return Tokens(Path(path).expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TuttiError(f"cannot read TUTTI_SCROBBLE_TOKENS_FILE={path}: {why}. Check the path.") from None


def _utf8(token: bytes) -> bytes:
    """Return a token as UTF-8; clients encode headers as UTF-8 or Latin-1."""
    try:
        token.decode()
    except UnicodeDecodeError:
        return token.decode("latin-1").encode()
    return token
