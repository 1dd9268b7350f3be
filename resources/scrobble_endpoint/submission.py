"""Submissions: parse and validate listens in ListenBrainz's documented JSON format.

The rules for names, times and limits are those of the readers of files, so that every accepted listen can be imported.
Listens are stored as they were sent, except for

- spaces around names, times in quotes, and MBIDs in other spellings, which are normalized;
- fields of `additional_info` about the listener's machine or account, which are removed.
"""

import json
import math
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn

from resources.sources.formats.listenbrainz import OWN_KEY
from resources.sources.readers.personal import ADDRESS, AGENT, PERSONAL
from resources.sources.records.listen import MAX_PLAY_MS, Malformed, instant, required_text, time_error

SOURCE = "scrobble"  # distinguishes these listens from the same ones in an export, which may differ by seconds
MAX_LISTEN_BYTES = 10_240
MAX_LISTENS = 1_000  # in a request
MAX_BODY_BYTES = MAX_LISTEN_BYTES * MAX_LISTENS
MAX_TAGS = 50
MAX_TAG_CHARS = 64
MAX_LENGTHS = {"duration": 24 * 86_400, "duration_ms": MAX_PLAY_MS}  # of a track, in seconds and milliseconds
MBID_FIELDS = ("recording_mbid", "release_mbid", "release_group_mbid", "track_mbid")
MBIDS_FIELDS = ("artist_mbids", "work_mbids")
# Names and versions of programs look like user agents and addresses ("mpd/0.23", "2.1.0.44"), but are not personal.
PROGRAM = re.compile(r"(?:media_player|(?:original_)?submission_client|music_service)(?:_name|_version)?")
UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


class ListenType(StrEnum):
    """The type of a request, as ListenBrainz defines it."""

    SINGLE = "single"
    PLAYING_NOW = "playing_now"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Submission:
    """A valid request."""

    listen_type: ListenType
    listens: list[dict[str, Any]]

    def lines(self, user_name: str) -> bytes:
        """Return the listens as JSON lines with the user and the source."""
        beside = {"user_name": user_name, OWN_KEY: {"source": SOURCE}}
        return b"".join(_json(listen | beside) + b"\n" for listen in self.listens)


def read(body: bytes, now: datetime) -> Submission:
    """Parse and validate the body of a request. Raises `Malformed` with a message for the client."""
    try:
        return _read(body, now)
    except RecursionError:
        raise Malformed("JSON document is nested too deeply.") from None


def _read(body: bytes, now: datetime) -> Submission:
    try:
        data = DECODER.decode(body.decode())
    except ValueError as error:  # whose text never quotes the document
        raise Malformed(f"Cannot parse JSON document: {error}") from None
    if not isinstance(data, dict):
        raise Malformed("Invalid JSON document submitted. Top level of JSON document should be a json object.")
    payload = data.get("payload")
    if not isinstance(payload, list):
        raise Malformed("The payload in the JSON document should be a list of listens.")
    if not payload:
        raise Malformed("JSON document does not contain any listens")
    if len(payload) > MAX_LISTENS:
        raise Malformed(f"Too many listens. You may not submit more than {MAX_LISTENS} listens at once.")
    if len(body) > len(payload) * MAX_LISTEN_BYTES:
        raise Malformed(TOO_LARGE)
    if data.get("listen_type") not in list(ListenType):
        raise Malformed("JSON document requires a valid listen_type key.")
    listen_type = ListenType(data["listen_type"])
    if listen_type is not ListenType.IMPORT and len(payload) > 1:
        raise Malformed(
            "JSON document contains more than one listen for a single/playing_now. It should contain only one."
        )
    if b"\\u0000" in body:
        _refuse_nul(payload)
    return Submission(listen_type, [_listen(listen, listen_type, now) for listen in payload])


TOO_LARGE = f"JSON document is too large. Each listen may not be larger than {MAX_LISTEN_BYTES} bytes."


def _listen(listen: object, listen_type: ListenType, now: datetime) -> dict[str, Any]:
    if not isinstance(listen, dict):
        raise Malformed("A listen in the payload should be a json object.")
    if len(_json(listen)) > MAX_LISTEN_BYTES:
        raise Malformed(TOO_LARGE)
    playing_now = listen_type is ListenType.PLAYING_NOW
    if playing_now and "listened_at" in listen:
        raise Malformed("JSON document must not contain listened_at while submitting playing_now.")
    for key in ("track_metadata",) if playing_now else ("listened_at", "track_metadata"):
        if key not in listen:
            raise Malformed(f"JSON document must contain the key {key} at the top level.")
    if len(listen) > 2 - playing_now:
        only = "track_metadata" if playing_now else "listened_at and track_metadata"
        raise Malformed(f"JSON document may only contain {only} as top level keys.")
    metadata = listen["track_metadata"]
    if not isinstance(metadata, dict):
        raise Malformed("track_metadata must be a json object.")
    result = {} if playing_now else {"listened_at": _listened_at(listen["listened_at"], now)}
    return result | {"track_metadata": _metadata(metadata)}


def _listened_at(value: object, now: datetime) -> int:
    seconds = _as_int(value)
    if seconds is None:
        raise Malformed("JSON document must contain an int value for listened_at.")
    if wrong := time_error(instant(seconds, "listened_at"), now):
        raise Malformed(f"Value for key listened_at is out of range: {wrong}.")
    return seconds


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    result = dict(metadata)
    for name in ("artist_name", "track_name", "release_name"):
        if name in result or name != "release_name":
            result[name] = required_text(result.get(name), f"track_metadata.{name}")
    info = result.get("additional_info")
    if info is None:
        result.pop("additional_info", None)
    elif isinstance(info, dict):
        result["additional_info"] = _information(info)
    else:
        raise Malformed("track_metadata.additional_info must be a json object.")
    return result


def _information(info: dict[str, Any]) -> dict[str, Any]:
    tags = info.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Malformed("track_metadata.additional_info.tags must be a list of strings.")
    if len(tags) > MAX_TAGS:
        raise Malformed(f"JSON document may not contain more than {MAX_TAGS} items in additional_info.tags.")
    if any(len(tag) > MAX_TAG_CHARS for tag in tags):
        raise Malformed(f"JSON document may not contain additional_info.tags longer than {MAX_TAG_CHARS} characters.")
    if "duration" in info and "duration_ms" in info:
        raise Malformed("JSON document should not contain both duration and duration_ms.")
    for field, longest in MAX_LENGTHS.items():
        length = _as_int(info[field]) if field in info else 1
        if length is None or length <= 0:
            raise Malformed(f"Value for {field} is invalid, should be a positive integer.")
        if length > longest:
            raise Malformed(f"Value for {field} is too large, max permitted value is {longest}.")
    result = {key: value for key, value in info.items() if not _personal(key, value)}
    for field in MBID_FIELDS:
        if result.get(field):  # null and "" mean none
            result[field] = _mbid(result[field], field)
    for field in MBIDS_FIELDS:
        if mbids := result.get(field):
            if not isinstance(mbids, list):
                raise Malformed(f"{field} must be a list of MBIDs.")
            result[field] = [_mbid(value, field) if value else value for value in mbids]
    return result


def _personal(key: str, value: object) -> bool:
    """Return whether a free field describes the listener's machine or account: an address, agent or user name."""
    if PROGRAM.fullmatch(key):
        return False
    if isinstance(value, dict):
        inner = any(_personal(k, v) for k, v in value.items())
    elif isinstance(value, list):
        inner = any(_personal("", v) for v in value)
    else:
        inner = isinstance(value, str) and bool(ADDRESS.search(value) or AGENT.search(value))
    return inner or bool(PERSONAL.search(key))


def _mbid(value: object, field: str) -> str:
    if not isinstance(value, str) or not UUID.fullmatch(value):
        raise Malformed(f"{field} MBID format invalid.")
    return str(uuid.UUID(value))


def _as_int(value: object) -> int | None:
    """Return a whole number, also from text or with decimals, which are cut as in ListenBrainz; None if invalid."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _refuse_nul(value: object) -> None:
    if isinstance(value, str) and "\0" in value:
        raise Malformed("JSON document contains a unicode null.")
    for inner in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_nul(inner)


def _json(value: object) -> bytes:
    try:
        return ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        raise Malformed("JSON document contains half a character (a lone surrogate).") from None


def _finite(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _refuse(literal)


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"{literal[:20]} is not a valid number")


DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
