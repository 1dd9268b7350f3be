"""Tokens: who may send listens, and whose they are.

A token is a secret, so that how long a refusal takes must not tell how much of a guess was right: digests are compared,
all of them every time, each in constant time. The digests are keyed afresh by each process and tell nothing elsewhere.
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
    "set TUTTI_SCROBBLE_TOKENS=ada:her-secret (more after commas), "
    "or TUTTI_SCROBBLE_TOKENS_FILE to a file of such lines"
)


class Tokens:
    """User names by token; no token is kept in the clear, nor shown when a traceback or a debugger prints this."""

    def __init__(self, pairs: str) -> None:
        """Read `user:token` pairs, separated by commas or newlines; TuttiError, quoting no token, if they are unsound.

        A token may hold any character but those two, a user name any that can be printed but those and the colon.
        """
        self._key = secrets.token_bytes(32)
        names = set()
        self._users: dict[bytes, str] = {}  # by digest, and never looked up by one
        for number, pair in enumerate((p.strip() for p in re.split(r"[,\r\n]", pairs)), start=1):
            if not pair:
                continue
            user, _, token = (part.strip() for part in pair.partition(":"))
            if not user or not token:
                raise TuttiError(f"token {number} is not of the form user:token: {HOW}")
            if not user.isprintable():
                raise TuttiError(f"the user of token {number} has a name that cannot be printed: {HOW}")
            if user in names:
                raise TuttiError(f"{user} has two tokens: give each user one")
            digest = self._digest(token.encode(errors="surrogateescape"))
            if digest in self._users:
                raise TuttiError(f"token {number} is there twice: give each user a token of their own")
            self._users[digest] = user
            names.add(user)
        if not names:
            raise TuttiError(f"nobody may send listens yet: {HOW}")

    def user(self, token: bytes) -> str | None:
        """Whose token it is, if anybody's."""
        given, found = self._digest(token), None
        for digest, user in self._users.items():  # to the end, whichever it is
            if hmac.compare_digest(digest, given):
                found = user
        return found

    def _digest(self, token: bytes) -> bytes:
        return hashlib.blake2b(_utf8(token), key=self._key, digest_size=32).digest()


def configured(environ: Mapping[str, str] = os.environ) -> Tokens:
    """The tokens that the environment gives, or the file it names."""
    named = environ.get("TUTTI_SCROBBLE_TOKENS_FILE")
    given = environ.get("TUTTI_SCROBBLE_TOKENS")
    if named and given:
        raise TuttiError("set one of TUTTI_SCROBBLE_TOKENS and TUTTI_SCROBBLE_TOKENS_FILE, not both")
    if not named:
        return Tokens(given or "")
    try:
        return Tokens(Path(named).expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TuttiError(f"TUTTI_SCROBBLE_TOKENS_FILE={named} cannot be read: {why}") from None


def _utf8(token: bytes) -> bytes:
    """A token as UTF-8, whichever of the two encodings that clients give headers it came in."""
    try:
        token.decode()
    except UnicodeDecodeError:
        return token.decode("latin-1").encode()
    return token
