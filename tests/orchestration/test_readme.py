"""The README: it names everything there is, and what it says to type works."""

import re
import shutil
import subprocess
import sys
from itertools import chain, pairwise, product
from pathlib import Path

import pytest

from resources.environments import ENVIRONMENTS
from resources.sources.records.app_event import AppEvent
from tests.exporting import read
from tests.orchestration.conftest import World
from tests.orchestration.support import PROJECT, Process, environ, platform

README = (PROJECT / "README.md").read_text()
MAKEFILE = (PROJECT / "Makefile").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
COMMANDS = [line for line in SHELL if line.startswith(("dagster ", "dg "))]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]

TARGETS = sorted(set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)))
SOURCES = [
    MAKEFILE,
    *(p.read_text() for room in ("orchestration", "resources") for p in (PROJECT / room).rglob("*.py")),
]
VARIABLES = sorted({v for text in SOURCES for v in re.findall(r"\bTUTTI_[A-Z_]+\b", text)})


def word(name: str) -> re.Pattern[str]:
    """A name as a word of its own."""
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")


@pytest.mark.parametrize("variable", VARIABLES)
def test_it_names_every_variable(variable: str) -> None:
    assert word(variable).search(README)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_says_which_engine_each_environment_has(name: str) -> None:
    (engine,) = re.findall(rf"^\| `{name}`[^|]*\| (\w+)", README, re.MULTILINE)
    assert engine.lower() == ENVIRONMENTS[name]().name.value


def test_every_arrow_of_its_graph_is_a_way_from_one_table_to_another() -> None:
    graph = platform().resolve_asset_graph()
    tables = {key.path[-1]: key for key in graph.get_all_asset_keys()}
    (drawn,) = [text for kind, text in BLOCKS if kind == "mermaid"]
    arrows = [line.strip().split(" --> ") for line in re.sub(r"\[.*?\]", "", drawn).splitlines() if "-->" in line]
    assert arrows
    for sources, targets in chain.from_iterable(map(pairwise, arrows)):
        for source, target in product(sources.split(" & "), targets.split(" & ")):
            assert tables[source] in graph.get_ancestor_asset_keys(tables[target]), (source, target)


@pytest.mark.parametrize("target", TARGETS)
def test_it_names_every_make_target(target: str) -> None:
    assert re.search(rf"\bmake {target}(?![\w-])", README)


def test_what_it_names_exists() -> None:
    made = set(re.findall(r"\bmake ([a-z][a-z-]*)\b(?= *[`#\n]| +[A-Z]+=)", README))
    assert made
    assert made <= set(TARGETS)
    assert set(re.findall(r"\bTUTTI_[A-Z_]+\b", README)) <= set(VARIABLES)
    paths = set(re.findall(r"`((?:assets|orchestration|resources)/[\w/.]*)`", README))
    assert paths
    assert [p for p in sorted(paths) if not (PROJECT / p).exists()] == []
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [p for p in links if not (PROJECT / p).exists()] == []


def test_the_application_event_that_it_shows_is_one(tmp_path: Path) -> None:
    (text,) = [text for kind, text in BLOCKS if kind == "json"]
    (found,) = [r.found for r in read(tmp_path, text, listener=None)]
    assert isinstance(found, AppEvent)
    assert (found.event, found.user_id, found.position_ms, found.extra) == ("skip", "ada", 900, None)


@pytest.fixture(scope="module")
def demo(laptop: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to stand in, with what the demo would have left in it."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(laptop.data, folder / "data" / "demo")
    return folder


@pytest.fixture(scope="module")
def typed(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Process]:
    """Every command for Dagster, typed side by side into folders of their own."""
    found = {}
    for line in COMMANDS:
        data = tmp_path_factory.mktemp("typed") / "data"
        shutil.copytree(demo / "data" / "demo", data)
        found[line] = Process(("sh", "-c", line), data)
    return found


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_for_dagster_work(typed: dict[str, Process], line: str) -> None:
    typed[line].fine()


def test_its_commands_for_dagster_are_both_ways_there_are() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"dagster", "dg"}
    assert "export TUTTI_DATA_DIR=$PWD/data/demo DAGSTER_HOME=$PWD/data/demo/dagster" in SHELL


@pytest.mark.parametrize(
    "text", [pytest.param(t, marks=[pytest.mark.spark] if "spark" in t else [], id=t.split()[1]) for t in PYTHON]
)
def test_its_python_works_beside_the_demos_data(demo: Path, text: str) -> None:
    """As typed into Python beside the code, but in a folder of the test's own."""
    command = [sys.executable, "-c", text]
    where = environ(demo / "data" / "demo", PYTHONPATH=str(PROJECT))
    done = subprocess.run(command, cwd=demo, env=where, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) > 4  # a table was shown
