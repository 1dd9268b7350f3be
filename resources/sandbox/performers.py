"""Performers: invented artists, releases and recordings (in MusicBrainz's sense) of real works."""

import functools
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from resources.sandbox.catalog import NAMESPACE, Work

INVENTED = "invented for a sandbox"  # disambiguation of every entity below

WORKS_PER_ARTIST = 14  # enough for listeners to prefer an artist
ANOTHER_RECORDING = 0.25  # probability that a work has a second recording, and of a third after that
DUET_SHARE = 0.08  # recordings credited to two artists
TRACKS_PER_RELEASE = 10

# fmt: off
GIVEN = ("Aoife", "Bram", "Calla", "Dorrit", "Eamon", "Fenna", "Gideon", "Hesper", "Isolde", "Jory", "Kestrel",
         "Linus", "Marigold", "Nolan", "Orla", "Perrin", "Quill", "Rowan", "Saskia", "Tamsin", "Ulric", "Verity")
FAMILY = ("Ashgrove", "Brackenridge", "Coldwell", "Drumlin", "Elderfield", "Fernsby", "Gannet", "Hollowell", "Inchmore",
          "Jessamy", "Kilbride", "Larkin", "Merriweather", "Netherby", "Oakhollow", "Pennywhistle", "Quarrie",
          "Rushmere", "Saltmarsh", "Thistlewood", "Underhill", "Vantry", "Westering", "Yelverton")
PLACES = ("Amber Bay", "Birch Lane", "Copper Hill", "Drift", "Ember Street", "Foxglove", "Greywater", "Harbour", "Ivy",
          "Juniper", "Kelp", "Lantern", "Moorland", "North Quay", "Orchard", "Peat Fire", "Quarry", "Riverside")
ENSEMBLES = ("Band", "Consort", "Ensemble", "Players", "Quartet", "String Band", "Trio", "Fiddlers")
# fmt: on


@dataclass(frozen=True)
class Artist:
    id: str
    name: str
    sort_name: str


@dataclass(frozen=True)
class Release:
    id: str
    title: str
    date: str  # may be partial, as MusicBrainz's: "2011", "2011-05", "2011-05-20"


@dataclass(frozen=True)
class Recording:
    """A performance of a work. The credit has pairs of artist and join phrase. The last phrase is empty."""

    id: str
    work: Work
    credit: tuple[tuple[Artist, str], ...]
    release: Release
    length_ms: int

    @functools.cached_property
    def credited(self) -> str:
        """Return the artist credit as text: "Orla Larkin feat. The Kelp Trio"."""
        return "".join(artist.name + phrase for artist, phrase in self.credit)


def recordings(works: Sequence[Work], seed: int) -> list[Recording]:
    """Generate one or more recordings of each work, in the order of the works. The same arguments give the same result.

    An artist plays one collection and, if its forms are known, mostly one form.
    """
    rng = random.Random(f"performers/{seed}")
    takes = [work for work in works for _ in range(_takes(rng))]
    takes.sort(key=lambda work: (work.collection, work.form or "", rng.random()))
    artists = _artists(rng, max(2, len(takes) // WORKS_PER_ARTIST))
    played: list[Recording] = []
    releases: dict[tuple[str, int], Release] = {}
    performed: set[tuple[str, str]] = set()
    for i, work in enumerate(takes):
        lead = i * len(artists) // len(takes)
        while (work.id, artists[lead].id) in performed:  # take the next artist, so that each plays a work once
            lead = (lead + 1) % len(artists)
        performed.add((work.id, artists[lead].id))
        credit: tuple[tuple[Artist, str], ...] = ((artists[lead], ""),)
        if rng.random() < DUET_SHARE:
            guest = artists[(lead + rng.randrange(1, len(artists))) % len(artists)]
            credit = ((artists[lead], rng.choice((" & ", " feat. "))), (guest, ""))
        volume = (artists[lead].id, i // TRACKS_PER_RELEASE)
        if volume not in releases:
            releases[volume] = _release(artists[lead], work, rng)
        names = [artist.id for artist, _ in credit]
        length_ms = rng.randrange(95_000, 290_000)
        played.append(Recording(_id("recording", work.id, *names), work, credit, releases[volume], length_ms))
    position = {work.id: i for i, work in enumerate(works)}
    return sorted(played, key=lambda recording: position[recording.work.id])


def _takes(rng: random.Random) -> int:
    return 1 + (rng.random() < ANOTHER_RECORDING) * (1 + (rng.random() < ANOTHER_RECORDING))


def _artists(rng: random.Random, count: int) -> list[Artist]:
    people = [(f"{given} {family}", f"{family}, {given}") for given in GIVEN for family in FAMILY]
    groups = [(f"The {place} {kind}", f"{place} {kind}, The") for place in PLACES for kind in ENSEMBLES]
    names = rng.sample(people + groups, min(count, len(people) + len(groups)))
    return [Artist(_id("artist", name), name, sort_name) for name, sort_name in names]


def _release(artist: Artist, work: Work, rng: random.Random) -> Release:
    year, month, day = rng.randrange(1996, 2025), rng.randrange(1, 13), rng.randrange(1, 29)
    date = f"{year}-{month:02}-{day:02}"
    title = f"{work.title} and Other Tunes"
    return Release(_id("release", artist.id, work.id), title, date[: rng.choice((4, 7, 10, 10))])


def _id(kind: str, *names: str) -> str:
    return str(uuid.uuid5(NAMESPACE, "/".join((kind, *names))))
