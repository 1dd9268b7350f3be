"""A listener's name in data, and how it is distinguished from the same letters with another meaning.

An artist may have a listener's name, and one listener's name may be the beginning of another's. The letters count as
the listener's name

- in a personal column, and under a key that identifies somebody (`user_name`, `follows`), if they are the whole value;
- in the address of a profile, if the name is its account (`ada@music.example`);
- in written text after an @, and in paths as the folder of the listener's pulls;
- in Dagster's history and in logs, wherever they are a whole word. Exceptions are the names of Dagster's own objects,
  the platform's own folders, and previews, which never show personal tables.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resources.pulls.listens import folder_name
from resources.sources.formats.activitystreams import PERSON_KEYS, addresses

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
REMOVED = object()


class Person:
    """A listener to find: by name, and in Dagster's history also by the names of their own files."""

    def __init__(
        self, name: str, files: Collection[str] = (), keys: Collection[str] = (), folders: Sequence[Path] = ()
    ) -> None:
        """`keys` are further keys that identify somebody; `folders` are the platform's own folders."""
        self.name = name
        self.files = sorted(files)
        self._keys = {key.lower() for key in keys} - {"creator"}  # a track's creator is the artist
        self._folders = [str(folder) for folder in folders if len(folder.parts) > 1]

    @cached_property
    def forms(self) -> list[str]:
        """Return the name in all encodings that files use: plain, JSON, nested JSON, addresses, both Unicode forms."""
        encodings: dict[str, None] = dict.fromkeys((self.folder, *self._addresses))
        for name in (self.name, *(unicodedata.normalize(form, self.name) for form in ("NFC", "NFD"))):
            for quoted in (name, *_in_json(name), quote(name, safe=""), quote(name, safe="").replace(".", "%2E")):
                encodings[quoted] = None
        return sorted(encodings, key=len, reverse=True)

    @cached_property
    def _addresses(self) -> list[str]:
        return addresses(self.name)

    @cached_property
    def folder(self) -> str:
        """Return the name as a folder or file name."""
        return folder_name(self.name)

    @cached_property
    def needles(self) -> list[bytes]:
        """Return byte strings, at least one of which is in every file that names the listener or one of their files."""
        return [form.encode() for form in (*self.forms, *self._files)]

    def identifies(self, key: str, above: str = "") -> bool:
        """Return whether the value of a key, which is below the key `above`, identifies somebody."""
        key, above = key.lower(), above.lower()
        if key in PLAIN and above not in PLAIN:
            key = above
        return key in self._keys or key in EXACTLY or any(word in key for word in WHO)

    def is_named_in(self, value: Any) -> bool:
        """Return whether a JSON value names the listener."""
        return self.without(value) != value

    def without(self, value: Any, key: str = "", above: str = "") -> Any:
        """Return a JSON value without the listener, or `REMOVED` if the value is about them.

        A record that names the listener is removed; in a list, other elements stay.
        """
        if isinstance(value, dict):
            record: dict[str, Any] = {}
            kind = value.get("type")
            whom = PERSON_KEYS.get(kind, ()) if isinstance(kind, str) else ()
            for inner, element in value.items():
                if inner == self.name and self.identifies(key, above):
                    continue
                result = self.without(element, "who" if inner in whom else inner, key)
                if result is REMOVED:
                    return REMOVED
                if inner == "creator" and "track" in value and element == self.name:  # of a playlist
                    result = ERASED
                record[inner] = result
            return record
        if isinstance(value, list):
            return [result for each in value if (result := self.without(each, key, above)) is not REMOVED]
        if not isinstance(value, str) or (self.name not in value and not any(form in value for form in self.forms)):
            return value
        if self.identifies(key, above) and (value == self.name or self._is_address(value)):
            return REMOVED
        if (inner := _parsed(value)) is not None:
            result = self.without(inner, key, above)
            return (
                REMOVED if result is REMOVED else value if result == inner else json.dumps(result, ensure_ascii=False)
            )
        return self.redact_text(value)

    def redact_text(self, text: str) -> str:
        """Redact the name in text that people or programs wrote: after an @, after an identifying key, or in a path."""
        redacted = self._said.sub(rf"\g<1>{ERASED}", text)
        return self._profile.sub(ERASED, redacted) if self._addresses else redacted

    def _is_address(self, text: str) -> bool:
        return (
            text.strip().removeprefix("acct:").lstrip("@") == self.name or text.strip().rstrip("/") in self._addresses
        )

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
        if (
            not isinstance(value, str)
            or key in DAGSTER_KEYS
            or not any(form in value for form in (*self.forms, *self._files))
        ):
            return value
        if (inner := _parsed(value)) is not None:
            result = self.redact_history(inner, key)
            return value if result == inner else json.dumps(result)
        return self.redact_words(value)

    def redact_words(self, text: str) -> str:
        """Redact the name in a text wherever it is a whole word, except in the platform's own folders."""
        return self._word.sub(lambda match: match[0] if match["own"] else ERASED, text)

    @cached_property
    def _files(self) -> list[str]:
        return sorted({form for file in self.files for form in (file, *_in_json(file))}, key=len, reverse=True)

    @cached_property
    def _any(self) -> str:
        """Return a pattern of the name in all encodings, except inside longer ones, as in `ada2` or `ada-lovelace`."""
        names = "|".join(map(re.escape, self.forms))
        return rf"(?<!\w)(?<!\w[-.+@'’])(?:{names})(?!\w)(?![-+@'’]\w)"

    @cached_property
    def _said(self) -> re.Pattern[str]:
        words = "|".join(map(re.escape, (*WHO, *sorted(self._keys))))
        names = "|".join(map(re.escape, self.forms))
        keyed = rf"(?:(?:\w|-)*(?:{words})(?:\w|-)*|\b(?:{'|'.join(EXACTLY)}))\\*[\"']?\s*[:=>]\s*\\*[\"']"
        pulled = r"listens/[\w.-]+/"  # the next folder has the listener's name
        return re.compile(rf"((?<![\w.+-])@|{pulled}|(?i:{keyed}))(?:{names})(?=\\*[\"']|[^\w'’+@-]|['’]s\b|\Z)")

    @cached_property
    def _word(self) -> re.Pattern[str]:
        own_folders = "|".join(
            f"{re.escape(folder)}(?=/|\\W|$)" for folder in sorted(self._folders, key=len, reverse=True)
        )
        files = "".join(f"|(?<![\\w]){re.escape(file)}(?![\\w])" for file in self._files)
        return re.compile(rf"(?P<own>{own_folders or '(?!)'})|(?:{self._any}{files})")


def _in_json(text: str) -> list[str]:
    """Return a text as encoded in JSON, and in JSON within JSON."""
    encoded = []
    for escaped in (True, False):
        once = json.dumps(text, ensure_ascii=escaped)[1:-1]
        encoded += [once, json.dumps(once, ensure_ascii=escaped)[1:-1]]
    return encoded


def _parsed(text: str) -> Any:
    """Parse a text that is a JSON object or list; return None otherwise."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
