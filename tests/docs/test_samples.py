"""Samples: code in the pages runs, and excerpts are the text of their files."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from orchestration.example_query import with_example
from resources.sources.records.app_event import AppEvent
from resources.storage import Storage
from tests.benchmarks.plot import PICTURE, committed, plot
from tests.docs.pages import BLOCKS, PAGES, PROJECT, Block
from tests.exporting import read
from tests.orchestration.support import environ, platform, rows, tables

EXTENDING = "docs/extending.md"  # tests/test_extending.py runs its examples
PYTHON = [block for block in BLOCKS if block.language == "python" and block.page != EXTENDING]
EXCERPTS = [block for block in PYTHON if block.text.startswith("# ")]
QUERIES = [block for block in PYTHON if "import " in block.text.split("\n\n")[0] and block not in EXCERPTS]


def name(block: Block) -> str:
    """Return a name for a sample: its page and table."""
    return f"{Path(block.page).stem}-{BLOCKS.index(block)}"


def test_the_readme_shows_an_asset_as_it_is() -> None:
    (excerpt,) = (block for block in EXCERPTS if block.page == "README.md")
    path, code = excerpt.text.split("\n", 1)
    file = (PROJECT / path.removeprefix("# ")).read_text()
    parts = [part.strip("\n") for part in code.split("\n...\n")]
    assert len(parts) > 1
    assert [part for part in parts if part not in file] == []
    assert "@dg.asset" in code


@pytest.mark.parametrize("block", [b for b in QUERIES if "spark" not in b.text], ids=name)
def test_queries_show_rows(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(block.text, block.page, "exec"), {})
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) > 1
    assert not re.search(r"│ +0 rows", shown)


def test_the_example_query_of_each_asset_shows_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder / "data" / "demo"
    specs = {spec.key.to_user_string(): spec for spec in platform().resolve_all_asset_specs()}
    for table in tables(data):
        code = re.findall(r"```python\n(.*?)```", with_example(specs[table], Storage.at(data / "lake")), re.DOTALL)[-1]
        exec(compile(code, table, "exec"), {})
        assert bool(re.search(r"\b0 rows", capsys.readouterr().out)) == (not rows(data, table)), table


@pytest.mark.spark
@pytest.mark.parametrize("block", [b for b in QUERIES if "spark" in b.text], ids=name)
def test_queries_on_spark_show_rows(block: Block, folder: Path) -> None:
    where = environ(folder / "data" / "demo", PYTHONPATH=str(PROJECT))
    command = [sys.executable, "-c", block.text]
    done = subprocess.run(command, cwd=folder, env=where, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) > 4


def test_the_example_of_an_application_event_is_read(tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if block.language == "json")
    (record,) = (result.parsed for result in read(tmp_path, block.text, listener=None))
    assert isinstance(record, AppEvent)
    assert (record.event, record.user_id, record.position_ms, record.extra) == ("skip", "ada", 900, None)


def test_benchmarks_show_the_committed_figures() -> None:
    row = re.compile(r"^\| (\w+) \| (\w+) \| \*\*([\d.]+)\*\* \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
    shown = {
        (job, engine): rest for job, engine, *rest in row.findall(PAGES["docs/benchmarks.md"].split("Since then")[0])
    }
    figures = committed()
    for (job, engine), (ratio, ours, theirs) in shown.items():
        spreads = [figures[job, engine, way] for way in ("contract", "by hand")]
        assert [ours, theirs] == [str(each) for each in spreads]
        assert float(ratio) == pytest.approx(spreads[0].median / spreads[1].median, abs=0.02)
    assert len(shown) * 2 == len(figures)
    others, pandas = (
        [float(r) for (_, e), (r, *_) in shown.items() if (e == "pandas") == own] for own in (False, True)
    )
    readme = " ".join(PAGES["README.md"].split())
    assert (
        f"{min(others):.2f} to {max(others):.2f} times the CPU seconds of queries written by hand on DuckDB" in readme
    )
    assert f"On pandas they take {min(pandas):.2f} to {max(pandas):.2f} times" in readme


@pytest.mark.slow
def test_the_plot_is_drawn_from_the_committed_figures(tmp_path: Path) -> None:
    plot(committed(), tmp_path / "contract.svg")
    assert (tmp_path / "contract.svg").read_bytes() == PICTURE.read_bytes(), "run `make docs`"


@pytest.mark.parametrize(("page", "job"), [("importing", "import_listens"), ("engines", "daily")])
def test_configuration_for_the_launchpad_is_valid(page: str, job: str) -> None:
    (block,) = (block for block in BLOCKS if (block.page, block.language) == (f"docs/{page}.md", "yaml"))
    config = yaml.safe_load(block.text)
    assert dg.validate_run_config(platform().resolve_job_def(job), config)


def test_configuration_of_export_and_erasure_is_valid() -> None:
    blocks = (block for block in BLOCKS if (block.page, block.language) == ("docs/privacy.md", "yaml"))
    for block, job in zip(blocks, ("export_listener", "erase_listener"), strict=True):
        assert dg.validate_run_config(platform().resolve_job_def(job), yaml.safe_load(block.text))


def test_the_launchpad_erases_nobody_who_is_named_once() -> None:
    once = {"ops": {"erase": {"config": {"listener": "ada"}}}}
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(platform().resolve_job_def("erase_listener"), once)
