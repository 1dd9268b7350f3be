"""Redact personal fields in the stored text of quarantined records and in unexpected fields.

Spotify writes IP address, user agent, user name, device and country into every record. A broken record must not bring
them to disk. JSON loses the values of personal keys. Other text loses everything after a match of a personal key. Both
lose anything that looks like an IP address or a user agent. In doubt the text is redacted: it serves to diagnose a
record, not to restore it.
"""

import json
import re
from functools import lru_cache
from typing import Any

MAX_RAW_CHARS = 10_000  # of a quarantined record's text
REDACTED = "[cut]"

KEY = (
    r"(?:(?=[abcdeilptu])(?:(?<![a-z0-9])ip(?![a-z])|(?-i:(?<=[a-z])I[pP](?![a-z]))|ip[\W_]*addr|user[\W_]*agent|user[\W_]*name"
    r"|e[\W_]*mail|pass[\W_]*word|token"
    r"|phone[\W_]*number|birth|postal|platform|conn[\W_]*country|l(?:at|ong)itude|traits"
    r"|(?:anonymous|advertising|device)[\W_]*id(?![a-z])))"
)
PERSONAL = re.compile(KEY, re.IGNORECASE)
# A key, then a string up to the end of a value, else everything up to the next key, because a quote may be missing.
FIELD = re.compile(
    rf"""({KEY}(?:(?!{KEY})[\w.-])*+[\\"'\s]*+[:=]\s*)"""
    r"""(?:"(?:[^"\\\n]|\\.)*+"(?=\s*(?:[,}\]\n]|\Z))|.*?(?=,\s*"[^"\\\n]*"\s*:|\Z))""",
    re.IGNORECASE | re.DOTALL,
)
ADDRESS = re.compile(
    r"(?<!\d)\d++(?:\.\d++){3,}"  # IPv4, and any longer dotted number
    r"|(?:(?:[0-9a-f]{1,4}:){1,7}|:):[0-9a-f:.]*"  # IPv6 with zeros left out
    r"|(?:[0-9a-f]{1,4}:){3,}[0-9a-f:.]*",  # IPv6 in full or truncated (a time of day has two colons)
    re.IGNORECASE,
)
AGENT = re.compile(r"[A-Za-z]/\d+\.\d")  # Mozilla/5.0
ANY_KEY = re.compile(r'"[\w .-]{1,100}"\s*:')
ESCAPED = re.compile(r"\\u00([2-7][0-9a-f])", re.IGNORECASE)


def redact_text(text: str) -> str:
    """Return the text of a record without personal fields, at most MAX_RAW_CHARS long, as valid UTF-8."""
    try:
        redacted = json.dumps(_redact_values(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        redacted = text
    if len(redacted) > MAX_RAW_CHARS:
        # The strip removes an address that the limit cuts in two.
        redacted = redacted[:MAX_RAW_CHARS].rstrip("0123456789abcdefABCDEF.:")
    redacted = _redact_after_keys(redacted)
    redacted = "".join(REDACTED if AGENT.search(part) else part for part in re.split(r'(["\n])', redacted))
    redacted = ADDRESS.sub(REDACTED, redacted)
    return redacted.encode("utf-8", "backslashreplace").decode()[:MAX_RAW_CHARS]


@lru_cache(maxsize=10_000)
def is_personal(key: str) -> bool:
    """Return whether a field of this name identifies or locates a person."""
    return bool(PERSONAL.search(key))


def drop_personal_fields(value: Any) -> Any:
    """Return a copy without personal fields at any depth, and without objects that contained nothing else.

    Return None if nothing is left.
    """
    if isinstance(value, dict):
        inner_values = {k: drop_personal_fields(v) for k, v in value.items() if not is_personal(k)}
        remaining = {k: v for k, v in inner_values.items() if v is not None or value[k] is None}
    elif isinstance(value, list):
        return [drop_personal_fields(inner) for inner in value]
    else:
        return value
    return remaining if remaining or not value else None


def redact_addresses(value: Any) -> Any:
    """Return a copy in which IP addresses and user agents are redacted, whatever their fields are named."""
    if isinstance(value, dict):
        return {redact_addresses(key): redact_addresses(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [redact_addresses(inner) for inner in value]
    if isinstance(value, str):
        return REDACTED if AGENT.search(value) else ADDRESS.sub(REDACTED, value)
    return value


def _redact_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: REDACTED if is_personal(key) else _redact_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redact_values(inner) for inner in value]
    return value


def _redact_after_keys(text: str) -> str:
    """Redact the values of personal keys, and the beginning of the text if it may be the rest of a value."""
    text = ESCAPED.sub(lambda match: match[0] if match[1] in ("22", "5c", "5C") else chr(int(match[1], 16)), text)
    if '"' in text and not text.lstrip().startswith(("{", "[")):
        key = ANY_KEY.search(text)
        text = REDACTED + (text[key.start() :] if key else "")
    return FIELD.sub(rf'\1"{REDACTED}"', text)
