"""Cuts personal fields from what is kept of a record: its text in quarantine, and fields that nobody expected.

Spotify writes IP address, user agent, user name, device and country into every record, and a broken record must not
bring them to disk. Text that is JSON loses the values of personal keys; text that is not loses whatever follows
something like a personal key. Both lose anything that looks like an address or an agent. When in doubt, it is cut:
the text is there to see what is wrong with a record, not to restore it.
"""

import json
import re
from functools import lru_cache
from typing import Any

KEPT = 10_000  # characters of a record in quarantine
CUT = "[cut]"

KEY = (
    r"(?:(?<![a-z0-9])ip(?![a-z])|(?-i:(?<=[a-z])I[pP](?![a-z]))|ip[\W_]*addr|user[\W_]*agent|user[\W_]*name"
    r"|e[\W_]*mail|pass[\W_]*word|token"
    r"|phone[\W_]*number|birth|postal|platform|conn[\W_]*country|l(?:at|ong)itude|traits"
    r"|(?:anonymous|advertising|device)[\W_]*id(?![a-z]))"
)
PERSONAL = re.compile(KEY, re.IGNORECASE)
# A key, then a string that ends where a value can end, else everything up to the next key: a quote may be missing.
FIELD = re.compile(
    rf"""({KEY}[\w.-]*[\\"'\s]*[:=]\s*)"""
    r"""(?:"(?:[^"\\\n]|\\.)*+"(?=\s*(?:[,}\]\n]|\Z))|.*?(?=,\s*"[^"\\\n]*"\s*:|\Z))""",
    re.IGNORECASE | re.DOTALL,
)
ADDRESS = re.compile(
    r"\d+(?:\.\d+){3,}"  # IPv4, and any longer row of numbers
    r"|(?:(?:[0-9a-f]{1,4}:){1,7}|:):[0-9a-f:.]*"  # IPv6 with zeros left out
    r"|(?:[0-9a-f]{1,4}:){3,}[0-9a-f:.]*",  # IPv6 in full or cut short; a time of day has two colons
    re.IGNORECASE,
)
AGENT = re.compile(r"[A-Za-z]/\d+\.\d")  # Mozilla/5.0
ANY_KEY = re.compile(r'"[\w .-]{1,100}"\s*:')
ESCAPED = re.compile(r"\\u00([2-7][0-9a-f])", re.IGNORECASE)


def cut(text: str) -> str:
    """The text without personal fields, at most KEPT characters, fit for UTF-8."""
    try:
        kept = json.dumps(_without(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        kept = text
    if len(kept) > KEPT:
        kept = kept[:KEPT].rstrip("0123456789abcdefABCDEF.:")  # the rest of an address cut in two
    kept = _fields(kept)
    kept = "".join(CUT if AGENT.search(part) else part for part in re.split(r'(["\n])', kept))
    kept = ADDRESS.sub(CUT, kept)
    return kept.encode("utf-8", "backslashreplace").decode()[:KEPT]


@lru_cache(maxsize=10_000)
def is_personal(key: str) -> bool:
    """Whether a field of this name tells who somebody is, or where."""
    return bool(PERSONAL.search(key))


def dropped(value: Any) -> Any:
    """A copy without personal fields, however deep, and without the objects and lists that had nothing else in them.

    None where nothing is left.
    """
    if isinstance(value, dict):
        kept = {k: dropped(v) for k, v in value.items() if not is_personal(k)}
        found = {k: v for k, v in kept.items() if v is not None or value[k] is None}
    elif isinstance(value, list):
        return [dropped(inner) for inner in value]
    else:
        return value
    return found if found or not value else None


def scrubbed(value: Any) -> Any:
    """The same without whatever looks like an address or an agent: for fields whose names say nothing."""
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [scrubbed(inner) for inner in value]
    if isinstance(value, str):
        return CUT if AGENT.search(value) else ADDRESS.sub(CUT, value)
    return value


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: CUT if is_personal(key) else _without(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without(inner) for inner in value]
    return value


def _fields(text: str) -> str:
    """Text without what follows personal keys, and without what may be the rest of a value cut in two."""
    text = ESCAPED.sub(lambda match: match[0] if match[1] in ("22", "5c", "5C") else chr(int(match[1], 16)), text)
    if '"' in text and not text.lstrip().startswith(("{", "[")):
        key = ANY_KEY.search(text)
        text = CUT + (text[key.start() :] if key else "")
    return FIELD.sub(rf'\1"{CUT}"', text)
