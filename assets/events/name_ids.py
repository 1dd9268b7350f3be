"""Name ids: ids of recordings and artists without a MusicBrainz id.

They are UUIDs of the names (RFC 9562, version 5), so that the same names give the same id on every machine and day.
"""

import uuid
from functools import lru_cache

from resources.text.names import normalize, parse_name

NAMESPACE = uuid.UUID("d3b5a6b2-9a52-4c6e-8a1d-6f0f3c1f7e25")  # a change gives everything unmatched a new id


@lru_cache(maxsize=200_000)
def recording_id(artist_name: str, recording_name: str) -> str:
    """Return the id of a recording without a MusicBrainz id."""
    return str(uuid.uuid5(NAMESPACE, f"recording\x1f{normalize(artist_name)}\x1f{normalize(recording_name)}"))


@lru_cache(maxsize=200_000)
def artist_id(artist_name: str) -> str:
    """Return the id of an artist credit without MusicBrainz ids."""
    return str(uuid.uuid5(NAMESPACE, f"artist\x1f{normalize(artist_name)}"))


@lru_cache(maxsize=200_000)
def name_id(artist_name: str, recording_name: str) -> str:
    """Return an id that is equal for all spellings of first artist and title, even of different recordings."""
    return str(uuid.uuid5(NAMESPACE, f"name\x1f{parse_name(artist_name, recording_name).first_artist_key}"))
