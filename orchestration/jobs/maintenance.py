"""Maintenance: remove unneeded files and events, and pack the files of the scrobble endpoint.

Each of `STEPS` is an op of the job. The command runs the steps without Dagster, so that it works on a full disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.imports.packing import pack
from orchestration.instance.pruning import prune
from resources.artifacts.artifacts import Artifacts
from resources.artifacts.io_manager import ArtifactIO
from resources.errors import TuttiError
from resources.files import writing_to
from resources.folders.landing import Landing
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake


@dataclass(frozen=True)
class Targets:
    """The places that maintenance works on, and callbacks for its log lines."""

    lake: Lake
    landing: Landing
    artifacts: Artifacts
    history: Path  # Dagster's home
    report: Callable[[str], object]
    warn: Callable[[str], object]


def vacuum(targets: Targets) -> None:
    """Remove files that no retained table version uses, and files that killed runs left.

    Running jobs lose no file. The step writes nothing, so it works on a full disk. If a table fails, the others are
    still vacuumed, and then `TuttiError` is raised.
    """
    failed: list[str] = []
    tables, files, size_bytes = targets.lake.tables(), 0, 0
    for table in tables:
        try:
            removed = targets.lake.vacuum(table)
        except TuttiError as error:
            failed.append(str(error))
            targets.warn(f"{table}: {error}")
            continue
        files, size_bytes = files + removed.files, size_bytes + removed.bytes
        if removed.files:
            targets.report(f"{table}: {_removed(removed.files, removed.bytes)}")
    targets.report(f"{_removed(files, size_bytes)} in {len(tables):,} tables")
    if failed:
        raise TuttiError(failed[0])


def prune_history(targets: Targets) -> None:
    """Remove superseded events and run logs older than 30 days from Dagster's history."""
    prune(targets.history, datetime.now(UTC), targets.report)


def pack_scrobbles(targets: Targets) -> None:
    """Pack the scrobble endpoint's small files into one file per past day. Raises `TuttiError` on a full disk."""
    with writing_to(targets.landing.local):
        for packed, files in pack(targets.landing, targets.lake, datetime.now(UTC)):
            targets.report(f"packed {files:,} files into {packed.path} ({packed.bytes / 1e6:,.1f} MB)")


def check_artifacts(targets: Targets) -> None:
    """Read every current artifact and verify its hash. Raises `TuttiError` with the damaged artifacts."""
    if problems := targets.artifacts.problems():
        damaged = ", ".join(f"{name} ({problem})" for name, problem in problems.items())
        raise TuttiError(f"damaged artifacts: {damaged}. Materialize them again")


STEPS: tuple[Callable[[Targets], None], ...] = (vacuum, prune_history, pack_scrobbles, check_artifacts)


def _removed(files: int, size_bytes: int) -> str:
    return f"{'1 file' if files == 1 else f'{files:,} files'} removed, {size_bytes / 1e6:,.1f} MB"


def _op(step: Callable[[Targets], None]) -> dg.OpDefinition:
    """Return the op of a step, described by the first line of its docstring."""

    @dg.op(name=step.__name__, description=(step.__doc__ or "").splitlines()[0])
    def maintain(
        context: dg.OpExecutionContext,
        io_manager: dg.ResourceParam[LakeIO],
        landing: Landing,
        artifacts: dg.ResourceParam[ArtifactIO],
    ) -> None:
        history, log = Path(context.instance.root_directory), context.log
        step(Targets(io_manager.lake, landing, artifacts.artifacts, history, log.info, log.warning))

    return maintain


OPS = [_op(step) for step in STEPS]


@dg.job(
    description="Remove unneeded files of tables and superseded events of Dagster's history, pack the files of the "
    "scrobble endpoint, and check artifacts."
)
def maintenance() -> None:
    """Maintain the lake, Dagster's history, the landing folder and artifacts."""
    for op in OPS:
        op()
