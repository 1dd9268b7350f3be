"""Permissions of the data folder, which every process of the platform restricts to its owner."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import ON_DASK, ON_SPARK
from tests.orchestration.support import Process, furnish

LISTEN = {
    "listened_at": 1_740_000_000,
    "user_name": "ada",
    "track_metadata": {"artist_name": "Clara Example", "track_name": "Prelude"},
}


def opened(data: Path, mask: int = 0o077) -> list[str]:
    """Return the paths of a data folder that have permissions of a mask."""
    return [str(path) for path in (data, *data.rglob("*")) if path.lstat().st_mode & 0o777 & mask]


def run(data: Path, *words: str, **variables: str) -> None:
    """Run a command in a shell with the usual umask."""
    command = shlex.join([sys.executable, "-m", "orchestration", *words])
    Process(("sh", "-c", f"umask 022; exec {command}"), data, variables).fine()


def import_listen(data: Path, **variables: str) -> None:
    export = data.parent / "listens.jsonl"
    export.write_text(json.dumps(LISTEN) + "\n")
    run(data, "import", "--listener", "ada", str(export), **variables)


# The first run only: building every table takes minutes on a cluster.
RAW = """
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
Runner().run("import_listens", config={"imports": {"config": {}}})
"""


@pytest.mark.parametrize("environment", [ON_DASK, ON_SPARK])
def test_only_the_owner_reads_what_a_cluster_writes(environment: str, tmp_path: Path) -> None:
    landing = tmp_path / "data" / "landing" / "listens"
    landing.mkdir(parents=True)
    (landing / "a.jsonl").write_text(json.dumps(LISTEN) + "\n")
    furnish(tmp_path / "data")
    before = opened(tmp_path / "data")
    command = shlex.join([sys.executable, "-c", RAW])
    Process(("sh", "-c", f"umask 022; exec {command}"), tmp_path / "data", {"TUTTI_ENV": environment}).fine()
    assert (tmp_path / "data" / "lake" / "events" / "raw_listens").is_dir()
    assert [path for path in opened(tmp_path / "data") if path not in before] == []


@pytest.mark.parametrize("environment", ["laptop", "workstation"])
def test_only_the_owner_reads_what_an_import_and_an_export_write(environment: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    import_listen(data, TUTTI_ENV=environment)
    run(data, "export", "--listener", "ada", TUTTI_ENV=environment)
    assert (data / "lake" / "events" / "listens").is_dir()
    assert opened(data) == []


@pytest.mark.cluster
@pytest.mark.spark
def test_only_the_owner_reads_what_a_stream_writes(tmp_path: Path) -> None:
    landing = tmp_path / "data" / "landing" / "listens"
    landing.mkdir(parents=True)
    (landing / "a.jsonl").write_text(json.dumps(LISTEN) + "\n")
    run(tmp_path / "data", "stream", "--once", TUTTI_ENV="spark")
    assert (tmp_path / "data" / "stream").is_dir()
    assert opened(tmp_path / "data") == []


def test_a_group_can_share_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o750)
    (data / "dagster").mkdir()
    import_listen(data, TUTTI_UMASK="027")
    assert opened(data, 0o027) == []
    written = list((data / "lake").rglob("*"))
    assert [path for path in written if not path.stat().st_mode & 0o040] == []
    assert [path for path in written if path.is_dir() and not path.stat().st_mode & 0o010] == []
