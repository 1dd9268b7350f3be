"""Entities: the sandbox's recordings, artists, releases and release groups in MusicBrainz's format.

They have everything that MusicBrainz returns with all `inc` parameters. Performers are invented, and each entity's
disambiguation says so.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from resources.sandbox.catalog import NAMESPACE
from resources.sandbox.performers import INVENTED, Artist, Recording, Release

Record = dict[str, Any]
MERGED_EVERY = 20  # one in this many recordings and artists has an older id that was merged into its own
COUNTRIES = (("IE", "Ireland"), ("GB", "United Kingdom"), ("US", "United States"), ("CA", "Canada"))
NOTE = f"{INVENTED[0].upper()}{INVENTED[1:]}."


@dataclass(frozen=True)
class Entities:
    """Entities by kind (as in MusicBrainz's URLs) and id, and merged ids by kind with the new id."""

    of: dict[str, dict[str, Record]] = field(default_factory=dict)
    merged: dict[str, dict[str, str]] = field(default_factory=dict)

    def landed(self, kind: str) -> Iterator[Record]:
        """Yield the entities of a kind as a pull lands them: merged ones have the older id as `asked_for`."""
        requested = {new: old for old, new in self.merged.get(kind, {}).items()}
        return ({**e, "asked_for": requested[mbid]} if mbid in requested else e for mbid, e in self.of[kind].items())


def entities(recordings: Sequence[Recording]) -> Entities:
    """Return the entities of a world's recordings, in order of first use."""
    releases = {played.release.id: played for played in recordings}
    tracks = Counter(played.release.id for played in recordings)
    forms: dict[str, Counter[str]] = {}
    artists: dict[str, Artist] = {}
    for played in recordings:
        for artist, _ in played.credit:
            artists[artist.id] = artist
            forms.setdefault(artist.id, Counter()).update([played.work.form] if played.work.form else [])
    leads = {mbid: _lead(played) for mbid, played in releases.items()}
    of = {
        "recording": {played.id: of_recording(played) for played in recordings},
        "artist": {mbid: of_artist(artist, forms[mbid]) for mbid, artist in artists.items()},
        "release": {mbid: of_release(played.release, leads[mbid], tracks[mbid]) for mbid, played in releases.items()},
        "release-group": {
            (group := of_group(played.release, leads[mbid]))["id"]: group for mbid, played in releases.items()
        },
    }
    merged = {
        kind: {_id("merged", mbid): mbid for mbid in list(of[kind])[::MERGED_EVERY]} for kind in ("recording", "artist")
    }
    return Entities(of, merged)


def of_recording(recording: Recording) -> Record:
    """Return a recording with artist-credits, isrcs, releases, tags, genres and provenance."""
    work, release = recording.work, recording.release
    forms = [{"name": work.form, "count": 1}] if work.form else []
    issue = {"id": release.id, "title": release.title, "status": "Official", "date": release.date}
    return {
        "id": recording.id,
        "title": work.title,
        "length": recording.length_ms,
        "video": False,
        "disambiguation": INVENTED,
        "first-release-date": release.date,
        "artist-credit": _credit(recording.credit),
        "isrcs": [],  # an ISRC identifies a real recording
        "releases": [{**issue, "disambiguation": INVENTED}],
        "tags": forms,
        "genres": forms,
        "provenance": f"{work.provenance} The work is real; performers, release, date and length are {INVENTED}.",
    }


def of_artist(artist: Artist, forms: Counter[str]) -> Record:
    """Return an artist with tags, genres and provenance. Many begin dates are partial or missing."""
    number = UUID(artist.id).int
    person = not artist.sort_name.endswith(", The")
    country, area = COUNTRIES[number % len(COUNTRIES)]
    born = f"{1890 + number % 90}-{1 + number % 12:02d}-{1 + number % 28:02d}"
    begin = (born, born[:7], born[:4], f"????{born[4:]}", None, born)[number // 7 % 6]
    genres = [{"id": _id("genre", name), "name": name, "count": count} for name, count in sorted(forms.items())]
    tags = [{"name": name, "count": count} for name, count in [*sorted(forms.items()), (INVENTED, 1)]]
    return {
        "id": artist.id,
        "name": artist.name,
        "sort-name": artist.sort_name,
        "type": "Person" if person else "Group",
        "gender": None,
        "country": country,
        "area": {"id": _id("area", country), "name": area, "sort-name": area, "iso-3166-1-codes": [country]},
        "life-span": {"begin": begin, "end": None, "ended": False},
        "disambiguation": INVENTED,
        "tags": tags,
        "genres": genres,
        "provenance": NOTE,
    }


def of_release(release: Release, lead: Artist, tracks: int) -> Record:
    """Return a release with artist-credits, release-groups, media, tags, genres and provenance."""
    country, area = COUNTRIES[UUID(lead.id).int % len(COUNTRIES)]
    event = {"date": release.date, "area": {"id": _id("area", country), "name": area, "iso-3166-1-codes": [country]}}
    group = of_group(release, lead)
    return {
        "id": release.id,
        "title": release.title,
        "status": "Official",
        "date": release.date,
        "country": country,
        "release-events": [event],
        "barcode": "",  # a barcode identifies a real release
        "packaging": None,
        "quality": "normal",
        "disambiguation": INVENTED,
        "artist-credit": _credit([(lead, "")]),
        "release-group": {k: group[k] for k in group if k not in ("tags", "genres", "provenance")},
        "media": [{"position": 1, "format": "CD", "title": "", "track-count": tracks}],
        "tags": [],
        "genres": [],
        "provenance": NOTE,
    }


def of_group(release: Release, lead: Artist) -> Record:
    """Return the group of a release, its only member, with artist-credits, tags, genres and provenance."""
    return {
        "id": _id("release-group", release.id),
        "title": release.title,
        "primary-type": "Album",
        "secondary-types": [],
        "first-release-date": release.date,
        "disambiguation": INVENTED,
        "artist-credit": _credit([(lead, "")]),
        "tags": [],
        "genres": [],
        "provenance": NOTE,
    }


def _credit(credit: Sequence[tuple[Artist, str]]) -> list[Record]:
    return [
        {
            "name": artist.name,
            "joinphrase": phrase,
            "artist": {
                "id": artist.id,
                "name": artist.name,
                "sort-name": artist.sort_name,
                "disambiguation": INVENTED,
            },
        }
        for artist, phrase in credit
    ]


def _lead(recording: Recording) -> Artist:
    return recording.credit[0][0]


def _id(kind: str, name: str) -> str:
    return str(uuid5(NAMESPACE, f"{kind}/{name}"))
