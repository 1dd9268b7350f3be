"""MusicBrainz entities, as its web service and its JSON dumps give them.

Source of the schema: https://musicbrainz.org/doc/MusicBrainz_API, `/ws/2/<entity>/<mbid>?fmt=json`. What an answer was
not asked to include is absent, and read as unknown or as none. Dates are as partial as they are told, and null where
what is told is no date. `asked_for`, `asked_at` and `provenance` are ours: the id that was asked for where MusicBrainz
has merged it, the host that was asked where that is another, and where a record is from that it has not.

A parser raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` for what is none of its entities.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from resources.sources.readers.json_records import parsed
from resources.sources.text import partial_date

SOURCE = "MusicBrainz"
LARGEST = 1 << 31  # of a number: a length of 24 days, as many as MusicBrainz can keep
LATE = "~"  # sorts after every date

Told = Mapping[str, Any]


class Credit(NamedTuple):
    """Artists as credited: of each the id, the name on the cover, and what joins it to the next."""

    ids: list[str]
    names: list[str]
    join_phrases: list[str]

    @property
    def text(self) -> str:
        """As it is printed."""
        return "".join(name + phrase for name, phrase in zip(self.names, self.join_phrases, strict=True))


class Tags(NamedTuple):
    """What people call an entity: each word once, how many more said so than not, and which of them are genres."""

    names: list[str]
    counts: list[int]
    genres: list[str]


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording and whom it is credited to."""

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
    """A person, a group, or another who is credited."""

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
    """What was published at once, in one country, in one packaging."""

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
    """All releases of what people call one album, single or EP."""

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


def recording(told: Told) -> Recording:
    """A recording; it cannot do without its credit."""
    credit, tags = _credit(told["artist-credit"]), _tags(told)
    if not credit.ids:
        raise ValueError("nobody is credited")
    releases = sorted(told.get("releases") or [], key=lambda r: (_date(r.get("date")) or LATE, r["id"]))
    return Recording(
        recording_id=_id(told["id"]),
        title=_text(told["title"]),
        artist_credit=credit.text,
        artist_ids=credit.ids,
        release_id=_id(releases[0]["id"]) if releases else None,
        length_ms=_whole(told.get("length")),
        isrcs=[_text(code) for code in told.get("isrcs") or []],
        first_release_date=_date(told.get("first-release-date")),
        provenance=_provenance(told),
        credited_names=credit.names,
        join_phrases=credit.join_phrases,
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


def artist(told: Told) -> Artist:
    """An artist."""
    life, area, tags = told.get("life-span") or {}, told.get("area") or {}, _tags(told)
    ended = life.get("ended")
    return Artist(
        artist_id=_id(told["id"]),
        name=_text(told["name"]),
        sort_name=_text(told["sort-name"]),
        type=_perhaps(told.get("type")),
        gender=_perhaps(told.get("gender")),
        country=_perhaps(told.get("country")),
        area=_perhaps(area.get("name")),
        begin_date=_date(life.get("begin")),
        end_date=_date(life.get("end")),
        ended=ended if isinstance(ended, bool) else None,
        disambiguation=_perhaps(told.get("disambiguation")),
        provenance=_provenance(told),
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


def release(told: Told) -> Release:
    """A release; a medium that does not tell its tracks leaves their number unknown."""
    credit, tags, group = _credit(told.get("artist-credit") or []), _tags(told), told.get("release-group")
    media = told.get("media")
    tracks = [_whole(medium.get("track-count")) for medium in media or []]
    return Release(
        release_id=_id(told["id"]),
        title=_text(told["title"]),
        artist_credit=credit.text or None,
        artist_ids=credit.ids,
        release_group_id=_id(group["id"]) if group else None,
        status=_perhaps(told.get("status")),
        date=_date(told.get("date")),
        country=_perhaps(told.get("country")),
        barcode=_perhaps(told.get("barcode")),
        media=len(media) if media else None,
        tracks=sum(n or 0 for n in tracks) if tracks and None not in tracks else None,
        disambiguation=_perhaps(told.get("disambiguation")),
        provenance=_provenance(told),
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


def release_group(told: Told) -> ReleaseGroup:
    """A release group."""
    credit, tags = _credit(told.get("artist-credit") or []), _tags(told)
    return ReleaseGroup(
        release_group_id=_id(told["id"]),
        title=_text(told["title"]),
        artist_credit=credit.text or None,
        artist_ids=credit.ids,
        primary_type=_perhaps(told.get("primary-type")),
        secondary_types=[_text(kind) for kind in told.get("secondary-types") or []],
        first_release_date=_date(told.get("first-release-date")),
        disambiguation=_perhaps(told.get("disambiguation")),
        provenance=_provenance(told),
        tags=tags.names,
        tag_counts=tags.counts,
        genres=tags.genres,
    )


class Kind(NamedTuple):
    """A kind of entity: where files of it land, how it is read, and what tells a record of it from others."""

    folder: str  # of the landing folder
    entity: str  # as tables say it
    parse: Callable[[Told], Any]
    telling: str

    @property
    def path(self) -> str:
        """As MusicBrainz's addresses and answers say it."""
        return self.entity.replace("_", "-")


RECORDINGS = Kind("recordings", "recording", recording, "artist-credit")
ARTISTS = Kind("artists", "artist", artist, "sort-name")
RELEASES = Kind("releases", "release", release, "title")
RELEASE_GROUPS = Kind("release_groups", "release_group", release_group, "title")
KINDS = (RECORDINGS, ARTISTS, RELEASES, RELEASE_GROUPS)


class Read(NamedTuple):
    """An entity, and the id that was merged into it where that was asked for."""

    found: Any
    merged: str | None


def read(path: Path, kind: Kind) -> Iterator[Read | tuple[int, str]]:
    """The entities in a file of one JSON object a line; for a line that is none, its number and the reason."""

    def parse(told: Told) -> Read:
        found, asked = kind.parse(told), told.get("asked_for")
        merged = _id(asked) if asked is not None else None
        return Read(found, merged if merged != _id(told["id"]) else None)

    return parsed(path, kind.telling, parse)


def _credit(told: list[Told]) -> Credit:
    return Credit(
        [_id(credit["artist"]["id"]) for credit in told],
        [_text(credit["name"]) for credit in told],
        [_perhaps(credit.get("joinphrase"), kept=True) or "" for credit in told],
    )


def _tags(told: Told) -> Tags:
    """Genres are those tags that are on MusicBrainz's list; an answer may tell either, or both."""
    counts: dict[str, int] = {}
    genres = {_text(genre["name"]): _whole(genre.get("count")) or 0 for genre in told.get("genres") or []}
    for tag in told.get("tags") or []:
        counts[_text(tag["name"])] = _whole(tag.get("count")) or 0
    counts = genres | counts
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return Tags(names, [counts[name] for name in names], [name for name in names if name in genres])


def _id(value: Any) -> str:
    return str(UUID(value))


def _text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("empty name")
    value.encode()  # raises for half a character
    return value


def _perhaps(value: Any, kept: bool = False) -> str | None:
    """A text, or None where it says nothing; white space alone says nothing unless it is to be `kept`."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError("no text")
    value.encode()
    return value if kept or value.strip() else None


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError("no number")
    if not -LARGEST <= value <= LARGEST or value % 1:
        raise ValueError("no whole number, or too large")
    return int(value)


def _date(value: Any) -> str | None:
    """A date as partial as it is told; None where that is no date: the entity is worth more than its date."""
    try:
        found = partial_date.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return str(found) if found else None


def _provenance(told: Told) -> str:
    host = _perhaps(told.get("asked_at"))
    return _perhaps(told.get("provenance")) or (f"{SOURCE}, as {host} has it" if host else SOURCE)
