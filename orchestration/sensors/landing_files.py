"""Arrivals: files of the landing folder are taken in soon after they land, oldest first.

The ledger of imports says which files were taken in, as they lay there then; so nothing is forgotten where the sensor's
cursor is, and a lake that is made anew takes in everything again. The cursor holds only what the ledger cannot know:
how a young file lay there a moment ago, and how often one was asked for in vain.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import dagster as dg

from assets.imports.batch import seen
from orchestration.cadence import IMPORT_LISTENS
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from orchestration.run_tags import BY_HAND, PRIORITY
from resources.environments import data_folder, landing_of, open_lake
from resources.folders.landing import ARRIVING, Landed, Landing
from resources.lake.lake import Lake
from resources.storage import Storage

SETTLED = 2_000_000  # microseconds: who writes a file in place pauses for less; one that goes on is taken in again
FILES, BYTES = 2_000, 256_000_000  # in a run, at most: about a minute's work, and what lands next waits for it
PAUSE = 30_000_000  # microseconds until a file is asked for again that no run took in; four times as long each time
LONGEST = 3_600_000_000


class Tried(NamedTuple):
    """How often a file was asked for, and when last, in microseconds since 1970."""

    times: int
    last: int

    @property
    def again(self) -> int:
        """When it may be asked for again."""
        return self.last + min(PAUSE * 4 ** min(self.times - 1, 10), LONGEST)


@dataclass(frozen=True)
class Cursor:
    """What the sensor remembers from one look to the next."""

    young: Collection[Landed] = ()
    tried: Mapping[Landed, Tried] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """The cursor as it was written; an empty one where it was reset, or is none of ours."""
        try:
            told = json.loads(text or "{}")
            young = {Landed(*file) for file in told["young"]}
            return cls(young, {Landed(*file): Tried(*tried) for file, tried in told["tried"]})
        except (ValueError, KeyError, TypeError):
            return cls()

    def written(self) -> str:
        """The cursor as text."""
        young = [[f.path, f.bytes, f.modified] for f in sorted(self.young, key=_age)]
        tried = [
            [[f.path, f.bytes, f.modified], list(t)] for f, t in sorted(self.tried.items(), key=lambda i: _age(i[0]))
        ]
        return json.dumps({"young": young, "tried": tried})


def collect(
    lying: Iterable[Landed],
    taken: Collection[Landed],
    cursor: Cursor,
    now: int,
    busy: bool = False,
    most: int = FILES,
) -> tuple[list[Landed], Cursor]:
    """The files to take in next, oldest first and `most` at once, and what to remember.

    A file is left alone until it has not been written to for a moment; whether its clock is right is told by a second
    look. One that was asked for in vain waits ever longer, so that it holds up no other. While an import is at work
    (`busy`) there are none.
    """
    new = sorted((file for file in lying if file not in taken), key=_age)
    still = [file for file in new if file in cursor.young or 0 <= now - file.modified >= SETTLED]
    young = set(new) - set(still)
    tried = {file: cursor.tried[file] for file in new if file in cursor.tried}
    if busy:
        return [], Cursor(young | (set(cursor.young) & set(new)), tried)
    batch: list[Landed] = []
    for file in still:
        if file in tried and now < tried[file].again:
            continue
        if batch and (len(batch) == most or sum(f.bytes for f in batch) + file.bytes > BYTES):
            break
        batch.append(file)
        tried[file] = Tried(tried[file].times + 1 if file in tried else 1, now)
    # Whoever settled stays settled: else a file from the future would be young again each time it is looked at.
    return batch, Cursor(young | (set(cursor.young) & set(still)), tried)


def _age(file: Landed) -> tuple[int, str]:
    return file.modified, file.path


@lru_cache(maxsize=1)
def _taken(root: Storage, version: int) -> set[Landed]:
    """What the ledger says at a version of it, read once."""
    return seen(Lake(root))


def taken(lake: Lake) -> set[Landed]:
    """The files that were taken in. Raises `TuttiError` for a lake of another format."""
    lake.check()
    return _taken(lake.root, lake.version("events/imports")) if lake.exists("events/imports") else set()


@dg.sensor(
    job_name=IMPORT_LISTENS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Files that land are taken in: listens, feedback, playlists, application events, a social network's.",
)
def landing_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Ask for one run at a time, for the files that no run has taken in."""
    landing = landing_of(data_folder())
    now = int(time.time() * 1_000_000)
    left_out: list[str] = []
    batch, cursor = collect(
        landing.lying(*ARRIVING, warn=left_out.append),
        taken(open_lake()),
        Cursor.read(context.cursor),
        now,
        busy=_at_work(context.instance),
    )
    if not batch:
        reason = "; ".join(["nothing new has landed, or it is being taken in", *left_out[:10]])
        return dg.SensorResult(skip_reason=reason, cursor=cursor.written())
    return dg.SensorResult([_request(landing, batch, cursor)], cursor=cursor.written())


def _at_work(instance: dg.DagsterInstance) -> bool:
    """Whether an import is at work or waits for its turn; those of the command line are its own business."""
    runs = instance.get_runs(dg.RunsFilter(job_name=IMPORT_LISTENS, statuses=NOT_FINISHED_STATUSES))
    return any(BY_HAND not in run.tags for run in runs)


def _request(landing: Landing, batch: list[Landed], cursor: Cursor) -> dg.RunRequest:
    """A run that takes in these files as they lie there, never asked for twice."""
    told = [[f.path, f.bytes, f.modified, cursor.tried[f].times] for f in batch]
    config = {"files": [landing.place(f.path) for f in batch]}
    return dg.RunRequest(
        run_key=hashlib.sha256(json.dumps(told).encode()).hexdigest(),
        run_config={"ops": {"imports": {"config": config}}},
        tags={PRIORITY: "1"},
    )
