"""JSON that is broken so that a reader tries the same text again and again."""

GOOD = (
    '{"ts":"2024-03-01T00:00:01Z","ms_played":1,"master_metadata_track_name":"x",'
    '"master_metadata_album_artist_name":"b"}'
)
PIECES = {
    "opening braces": "{",
    "closing braces": "}",
    "empty objects": "{}",
    "empty objects, apart": "{} ",
    "brackets": "[",
    "quotes": '"',
    "quotes, apart": '" ',
    "a brace and a quote": '{"',
    "a brace and a quote, apart": '{" ',
    "keys": '{"":',
    "keys, apart": ' {"":',
    "keys of lists": ' {"a":[',
    "backslashes": "\\",
    "escaped quotes": '\\"',
    "tiny objects": "{x}",
    "objects that end on the next line": '{"\n}',
    "broken lines": '{"a\n',
    "words": "x\n",
    "digits": "1",
    "numbers": "1,",
    "documents": ' {"payload":[],"a":[',
    "empty documents": '{"payload":[]} ',
    "documents without an end": '{"payload":[',
    "records in unclosed objects": "{x " + GOOD,
    "records without an end": GOOD[:-1] + " ",
    "records with a broken escape": GOOD[:-2] + '\\x"},',
    "records in unclosed lists": '{"x":[' + GOOD + ",",
    "long lists in each other": ' {"x":[' + "1," * 5_000,
    "deep objects": '{"x":' * 900 + "1" + "}" * 900 + " x ",
    "deep lines": '{"a":' * 2_000 + "\n",
    "long strings": '{"a":"' + "x" * 5_000,
    "long lines": '{"a":"' + "x" * 100_000 + "\n",
    "spaces": "  {",
    "spaces after a key": '{"a":1' + " " * 1_000,
    "personal keys": '{"token' + "token" * 1_000,
    "digits in records": '{"a":' + "7" * 9_000 + "x}",
}
LAYOUTS = {
    "after a record": GOOD + " ",
    "in a list": "[" + GOOD + ",",
    "on lines": GOOD + "\n" + GOOD + "\n",
    "alone": "",
}


def hostile(kind: str, layout: str, size: int) -> str:
    """Return hostile text of about `size` characters."""
    return LAYOUTS[layout] + PIECES[kind] * max(1, size // len(PIECES[kind]))
