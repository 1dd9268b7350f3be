"""The rooms: imports run orchestration → assets → resources, never back, and the linter holds what is said of each."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = ("orchestration", "assets", "resources")  # each may import itself and those to its right
FILES = sorted(p for room in ROOMS for p in (PROJECT / room).rglob("*.py"))
TABLES = ("dagster", "pyarrow", "pandas", "polars", "duckdb", "dask", "distributed", "pyspark", "narwhals", "deltalake")


def name(path: Path) -> str:
    """A file as a module."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)
MODULES = {name(p): p for p in FILES}


def imported(path: Path, at_once: bool = False) -> Iterator[str]:
    """What a file imports, module by module; if `at_once`, only what is imported as soon as it is itself."""
    nodes: list[ast.AST] = list(ast.parse(path.read_text()).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif not (at_once and _later(node)):
            nodes += [n for n in ast.iter_child_nodes(node) if isinstance(n, BLOCKS)]


def _later(node: ast.AST) -> bool:
    """Whether what is inside runs later than the file, or never."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def under(module: str, *packages: str) -> bool:
    """Whether a module is one of these or in it."""
    return any(module == p or module.startswith(f"{p}.") for p in packages)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_one_above_it_nor_the_tests(room: str) -> None:
    above = ROOMS[: ROOMS.index(room)]
    found = [(name(p), m) for p in FILES if under(name(p), room) for m in imported(p) if under(m, *above, "tests")]
    assert found == []


def test_no_imports_form_a_circle_not_even_deferred_ones() -> None:
    graph = {module: {m for m in imported(path) if m in MODULES} for module, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # raises CycleError, naming the circle


PRIVATE = {
    "orchestration.instance.internals",
    "orchestration.instance.event_log",
    "orchestration.instance.failed_checks",
    "orchestration.instance.forked_runs",
    "orchestration.instance.partition_ranges",
    "resources.materializations",
}


def test_private_names_of_dagster_have_one_place_each_side_of_the_import_direction() -> None:
    found = {name(p) for p in FILES for m in imported(p) if m.startswith(("dagster._", "dagster_shared"))}
    assert found == PRIVATE


OTHERS = ("_replace", "_asdict", "_exit", "_meta", "_proc_member")  # of named tuples, os, Dask and tarfile


def test_private_attributes_of_dagster_have_the_same_places() -> None:
    nodes = ((name(p), node) for p in FILES for node in ast.walk(ast.parse(p.read_text())))
    found = {
        (module, ast.unparse(node))
        for module, node in nodes
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr) and node.attr not in OTHERS
    }
    own = {(module, text) for module, text in found if re.match(r"(self|cls|super\(\))\.", text)}
    assert sorted(text for module, text in found - own if module not in PRIVATE) == []


def test_layers_read_each_other_by_the_names_of_assets() -> None:
    layers = ("assets.content", "assets.events", "assets.derived")
    found = [
        (name(path), module)
        for path in FILES
        for layer in layers
        if under(name(path), layer)
        for module in imported(path)
        if under(module, *layers) and not under(module, layer)
    ]
    assert found == []


def test_sources_know_neither_dagster_nor_tables() -> None:
    found = [(name(p), m) for p in FILES if under(name(p), "resources.sources") for m in imported(p)]
    known = [pair for pair in found if under(pair[1], *TABLES)]
    parquet = (
        "resources.sources.readers.parquet_records"  # a file that is a table is read as one, when one is handed in
    )
    assert {pair for pair in known if pair[0] != parquet} == set()
    assert {module for _, module in known} <= {"pyarrow", "pyarrow.parquet"}
    assert not [m for m in imported(MODULES[parquet], at_once=True) if under(m, *TABLES)]


def test_the_front_door_knows_neither_dagster_nor_tables() -> None:
    found = [(name(p), m) for p in FILES if under(name(p), "resources.scrobble_endpoint") for m in imported(p)]
    assert found
    assert [pair for pair in found if under(pair[1], *TABLES)] == []


def test_assets_know_no_engine_and_no_sandbox() -> None:
    engines = ("pandas", "polars", "duckdb", "dask", "distributed", "pyspark", "resources.engines")
    found = [(name(p), m) for p in FILES if under(name(p), "assets") for m in imported(p)]
    assert [pair for pair in found if under(pair[1], *engines, "resources.sandbox")] == []


def test_the_truth_of_the_sandbox_is_for_tests_alone() -> None:
    assert [name(p) for p in FILES if "resources.sandbox.truth" in imported(p)] == []


def test_who_the_listeners_are_stays_in_the_sandbox() -> None:
    users = [name(p) for p in FILES if "resources.sandbox.listeners" in imported(p)]
    assert users
    assert [u for u in users if not under(u, "resources.sandbox")] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("assets/derived/x.py", "import pandas"),
        ("assets/derived/x.py", "import duckdb"),
        ("assets/derived/x.py", "import dask.dataframe"),
        ("assets/derived/x.py", "from pyspark.sql import functions"),
        ("assets/derived/x.py", "from orchestration import cadence"),
        ("assets/derived/x.py", "from resources.sandbox import world"),
        ("assets/derived/x.py", "from resources.engines.pandas import PandasEngine"),
        ("resources/x.py", "import orchestration.cadence"),
        ("resources/x.py", "from assets.partitions import DAILY"),
        ("resources/x.py", "from resources.sandbox import truth"),
        ("resources/engines/x.py", "from assets.partitions import DAILY"),
        ("resources/sandbox/x.py", "from resources.sandbox.truth import truth"),
        ("resources/scrobble_endpoint/x.py", "import dagster"),
        ("resources/scrobble_endpoint/x.py", "import pyarrow"),
        ("resources/sources/x.py", "import dagster"),
        ("resources/sources/x.py", "import pyarrow"),
        ("resources/sources/x.py", "import pandas"),
        ("resources/sources/x.py", "from assets.partitions import DAILY"),
        ("resources/sources/x.py", "from resources.sandbox import world"),
        ("orchestration/x.py", "from resources.sandbox.truth import truth"),
        ("orchestration/x.py", "from resources.sandbox import listeners"),
    ],
)
def test_the_linter_refuses_what_the_rooms_forbid(file: str, line: str) -> None:
    assert "TID251" in lint(file, line)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("assets/derived/x.py", "from resources.frames.frame import Frame"),
        ("orchestration/x.py", "from resources.sandbox import world"),
        ("resources/engines/x.py", "import pandas"),
        ("resources/sandbox/x.py", "from resources.sandbox import listeners"),
        ("tests/x.py", "from resources.sandbox.truth import truth"),
    ],
)
def test_the_linter_allows_the_rest(file: str, line: str) -> None:
    assert "TID251" not in lint(file, line)


def lint(file: str, line: str) -> str:
    """What the linter says of a line in a file that is not there."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", file, "-"]
    done = subprocess.run(command, input=f"{line}\n", cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout
