"""Name key: one number for the submitted fields that identify a recording, so that tables join by one column.

It is the first 64 bits of a SHA-256 of five fields, the same on every machine. Keys are compared within a day. With a
million names a day, two of them share a key once in 37 million days. One of them then gets the other's recording. Text
of 128 bits would rule that out, but joins by it cost twice as much.
"""

from collections.abc import Mapping
from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from resources.schema import column

SUBMITTED = ["artist_name", "recording_name", "recording_mbid", "isrc", "artist_mbids"]
NAME_KEY = column("name_key", pa.int64(), "64 bits of a SHA-256 of names, MBIDs and ISRC as submitted")
SEPARATOR = "\0"  # no field may contain it


def as_text(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a submitted field as text: empty if absent, the elements of a list separated by spaces."""
    if pa.types.is_list(values.type):
        values = pc.binary_join(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values, " ")
    return pc.fill_null(values, "")


def name_keys(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Return the key of each row. A field without a column counts as absent."""
    texts = [as_text(columns[name]) if name in columns else "" for name in SUBMITTED]
    joined = pc.binary_join_element_wise(*texts, SEPARATOR).dictionary_encode()
    keys = [_key(name) for name in joined.dictionary.to_pylist()]
    return pa.array(keys, pa.int64()).take(joined.indices)


def _key(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
