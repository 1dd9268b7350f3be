"""Pull the metadata of recordings, and of the entities that they refer to, from MusicBrainz into the landing folder.

Recordings are requested in portions, the most wanted first. After each portion follow its releases, their release
groups, and the artists. Entities that have landed are not requested again. The progress beside the files has the ids
that MusicBrainz did not know; they are requested again after `RETRY_AFTER`.
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

DEFAULT_LIMIT = 500  # entities of each kind in a pull: about half an hour at one request per second
RETRY_AFTER = timedelta(days=90)  # for ids that MusicBrainz did not know
FOLLOWING = (RELEASES, RELEASE_GROUPS, ARTISTS)  # in this order: each may refer to more of the next

Wanted = Mapping[str, Sequence[str]]
"""The ids wanted by folder ("recordings", "artists", ...), the most wanted first."""


def pull(
    api: MusicBrainz,
    wanted: Wanted,
    landing: Storage,
    local: Path,
    now: datetime,
    *,
    limit: int = DEFAULT_LIMIT,
    log: Log = len,
) -> Counter[str]:
    """Pull up to `limit` entities of each kind: wanted recordings, the entities they refer to, and others wanted.

    `local` is the landing folder if that is on disk, otherwise a folder for answers that have not landed. Returns the
    number of entities by folder, and of merged and unknown ids, ids left for a later pull, and new files. Raises
    `TuttiError` if MusicBrainz fails; answers that have arrived land.
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
    """The state of a running pull."""

    def __init__(
        self, api: MusicBrainz, landing: Storage, answers: Mapping[Kind, Answers], now: datetime, limit: int, log: Log
    ) -> None:
        keys = [*(kind.folder for kind in KINDS), "merged", "unknown", "left", "files"]
        self.pulled = Counter[str](dict.fromkeys(keys, 0))
        self.following: dict[Kind, list[str]] = {kind: [] for kind in FOLLOWING}
        self._remaining = dict.fromkeys(FOLLOWING, limit)
        self._api, self._answers, self._now, self._log = api, answers, now, log
        self._folder = landing / _folder(RECORDINGS)
        self._unknown = _unknown(self._folder, now)
        self._asked = set(self._unknown)
        for ids in [referenced_ids(kind, self._known(landed(landing / _folder(kind)))) for kind in KINDS]:
            self._follow_all(ids)

    def missing(self, ids: Iterable[str]) -> list[str]:
        """Return the ids to request, each once, in their order. Invalid ids are skipped."""
        return [id for id in dict.fromkeys(ids) if id not in self._asked and MBID.fullmatch(id)]

    def follow(self, kind: Kind, ids: Iterable[str]) -> None:
        """Add ids to request later."""
        self.following[kind] = self.missing([*self.following[kind], *ids])

    def ask_following(self) -> None:
        """Request the ids added so far, up to the limit of this pull."""
        for kind in FOLLOWING:
            ids = self.following[kind][: self._remaining[kind]]
            self._remaining[kind] -= len(ids)
            for portion in portions(ids):
                self.ask(kind, portion)

    def ask(self, kind: Kind, ids: Sequence[str]) -> None:
        """Request a portion, one id at a time, and add the ids that the answers refer to."""
        records: list[Record] = []
        before = self.pulled["unknown"]
        for id in ids:
            if id in self._asked:  # an id that was merged into it came earlier
                continue
            answer = self._api.lookup(kind, id)
            self._asked.add(id)
            if answer.record is None:
                self.pulled["unknown"] += 1
                self._unknown[id] = self._now.isoformat()
                keep_progress(self._folder, {"unknown": self._unknown})
                continue
            self._answers[kind].add(_line(answer, self._api.mirror_host))
            self.pulled[kind.folder] += answer.record["id"] not in self._asked or not answer.merged
            self.pulled["merged"] += answer.merged
            self._asked.add(answer.record["id"])
            records.append(answer.record)
        self._answers[kind].land()
        self._follow_all(referenced_ids(kind, records))
        unknown = self.pulled["unknown"] - before
        line = f"{NAME}: {len(records):,} {kind.folder.replace('_', ' ')}"
        self._log(line + (f", {unknown:,} unknown" if unknown else ""))

    def _known(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield records that have landed, and remember that their ids need no request."""
        for record in records:
            self._asked.update(id for id in (record.get("id"), record.get("asked_for")) if isinstance(id, str))
            yield record

    def _follow_all(self, ids: Mapping[Kind, Iterable[str]]) -> None:
        """Add ids of several kinds to request later, and drop those that were requested in the meantime."""
        for kind, more in ids.items():
            self.follow(kind, more)


def referenced_ids(kind: Kind, records: Iterable[Record]) -> dict[Kind, list[str]]:
    """Return the ids of the other entities that records refer to, by kind. Invalid records are skipped."""
    ids: dict[Kind, list[str]] = {following: [] for following in FOLLOWING}
    for record in records:
        try:
            entity = kind.parse(record)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        ids[ARTISTS] += getattr(entity, "artist_ids", [])
        if kind is RECORDINGS and entity.release_id:
            ids[RELEASES].append(entity.release_id)
        if kind is RELEASES and entity.release_group_id:
            ids[RELEASE_GROUPS].append(entity.release_group_id)
    return ids


def _folder(kind: Kind) -> str:
    """Return the landing folder of a kind of entity."""
    return f"{kind.folder}/{NAME}"


def _unknown(folder: Storage, now: datetime) -> dict[str, str]:
    """Return the ids that MusicBrainz did not know within the last `RETRY_AFTER`, with the time of each answer."""
    stored = progress(folder).get("unknown")
    try:
        return {id: at for id, at in dict(stored or {}).items() if now - datetime.fromisoformat(at) < RETRY_AFTER}
    except (TypeError, ValueError):
        return {}


def _line(answer: Answer, elsewhere: str | None) -> Record:
    """Return an answer as it lands: with the requested id if it was merged, and the host if it is a mirror."""
    assert answer.record is not None
    asked_for = {"asked_for": answer.asked} if answer.merged else {}
    asked_at = {"asked_at": elsewhere} if elsewhere else {}
    return {**answer.record, **asked_for, **asked_at}
