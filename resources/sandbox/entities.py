"""The sandbox's recordings, artists, releases and release groups, in the shapes in which MusicBrainz gives them.

What belongs here is the shape: everything that MusicBrainz would include if asked. Performers and all about them are
invented, and each entity says so.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from resources.sandbox.catalog import NAMESPACE
from resources.sandbox.performers import INVENTED, Artist, Recording, Release

Record = dict[str, Any]
MERGED = 20  # of so many recordings, and artists, one has an older id that was merged into its own
COUNTRIES = (("IE", "Ireland"), ("GB", "United Kingdom"), ("US", "United States"), ("CA", "Canada"))
NOTE = f"{INVENTED[0].upper()}{INVENTED[1:]}."


@dataclass(frozen=True)
class Entities:
    """By kind, as MusicBrainz's addresses name it, and by id; and what was merged into what."""

    of: dict[str, dict[str, Record]] = field(default_factory=dict)
    merged: dict[str, dict[str, str]] = field(default_factory=dict)

    def landed(self, kind: str) -> Iterator[Record]:
        """The entities of a kind as a pull lands them: with the older id by which some were asked for."""
        asked = {new: old for old, new in self.merged.get(kind, {}).items()}
        return ({**e, "asked_for": asked[id]} if id in asked else e for id, e in self.of[kind].items())


def entities(recordings: Sequence[Recording]) -> Entities:
    """All that a world's recordings name, in the order in which they name it."""
    releases = {played.release.id: played for played in recordings}
    tracks = Counter(played.release.id for played in recordings)
    forms: dict[str, Counter[str]] = {}
    artists: dict[str, Artist] = {}
    for played in recordings:
        for artist, _ in played.credit:
            artists[artist.id] = artist
            forms.setdefault(artist.id, Counter()).update([played.work.form] if played.work.form else [])
    leads = {id: _lead(played) for id, played in releases.items()}
    of = {
        "recording": {played.id: of_recording(played) for played in recordings},
        "artist": {id: of_artist(artist, forms[id]) for id, artist in artists.items()},
        "release": {id: of_release(played.release, leads[id], tracks[id]) for id, played in releases.items()},
        "release-group": {
            (group := of_group(played.release, leads[id]))["id"]: group for id, played in releases.items()
        },
    }
    merged = {kind: {_id("merged", id): id for id in list(of[kind])[::MERGED]} for kind in ("recording", "artist")}
    return Entities(of, merged)


def of_recording(recording: Recording) -> Record:
    """A recording, with artist-credits, isrcs, releases, tags, genres and provenance."""
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
        "isrcs": [],  # an ISRC names a real recording
        "releases": [{**issue, "disambiguation": INVENTED}],
        "tags": forms,
        "genres": forms,
        "provenance": f"{work.provenance} The work is real; performers, release, date and length are {INVENTED}.",
    }


def of_artist(artist: Artist, forms: Counter[str]) -> Record:
    """An artist, with tags, genres and provenance; of a third when they were born or founded is not known well."""
    chance = UUID(artist.id).int
    person = not artist.sort_name.endswith(", The")
    country, area = COUNTRIES[chance % len(COUNTRIES)]
    born = f"{1890 + chance % 90}-{1 + chance % 12:02d}-{1 + chance % 28:02d}"
    begin = (born, born[:7], born[:4], f"????{born[4:]}", None, born)[chance // 7 % 6]
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
    """A release, with artist-credits, release-groups, media, tags, genres and provenance."""
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
        "barcode": "",  # one names a real release
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
    """The group of a release, which is its only one, with artist-credits, tags, genres and provenance."""
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


def _id(kind: str, of: str) -> str:
    return str(uuid5(NAMESPACE, f"{kind}/{of}"))
