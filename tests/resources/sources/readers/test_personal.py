"""No IP address or user agent reaches quarantine, even from broken records."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.readers.personal import MAX_RAW_CHARS, redact_text

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(lambda address: len(address) > 3),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
)
KEYS = [
    "ip_addr",
    "ip_addr_decrypted",
    "IP_Addr",
    "ip",
    "user_agent",
    "user_agent_decrypted",
    "userAgent",
    "username",
    "email",
]


def record(address: str, agent: str) -> dict[str, Any]:
    return {
        "ts": "2020-03-01T10:44:25Z",
        "username": "secretname",
        "ms_played": 5,
        "ip_addr_decrypted": address,
        "user_agent_decrypted": agent,
        "ip_addr": address,
        "master_metadata_track_name": "Kept Song",
        "nested": [{"user_agent": agent}, {"note": f"seen from {address}"}],
    }


def test_json_keeps_all_but_the_values_of_personal_keys() -> None:
    redacted = json.loads(redact_text(json.dumps(record("203.0.113.7", AGENT))))
    assert redacted["master_metadata_track_name"] == "Kept Song"
    assert redacted["ts"] == "2020-03-01T10:44:25Z"
    assert redacted["ip_addr"] == redacted["user_agent_decrypted"] == redacted["username"] == "[cut]"


@pytest.mark.parametrize("value", [["Kepler", "Browser"], {"name": "Kepler", "version": "Browser"}, "Kepler"])
def test_json_loses_the_entire_value_of_a_personal_key(value: Any) -> None:
    redacted = json.loads(redact_text(json.dumps({"inner": [{"user_agent": value}], "id": 1})))
    assert redacted == {"inner": [{"user_agent": "[cut]"}], "id": 1}


def test_broken_text_keeps_the_part_that_shows_the_problem() -> None:
    redacted = redact_text(json.dumps(record("203.0.113.7", AGENT)).replace('"ms_played": 5', '"ms_played": NaN,,'))
    assert '"ms_played": NaN,,' in redacted
    assert "Kept Song" in redacted
    assert "10:44:25Z" in redacted
    assert "203.0.113.7" not in redacted
    assert "Mozilla" not in redacted


@given(ADDRESSES, st.data(), st.sampled_from([{}, {"indent": 4}, {"separators": (",", ":")}]))
def test_no_address_or_agent_survives_any_truncation(address: str, data: st.DataObject, style: Any) -> None:
    text = json.dumps(record(address, AGENT), **style)
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    for piece in (text[:last], text[first:], text[first:last]):
        redacted = redact_text(piece)
        assert address not in redacted
        assert AGENT not in redacted
        assert "Mozilla" not in redacted


@given(st.text(min_size=8), st.data(), st.sampled_from(KEYS), st.booleans())
def test_any_agent_is_redacted_in_a_truncated_record(agent: str, data: st.DataObject, key: str, escape: bool) -> None:
    secret = "Kepler" + agent
    text = json.dumps({"ts": "x", key: secret, "other": 1}, ensure_ascii=escape)
    redacted = redact_text(text[: data.draw(st.integers(0, len(text)))])
    assert "Kepler" not in redacted


@given(ADDRESSES, st.data())
def test_no_address_survives_changed_bytes_elsewhere(address: str, data: st.DataObject) -> None:
    text = list(json.dumps(record(address, AGENT)))
    for _ in range(3):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from('{}[]",:\\ \nx'))
    damaged = "".join(text)
    assert address not in redact_text(damaged)


@pytest.mark.parametrize(
    "text",
    [
        '{"ip_addr": "203.0.113.7',
        '{"ip_addr"  :\n "203.0.113.7", bad',
        "{'ip_addr': '203.0.113.7', bad",
        '{"IP_ADDR": "203.0.113.7"; bad',
        '{"ip\\u005faddr": "203\\u002e0.113.7" bad',
        '{"user_agent": "Kepler \\" Browser \\\\", bad',
        '{"user_agent": ["Kepler", "Browser"], bad',
        '{"user_agent": {"name": "Kepler"} bad',
        'ser_agent": "Kepler", bad',
        'epler Browser", "ip_addr": "203.0.113.7", bad',
        '{"body": "{\\"user_agent\\": \\"Kepler\\"}", bad',
        '{"User-Agent": "Kepler", bad',
        '{"clientIp": "2001:db8:85a3::8a2e:370:7334" bad',
        '{"x": "::ffff:203.0.113.7" bad',
        '{"user_agent": "Kepler',
        "Kepler/1.2 (Linux) without any quote 203.0.113.7",
    ],
)
def test_broken_text_of_every_kind_loses_personal_values(text: str) -> None:
    redacted = redact_text(text)
    assert not [
        secret for secret in ("203.0.113", "Kepler", "epler", "2001:db8", "7334", "Browser") if secret in redacted
    ]


def test_text_is_limited_in_length_and_valid_utf8() -> None:
    redacted = redact_text('{"name": "\\ud800", "long": "' + "1.2.3.4 é" * 5_000 + '"}')
    assert len(redacted) <= MAX_RAW_CHARS
    assert "\\ud800" in redacted
    assert "1.2.3" not in redacted
    assert redact_text("\udcff{").encode()


def test_hostile_text_is_redacted_in_little_time() -> None:
    for text in (
        '"' * MAX_RAW_CHARS,
        "a" * MAX_RAW_CHARS,
        ":" * MAX_RAW_CHARS,
        "ip_addr" * 2_000,
        '{"ip":' * 2_000,
        "1." * MAX_RAW_CHARS,
        "a/1." * MAX_RAW_CHARS,
    ):
        assert len(redact_text(text)) <= MAX_RAW_CHARS
