"""A listener's name in data, and how it is distinguished from the same letters with another meaning.

An artist may have a listener's name, and one listener's name may be the beginning of another's. The letters count as
the listener's name

- in a personal column, and under a key that identifies somebody (`user_name`, `follows`), if they are the whole value;
- in the address of a profile, if the name is its account (`ada@music.example`);
- in written text after an @, and in paths as the folder of the listener's pulls;
- in Dagster's history and in logs, wherever they are a whole word. Exceptions are the names of Dagster's own objects,
  the platform's own folders, and previews, which never show personal tables.

Decoded values are compared, stripped as imports strip them. So the letters may be escaped in any way. In a text that
cannot be parsed, every escape is undone. A value that may or may not be the listener's name there is undecided.
"""

import json
import re
import string
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any

from resources.privacy.json_text import (
    KEY_REMOVED,
    REMOVED,
    Elements,
    Fields,
    Number,
    decode,
    edit,
    pairs_of,
    pruned,
)
from resources.privacy.undone import levels, places
from resources.pulls.listens import folder_name
from resources.sources.formats.activitystreams import PERSON_KEYS, addresses
from resources.sources.readers.json_records import MAX_RECORD_CHARS

ERASED = "[erased]"  # replaces a name in data that is kept
WHO = (
    *("user", "listener", "owner", "author", "follow", "friend", "mention", "member", "account", "login"),
    *("sender", "recipient", "poster", "person", "people"),
)
EXACTLY = {"from", "to", "by", "who", "actor"}
PLAIN = {"", "id", "name", "#text", "value"}  # keys that take their meaning from the key above them
DAGSTER_KEYS = {
    *("__class__", "__enum__", "asset_key", "step_key", "job_name", "pipeline_name", "node_name", "solid_name"),
    *("run_id", "parent_run_id", "root_run_id", "event_type_value", "dagster_event_type", "event_type", "logger_name"),
    *(
        "output_name",
        "input_name",
        "mapping_key",
        "status",
        "location_name",
        "repository_name",
        "check_name",
        "tick_id",
    ),
    *("origin_id", "selector_id", "repository_selector_id", "instigator_type", "partition", "partition_key", "key"),
    *("name", "level", "class_name", "cls_name", "module", "module_name", "attribute", "entry_point", "package_name"),
    *("executable_path", "working_directory", "python_file", "severity", "daemon_type", "snapshot_id", "type", "kind"),
    *("asset_selection", "asset_check_selection", "step_keys", "job_snapshot_id", "execution_plan_snapshot_id"),
}
"""Keys and columns in which Dagster names its own objects."""
PREVIEW = "preview"
OWNER = re.compile(r"(?:user|listener|account|owner|poster|who|actor)(?:[_-]?(?:id|name))?", re.IGNORECASE)
"""Keys that name whose record it is."""
EVENTS = {
    *("track_metadata", "listened_at", "track_name", "artist_name"),
    *("artistName", "trackName", "master_metadata_track_name"),
}
"""Keys of a listen. An application event has a `timestamp`, and either `event` or one of `VIEWS` as its type."""
VIEWS = ("page", "screen")
UNDECIDED = {*PLAIN, "creator", "object", "subject", "href", "attributedto", "actor"}
"""Keys that name somebody only in some objects."""
TEXT_COLUMNS = {"raw", "extra", "text"}  # personal columns with texts, whose values are no names
LOOK_BACK_CHARS = 300  # for a key before a name
MAX_WORK = 20  # characters decoded in vain for each of a text that cannot be parsed
OBJECTS = 8  # tried around a name in a text that cannot be parsed
QUOTES = ('"', "'")


class Person:
    """A listener to find: by name, and in Dagster's history also by the names of their own files."""

    def __init__(
        self, name: str, files: Collection[str] = (), keys: Collection[str] = (), folders: Sequence[Path] = ()
    ) -> None:
        """`keys` are further keys that identify somebody; `folders` are the platform's own folders."""
        self.name = name
        self.files = sorted(files)
        self.redacted_records = 0  # records of others from which the name was removed
        self._keys = {key.lower() for key in keys} - {"creator", *TEXT_COLUMNS}  # a track's creator is the artist
        self._folders = [str(folder) for folder in folders if len(folder.parts) > 1]

    @cached_property
    def forms(self) -> list[str]:
        """Return the name as texts without escapes have it: also as an address, a folder and in both Unicode forms."""
        names = (self.name, *(unicodedata.normalize(form, self.name) for form in ("NFC", "NFD")))
        plain = [*names, self.folder, *self._addresses]
        doubled = (name.replace('"', '""') for name in names)  # in CSV
        return sorted({*plain, *doubled}, key=len, reverse=True)

    @cached_property
    def _addresses(self) -> list[str]:
        return addresses(self.name)

    @cached_property
    def folder(self) -> str:
        """Return the name as a folder or file name."""
        return folder_name(self.name)

    @cached_property
    def _plain(self) -> list[str]:
        return [*self.forms, *self.files]

    @cached_property
    def needles(self) -> list[bytes]:
        """Return the names as bytes, without escapes."""
        return [form.encode(errors="surrogateescape") for form in self._plain]

    @cached_property
    def escapes(self) -> str:
        """Return a pattern that finds at least one place in every text that spells a name with escapes."""
        letters = {*"".join(self._plain), *string.hexdigits, *"uUx\\%&#;"}
        units = {f"{ord(c):04x}" for c in letters if c <= "\uffff"}
        units |= {f"{0xD800 + ((ord(c) - 0x10000) >> 10):04x}" for c in letters if c > "\uffff"}
        octets = {f"{c.encode(errors='surrogateescape')[0]:02x}" for c in letters}
        shorts = "".join(c for c in "\"'/" if c in letters) + "".join(
            s for s, c in zip("bfnrt", "\b\f\n\r\t", strict=True) if c in letters
        )
        parts = [
            rf"(?i:u(?:{'|'.join(sorted(units))})|x(?:{'|'.join(u[2:] for u in sorted(units) if u < '0100')}))|U00"
        ]
        if shorts:
            parts.append(f"[{shorts}]")
        if any("\\" in plain for plain in self._plain):
            parts.append(r"\\")
        number = r"|[0-9][eE][+-]?[0-9]" if self._is_number else ""
        return rf"\\(?:{'|'.join(parts)})|%(?i:{'|'.join(sorted(octets))})|&(?:#|[A-Za-z][A-Za-z0-9]+;){number}"

    @cached_property
    def _escapes(self) -> tuple[re.Pattern[str], re.Pattern[bytes]]:
        return re.compile(self.escapes), re.compile(self.escapes.encode())

    @cached_property
    def _is_number(self) -> bool:
        try:
            return bool(Decimal(self.name))
        except InvalidOperation:
            return False

    def may_be_in(self, text: str) -> bool:
        """Return whether a text may name the listener or one of their files, however it is escaped."""
        if any(plain in text for plain in self._plain):
            return True
        if not self._escapes[0].search(text):
            return False
        try:
            return any(plain in level for level in levels(text) for plain in self._plain) or self._is_number
        except ValueError:
            return True

    def may_be_in_bytes(self, content: bytes) -> bool:
        """Return the same of bytes."""
        if any(needle in content for needle in self.needles):
            return True
        return self.has_escapes(content) and self.may_be_in(content.decode(errors="surrogateescape"))

    def has_escapes(self, content: bytes) -> bool:
        """Return whether bytes have escapes that may spell the name."""
        return bool(self._escapes[1].search(content))

    def candidates(self, column: Any) -> Any:
        """Return a mask of the texts of an Arrow column that may name the listener."""
        import pyarrow.compute as pc

        mask = pc.match_substring_regex(column, self.escapes)
        for plain in self._plain:
            mask = pc.or_(mask, pc.match_substring(column, plain))
        return pc.fill_null(mask, False)

    def is_name(self, value: Any) -> bool:
        """Return whether a decoded value is the name, as imports read it: stripped, and a number by its digits."""
        if isinstance(value, str):
            return self.name in (value, value.strip()) or self._is_address(value)
        if isinstance(value, Number | int | Decimal) and not isinstance(value, bool) and self._is_number:
            try:
                return str(Decimal(value.spelling if isinstance(value, Number) else value)) == self.name
            except InvalidOperation:
                return False
        return False

    def identifies(self, key: str, above: str = "") -> bool:
        """Return whether the value of a key, which is below the key `above`, identifies somebody."""
        key, above = key.lower(), above.lower()
        if key in PLAIN and above not in PLAIN:
            key = above
        return key in self._keys or key in EXACTLY or any(word in key for word in WHO)

    def is_named_in(self, value: Any) -> bool:
        """Return whether a JSON value names the listener."""
        return self._judge(value) is not value

    def without(self, value: Any, key: str = "", owned: bool = False) -> Any:
        """Return a JSON value without the listener, or `REMOVED` if the value is about them.

        A record about the listener is removed, and so is an element of a list. An event of somebody else stays without
        the properties that name the listener. `owned` declares that the value belongs to somebody else.
        """
        return pruned(self._judge(value, key, owned=owned))

    def edit(self, text: str, key: str = "", above: str = "", owned: bool = False) -> Any:
        """Return JSON text without the listener, else as it was, or `REMOVED`.

        Raises ValueError or RecursionError if it is not JSON.
        """
        at = len(text) - len(text.lstrip(BLANK))
        value, end = decode(text, at)
        if text[end:].strip(BLANK):
            raise ValueError("more than one value")
        change = self._judge(value, key, above, owned)
        if change is REMOVED or change is value:
            return REMOVED if change is REMOVED else text
        edited, end = edit(text, at, change)
        return text[:at] + edited + text[end:]

    def _judge(self, value: Any, key: str = "", above: str = "", owned: bool = False) -> Any:
        """Return the same value, or how it changes, or `REMOVED`."""
        if isinstance(value, dict):
            return self._judge_object(value, key, above, owned)
        if isinstance(value, list):
            judged = [self._judge(each, key, above, owned) for each in value]
            return value if all(map(_same, judged, value)) else Elements(judged)
        if not isinstance(value, str):
            return REMOVED if self.identifies(key, above) and self.is_name(value) else value
        if not self.may_be_in(value):
            return value
        if self.identifies(key, above) and self.is_name(value):
            return REMOVED
        if value.lstrip(BLANK)[:1] in ("{", "["):
            try:
                edited = self.edit(value, key, above, owned)
            except (ValueError, RecursionError):
                pass
            else:
                return value if edited == value else edited
        if OWNER.fullmatch(key):  # somebody else's name, such as `x@ada`
            return value
        redacted = self.redact_text(value)
        return value if redacted == value else redacted

    def _judge_object(self, value: dict[str, Any], key: str, above: str, owned: bool) -> Any:
        pairs = pairs_of(value)
        kind = value.get("type")
        whom = PERSON_KEYS.get(kind, ()) if isinstance(kind, str) else ()
        is_activity = bool(whom) or "actor" in value
        is_program_event = "timestamp" in value and ("event" in value or kind in VIEWS)
        event = not is_activity and (is_program_event or not EVENTS.isdisjoint(value))
        has_owner = not is_activity and any(each and OWNER.fullmatch(inner) for inner, each in pairs)
        within = event or owned or has_owner
        judged = Fields()
        for inner, each in pairs:
            if inner.strip() == self.name and self.identifies(key, above):
                judged.append((inner, KEY_REMOVED))
                continue
            # Elements of a list are records of their own unless they are in an event.
            inherited = within if isinstance(each, dict) or event or (owned and not has_owner) else False
            change = self._judge(each, "who" if inner in whom else inner, key, inherited)
            if change is REMOVED:
                if not (event or owned) or inner.lower() in PLAIN or OWNER.fullmatch(inner):
                    return REMOVED
                change = KEY_REMOVED
            if inner == "creator" and "track" in value and self.is_name(each):  # of a playlist
                change = ERASED
            judged.append((inner, change))
        return value if all(map(_same, (change for _, change in judged), (each for _, each in pairs))) else judged

    def redact_text(self, text: str) -> str:
        """Redact the name in text that people or programs wrote: after an @, after an identifying key, or in a path."""
        return _redacted(text, places(text, self._said_in)) if self.may_be_in(text) else text

    def redact_broken(self, text: str) -> tuple[str, bool]:
        """Remove the listener from a text that is not valid JSON or CSV. Return it, and whether that is undecided.

        Whole objects about the listener are removed. Elsewhere the name is redacted, with every escape undone.
        """
        if not self.may_be_in(text):
            return text, False
        cuts: list[tuple[int, int, str]] = []
        budget = [MAX_WORK * len(text) + MAX_WORK]
        for start, end in places(text, self._named_in):
            if (not cuts or start >= cuts[-1][1]) and (cut := self._object_around(text, start, end, budget)):
                while cuts and cuts[-1][0] >= cut[0]:
                    cuts.pop()
                cuts.append(cut)
        parts, at, undecided = [], 0, False
        for start, end, new in (*cuts, (len(text), len(text), "")):
            gap = self.redact_text(text[at:start])
            undecided = undecided or self._is_any_undecided(gap)
            parts += [gap, new]
            at = end
        return "".join(parts), undecided

    def _named_in(self, text: str) -> Iterator[tuple[int, int]]:
        return (match.span() for match in self._name.finditer(text))

    def _object_around(self, text: str, start: int, end: int, budget: list[int]) -> tuple[int, int, str] | None:
        """Return where an object begins and ends that decides about a place, and what replaces it.

        `budget` is the number of characters that may still be decoded in vain.
        """
        at = start
        widest = None
        for _ in range(OBJECTS):
            if budget[0] < 0 or (at := text.rfind("{", max(0, at - MAX_RECORD_CHARS), at)) < 0:
                break
            try:
                value, close = decode(text, at)
            except (ValueError, RecursionError) as error:
                budget[0] -= error.pos - at + at // 64 if isinstance(error, json.JSONDecodeError) else MAX_RECORD_CHARS
                continue
            if close < end:
                continue
            change = self._judge(value)
            if change is REMOVED:
                comma = GAP_AFTER.match(text, close) or GAP_BEFORE.search(text, max(0, at - LOOK_BACK_CHARS), at)
                if comma and comma.start() >= close:
                    return at, comma.end(), ""
                return (comma.start() if comma else at), close, ""
            if change is not value:
                widest = at, close, edit(text, at, change)[0]
            elif self._judge(value, "who") is value:  # whatever key is above it
                widest = at, close, text[at:close]
        return widest

    def _is_any_undecided(self, text: str) -> bool:
        """Return whether a text in broken JSON may name the listener."""
        if not self.may_be_in(text):
            return False
        try:
            return any(self._is_undecided(each, *place) for each in levels(text) for place in self._named_in(each))
        except ValueError:
            return True

    def _is_undecided(self, text: str, start: int, end: int) -> bool:
        """Return whether a name in broken JSON is a whole value or key of unknown meaning."""
        before = text[max(0, start - LOOK_BACK_CHARS) : start].rstrip()
        after = text[end : end + LOOK_BACK_CHARS].lstrip()
        if before[-1:] not in QUOTES or after[:1] not in QUOTES or not SIGN_OF_JSON.search(text):
            return False
        if after[1:].lstrip()[:1] == ":":
            return True
        key = KEY_BEFORE.search(before)
        return key is None or key[1].lower() in UNDECIDED

    def _said_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where a text without escapes names the listener."""
        for match in self._name.finditer(text):
            start, end = match.span()
            before = text[max(0, start - LOOK_BACK_CHARS) : start]
            said = AFTER_NAME.match(text, end) and AT_BEFORE.search(before)
            if said or (END_OF_VALUE.match(text, end) and self._is_keyed(before)):
                yield start, end
        if self._addresses:
            yield from (match.span() for match in self._profile.finditer(text))

    def _is_keyed(self, before: str) -> bool:
        """Return whether a text ends with an identifying key and the beginning of its value."""
        key = KEY_BEFORE.search(before)
        if not key or not self.identifies(key[1]):
            return False
        return key[0].rstrip()[-1:] in QUOTES or self._is_number

    def _is_address(self, text: str) -> bool:
        return (
            text.strip().removeprefix("acct:").lstrip("@") == self.name or text.strip().rstrip("/") in self._addresses
        )

    @cached_property
    def _name(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self.forms)))

    @cached_property
    def _profile(self) -> re.Pattern[str]:
        return re.compile(rf"(?:{'|'.join(map(re.escape, self._addresses))})(?![\w.@-])")

    def redact_history(self, value: Any, key: str = "") -> Any:
        """Redact the name, wherever it is a whole word, in a value of Dagster's history or a line of a log."""
        if key == PREVIEW or (isinstance(value, dict) and value.get("label") == PREVIEW):
            return value
        if isinstance(value, dict):
            return {
                k if key in DAGSTER_KEYS else self.redact_words(k) if isinstance(k, str) else k: self.redact_history(
                    v, k
                )
                for k, v in value.items()
            }
        if isinstance(value, list):  # a list under `path` is an asset's key
            return [self.redact_history(each, "asset_key" if key == "path" else key) for each in value]
        if not isinstance(value, str) or key in DAGSTER_KEYS or not self.may_be_in(value):
            return value
        if (inner := _parsed(value)) is not None:
            result = self.redact_history(inner, key)
            return value if result == inner else json.dumps(result)
        return self.redact_words(value)

    def redact_words(self, text: str) -> str:
        """Redact the name in a text wherever it is a whole word, except in the platform's own folders."""
        if not self.may_be_in(text):
            return text
        return _redacted(text, places(text, lambda each: _words(self._word, each)))

    @cached_property
    def _any(self) -> str:
        """Return a pattern of the name in all encodings, except inside longer ones, as in `ada2` or `ada-lovelace`."""
        names = "|".join(map(re.escape, self.forms))
        return rf"(?<!\w)(?<!\w[-.+@'’])(?:{names})(?!\w)(?![-+@'’]\w)"

    @cached_property
    def _word(self) -> re.Pattern[str]:
        own_folders = "|".join(
            f"{re.escape(folder)}(?=/|\\W|$)" for folder in sorted(self._folders, key=len, reverse=True)
        )
        files = "".join(f"|(?<![\\w]){re.escape(file)}(?![\\w])" for file in sorted(self.files, key=len, reverse=True))
        return re.compile(rf"(?P<own>{own_folders or '(?!)'})|(?:{self._any}{files})")


AT_BEFORE = re.compile(r"(?:(?<![\w.+-])@|listens/[\w.-]{1,100}/)\Z")  # the next folder has the listener's name
KEY_BEFORE = re.compile(r"([\w.-]{1,100})[\"']?\s*[:=>]\s*[\"']?\s*\Z")
AFTER_NAME = re.compile(r"[\"']|[^\w'’+@-]|['’]s\b|\Z")
SIGN_OF_JSON = re.compile(r"[\[{]|[\"']\s*[:,]\s*[\"'\[{]|^\s*[\"'].*[\"'],?\s*\Z")
END_OF_VALUE = re.compile(r"\s*(?:[\"'},]|\Z)")
GAP_AFTER = re.compile(r"\s*,\s*")
GAP_BEFORE = re.compile(r"\s*,\s*\Z")
BLANK = " \t\r\n\ufeff"


def _same(change: Any, value: Any) -> bool:
    return change is value


def _words(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in pattern.finditer(text) if not match["own"])


def _redacted(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Replace parts of a text, which are given by their places."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], ERASED]
        at = end
    return "".join([*parts, text[at:]])


def _parsed(text: str) -> Any:
    """Parse a text that is a JSON object or list; return None otherwise."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
