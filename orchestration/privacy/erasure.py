"""Erasure: the job that removes a listener from all data, and verifies that no file names them.

The job holds an exclusive lock on the data. Before it removes anything, it reports the days it will change to Dagster.
So the tables that counted the listener become stale and are rebuilt, as after an import. A killed job resumes when it
is run again.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from assets.events.imports import report_days
from assets.imports.record_types import RECORD_TYPES
from assets.tables import SCHEMAS, SORT_KEYS
from orchestration.instance.home import home_folder
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from orchestration.privacy.eraser import PLAN, Eraser, Plan, digest, end_time_travel
from resources.artifacts.artifacts import Artifacts
from resources.environments import PROJECT, artifacts_of, data_folder, landing_of, open_lake
from resources.errors import TuttiError
from resources.locks import exclusive_lock, shared_lock
from resources.privacy import database, files
from resources.privacy.person import Person
from resources.privacy.pieces import may_be_in
from resources.privacy.scanner import Scanner
from resources.privacy.tables import personal
from resources.terminal import say

MAX_TRACES = 10  # in the error message
WAITING = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}


class ErasureConfig(dg.Config):
    """The listener to erase, named twice so that one wrong click or letter erases nobody."""

    listener: str = Field(description="listener to erase, exactly as in `user_id` columns")
    listener_again: str = Field(description="the same name again, to confirm")
    rebuilds: bool = Field(default=False, description="whether a command runs this job, and then rebuilds the tables")


def no_data(listener: str) -> str:
    """Return the message for an unknown listener."""
    return f"no data found for {listener}. Check the spelling, including capitals"


def refuse_bucket() -> None:
    """Raise `TuttiError` if data are in a bucket, since other machines may read and write there at the same time."""
    data = data_folder()
    for place in (open_lake(data).root, artifacts_of(data), landing_of(data).store):
        if place.remote:
            raise TuttiError(
                f"cannot erase a listener from {place}: Tutti cannot lock a bucket against other machines, nor remove "
                "older versions that the object store keeps. Move tables, artifacts and landed files to a local disk"
            )


@dg.op(
    description="Remove the listener from tables, older versions, files and Dagster's history, and verify that.",
    out=dg.Out(dg.Nothing, io_manager_key="no_data"),  # the lake's IO manager would need the lock that the op holds
)
def erase(context: dg.OpExecutionContext, config: ErasureConfig) -> None:
    """Erase the listener and report what was removed as counts. Logs and events of this run do not name the listener.

    Raises `TuttiError` if the listener is unknown, if the two names differ, or if a file still names the listener.
    """
    name = config.listener.strip()
    if not name:
        raise TuttiError("no listener given. Name one: `make erase LISTENER=ada`")
    if config.listener_again.strip() != name:
        raise TuttiError("nothing was erased: `listener` and `listener_again` differ. Give the same name twice")
    data, history = data_folder(), Path(context.instance.root_directory)
    refuse_bucket()
    with exclusive_lock(data, context.log.info):
        counts = _erase(context, name, data, history)
        if not config.rebuilds:
            Plan.end(data, name)
    context.add_output_metadata(counts)


@dg.job(
    resource_defs={"no_data": dg.mem_io_manager},
    description="Erase a listener permanently: tables, older versions, files, exports and Dagster's history.",
)
def erase_listener() -> None:
    """Erase under an exclusive lock. Then the tables that counted the listener are stale, as after an import."""
    erase()


def traced(name: str, data: Path) -> bool:
    """Return whether any file names a listener, or a killed erasure is to be resumed."""
    with shared_lock(data):
        to_resume = digest(name) in Plan.read(data).listeners
        return to_resume or any(True for _ in scanner(name, data, home_folder()).traces())


def end_erasure(data: Path, name: str) -> None:
    """Remove the older versions of every table, once the tables that counted the listener are rebuilt."""
    with exclusive_lock(data, say):
        end_time_travel(open_lake(data))
        Plan.end(data, name)


def scanner(name: str, data: Path, history: Path, names: frozenset[str] = frozenset()) -> Scanner:
    """Return a scanner for a listener and the `names` of files imported for them."""
    tables = {table: personal(schema) for table, schema in SCHEMAS.items()}
    keys = frozenset[str]().union(*tables.values())
    return Scanner(Person(name, names, keys, platform(data)), data, history, tables)


def platform(data: Path) -> list[Path]:
    """Return the folders of the platform itself. One of them may have the same name as the listener."""
    return list(dict.fromkeys([data, data.resolve(), PROJECT, Path(sys.prefix), Path.home()]))


def _erase(context: dg.OpExecutionContext, name: str, data: Path, history: Path) -> dict[str, int]:
    lake, landing = open_lake(data), landing_of(data)
    log, report = context.log.info, partial(report_days, context)
    eraser = Eraser(scanner(name, data, history), lake, landing, SCHEMAS, SORT_KEYS, log)
    log("searching the landing folder")
    plan = eraser.plan()
    known = digest(name) in plan.listeners  # an earlier erasure was killed, or left traces
    plan.listeners.add(digest(name))
    plan.names |= imported_files(context.instance, name)
    plan.keep(data)
    for kind in RECORD_TYPES:
        if kind.dated:
            report(kind, eraser.days(kind.table, plan))
    landed = eraser.landed_files(plan)
    in_files = eraser.person.redacted_records
    rows = eraser.tables(plan)
    reimported = eraser.reimport(plan, datetime.now(UTC), report)
    new = bool(plan.removed or plan.replaced or plan.files or landed or rows)
    # What an earlier erasure has rebuilt since is not removed again: it would not be stale.
    rebuilding = digest(name) in plan.erased and not new
    known = known or new
    if known or any(trace.path.is_relative_to(lake.root) for trace in eraser.scanner.traces()):
        known = True
        end_time_travel(lake)
    search = scanner(name, data, history, frozenset(plan.names))
    artifacts = Artifacts(artifacts_of(data))
    rebuilt = artifacts.erase(known and not rebuilding, lambda file: any(search.of_file(data / "artifacts" / file)))
    if rebuilt:
        log(f"removed all versions of {', '.join(rebuilt)}. Materialize again.")
    others = len(rebuilt) + sum(1 for _ in _elsewhere(search))
    done = "removed the listener from" if known or others else "no data found in"
    log(f"{done} the lake and the landing folder. Searching Dagster's history")
    redacted = _redact_history(context, search)
    previews = sum(_remove_previews(path) for path in _files(history)) if (known and not rebuilding) or others else 0
    log("verifying: searching every file again")
    plan.removed_data(name).keep(data)
    if left := list(search.traces()):
        listed = "; ".join(search.person.redact_words(str(trace)) for trace in left[:MAX_TRACES])
        raise TuttiError(f"{len(left)} places still name the listener: {listed}. Remove them and run it again")
    if not (known or others):  # only failed commands name the listener, so every table keeps its older versions
        Plan.end(data, name)
        message = no_data("this listener")
        raise TuttiError(f"{message} ({redacted:,} rows of Dagster's history were redacted)" if redacted else message)
    return {
        "rows_removed": sum(rows.values()),
        "tables_changed": len(rows),
        "landed_files_removed": sum(what == "removed" for what in landed.values()),
        "landed_files_rewritten": sum(what == "rewritten" for what in landed.values()),
        "files_reimported": reimported,
        "rows_of_others_redacted": eraser.person.redacted_records - in_files,
        "records_of_others_redacted": in_files + search.person.redacted_records,
        "other_files_changed": others,
        "history_rows_redacted": redacted,
        "previews_removed": previews,
    }


def imported_files(instance: dg.DagsterInstance, name: str) -> set[str]:
    """Return the names of files that runs imported for a listener. The ledger does not store repeated imports."""
    ops: list[Any] = [run.run_config.get("ops", {}) for run in instance.get_runs()]
    configs = (run_ops.get("imports", {}).get("config", {}) for run_ops in ops)
    return {Path(file).name for config in configs if config.get("listener") == name for file in config.get("files", ())}


def _elsewhere(search: Scanner) -> Iterator[Path]:
    """Remove the listener from the rest of the data folder, and yield each changed path.

    The lake, the landing folder and Dagster's history are handled elsewhere.
    """
    excluded = [search.data / "lake", search.data / "landing", search.history]
    shutil.rmtree(search.data / "spill", ignore_errors=True)  # left by killed runs; no run is active under the lock
    # A changed checkpoint of a stream is useless, and the ledger also knows which files are imported.
    checkpoints = search.data / "stream"
    if any(any(search.of_file(path)) for path in checkpoints.rglob("*") if path.is_file()):
        shutil.rmtree(checkpoints)
        yield checkpoints
    for place, folders, names in os.walk(search.data):
        folders[:] = sorted(f for f in folders if Path(place, f) not in excluded)
        for path in (Path(place, name) for name in sorted(names)):
            if files.is_draft(path):
                path.unlink(missing_ok=True)
            elif traces := list(search.of_file(path)):
                if any(trace.where == "its name" for trace in traces):
                    path.unlink()
                    yield path
                # The plan is removed at the end.
                elif path != search.data / PLAN and files.remove_listener(path, search.person):
                    yield path


def _redact_history(context: dg.OpExecutionContext, search: Scanner) -> int:
    """Redact the listener in Dagster's history. Return the number of redacted rows, without those of this run."""
    instance = context.instance
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        waits = run.status in WAITING and run.run_id != context.run_id
        if waits and search.person.redact_history(dict(run.run_config)) != dict(run.run_config):
            instance.report_run_canceled(run, "The listener of this run was erased.")
    storages = {type(s).__name__ for s in (instance.run_storage, instance.event_log_storage, instance.schedule_storage)}
    if elsewhere := sorted(k for k in storages if not k.startswith(("Sqlite", "InMemory", "Batching", "NoneType"))):
        context.log.warning("Dagster's history is in %s, which Tutti cannot redact. Redact it there.", elsewhere)
    return sum(_redact_file(path, search.person, context.run_id) for path in _files(search.history))


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, except files that SQLite has beside a database."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in sorted(names) if not name.endswith(database.BESIDE))


def _redact_file(path: Path, person: Person, run_id: str) -> int:
    """Redact a listener in a file of Dagster's history. Return the number of redacted rows, without those of a run."""
    with suppress(FileNotFoundError):  # Dagster and SQLite remove files while they run
        if database.is_database(path):
            return database.redact(path, person, run_id)
        with path.open("rb") as stream:
            mentioned = may_be_in(stream, person)
        return _redact_text(path, person) if mentioned else 0
    return 0


def _remove_previews(path: Path) -> int:
    """Remove previews from a file of Dagster's history. Return the number of changed rows."""
    with suppress(FileNotFoundError):  # Dagster and SQLite remove files while they run
        return database.remove_previews(path) if database.is_database(path) else 0
    return 0


def _redact_text(path: Path, person: Person) -> bool:
    """Redact a listener in a text file. Return whether the file changed."""
    text = path.read_bytes().decode(errors="surrogateescape")
    redacted = "".join(person.redact_history(line) for line in text.splitlines(keepends=True))
    if "\0" in text or redacted == text:
        return False
    path.write_bytes(redacted.encode(errors="surrogateescape"))
    return True
