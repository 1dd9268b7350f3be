"""Imports: files from users, services or the sandbox, and the tables that their records are written to.

Files are read where they are. Personal fields (IP address, user agent, account name) are dropped. Errors in named files
are reported once the other files are imported. In the landing folder an unsupported file is quarantined as a whole
until its content changes, and a file that cannot be opened is tried again by the next import.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg
import pyarrow.compute as pc
from pydantic import Field

from assets.imports.batch import Imported, import_file, import_landed, read_imported_files
from assets.imports.ledger import COUNTS, IMPORTS, QUARANTINE, Unexpected, prepare
from assets.imports.listens import RAW_LISTENS
from assets.imports.record_type import RecordType
from assets.imports.record_types import RECORD_TYPES
from assets.partitions import DAILY
from resources.errors import TuttiError
from resources.folders.landing import ARRIVING, Landing
from resources.folders.own import refuse_own
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.materializations import report_in_step
from resources.report.markdown import listed
from resources.schema import declare
from resources.sources.exports import SUPPORTED_EXPORTS, UnknownFormat, is_one_export
from resources.sources.readers.archive import Unreadable, UnsupportedFile, files_in
from resources.text.counted import counted
from resources.text.printable import printable

__all__ = ["IMPORTS", "QUARANTINE", "RAW", "RAW_LISTENS", "import_listens"]

MAX_REASONS = 20  # shown in the UI
MAX_LOGGED_FILES = 10  # with a line each; of more files only progress and totals are logged
FILES_PER_LINE = 100  # between two lines of progress

Importing: TypeAlias = Callable[..., Imported]


class ImportConfig(dg.Config):
    """The files to import: files of one listener, or without a listener files of the landing folder."""

    files: list[str] = Field(
        default=[],
        description="Files or folders on this machine, or landed files. Default: all new files in the landing folder.",
    )
    listener: str | None = Field(default=None, description="Listener that the records of the files belong to.")


def report_days(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, kind: RecordType, days: Sequence[date]
) -> None:
    """Report to Dagster which days of a table changed."""
    report_in_step(context, [dg.AssetMaterialization(kind.key, partition=day.isoformat()) for day in days])


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            ["events", "imports"],
            description="Imported files, with the numbers of imported, quarantined and skipped records of each.",
            metadata=declare(IMPORTS),
        ),
        dg.AssetSpec(
            ["events", "quarantine"],
            description="Records that could not be imported, each with the reason.",
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
    """Import the configured files for one listener, or everything new in the landing folder."""
    lake, now, report = io_manager.lake, datetime.now(UTC), partial(report_days, context)
    rows: list[dict[str, Any]] = []
    errors: list[TuttiError] = []
    if config.listener and config.files:
        for path in config.files:
            refuse_own(Path(path).expanduser())
        importing = partial(import_file, listener=config.listener, lake=lake, now=now, report=report)
        for path in config.files:
            try:
                rows += [row for row, new in _import_path(context, Path(path).expanduser(), importing, errors) if new]
            except (UnsupportedFile, Unreadable, Unexpected) as error:
                errors.append(error)
    elif None not in (names := [landing.name(place) for place in config.files]):
        candidates = (
            [landing.state_of(name) for name in names if name]
            if names
            else landing.list_files(*ARRIVING, warn=context.log.warning)
        )
        # What is imported already is not read again, however many files there are.
        imported = set() if names or config.listener else read_imported_files(lake)
        files = sorted((f for f in candidates if f and f not in imported), key=lambda f: (f.modified, f.path))
        results = import_landed(landing, files, config.listener, lake, now, report, context.log.warning)
        try:
            for row, new in results:
                if not new:  # a scan of the whole folder logs new files only
                    continue
                rows.append(row)
                if len(files) <= MAX_LOGGED_FILES:
                    _log(context, row["file"], row, new)
                elif len(rows) % FILES_PER_LINE == 0:
                    context.log.info("imported %s of %s files", f"{len(rows):,}", f"{len(files):,}")
        except Unexpected as error:  # raised after the other files are imported
            errors.append(error)
    else:
        raise TuttiError(
            "no listener given for these files. Name one: LISTENER=ada, or `listener: ada` in the launchpad."
        )
    if len(rows) > MAX_LOGGED_FILES and not config.listener:
        for line in totals(rows):
            context.log.info(line)
    prepare(lake)
    for key, metadata in table_metadata(rows, lake):
        yield dg.MaterializeResult(key, metadata=metadata)
    if errors:  # raised after the other files are imported
        unknown = [error.problem for error in errors if isinstance(error, UnknownFormat)]
        messages = [str(error) for error in errors if not isinstance(error, UnknownFormat)]
        raise TuttiError("; ".join(messages + unknown) + (f". {SUPPORTED_EXPORTS}" if unknown else ""))


def table_metadata(rows: Sequence[dict[str, Any]], lake: Lake) -> Iterator[tuple[dg.AssetKey, dict[str, Any]]]:
    """Yield the key and the metadata of each table without days, given the new rows of `imports`."""
    counts = {n: sum(r[n] or 0 for r in rows) for n in COUNTS}
    this_run = _this_run(rows, counts)
    yield _metadata(lake, dg.AssetKey(["events", "imports"]), len(rows), **_totals(lake), this_run=this_run)
    yield _metadata(lake, dg.AssetKey(["events", "quarantine"]), counts["quarantined"], reasons=_reasons(lake))
    for kind in RECORD_TYPES:
        if not kind.dated:
            yield _metadata(lake, kind.key, counts[kind.counted])


def _totals(lake: Lake) -> dict[str, Any]:
    """Return the records of all imports by outcome, without zeros, and their first and last day."""
    table = lake.scan("events/imports", IMPORTS).select([*COUNTS, "first_day", "last_day"]).table()
    counts = {name: pc.sum(table[name]).as_py() or 0 for name in COUNTS}
    days = {"first_day": pc.min(table["first_day"]).as_py(), "last_day": pc.max(table["last_day"]).as_py()}
    return {n: count for n, count in counts.items() if count} | {n: str(day) for n, day in days.items() if day}


def _this_run(rows: Sequence[dict[str, Any]], counts: dict[str, int]) -> str:
    """Return the files and records of this run as one line."""
    return f"{counted(len(rows), 'files')}: {', '.join(_counts(counts)) or 'no records'}" if rows else "no new files"


def _reasons(lake: Lake) -> dg.MetadataValue:
    """Return the most frequent reasons for which records are in quarantine."""
    reasons = lake.scan("events/quarantine", QUARANTINE).select(["reason"]).table()
    counts = reasons.group_by("reason").aggregate([([], "count_all")]).sort_by([("count_all", "descending")])
    return listed(
        ["records", "reason"], ([f"{r['count_all']:,}", r["reason"]] for r in counts[:MAX_REASONS].to_pylist())
    )


def _metadata(lake: Lake, key: dg.AssetKey, new: int, **more: Any) -> tuple[dg.AssetKey, dict[str, Any]]:
    """Return the key of a table and its metadata after `new` rows were added."""
    return key, {"rows_written": new, "dagster/row_count": lake.rows("/".join(key.path)), **more}


def _import_path(
    context: dg.AssetExecutionContext, path: Path, importing: Importing, errors: list[TuttiError]
) -> list[Imported]:
    """Import a named file, or the supported files of a named folder.

    A folder whose files refer to one another is one export, like its zip. `errors` gets the `Unexpected` errors of
    files in a folder.
    """
    if not path.is_dir():
        return [_log(context, path.name, *importing(path))]
    name = path.resolve().name
    if is_one_export(path):
        return [_log(context, name, *importing(path, name=name))]
    imported, errors_before = [], len(errors)
    for file in files_in(path):
        inside = f"{name}/{file.relative_to(path)}"
        try:
            imported.append(_log(context, inside, *importing(file, name=inside)))
        except (UnsupportedFile, Unreadable) as error:
            context.log.warning("skipped: %s", error)
        except Unexpected as error:
            errors.append(error)
    if not imported and len(errors) == errors_before:
        raise UnsupportedFile(f"no supported export in folder {printable(str(path))}. {SUPPORTED_EXPORTS}")
    return imported


def _log(context: dg.AssetExecutionContext, name: str, row: dict[str, Any], new: bool) -> Imported:
    """Log the counts of a file, zeros left out, and return its row of `imports` and whether it is new."""
    other = f" as {printable(row['file'])}" if row["file"] not in (name, printable(name)) else ""
    again = "" if new else f" (already imported{other})"
    context.log.info("%s: %s%s", printable(name), ", ".join(_counts(row)) or "no records", again)
    return row, new


def totals(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each landing folder: its files and their records, without zeros."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        folders.setdefault((row["landing_path"] or "").partition("/")[0], []).append(row)
    for folder, files in sorted(folders.items()):
        counts = {name: sum(row[name] or 0 for row in files) for name in COUNTS}
        yield f"{printable(folder)}: {', '.join([counted(len(files), 'files'), *_counts(counts)])}"


def _counts(counts: Mapping[str, int | None]) -> list[str]:
    """Return the numbers of records by outcome as words, without zeros."""
    records = [counted(n, kind.counted.replace("_", " ")) for kind in RECORD_TYPES if (n := counts[kind.counted])]
    return records + [f"{n:,} {name}" for name in ("quarantined", "skipped") if (n := counts[name])]


def _raw(kind: RecordType) -> dg.AssetSpec:
    """Return the spec of a table by day, whose materializations imports report."""
    spec = kind.spec.replace_attributes(deps=[["events", "imports"]], partitions_def=DAILY)
    return spec.with_io_manager_key("io_manager")


RAW = [_raw(kind) for kind in RECORD_TYPES if kind.dated]
