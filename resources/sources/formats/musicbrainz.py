"""MusicBrainz entities as its web service and its JSON dumps contain them.

Source of the schema: https://musicbrainz.org/doc/MusicBrainz_API, `/ws/2/<entity>/<mbid>?fmt=json`. An answer lacks the
fields that the request did not include. They are read as unknown or empty. Dates may be partial, and an invalid one is
None. Three fields are not MusicBrainz's:

- `asked_for`: the requested id, if MusicBrainz has merged it into another.
- `asked_at`: the requested host, if it is not MusicBrainz's own.
- `provenance`: the source of a record that is not from MusicBrainz.

Each parser raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` if the record is not one of its entities.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from resources.sources.readers.json_records import parse_file
from resources.sources.text import partial_date

SOURCE = "MusicBrainz"
MAX_NUMBER = 1 << 31  # a length of 24 days in ms, the most that MusicBrainz stores
NO_DATE = "~"  # sorts after every date

Json = Mapping[str, Any]


class Credit(NamedTuple):
    """An artist credit: for each artist the id, the name on the cover and the phrase that joins it to the next."""

    ids: list[str]
    names: list[str]
    join_phrases: list[str]

    @property
    def text(self) -> str:
        """Return the credit as it is printed."""
        return "".join(name + phrase for name, phrase in zip(self.names, self.join_phrases, strict=True))


class Tags(NamedTuple):
    """The tags of an entity, each once, with the upvotes minus downvotes, and the ones that are genres."""

    names: list[str]
    counts: list[int]
    genres: list[str]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and its artist credit."""

    recording_id: str
    title: str
    artist_credit: str
    artist_ids: list[str]
    release_id: str | None
    length_ms: int | None
    isrcs: list[str]
    first_release_date: str | None
    provenance: str
    credited_names: list[str]
    join_phrases: list[str]
    tags: list[str]
    tag_counts: list[int]
    genres: list[str]


@dataclass(frozen=True, slots=True)
class Artist:
    """A person, a group or another credited artist."""

    artist_id: str
    name: str
    sort_name: str
    type: str | None
    gender: str | None
    country: str | None
    area: str | None
    begin_date: str | None
    end_date: str | None
    ended: bool | None
    disambiguation: str | None
    provenance: str
    tags: list[str]
    tag_counts: list[int]
    genres: list[str]


@dataclass(frozen=True, slots=True)
class Release:
    """A release: one edition of an album, single or EP, with its date, country and packaging."""

    release_id: str
    title: str
    artist_credit: str | None
    artist_ids: list[str]
    release_group_id: str | None
    status: str | None
    date: str | None
    country: str | None
    barcode: str | None
    media: int | None
    tracks: int | None
    disambiguation: str | None
    provenance: str
    tags: list[str]
    tag_counts: list[int]
    genres: list[str]


@dataclass(frozen=True, slots=True)
class ReleaseGroup:
    """All releases of one album, single or EP."""

    release_group_id: str
    title: str
    artist_credit: str | None
    artist_ids: list[str]
    primary_type: str | None
    secondary_types: list[str]
    first_release_date: str | None
    disambiguation: str | None
    provenance: str
    tags: list[str]
    tag_counts: list[int]
    genres: list[str]


def recording(record: Json) -> Recording:
    """Parse a recording. The artist credit is required."""
    credit, tags = _credit(record["artist-credit"]), _tags(record)
    if not credit.ids:
        raise ValueError("empty artist credit")
    releases = sorted(record.get("releases") or [], key=lambda r: (_date(r.get("date")) or NO_DATE, r["id"]))
    return Recording(
        recording_id=_id(record["id"]),
        title=_text(record["title"]),
        artist_credit=credit.text,
        artist_ids=credit.ids,
        release_id=_id(releases[0]["id"]) if releases else None,
        length_ms=_integer(record.get("length")),
        isrcs=[_text(code) for code in record.get("isrcs") or []],
        first_release_date=_date(record.get("first-release-date")),
        provenance=_provenance(record),
        credited_names=credit.names,
        join_phrases=credit.join_phrases,
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


def artist(record: Json) -> Artist:
    """Parse an artist."""
    life, area, tags = record.get("life-span") or {}, record.get("area") or {}, _tags(record)
    ended = life.get("ended")
    return Artist(
        artist_id=_id(record["id"]),
        name=_text(record["name"]),
        sort_name=_text(record["sort-name"]),
        type=_optional(record.get("type")),
        gender=_optional(record.get("gender")),
        country=_optional(record.get("country")),
        area=_optional(area.get("name")),
        begin_date=_date(life.get("begin")),
        end_date=_date(life.get("end")),
        ended=ended if isinstance(ended, bool) else None,
        disambiguation=_optional(record.get("disambiguation")),
        provenance=_provenance(record),
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


def release(record: Json) -> Release:
    """Parse a release. The number of tracks is unknown if one medium lacks it."""
    credit, tags, group = _credit(record.get("artist-credit") or []), _tags(record), record.get("release-group")
    media = record.get("media")
    tracks = [_integer(medium.get("track-count")) for medium in media or []]
    return Release(
        release_id=_id(record["id"]),
        title=_text(record["title"]),
        artist_credit=credit.text or None,
        artist_ids=credit.ids,
        release_group_id=_id(group["id"]) if group else None,
        status=_optional(record.get("status")),
        date=_date(record.get("date")),
        country=_optional(record.get("country")),
        barcode=_optional(record.get("barcode")),
        media=len(media) if media else None,
        tracks=sum(n or 0 for n in tracks) if tracks and None not in tracks else None,
        disambiguation=_optional(record.get("disambiguation")),
        provenance=_provenance(record),
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


def release_group(record: Json) -> ReleaseGroup:
    """Parse a release group."""
    credit, tags = _credit(record.get("artist-credit") or []), _tags(record)
    return ReleaseGroup(
        release_group_id=_id(record["id"]),
        title=_text(record["title"]),
        artist_credit=credit.text or None,
        artist_ids=credit.ids,
        primary_type=_optional(record.get("primary-type")),
        secondary_types=[_text(kind) for kind in record.get("secondary-types") or []],
        first_release_date=_date(record.get("first-release-date")),
        disambiguation=_optional(record.get("disambiguation")),
        provenance=_provenance(record),
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


class Kind(NamedTuple):
    """A kind of entity: where its files land, its name, its parser and a key that all its records have."""

    folder: str  # in the landing folder
    entity: str  # its name in tables
    parse: Callable[[Json], Any]
    key: str

    @property
    def path(self) -> str:
        """Return its name in MusicBrainz's addresses and answers."""
        return self.entity.replace("_", "-")


RECORDINGS = Kind("recordings", "recording", recording, "artist-credit")
ARTISTS = Kind("artists", "artist", artist, "sort-name")
RELEASES = Kind("releases", "release", release, "title")
RELEASE_GROUPS = Kind("release_groups", "release_group", release_group, "title")
KINDS = (RECORDINGS, ARTISTS, RELEASES, RELEASE_GROUPS)


class EntityResult(NamedTuple):
    """An entity, and the requested id if it was merged into this entity."""

    entity: Any
    merged_id: str | None


def read(path: Path, kind: Kind) -> Iterator[EntityResult | tuple[str, str]]:
    """Yield the entities in a file of JSON lines, or the position of an invalid record and the reason."""

    def parse(record: Json) -> EntityResult:
        entity, asked = kind.parse(record), record.get("asked_for")
        asked_id = _id(asked) if asked is not None else None
        return EntityResult(entity, asked_id if asked_id != _id(record["id"]) else None)

    return parse_file(path, kind.key, parse)


def _credit(artists: list[Json]) -> Credit:
    return Credit(
        [_id(artist["artist"]["id"]) for artist in artists],
        [_text(artist["name"]) for artist in artists],
        [_optional(artist.get("joinphrase"), keep_blank=True) or "" for artist in artists],
    )


def _tags(record: Json) -> Tags:
    """Merge tags and genres. Genres are the tags on MusicBrainz's list. An answer may contain either or both."""
    counts: dict[str, int] = {}
    genres = {_text(genre["name"]): _integer(genre.get("count")) or 0 for genre in record.get("genres") or []}
    for tag in record.get("tags") or []:
        counts[_text(tag["name"])] = _integer(tag.get("count")) or 0
    counts = genres | counts
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return Tags(names, [counts[name] for name in names], [name for name in names if name in genres])


def _id(value: Any) -> str:
    return str(UUID(value))


def _text(value: Any) -> str:
    """Return a text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("empty name")
    value.encode()  # raises for half a character (a lone surrogate)
    return value


def _optional(value: Any, keep_blank: bool = False) -> str | None:
    """Return a text, or None if it is absent, or blank and not to be kept."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("not text")
    value.encode()
    return value if keep_blank or value.strip() else None


def _integer(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("not a number")
    if not -MAX_NUMBER <= value <= MAX_NUMBER or value % 1:
        raise ValueError("not a whole number, or too large")
    return int(value)


def _date(value: Any) -> str | None:
    """Parse a partial date. Return None if it is invalid, so that the entity is kept without it."""
    try:
        date = partial_date.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return str(date) if date else None


def _provenance(record: Json) -> str:
    host = _optional(record.get("asked_at"))
    return _optional(record.get("provenance")) or (f"{SOURCE}, as {host} has it" if host else SOURCE)
