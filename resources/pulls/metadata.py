"""Pulls of metadata: the recordings that listens name, and what these name, from MusicBrainz into the landing folder.

Recordings are asked for in portions, the most wanted first. After each portion come its releases, their release
groups, and the artists. What has landed is not asked for again. The progress beside the files has the ids that
MusicBrainz did not know; they are asked for again after `UNKNOWN`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from resources.pulls.landing_files import Answers, Log, keep_progress, landed, one_pull, portions, progress
from resources.services.api import Record
from resources.services.musicbrainz import NAME, Answer, MusicBrainz
from resources.sources.formats.musicbrainz import ARTISTS, KINDS, RECORDINGS, RELEASE_GROUPS, RELEASES, Kind
from resources.sources.records.listen import MBID
from resources.storage import Storage

USUAL = 500  # entities of each kind in a pull: half an hour or so at one request a second
UNKNOWN = timedelta(days=90)  # until MusicBrainz is asked again for an id that it did not know
FOLLOWING = (RELEASES, RELEASE_GROUPS, ARTISTS)  # in this order, each may name more of the next

Wanted = Mapping[str, Sequence[str]]
"""The ids wanted by folder ("recordings", "artists", ...), the most wanted first."""


def pull(
    api: MusicBrainz,
    wanted: Wanted,
    landing: Storage,
    local: Path,
    now: datetime,
    *,
    limit: int = USUAL,
    log: Log = len,
) -> Counter[str]:
    """Pull up to `limit` entities of each kind: recordings, what they name, and what else is wanted. Count them.

    `local` is the landing folder if that is on disk, else a folder for answers that are still to land.
    Raises `TuttiError` with what to do; answers that have arrived land.
    """
    with one_pull(landing / _folder(RECORDINGS), log), ExitStack() as files:
        folders = {kind: (landing / _folder(kind), local / _folder(kind)) for kind in KINDS}
        answers = {kind: files.enter_context(Answers(*places, lambda: now)) for kind, places in folders.items()}
        work = _Pull(api, landing, answers, now, limit, log)
        recordings = work.missing(wanted.get(RECORDINGS.folder, ()))
        for kind in FOLLOWING:
            work.follow(kind, wanted.get(kind.folder, ()))
        for portion in portions(recordings[:limit]):
            work.ask(RECORDINGS, portion)
            work.ask_following()
        work.ask_following()
        work.pulled["left"] = len(work.missing(recordings)) + sum(map(len, work.following.values()))
    work.pulled["files"] = sum(answer.files for answer in answers.values())
    return work.pulled


class _Pull:
    """A pull at work."""

    def __init__(
        self, api: MusicBrainz, landing: Storage, answers: Mapping[Kind, Answers], now: datetime, limit: int, log: Log
    ) -> None:
        counted = [*(kind.folder for kind in KINDS), "merged", "unknown", "left", "files"]
        self.pulled = Counter[str](dict.fromkeys(counted, 0))
        self.following: dict[Kind, list[str]] = {kind: [] for kind in FOLLOWING}
        self._room = dict.fromkeys(FOLLOWING, limit)
        self._api, self._answers, self._now, self._log = api, answers, now, log
        self._folder = landing / _folder(RECORDINGS)
        self._unknown = _unknown(self._folder, now)
        self._asked = set(self._unknown)
        for ids in [named(kind, self._known(landed(landing / _folder(kind)))) for kind in KINDS]:
            self._follow_all(ids)

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Return the ids to ask for, each once, in their order. Invalid ids are left out."""
        return [id for id in dict.fromkeys(ids) if id not in self._asked and MBID.fullmatch(id)]

    def follow(self, kind: Kind, ids: Iterable[str]) -> None:
        """Add ids to ask for later."""
        self.following[kind] = self.missing([*self.following[kind], *ids])

    def ask_following(self) -> None:
        """Ask for the ids added so far, up to the limit of this pull."""
        for kind in FOLLOWING:
            ids = self.following[kind][: self._room[kind]]
            self._room[kind] -= len(ids)
            for portion in portions(ids):
                self.ask(kind, portion)

    def ask(self, kind: Kind, ids: Sequence[str]) -> None:
        """Ask for a portion, one id after the other, then add what the answers name to what follows."""
        records: list[Record] = []
        before = self.pulled["unknown"]
        for id in ids:
            if id in self._asked:  # an id merged into it came before
                continue
            answer = self._api.lookup(kind, id)
            self._asked.add(id)
            if answer.record is None:
                self.pulled["unknown"] += 1
                self._unknown[id] = self._now.isoformat()
                keep_progress(self._folder, {"unknown": self._unknown})
                continue
            self._answers[kind].add(_line(answer, self._api.elsewhere))
            self.pulled[kind.folder] += answer.record["id"] not in self._asked or not answer.merged
            self.pulled["merged"] += answer.merged
            self._asked.add(answer.record["id"])
            records.append(answer.record)
        self._answers[kind].land()
        self._follow_all(named(kind, records))
        unknown = self.pulled["unknown"] - before
        found = f"{NAME}: {len(records):,} {kind.folder.replace('_', ' ')}"
        self._log(found + (f", {unknown:,} unknown" if unknown else ""))

    def _known(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass on records that have landed, and note that their ids need not be asked for."""
        for record in records:
            self._asked.update(id for id in (record.get("id"), record.get("asked_for")) if isinstance(id, str))
            yield record

    def _follow_all(self, ids: Mapping[Kind, Iterable[str]]) -> None:
        """Add ids to ask for later, and drop those that have been asked for since they were added."""
        for kind, more in ids.items():
            self.follow(kind, more)


def named(kind: Kind, records: Iterable[Record]) -> dict[Kind, list[str]]:
    """Return the ids that entities name. Invalid records name none here; the table reports them."""
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


def _folder(kind: Kind) -> str:
    """Return the landing folder of a kind's answers."""
    return f"{kind.folder}/{NAME}"


def _unknown(folder: Storage, now: datetime) -> dict[str, str]:
    """Return the ids that MusicBrainz did not know a short while ago, with the time of each answer."""
    kept = progress(folder).get("unknown")
    try:
        return {id: at for id, at in dict(kept or {}).items() if now - datetime.fromisoformat(at) < UNKNOWN}
    except (TypeError, ValueError):
        return {}


def _line(answer: Answer, elsewhere: str | None) -> Record:
    """Return an answer as it lands: with the id asked for if it was merged, and the host if it is a mirror."""
    assert answer.record is not None
    asked_for = {"asked_for": answer.asked} if answer.merged else {}
    asked_at = {"asked_at": elsewhere} if elsewhere else {}
    return {**answer.record, **asked_for, **asked_at}
