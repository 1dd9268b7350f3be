"""What a person at a terminal reads while runs go on."""

import math

import dagster as dg
import pytest

from orchestration.cli.progress import Progress, logger, reasons


@dg.asset
def quick(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """An asset that has something to say."""
    context.log.info("half of it")
    return dg.MaterializeResult(metadata={"dagster/row_count": 1_234})


@pytest.mark.parametrize(("patience", "more"), [(0, ["  ✓ quick"]), (math.inf, [])])
def test_of_runs_only_what_they_say_themselves_is_told_unless_the_terminal_was_silent_for_long(
    patience: float, more: list[str]
) -> None:
    said: list[str] = []
    progress = Progress(patience, said.append)
    defs = dg.Definitions([quick], jobs=[dg.define_asset_job("a_job")], loggers={"terminal": logger(progress)})
    progress.begin("a run")
    with dg.DagsterInstance.ephemeral() as instance:
        defs.resolve_job_def("a_job").execute_in_process({"loggers": {"terminal": {}}}, instance=instance)
    assert [line.split("  1,234")[0].rstrip() for line in said] == ["a run", "    half of it", *more]
    assert progress.total().startswith("tables made: 1, with 1,234 rows, in ")


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def parted() -> dg.MaterializeResult:
    """An asset that is made partition by partition."""
    return dg.MaterializeResult(metadata={"dagster/row_count": 10})


def test_rows_of_partitions_add_up_and_a_table_that_is_made_anew_has_those_of_the_last_time() -> None:
    progress = Progress(math.inf, len)
    jobs = [dg.define_asset_job(asset.key.to_user_string(), [asset]) for asset in (quick, parted)]
    defs = dg.Definitions([quick, parted], jobs=jobs, loggers={"terminal": logger(progress)})
    with dg.DagsterInstance.ephemeral() as instance:
        for job, partition in (("quick", None), ("quick", None), ("parted", "a"), ("parted", "b")):
            defs.resolve_job_def(job).execute_in_process(
                {"loggers": {"terminal": {}}}, instance=instance, partition_key=partition
            )
    assert progress.rows == {"quick": 1_234, "parted": 20}


def test_of_many_reasons_the_most_frequent_are_told_and_the_rest_is_counted() -> None:
    found = [(f"reason {n}", f"file {i}") for n in range(12) for i in range(12 - n)]
    lines = reasons(found)
    assert lines[0] == "  12 × reason 0: file 0, file 1, file 10 …"
    assert lines[-1] == "  3 for other reasons"
    assert len(lines) == 11


def test_expected_runs_are_numbered_as_they_begin() -> None:
    said: list[str] = []
    progress = Progress(math.inf, said.append)
    progress.begin("import_listens")
    progress.expect(2)
    for title in ("daily", "weekly", "all_time"):
        progress.begin(title)
    assert said == ["daily (run 1 of 2)", "weekly (run 2 of 2, about 0 s left)"]
