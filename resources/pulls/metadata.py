"""Metadata pulls: what MusicBrainz tells of the recordings that listens name, into the landing folder.

Recordings come in portions, those wanted most first, and after each portion whom and what it names: its releases,
their groups, and the artists. A portion is a file of JSON lines that appears whole and is never changed; what lies
there is never removed, whatever becomes of the service or the pull. Beside the files, hidden, stands what was asked
for: after a kill the pull goes on with what is missing. What the service does not know is asked for again later.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from resources.files import clear_drafts
from resources.pulls.listens import PROGRESS, Tell, agent_of, one_at_a_time, write
from resources.services.answer_cache import AnswerCache
from resources.services.api import Record
from resources.services.musicbrainz import NAME, URL, Answer, MusicBrainz, agent, pace
from resources.services.web import Web
from resources.sources.formats.musicbrainz import ARTISTS, KINDS, RECORDINGS, RELEASE_GROUPS, RELEASES, Kind

PORTION = 100  # entities in a file: under two minutes of asking, which is what a kill costs where no answer is kept
USUAL = 500  # entities of each kind in a pull, unless asked: half an hour or so at one request a second
UNKNOWN = timedelta(days=90)  # until the service is asked again for what it did not know
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FOLLOWING = (RELEASES, RELEASE_GROUPS, ARTISTS)  # in this order, each may name more of the next

Wanted = Mapping[str, Sequence[str]]
"""By folder ("recordings", "artists", ...), the ids that are wanted, the most wanted first."""


def musicbrainz(environ: Mapping[str, str], data: Path, tell: Tell) -> MusicBrainz:
    """MusicBrainz, as the environment says, with answers kept for a week in the data folder.

    Raises `TuttiError` where the real service is to be asked and nobody says who asks.
    """
    url = environ.get("TUTTI_MUSICBRAINZ_URL", "").strip() or URL
    who = agent(url, agent_of(environ), environ.get("TUTTI_MUSICBRAINZ_CONTACT", ""))
    interval = pace(url, environ.get("TUTTI_MUSICBRAINZ_PACE", ""))
    web = Web("MusicBrainz", url, agent=who, pace=interval, tell=tell)
    return MusicBrainz(web, AnswerCache(data / "cache" / NAME))


@dataclass
class Pulled:
    """What a pull brought, each entity once; of some of them under another id than they were asked for by."""

    recordings: int = 0
    artists: int = 0
    releases: int = 0
    release_groups: int = 0
    merged: int = 0
    unknown: int = 0
    files: int = 0
    left: int = 0  # wanted, and not asked for in this pull


@dataclass
class Progress:
    """What was asked for: ids by the file that holds what was answered, the unknown ones, and those yet to follow."""

    files: dict[str, list[str]] = field(default_factory=dict)  # by name below the landing folder
    unknown: dict[str, str] = field(default_factory=dict)  # when each was asked for
    owed: dict[str, list[str]] = field(default_factory=dict)  # by folder

    @classmethod
    def of(cls, folder: Path) -> "Progress":
        """As kept in a folder; of one that cannot be read, nothing: all is asked for again, and lands as it did."""
        try:
            told = json.loads((folder / PROGRESS).read_bytes())
            found = cls(dict(told["files"]), dict(told["unknown"]), dict(told["owed"]))
            found.asked(folder, datetime.now().astimezone())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()
        return found

    def asked(self, landing: Path, now: datetime) -> set[str]:
        """The ids that need not be asked for: those whose answers lie there, and those unknown a short while ago."""
        lying = {id for name, ids in self.files.items() if (landing / name).exists() for id in ids}
        return lying | {id for id, at in self.unknown.items() if now - datetime.fromisoformat(at) < UNKNOWN}

    def keep(self, folder: Path) -> None:
        """Keep it in a folder, whole or not at all."""
        write(folder / PROGRESS, json.dumps(asdict(self)).encode())


def pull_metadata(
    api: MusicBrainz, wanted: Wanted, landing: Path, now: datetime, *, most: int = USUAL, tell: Tell = len
) -> Pulled:
    """Pull the recordings wanted, whom and what they name, and what else is wanted: up to `most` of each kind.

    Waits while another pull asks the service. Raises `TuttiError` with what to do; what has landed stays.
    """
    folder = landing / RECORDINGS.folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(folder, tell):
        pull = _Pull(api, landing, folder, now, most, tell)
        recordings = pull.missing(wanted.get(RECORDINGS.folder, ()))
        for kind in FOLLOWING:
            pull.owe(kind, wanted.get(kind.folder, ()))
        for portion in _portions(recordings[:most]):
            pull.ask(RECORDINGS, portion)
            pull.follow()
        pull.follow()
        pull.pulled.left = len(pull.missing(recordings)) + pull.owed()
    return pull.pulled


class _Pull:
    """A pull at work."""

    def __init__(self, api: MusicBrainz, landing: Path, folder: Path, now: datetime, most: int, tell: Tell) -> None:
        self.pulled = Pulled()
        self._room = dict.fromkeys(FOLLOWING, most)
        self._api, self._landing, self._folder, self._now, self._tell = api, landing, folder, now, tell
        self._progress = Progress.of(folder)
        self._asked = self._progress.asked(landing, now)
        for kind in KINDS:
            clear_drafts(landing / kind.folder / NAME)

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The ids that are to be asked for, each once, in their order; what is no id is none."""
        return [id for id in dict.fromkeys(ids) if id not in self._asked and ID.fullmatch(id)]

    def owe(self, kind: Kind, ids: Iterable[str]) -> None:
        """More ids are to follow."""
        self._progress.owed[kind.folder] = self.missing([*self._progress.owed.get(kind.folder, ()), *ids])

    def owed(self) -> int:
        """How many are still to follow."""
        return sum(len(self.missing(ids)) for ids in self._progress.owed.values())

    def follow(self) -> None:
        """Ask for what is to follow, as far as there is room in this pull."""
        for kind in FOLLOWING:
            ids = self.missing(self._progress.owed.get(kind.folder, ()))[: self._room[kind]]
            self._room[kind] -= len(ids)
            for portion in _portions(ids):
                self.ask(kind, portion)

    def ask(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ask for a portion, which lands as a file; what was answered lands also where the service fails after that."""
        answers: list[Answer] = []
        try:
            for id in ids:
                answers.append(self._api.lookup(kind, id))
        finally:
            self._land(kind, answers)

    def _land(self, kind: Kind, answers: Sequence[Answer]) -> None:
        if not answers:
            return
        found = [answer for answer in answers if answer.record is not None]
        records = [answer.record for answer in found if answer.record is not None]
        # What an id was merged into has been answered with it.
        known = list(dict.fromkeys([*(answer.asked for answer in found), *(record["id"] for record in records)]))
        if found:
            lines = {_line(answer, self._api.elsewhere) for answer in found}
            content = "".join(f"{line}\n" for line in sorted(lines)).encode()
            # Names sort as times do, so that of two answers about an entity the newer one counts.
            name = f"{self._now:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content).hexdigest()[:32]}.jsonl"
            path = self._landing / kind.folder / NAME / name
            if not path.exists():
                write(path, content)
                self.pulled.files += 1
            self._progress.files[str(path.relative_to(self._landing))] = known
        for answer in answers:
            if answer.record is None:
                self._progress.unknown[answer.asked] = self._now.isoformat()
        self._asked.update(known, (answer.asked for answer in answers))
        for following, ids in named(kind, records).items():
            self.owe(following, ids)
        self._progress.owed[kind.folder] = self.missing(self._progress.owed.get(kind.folder, ()))
        self._progress.keep(self._folder)
        setattr(self.pulled, kind.folder, getattr(self.pulled, kind.folder) + len({record["id"] for record in records}))
        self.pulled.merged += sum(answer.merged for answer in found)
        self.pulled.unknown += len(answers) - len(found)
        told = f"{NAME}: {len(found):,} {kind.folder.replace('_', ' ')}"
        self._tell(told + (f", {len(answers) - len(found):,} unknown" if len(found) < len(answers) else ""))


def named(kind: Kind, records: Iterable[Record]) -> dict[Kind, list[str]]:
    """What these entities name that is to follow; of what cannot be read nothing, for the table tells of it."""
    ids: dict[Kind, list[str]] = {following: [] for following in FOLLOWING}
    for record in records:
        try:
            found = kind.parse(record)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        ids[ARTISTS] += getattr(found, "artist_ids", [])
        if kind is RECORDINGS and found.release_id:
            ids[RELEASES].append(found.release_id)
        if kind is RELEASES and found.release_group_id:
            ids[RELEASE_GROUPS].append(found.release_group_id)
    return ids


def _line(answer: Answer, elsewhere: str | None) -> str:
    """An answer as it lands: what the service said, the id it was asked for where it said it of another, and where."""
    assert answer.record is not None
    asked_for = {"asked_for": answer.asked} if answer.merged else {}
    asked_at = {"asked_at": elsewhere} if elsewhere else {}
    return json.dumps({**answer.record, **asked_for, **asked_at}, sort_keys=True)


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[n : n + PORTION] for n in range(0, len(ids), PORTION))
