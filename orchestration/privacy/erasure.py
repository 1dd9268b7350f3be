"""Erasure of a person: one job that takes them out of everything the platform keeps, and proves it.

It is alone with the data meanwhile. Tables that name nobody but count the person are made again afterwards, like those
that follow an import: the days are told to Dagster before anything goes. What is killed goes on when it is run again.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from assets.events.imports import tell_days
from assets.imports.record_types import RECORD_TYPES
from assets.tables import SCHEMAS, SORT_KEYS
from orchestration.instance.internals import NOT_FINISHED_STATUSES
from orchestration.privacy.eraser import PLAN, Eraser, Plan, end_time_travel
from resources.artifacts.artifacts import Artifacts
from resources.environments import PROJECT, artifacts_of, data_folder, landing_of, open_lake
from resources.errors import TuttiError
from resources.locks import alone
from resources.privacy import database, files
from resources.privacy.person import Person
from resources.privacy.scanner import Scanner
from resources.privacy.tables import personal

UNKNOWN = "nothing is kept of a person of this name: spell it as tables have it, capitals included"
SHOWN = 10  # places named where something is left
WAITING = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}


class ErasureConfig(dg.Config):
    """Who is erased."""

    listener: str = Field(description="the person's name, exactly as tables have it")


def refuse_bucket() -> None:
    """Raise `TuttiError` if data are in a bucket, where other machines may be reading and writing meanwhile."""
    data = data_folder()
    for place in (open_lake(data).root, artifacts_of(data), landing_of(data).store):
        if place.remote:
            raise TuttiError(
                f"nobody can be erased from {place}: Tutti cannot keep other machines from using the bucket meanwhile, "
                "nor see old versions that the object store keeps. Erasure needs tables, artifacts and landed files on "
                "disk"
            )


@dg.op(
    description="A person goes from tables and their older versions, files and Dagster's history; nothing is left.",
    out=dg.Out(dg.Nothing, io_manager_key="no_data"),  # the lake's own would be at work beside it
)
def erase(context: dg.OpExecutionContext, config: ErasureConfig) -> None:
    """Erase the person, and tell in numbers what went: nothing that this run says or leaves names them."""
    name = config.listener.strip()
    if not name:
        raise TuttiError("whom? name the person: make erase LISTENER=ada")
    data, history = data_folder(), Path(context.instance.root_directory)
    refuse_bucket()
    with alone(data, context.log.info):
        told = _erase(context, name, data, history)
    context.add_output_metadata(told)


@dg.job(
    resource_defs={"no_data": dg.mem_io_manager},
    description="A person is erased from everything the platform keeps, older versions and this history included.",
)
def erase_listener() -> None:
    """Alone with the data; then what counted the person is owed, as after an import."""
    erase()


def forget(data: Path) -> None:
    """End the time travel of every table, once what counted the person was made again."""
    with alone(data, print):
        end_time_travel(open_lake(data))


def scanner(name: str, data: Path, history: Path, names: frozenset[str] = frozenset()) -> Scanner:
    """What looks for a person."""
    tables = {table: personal(schema) for table, schema in SCHEMAS.items()}
    keys = frozenset[str]().union(*tables.values())
    return Scanner(Person(name, names, keys, platform(data)), data, history, tables)


def platform(data: Path) -> list[Path]:
    """The folders in which the platform itself lies: one of them may be called like the person."""
    return list(dict.fromkeys([data, data.resolve(), PROJECT, Path(sys.prefix), Path.home()]))


def _erase(context: dg.OpExecutionContext, name: str, data: Path, history: Path) -> dict[str, int]:
    lake, landing = open_lake(data), landing_of(data)
    say, tell = context.log.info, partial(tell_days, context)
    eraser = Eraser(scanner(name, data, history), lake, landing, SCHEMAS, SORT_KEYS, say)
    known = (data / PLAN).exists()  # of one that was killed, or left something
    say("looks through the landing folder for what is the person's")
    plan = eraser.plan()
    plan.names |= handed_in(context.instance, name)
    plan.keep(data)
    for kind in RECORD_TYPES:
        if kind.dated:
            tell(kind, eraser.days(kind.table, plan))
    landed = eraser.landed_files(plan)
    rows = eraser.tables(plan)
    again = eraser.take_again(plan, datetime.now(UTC), tell)
    known = known or bool(plan.gone or plan.again or plan.files or landed or rows)
    if known or any(trace.path.is_relative_to(lake.root) for trace in eraser.scanner.traces()):
        known = True
        end_time_travel(lake)
    found = scanner(name, data, history, frozenset(plan.names))
    artifacts = Artifacts(artifacts_of(data))
    rebuilt = artifacts.erase(known, lambda file: any(found.of_file(data / "artifacts" / file)))
    if rebuilt:
        say(f"removed with all versions, to be materialized again: {', '.join(rebuilt)}")
    others = len(rebuilt) + sum(1 for _ in _elsewhere(found))
    lying = "struck from" if known or others else "nothing of the person is in"
    say(f"{lying} the lake and the landing folder; Dagster's history is next")
    struck = _history(context, found)
    say("looks for the person once more, in every file")
    Plan().keep(data)  # all of it is done
    if left := list(found.traces()):
        shown = "; ".join(found.person.struck(str(trace)) for trace in left[:SHOWN])
        raise TuttiError(f"{len(left)} places still name the person: {shown}. Remove them and run it again")
    Plan.forget(data)
    if not (known or others):  # a command that failed is no trace of a person: every table keeps its older versions
        raise TuttiError(f"{UNKNOWN} (in Dagster's history {struck:,} rows were struck)" if struck else UNKNOWN)
    return {
        "rows_removed": sum(rows.values()),
        "tables_changed": len(rows),
        "landed_files_removed": sum(what == "removed" for what in landed.values()),
        "landed_files_rewritten": sum(what == "rewritten" for what in landed.values()),
        "files_reimported": again,
        "other_files_changed": others,
        "history_rows_redacted": struck,
    }


def handed_in(instance: dg.DagsterInstance, name: str) -> set[str]:
    """Names of the files that runs were to import for a person; the ledger forgets those that were there already."""
    ops: list[Any] = [run.run_config.get("ops", {}) for run in instance.get_runs()]
    asked = (told.get("imports", {}).get("config", {}) for told in ops)
    return {Path(file).name for told in asked if told.get("listener") == name for file in told.get("files", ())}


def _elsewhere(found: Scanner) -> Iterator[Path]:
    """Take the person out of what lies in the data folder beside lake, landing folder and history."""
    apart = [found.data / "lake", found.data / "landing", found.history]
    shutil.rmtree(found.data / "spill", ignore_errors=True)  # of killed runs: those at work are none
    noted = (
        found.data / "stream"
    )  # how far a stream is: a checkpoint is whole or of no use, and the ledger knows it too
    if any(any(found.of_file(path)) for path in noted.rglob("*") if path.is_file()):
        shutil.rmtree(noted)
        yield noted
    for place, folders, names in os.walk(found.data):
        folders[:] = sorted(f for f in folders if Path(place, f) not in apart)
        for path in (Path(place, name) for name in sorted(names)):
            if files.is_draft(path):
                path.unlink()
            elif traces := list(found.of_file(path)):
                if any(trace.where == "its name" for trace in traces):
                    path.unlink()
                    yield path
                elif path != found.data / PLAN and files.take_out(path, found.person):  # that goes at the end
                    yield path


def _history(context: dg.OpExecutionContext, found: Scanner) -> int:
    """Strike the person from what Dagster keeps; in how many rows they were, but for this run's own."""
    instance = context.instance
    for run in instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        waits = run.status in WAITING and run.run_id != context.run_id
        if waits and found.person.unwritten(dict(run.run_config)) != dict(run.run_config):
            instance.report_run_canceled(run, "It was about a person who has been erased.")
    kept = {type(s).__name__ for s in (instance.run_storage, instance.event_log_storage, instance.schedule_storage)}
    if elsewhere := sorted(k for k in kept if not k.startswith(("Sqlite", "InMemory", "Batching", "NoneType"))):
        context.log.warning("Dagster keeps its history in %s, which no job reaches: strike it there", elsewhere)
    struck = 0
    for place, _, names in os.walk(found.history):
        for path in (Path(place, name) for name in sorted(names)):
            if path.name.endswith(database.BESIDE):
                continue
            with path.open("rb") as stream:
                magic = stream.read(len(database.MAGIC)) == database.MAGIC
                stream.seek(0)
                told = not magic and files.mentioned(stream, found.person.needles)
            if magic:
                struck += database.strike(path, found.person, context.run_id)
            elif told:
                struck += _log(path, found.person)
    return struck


def _log(path: Path, person: Person) -> bool:
    """Strike a person from a file of text."""
    text = path.read_bytes().decode(errors="surrogateescape")
    kept = "".join(person.unwritten(line) for line in text.splitlines(keepends=True))
    if "\0" in text or kept == text:
        return False
    path.write_bytes(kept.encode(errors="surrogateescape"))
    return True
