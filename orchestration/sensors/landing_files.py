"""The sensor that imports landed files soon after they land, oldest first.

The ledger of imports has the path, size and modification time of every imported file. So no file is forgotten if the
sensor's cursor is lost, and a new lake imports everything again. The cursor stores only what the ledger cannot know:
the young files of the last tick, and how often a file was requested without success.
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import dagster as dg

from assets.imports.batch import read_imported_files
from orchestration.cadence import IMPORT_LISTENS
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from orchestration.run_tags import BY_HAND, PRIORITY
from resources.environments import data_folder, landing_of, open_lake
from resources.folders.landing import ARRIVING, Landed, Landing
from resources.lake.lake import Lake
from resources.storage import Storage

SETTLED_US = 2_000_000  # without a write; a file that is written to later is imported again
MAX_FILES, MAX_BYTES = 2_000, 256_000_000  # per run: about a minute's work, for which later files wait
RETRY_US = 30_000_000  # until a file that no run imported is requested again; four times as long each time
MAX_RETRY_US = 3_600_000_000


class Attempts(NamedTuple):
    """How often a file was requested, and when last, in microseconds since 1970."""

    times: int
    last: int

    @property
    def next(self) -> int:
        """When the file may be requested again, in microseconds since 1970."""
        return self.last + min(RETRY_US * 4 ** min(self.times - 1, 10), MAX_RETRY_US)


@dataclass(frozen=True)
class Cursor:
    """What the sensor stores from one tick to the next."""

    young: Collection[Landed] = ()
    attempts: Mapping[Landed, Attempts] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """Read a cursor. An empty or invalid text gives an empty cursor."""
        try:
            stored = json.loads(text or "{}")
            young = {Landed(*file) for file in stored["young"]}
            return cls(young, {Landed(*file): Attempts(*attempts) for file, attempts in stored["tried"]})
        except (ValueError, KeyError, TypeError):
            return cls()

    def written(self) -> str:
        """Return the cursor as text."""
        young = [[f.path, f.bytes, f.modified] for f in sorted(self.young, key=_age)]
        oldest_first = sorted(self.attempts.items(), key=lambda item: _age(item[0]))
        attempts = [[[f.path, f.bytes, f.modified], list(a)] for f, a in oldest_first]
        return json.dumps({"young": young, "tried": attempts})


def collect(
    landed: Iterable[Landed],
    imported: Collection[Landed],
    cursor: Cursor,
    now: int,
    busy: bool = False,
    max_files: int = MAX_FILES,
) -> tuple[list[Landed], Cursor]:
    """Return the files to import next, oldest first, and the next cursor.

    A file is imported once it has not changed for `SETTLED_US` by its modification time, or since the last tick. A file
    that was requested without success waits longer each time, so that it does not hold up others. While an import runs
    (`busy`), there are no files.
    """
    new = sorted((file for file in landed if file not in imported), key=_age)
    still = [file for file in new if file in cursor.young or 0 <= now - file.modified >= SETTLED_US]
    young = set(new) - set(still)
    attempts = {file: cursor.attempts[file] for file in new if file in cursor.attempts}
    if busy:
        return [], Cursor(young | (set(cursor.young) & set(new)), attempts)
    batch: list[Landed] = []
    for file in still:
        if file in attempts and now < attempts[file].next:
            continue
        if batch and (len(batch) == max_files or sum(f.bytes for f in batch) + file.bytes > MAX_BYTES):
            break
        batch.append(file)
        attempts[file] = Attempts(attempts[file].times + 1 if file in attempts else 1, now)
    # A settled file stays settled. Otherwise a file with a modification time in the future would stay young.
    return batch, Cursor(young | (set(cursor.young) & set(still)), attempts)


def _age(file: Landed) -> tuple[int, str]:
    return file.modified, file.path


@lru_cache(maxsize=1)
def _imported_files(root: Storage, version: int) -> set[Landed]:
    """Return the imported files at a version of the ledger. Each version is read once."""
    return read_imported_files(Lake(root))


def imported_files(lake: Lake) -> set[Landed]:
    """Return the landed files that were imported. Raises `TuttiError` for a lake of another format."""
    lake.check()
    return _imported_files(lake.root, lake.version("events/imports")) if lake.exists("events/imports") else set()


@dg.sensor(
    job_name=IMPORT_LISTENS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Import landed files: listens, feedback, playlists, application events and social activities.",
)
def landing_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request one run at a time, for the files that no run has imported."""
    landing = landing_of(data_folder())
    now = int(time.time() * 1_000_000)
    skipped: list[str] = []
    batch, cursor = collect(
        landing.list_files(*ARRIVING, warn=skipped.append),
        imported_files(open_lake()),
        Cursor.read(context.cursor),
        now,
        busy=_importing(context.instance),
    )
    if not batch:
        reason = ". ".join(["No new files have landed, or an import is running", *skipped[:10]])
        return dg.SensorResult(skip_reason=reason, cursor=cursor.written())
    return dg.SensorResult([_request(landing, batch, cursor)], cursor=cursor.written())


def _importing(instance: dg.DagsterInstance) -> bool:
    """Return whether an import is running or queued. Imports of commands do not count."""
    runs = instance.get_runs(dg.RunsFilter(job_name=IMPORT_LISTENS, statuses=NOT_FINISHED_STATUSES))
    return any(BY_HAND not in run.tags for run in runs)


def _request(landing: Landing, batch: list[Landed], cursor: Cursor) -> dg.RunRequest:
    """Return the request of a run that imports these files. Its key prevents a second run for the same attempt."""
    attempt = [[f.path, f.bytes, f.modified, cursor.attempts[f].times] for f in batch]
    config = {"files": [landing.place(f.path) for f in batch]}
    return dg.RunRequest(
        run_key=hashlib.sha256(json.dumps(attempt).encode()).hexdigest(),
        run_config={"ops": {"imports": {"config": config}}},
        tags={PRIORITY: "1"},
    )
