"""The lines that the terminal shows during runs."""

import math
import re

import dagster as dg
import pytest
from dagster import DagsterExecutionInterruptedError

from orchestration.cli.progress import Progress, logger, reasons
from resources.errors import TuttiError


@dg.asset
def quick(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """An asset with a log line."""
    context.log.info("half of it")
    return dg.MaterializeResult(metadata={"dagster/row_count": 1_234})


@pytest.mark.parametrize(("patience_s", "more"), [(0, ["  ✓ quick"]), (math.inf, [])])
def test_prints_log_lines_and_after_a_pause_each_table(patience_s: float, more: list[str]) -> None:
    lines: list[str] = []
    progress = Progress(patience_s, lines.append)
    defs = dg.Definitions([quick], jobs=[dg.define_asset_job("a_job")], loggers={"terminal": logger(progress)})
    progress.begin("a run")
    with dg.DagsterInstance.ephemeral() as instance:
        defs.resolve_job_def("a_job").execute_in_process({"loggers": {"terminal": {}}}, instance=instance)
    assert [line.split("  1,234")[0].rstrip() for line in lines] == ["a run", "    half of it", *more]
    assert progress.total().startswith("Updated 1 table (1,234 rows) in ")


def test_numbers_expected_runs_and_counts_their_tables() -> None:
    lines: list[str] = []
    progress = Progress(1e-9, lines.append)
    defs = dg.Definitions([silent], jobs=[dg.define_asset_job("a_job")], loggers={"terminal": logger(progress)})
    progress.begin("import_listens")
    progress.expect(2)
    with dg.DagsterInstance.ephemeral() as instance:
        for title in ("daily", "weekly", "another"):
            progress.begin(title, tables=3)
            defs.resolve_job_def("a_job").execute_in_process({"loggers": {"terminal": {}}}, instance=instance)
    counted = "  1 of 3 tables built"
    assert lines[:2] == ["daily (run 1 of 2)", counted]
    assert re.fullmatch(r"weekly \(run 2 of 2, about \d+ s left\)", lines[2])
    assert lines[3:] == [counted, "another", counted]


@dg.asset
def silent() -> None:
    """An asset without a log line."""


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def partitioned() -> dg.MaterializeResult:
    """An asset that is built partition by partition."""
    return dg.MaterializeResult(metadata={"dagster/row_count": 10})


def test_rows_of_partitions_add_up_and_rebuilt_tables_count_once() -> None:
    progress = Progress(math.inf, len)
    jobs = [dg.define_asset_job(asset.key.to_user_string(), [asset]) for asset in (quick, partitioned)]
    defs = dg.Definitions([quick, partitioned], jobs=jobs, loggers={"terminal": logger(progress)})
    with dg.DagsterInstance.ephemeral() as instance:
        for job, partition in (("quick", None), ("quick", None), ("partitioned", "a"), ("partitioned", "b")):
            defs.resolve_job_def(job).execute_in_process(
                {"loggers": {"terminal": {}}}, instance=instance, partition_key=partition
            )
    assert progress.rows == {"quick": 1_234, "partitioned": 20}


def test_lists_the_most_frequent_reasons_and_counts_the_rest() -> None:
    failures = [(f"reason {n}", f"file {i}") for n in range(12) for i in range(12 - n)]
    lines = reasons(failures)
    assert lines[0] == "  12 × reason 0: file 0, file 1, file 10 …"
    assert lines[-1] == "  3 for other reasons"
    assert len(lines) == 11


@dg.asset
def interrupted() -> None:
    """An asset during which somebody presses Ctrl-C."""
    raise DagsterExecutionInterruptedError


def test_knows_an_interrupted_run_from_a_failed_one() -> None:
    progress = Progress(math.inf, len)
    for asset, expected in ((interrupted, True), (failing, False)):
        job = dg.define_asset_job("a_job", [asset])
        defs = dg.Definitions([asset], jobs=[job], loggers={"terminal": logger(progress)})
        progress.begin("a run")
        with dg.DagsterInstance.ephemeral() as instance:
            config = {"loggers": {"terminal": {}}}
            defs.resolve_job_def("a_job").execute_in_process(config, instance=instance, raise_on_error=False)
        assert progress.interrupted == expected
    assert progress.cause == "planted: a value"


@dg.asset
def failing() -> None:
    """An asset that fails."""
    raise TuttiError("planted: a value")
