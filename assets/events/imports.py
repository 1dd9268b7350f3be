"""Imports: files that a person, a service or the sandbox hands in, taken into the tables of their kinds.

Files are read where they are; personal fields (IP address, user agent, account name) are not among what is kept. A
person who names files is told what is wrong with one once the others are in. In the landing folder, where nobody looks,
a file that is no export is quarantined as a whole and stays so until its content changes; one that cannot be opened is
tried again the next time; the other files go in all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg
import pyarrow.compute as pc
from pydantic import Field

from assets.imports.batch import Imported, import_file, import_landed, seen
from assets.imports.ledger import COUNTS, IMPORTS, QUARANTINE, Unexpected, prepare
from assets.imports.listens import RAW_LISTENS
from assets.imports.record_type import RecordType
from assets.imports.record_types import RECORD_TYPES
from assets.partitions import DAILY
from resources.errors import TuttiError
from resources.folders.landing import ARRIVING, Landing
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.materializations import report_in_step
from resources.report.plots import listed
from resources.schema import declare
from resources.sources.exports import SUPPORTED_EXPORTS, UnknownFormat, is_one_export
from resources.sources.readers.archive import Unreadable, UnsupportedFile, files_in, printable

__all__ = ["IMPORTS", "QUARANTINE", "RAW", "RAW_LISTENS", "import_listens"]

REASONS = 20  # shown in the UI

Importing: TypeAlias = Callable[..., Imported]


LOGGED_FILES = 10  # of one import get a line each; of more files only totals are logged
FILES_A_LINE = 100  # of many files, so many between two lines of progress
COUNTED = {kind.counted for kind in RECORD_TYPES}


class ImportConfig(dg.Config):
    """What to import: files of one listener, or (with none named) files of the landing folder."""

    files: list[str] = Field(
        default=[], description="files or folders on this machine, or landed files; none for all that has landed"
    )
    listener: str | None = Field(default=None, description="whose listens these are, if they are one person's")


def tell_days(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, kind: RecordType, days: Sequence[date]
) -> None:
    """Report to Dagster which days of a table changed."""
    report_in_step(context, [dg.AssetMaterialization(kind.key, partition=day.isoformat()) for day in days])


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["events", "imports"],
            description="Imported files, with the number of listens, quarantined and skipped records of each.",
            metadata=declare(IMPORTS),
        ),
        dg.AssetSpec(
            ["events", "quarantine"],
            description="Records that could not be read, each with the reason.",
            metadata=declare(QUARANTINE),
            deps=[["events", "imports"]],
        ),
        *(kind.spec for kind in RECORD_TYPES if not kind.dated),
    ],
    name="imports",
)
def import_listens(
    context: dg.AssetExecutionContext, config: ImportConfig, io_manager: dg.ResourceParam[LakeIO], landing: Landing
) -> Iterator[dg.MaterializeResult]:
    """Import the files named in the configuration for one listener, or everything new in the landing folder."""
    lake, now, tell = io_manager.lake, datetime.now(UTC), partial(tell_days, context)
    rows: list[dict[str, Any]] = []
    wrong: list[TuttiError] = []
    if config.listener and config.files:
        importing = partial(import_file, listener=config.listener, lake=lake, now=now, tell=tell)
        for path in config.files:
            try:
                rows += [row for row, new in _named(context, Path(path).expanduser(), importing, wrong) if new]
            except (UnsupportedFile, Unreadable, Unexpected) as error:
                wrong.append(error)
    elif None not in (names := [landing.name(place) for place in config.files]):
        found = (
            [landing.state_of(name) for name in names if name]
            if names
            else landing.list_files(*ARRIVING, warn=context.log.warning)
        )
        there = set() if names or config.listener else seen(lake)  # not read again, however much lies there
        files = sorted((f for f in found if f and f not in there), key=lambda f: (f.modified, f.path))
        imported = import_landed(landing, files, config.listener, lake, now, tell, context.log.warning)
        try:
            for row, new in imported:
                if not new:  # whatever else is in the folder
                    continue
                rows.append(row)
                if len(files) <= LOGGED_FILES:
                    _told(context, row["file"], row, new)
                elif len(rows) % FILES_A_LINE == 0:
                    context.log.info("imported %s of %s files", f"{len(rows):,}", f"{len(files):,}")
        except Unexpected as error:  # the others are in
            wrong.append(error)
    else:
        raise TuttiError(
            "whose listens are these? name the listener (LISTENER=ada, or `listener: ada` in the launchpad)"
        )
    if len(rows) > LOGGED_FILES and not config.listener:
        for line in totals(rows):
            context.log.info(line)
    prepare(lake)
    for key, metadata in told_of(rows, lake):
        yield dg.MaterializeResult(key, metadata=metadata)
    if wrong:  # of several files the others are in
        unknown = [error.problem for error in wrong if isinstance(error, UnknownFormat)]
        told = [str(error) for error in wrong if not isinstance(error, UnknownFormat)]
        raise TuttiError("; ".join(told + unknown) + (f". {SUPPORTED_EXPORTS}" if unknown else ""))


def told_of(rows: Sequence[dict[str, Any]], lake: Lake) -> Iterator[tuple[dg.AssetKey, dict[str, Any]]]:
    """What Dagster is told of the tables without days, once files were taken in: their rows of `imports`."""
    told = {n: sum(r[n] or 0 for r in rows) for n in COUNTS}
    yield _grown(lake, dg.AssetKey(["events", "imports"]), len(rows), **_totals(lake), this_run=_this_run(rows, told))
    yield _grown(lake, dg.AssetKey(["events", "quarantine"]), told["quarantined"], reasons=_reasons(lake))
    for kind in RECORD_TYPES:
        if not kind.dated:
            yield _grown(lake, kind.key, told[kind.counted])


def _totals(lake: Lake) -> dict[str, Any]:
    """Return the records of all imports by what became of them, without zeros, and their first and last day."""
    table = lake.scan("events/imports", IMPORTS).select([*COUNTS, "first_day", "last_day"]).table()
    counts = {name: pc.sum(table[name]).as_py() or 0 for name in COUNTS}
    days = {"first_day": pc.min(table["first_day"]).as_py(), "last_day": pc.max(table["last_day"]).as_py()}
    return {n: count for n, count in counts.items() if count} | {n: str(day) for n, day in days.items() if day}


def _this_run(rows: Sequence[dict[str, Any]], counts: dict[str, int]) -> str:
    found = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return f"{_so_many(len(rows), 'files')}: {', '.join(found) or 'no records'}" if rows else "no new files"


def _reasons(lake: Lake) -> dg.MetadataValue:
    """Return the most frequent reasons for which records are in quarantine."""
    reasons = lake.scan("events/quarantine", QUARANTINE).select(["reason"]).table()
    counts = reasons.group_by("reason").aggregate([([], "count_all")]).sort_by([("count_all", "descending")])
    return listed(["records", "reason"], ([f"{r['count_all']:,}", r["reason"]] for r in counts[:REASONS].to_pylist()))


def _grown(lake: Lake, key: dg.AssetKey, new: int, **more: Any) -> tuple[dg.AssetKey, dict[str, Any]]:
    """A table to which so many rows were added, and what Dagster is told of it."""
    return key, {"rows_written": new, "dagster/row_count": lake.rows("/".join(key.path)), **more}


def _named(
    context: dg.AssetExecutionContext, path: Path, importing: Importing, wrong: list[TuttiError]
) -> list[Imported]:
    """Import a file that a person names, or the supported files of a folder.

    A folder whose files refer to one another is one export, as its zip would be. `wrong` gets the errors of files in a
    folder on which this program fails.
    """
    if not path.is_dir():
        return [_told(context, path.name, *importing(path))]
    name = path.resolve().name
    if is_one_export(path):
        return [_told(context, name, *importing(path, name=name))]
    found, failed = [], len(wrong)
    for file in files_in(path):
        inside = f"{name}/{file.relative_to(path)}"
        try:
            found.append(_told(context, inside, *importing(file, name=inside)))
        except (UnsupportedFile, Unreadable) as error:
            context.log.warning("passed over: %s", error)
        except Unexpected as error:
            wrong.append(error)
    if not found and len(wrong) == failed:
        raise UnsupportedFile(f"{printable(str(path))} contains no supported export. {SUPPORTED_EXPORTS}")
    return found


def _told(context: dg.AssetExecutionContext, name: str, row: dict[str, Any], new: bool) -> Imported:
    """Say what became of a file: its row of `imports`, and whether it is new."""
    counted = [kind.counted for kind in RECORD_TYPES if row[kind.counted]] or ["listens"]
    found = [_so_many(row[name], name.replace("_", " ")) for name in counted]
    other = f" as {printable(row['file'])}" if row["file"] not in (name, printable(name)) else ""
    context.log.info(
        "%s: %s, %s quarantined, %s passed over%s",
        *(printable(name), ", ".join(found), row["quarantined"], row["skipped"]),
        "" if new else f" (already imported{other}, nothing changed)",
    )
    return row, new


def totals(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each landing folder: its files and their records, without zeros."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        folders.setdefault((row["landing_path"] or "").partition("/")[0], []).append(row)
    for folder, files in sorted(folders.items()):
        counts = {name: sum(row[name] or 0 for row in files) for name in COUNTS}
        records = [_so_many(n, name.replace("_", " ")) for name, n in counts.items() if n and name in COUNTED]
        left_out = [f"{counts[name]:,} {name}" for name in ("quarantined", "skipped") if counts[name]]
        yield f"{printable(folder)}: {', '.join([_so_many(len(files), 'files'), *records, *left_out])}"


def _so_many(n: int, records: str) -> str:
    return f"{n:,} {records.removesuffix('s') if n == 1 else records}"


def _raw(kind: RecordType) -> dg.AssetSpec:
    """A table by day, which imports write and tell of."""
    spec = kind.spec.replace_attributes(deps=[["events", "imports"]], partitions_def=DAILY)
    return spec.with_io_manager_key("io_manager")


RAW = [_raw(kind) for kind in RECORD_TYPES if kind.dated]
