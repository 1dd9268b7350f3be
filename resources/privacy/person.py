"""A person as data name them, and how a name is told from the same letters that mean something else.

An artist may be called what a listener is called, and one listener's name may begin another's. So letters name a person

- in a column that is declared personal, and under a key that says who somebody is (`user_name`, `follows`): where the
  whole value is the name;
- as the address of a profile, of which the name is the account (`ada@music.example`);
- in text that people write, behind an @, and in paths, where the folder is that of what was pulled as theirs;
- in Dagster's history and in logs: wherever the name stands as a word of its own, but for the words by which Dagster
  knows its own things, the folders in which the platform itself lies, and previews, which are of music: tables about
  persons have none.
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

ERASED = "[erased]"  # what stands where a name stood in what is kept
WHO = (
    *("user", "listener", "owner", "author", "follow", "friend", "mention", "member", "account", "login"),
    *("sender", "recipient", "poster", "person", "people"),
)
EXACTLY = {"from", "to", "by", "who", "actor"}
PLAIN = {"", "id", "name", "#text", "value"}  # keys that mean what the key above them says
OWN = {
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
"""Keys and columns under which Dagster names its own things."""
PREVIEW = "preview"
GONE = object()


class Person:
    """Somebody to look for: by name, and in history also by names of files that were theirs alone."""

    def __init__(
        self, name: str, files: Collection[str] = (), keys: Collection[str] = (), folders: Sequence[Path] = ()
    ) -> None:
        """`keys` say who somebody is beside those everybody uses; `folders` are where the platform lies."""
        self.name = name
        self.files = sorted(files)
        self._keys = {key.lower() for key in keys} - {"creator"}  # of a track it is the artist
        self._folders = [str(folder) for folder in folders if len(folder.parts) > 1]

    @cached_property
    def forms(self) -> list[str]:
        """The name as files write it: plainly, in JSON and JSON within that, in addresses, in either Unicode form."""
        found: dict[str, None] = dict.fromkeys((self.folder, *self._addresses))
        for name in (self.name, *(unicodedata.normalize(form, self.name) for form in ("NFC", "NFD"))):
            for quoted in (name, *_in_json(name), quote(name, safe=""), quote(name, safe="").replace(".", "%2E")):
                found[quoted] = None
        return sorted(found, key=len, reverse=True)

    @cached_property
    def _addresses(self) -> list[str]:
        return addresses(self.name)

    @cached_property
    def folder(self) -> str:
        """The name as that of a folder or a file."""
        return folder_name(self.name)

    @cached_property
    def needles(self) -> list[bytes]:
        """Bytes of which a file has some, if it names the person or one of their files."""
        return [form.encode() for form in (*self.forms, *self._files)]

    def meant(self, key: str, above: str = "") -> bool:
        """Whether what stands under a key, itself under another, is who somebody is."""
        key, above = key.lower(), above.lower()
        if key in PLAIN and above not in PLAIN:
            key = above
        return key in self._keys or key in EXACTLY or any(word in key for word in WHO)

    def within(self, value: Any) -> bool:
        """Whether a value of JSON names the person."""
        return self.without(value) != value

    def without(self, value: Any, key: str = "", above: str = "") -> Any:
        """A value of JSON without the person: `GONE` where it is about them, else without what names them.

        What names the person in a record makes the record theirs; in a list, the others stay.
        """
        if isinstance(value, dict):
            kept: dict[str, Any] = {}
            kind = value.get("type")
            whom = PERSON_KEYS.get(kind, ()) if isinstance(kind, str) else ()
            for inner, told in value.items():
                if inner == self.name and self.meant(key, above):
                    continue
                found = self.without(told, "who" if inner in whom else inner, key)
                if found is GONE:
                    return GONE
                if inner == "creator" and "track" in value and told == self.name:  # of a playlist
                    found = ERASED
                kept[inner] = found
            return kept
        if isinstance(value, list):
            return [found for each in value if (found := self.without(each, key, above)) is not GONE]
        if not isinstance(value, str) or (self.name not in value and not any(form in value for form in self.forms)):
            return value
        if self.meant(key, above) and (value == self.name or self._is_address(value)):
            return GONE
        if (inner := _parsed(value)) is not None:
            found = self.without(inner, key, above)
            return GONE if found is GONE else value if found == inner else json.dumps(found, ensure_ascii=False)
        return self.unsaid(value)

    def unsaid(self, text: str) -> str:
        """What people or programs wrote, without the name behind an @, a key that says who somebody is, or a path."""
        said = self._said.sub(rf"\g<1>{ERASED}", text)
        return self._profile.sub(ERASED, said) if self._addresses else said

    def _is_address(self, text: str) -> bool:
        return (
            text.strip().removeprefix("acct:").lstrip("@") == self.name or text.strip().rstrip("/") in self._addresses
        )

    @cached_property
    def _profile(self) -> re.Pattern[str]:
        return re.compile(rf"(?:{'|'.join(map(re.escape, self._addresses))})(?![\w.@-])")

    def unwritten(self, value: Any, key: str = "") -> Any:
        """A value of Dagster's history, or a line of a log, with the name nowhere in it as a word of its own."""
        if key == PREVIEW or (isinstance(value, dict) and value.get("label") == PREVIEW):
            return value
        if isinstance(value, dict):
            return {
                k if key in OWN else self.struck(k) if isinstance(k, str) else k: self.unwritten(v, k)
                for k, v in value.items()
            }
        if isinstance(value, list):  # a path is that of a file, or a list: the key of an asset
            return [self.unwritten(each, "asset_key" if key == "path" else key) for each in value]
        if not isinstance(value, str) or key in OWN or not any(form in value for form in (*self.forms, *self._files)):
            return value
        if (inner := _parsed(value)) is not None:
            found = self.unwritten(inner, key)
            return value if found == inner else json.dumps(found)
        return self.struck(value)

    def struck(self, text: str) -> str:
        """A text with the name struck from it wherever it is a word, but for the folders of the platform."""
        return self._word.sub(lambda match: match[0] if match["kept"] else ERASED, text)

    @cached_property
    def _files(self) -> list[str]:
        return sorted({form for file in self.files for form in (file, *_in_json(file))}, key=len, reverse=True)

    @cached_property
    def _any(self) -> str:
        """The name in any form; not where it is part of a longer one, as `ada` is of `ada2` and of `ada-lovelace`."""
        names = "|".join(map(re.escape, self.forms))
        return rf"(?<!\w)(?<!\w[-.+@'’])(?:{names})(?!\w)(?![-+@'’]\w)"

    @cached_property
    def _said(self) -> re.Pattern[str]:
        words = "|".join(map(re.escape, (*WHO, *sorted(self._keys))))
        names = "|".join(map(re.escape, self.forms))
        keyed = rf"(?:(?:\w|-)*(?:{words})(?:\w|-)*|\b(?:{'|'.join(EXACTLY)}))\\*[\"']?\s*[:=>]\s*\\*[\"']"
        pulled = r"listens/[\w.-]+/"  # of which the next folder is called like them
        return re.compile(rf"((?<![\w.+-])@|{pulled}|(?i:{keyed}))(?:{names})(?=\\*[\"']|[^\w'’+@-]|['’]s\b|\Z)")

    @cached_property
    def _word(self) -> re.Pattern[str]:
        kept = "|".join(f"{re.escape(folder)}(?=/|\\W|$)" for folder in sorted(self._folders, key=len, reverse=True))
        files = "".join(f"|(?<![\\w]){re.escape(file)}(?![\\w])" for file in self._files)
        return re.compile(rf"(?P<kept>{kept or '(?!)'})|(?:{self._any}{files})")


def _in_json(text: str) -> list[str]:
    """A text as it stands in JSON, and in JSON that stands in JSON."""
    found = []
    for ascii in (True, False):
        once = json.dumps(text, ensure_ascii=ascii)[1:-1]
        found += [once, json.dumps(once, ensure_ascii=ascii)[1:-1]]
    return found


def _parsed(text: str) -> Any:
    """What a text says, if it is an object or a list of JSON."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
