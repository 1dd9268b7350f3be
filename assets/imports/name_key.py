"""Name key: one number for all that a record gives to know a recording by, so that names join as one column.

It is the first 64 bits of a SHA-256 of five fields, the same on every machine. Keys are compared within a day: of a
million names in a day two share a key once in 37 million days, and then one of them shows the other's recording.
Text of 128 bits would rule that out, and a join by it costs twice as much.
"""

from collections.abc import Mapping
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from resources.schema import column

SUBMITTED = ["artist_name", "recording_name", "recording_mbid", "isrc", "artist_mbids"]
NAME_KEY = column("name_key", pa.int64(), "64 bits of a SHA-256 of names, MBIDs and ISRC as submitted")
BETWEEN = "\0"  # which no field may contain


def as_text(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a submitted field as text that joins: empty where it is absent, the elements of a list between spaces."""
    if pa.types.is_list(values.type):
        values = pc.binary_join(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values, " ")
    return pc.fill_null(values, "")


def name_keys(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return the key of each row; a field for which there is no column counts as absent."""
    given = [as_text(columns[name]) if name in columns else "" for name in SUBMITTED]
    joined = pc.binary_join_element_wise(*given, BETWEEN).dictionary_encode()
    keys = [_key(name) for name in joined.dictionary.to_pylist()]
    return pa.array(keys, pa.int64()).take(joined.indices)


def _key(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
