"""Identity: which recording and which artists a listen is about.

An id is the MusicBrainz id where the source tells it, else a UUID of the names (RFC 9562, version 5), so that the
same names give the same id on every machine and day.
"""

import uuid
from functools import lru_cache

from resources.text.names import normalize, parse_name

NAMESPACE = uuid.UUID("d3b5a6b2-9a52-4c6e-8a1d-6f0f3c1f7e25")  # ours; changing it renames everything unmapped


@lru_cache(maxsize=200_000)
def recording_id(artist_name: str, recording_name: str) -> str:
    """The id of a recording that only its names tell."""
    return str(uuid.uuid5(NAMESPACE, f"recording\x1f{normalize(artist_name)}\x1f{normalize(recording_name)}"))


@lru_cache(maxsize=200_000)
def artist_id(artist_name: str) -> str:
    """The id of an artist credit that only its name tells."""
    return str(uuid.uuid5(NAMESPACE, f"artist\x1f{normalize(artist_name)}"))


@lru_cache(maxsize=200_000)
def name_id(artist_name: str, recording_name: str) -> str:
    """What is the same for all ways to spell the first artist and the title, whichever recording they stand for."""
    return str(uuid.uuid5(NAMESPACE, f"name\x1f{parse_name(artist_name, recording_name).first_artist_key}"))
