"""Artifacts in Dagster: versioned by their inputs, judged before they are served, rebuilt if damaged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from resources.artifacts.artifacts import Artifact, Artifacts, Damaged
from resources.artifacts.io_manager import ArtifactIO, declare_artifact
from resources.engines.resource import EngineName, EngineResource
from resources.frames.frame import Frame
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.schema import column, declare
from resources.storage import Storage

NUMBERS = pa.schema([column("n", pa.int64(), "a number")])
MODEL, PAGE = "derived/model", "derived/page"


@dg.asset(key_prefix="events", metadata=declare(NUMBERS))
def numbers() -> pa.Table:
    return pa.table({"n": [1, 2]}, NUMBERS)


@dg.asset(
    key_prefix="derived",
    io_manager_key="artifacts",
    ins={"numbers": dg.AssetIn(["events", "numbers"])},
    metadata=declare_artifact(judged=True),
)
def model(numbers: Frame) -> Artifact:
    return Artifact({"sum": str(sum(numbers.collect()["n"].to_pylist())).encode()})


@dg.asset(key_prefix="derived", deps=[["derived", "model"]])
def judge(artifacts: dg.ResourceParam[ArtifactIO]) -> None:
    """Serve a candidate if it is not worse than the served version."""
    store = artifacts.artifacts
    candidate, serving = store.candidate(MODEL), store.serving(MODEL)
    if candidate and (serving is None or value(store, candidate.id) >= value(store)):
        store.promote(MODEL, candidate.id)


@dg.asset(
    key_prefix="derived",
    io_manager_key="artifacts",
    ins={"model": dg.AssetIn(["derived", "model"])},
    metadata=declare_artifact(personal=False),
)
def page(model: Artifact) -> Artifact:
    return Artifact({"page.html": b"<p>" + model.files["sum"]})


def value(artifacts: Artifacts, version_id: str | None = None) -> int:
    return int(artifacts.read(MODEL, version_id).files["sum"])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(Storage.at(tmp_path / "artifacts"))


def build(folder: Path, assets: Sequence[Any] = (numbers, model, judge, page)) -> dg.ExecuteInProcessResult:
    engine = EngineResource(name=EngineName.pandas, spill_dir=str(folder / "spill"))
    resources = {
        "engine": engine,
        "io_manager": LakeIO(engine=engine, root=str(folder / "lake")),
        "artifacts": ArtifactIO(root=str(folder / "artifacts")),
    }
    definitions = [numbers, model, judge, page]
    return dg.materialize(definitions, resources=resources, selection=list(assets), raise_on_error=False)


def store(lake: Lake, *values: int) -> None:
    lake.replace("events/numbers", iter([pa.table({"n": values}, NUMBERS)]), NUMBERS)


def test_version_names_the_versions_of_its_inputs(tmp_path: Path, artifacts: Artifacts, lake: Lake) -> None:
    assert build(tmp_path).success
    read = artifacts.read(MODEL)
    assert (read.files, read.inputs) == ({"sum": b"3"}, {"events/numbers": lake.version("events/numbers")})
    served = artifacts.read(PAGE)
    assert (served.files, served.inputs) == ({"page.html": b"<p>3"}, {MODEL: artifacts.serving(MODEL)})
    assert [artifacts.versions(name)[0].personal for name in (MODEL, PAGE)] == [True, False]


@pytest.mark.slow
def test_candidate_that_is_judged_worse_is_not_served(tmp_path: Path, artifacts: Artifacts, lake: Lake) -> None:
    build(tmp_path)
    served = artifacts.serving(MODEL)
    store(lake, 1, 1)
    assert build(tmp_path, [model, judge, page]).success
    assert artifacts.serving(MODEL) == served and artifacts.candidate(MODEL)
    assert artifacts.read(PAGE).files == {"page.html": b"<p>3"}
    store(lake, 4, 4)
    assert build(tmp_path, [model, judge, page]).success
    assert (value(artifacts), artifacts.candidate(MODEL)) == (8, None)
    assert artifacts.read(PAGE).files == {"page.html": b"<p>8"}
    artifacts.roll_back(MODEL)
    assert value(artifacts) == 3


def test_ui_shows_version_inputs_and_whether_it_is_served(tmp_path: Path, artifacts: Artifacts) -> None:
    (materialization,) = build(tmp_path).asset_materializations_for_node("derived__model")
    metadata = {name: entry.value for name, entry in materialization.metadata.items()}
    assert (metadata["version"], metadata["serves"], metadata["size"]) == (artifacts.versions(MODEL)[0].id, False, 1)
    assert metadata["inputs"] == {"events/numbers": 1}


def test_damaged_artifact_fails_its_readers_until_it_is_rebuilt(tmp_path: Path, artifacts: Artifacts) -> None:
    build(tmp_path)
    (tmp_path / "artifacts" / MODEL / "versions" / str(artifacts.serving(MODEL)) / "sum").write_bytes(b"9")
    failed = build(tmp_path, [page])
    assert not failed.success
    (error,) = [e.step_failure_data.error for e in failed.all_events if e.event_type_value == "STEP_FAILURE"]
    assert error and "Materialize derived/model again" in error.to_string()
    assert build(tmp_path, [model, page]).success
    assert value(artifacts) == 3


def test_artifact_that_is_not_served_yet_is_missing(tmp_path: Path) -> None:
    failed = build(tmp_path, [numbers, model, page])
    assert not failed.success
    assert "no version of derived/model is served" in str([e.event_specific_data for e in failed.all_events])


def test_asset_with_partitions_is_refused(tmp_path: Path) -> None:
    days = dg.StaticPartitionsDefinition(["a"])

    @dg.asset(io_manager_key="artifacts", partitions_def=days)
    def parts() -> Artifact:
        return Artifact({})

    resources = {"artifacts": ArtifactIO(root=str(tmp_path / "artifacts"))}
    with pytest.raises(Exception, match="has partitions"):
        dg.materialize([parts], partition_key="a", resources=resources)


def test_missing_file_is_named_in_the_error(artifacts: Artifacts) -> None:
    version = artifacts.publish(PAGE, Artifact({"a": b"1"}), personal=False).id
    artifacts.store.remove([f"{PAGE}/versions/{version}/a"])
    with pytest.raises(Damaged, match="a is missing"):
        artifacts.read(PAGE)
