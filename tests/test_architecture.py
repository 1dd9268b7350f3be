"""Imports go orchestration → assets → resources, never back, and the linter enforces the rules of each package."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("orchestration", "assets", "resources")  # each may import itself and the packages to its right
FILES = sorted(p for package in PACKAGES for p in (PROJECT / package).rglob("*.py"))
LIBRARIES = (
    "dagster",
    "pyarrow",
    "pandas",
    "polars",
    "duckdb",
    "dask",
    "distributed",
    "pyspark",
    "narwhals",
    "deltalake",
)


def module_of(path: Path) -> str:
    """Return the module name of a file."""
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


BLOCKS = (ast.stmt, ast.ExceptHandler, ast.match_case)
MODULES = {module_of(p): p for p in FILES}


def imported(path: Path, at_once: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports. If `at_once`, only those imported when the file is."""
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
    """Return whether a node's body runs later than the file, or never."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def under(module: str, *packages: str) -> bool:
    """Return whether a module is one of the packages or in one."""
    return any(module == p or module.startswith(f"{p}.") for p in packages)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_one_above_it_or_the_tests(package: str) -> None:
    above = PACKAGES[: PACKAGES.index(package)]
    found = [
        (module_of(p), m)
        for p in FILES
        if under(module_of(p), package)
        for m in imported(p)
        if under(m, *above, "tests")
    ]
    assert found == []


def test_no_imports_are_circular_even_deferred_ones() -> None:
    graph = {module: {m for m in imported(path) if m in MODULES} for module, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # raises CycleError, naming the circle


PRIVATE = {
    "orchestration.instance.internals",
    "orchestration.instance.event_log",
    "orchestration.instance.failed_checks",
    "orchestration.instance.forked_runs",
    "orchestration.instance.partition_ranges",
    "orchestration.web_server.services",
    "resources.materializations",
}


def test_private_names_of_dagster_are_imported_in_few_modules() -> None:
    found = {module_of(p) for p in FILES for m in imported(p) if m.startswith(("dagster._", "dagster_shared"))}
    assert found == PRIVATE


ALLOWED = ("_replace", "_asdict", "_exit", "_meta")  # of named tuples, os and Dask


def test_private_attributes_are_used_in_the_same_modules() -> None:
    nodes = ((module_of(p), node) for p in FILES for node in ast.walk(ast.parse(p.read_text())))
    found = {
        (module, ast.unparse(node))
        for module, node in nodes
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr) and node.attr not in ALLOWED
    }
    own_attributes = {(module, text) for module, text in found if re.match(r"(self|cls|super\(\))\.", text)}
    assert sorted(text for module, text in found - own_attributes if module not in PRIVATE) == []


ARCHIVE_MODULES = ("tarfile", "zipfile", "gzip", "bz2", "lzma", "zlib", "zstandard", "shutil")
READERS = re.compile("open|unpack_archive|decompress(obj)?|is_zipfile|is_tarfile|.*(File|Decompressor)")


def test_archives_are_read_in_one_place_which_has_the_limits() -> None:
    found = set()
    for path in FILES:
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            module, _, function = ast.unparse(call.func).rpartition(".")
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            writes = any(isinstance(a, ast.Constant) and a.value in ("w", "wb") for a in arguments)
            reads = module in ARCHIVE_MODULES or (module == "" and function.startswith("Zstd"))
            if reads and READERS.fullmatch(function) and not writes:
                found.add(module_of(path))
    own = "orchestration.instance.packed_event"  # unpacks what it packed itself
    assert found == {"resources.archives", own}


def test_layers_read_each_other_only_by_asset_names() -> None:
    layers = ("assets.content", "assets.events", "assets.derived")
    found = [
        (module_of(path), module)
        for path in FILES
        for layer in layers
        if under(module_of(path), layer)
        for module in imported(path)
        if under(module, *layers) and not under(module, layer)
    ]
    assert found == []


def test_sources_import_neither_dagster_nor_table_libraries() -> None:
    found = [(module_of(p), m) for p in FILES if under(module_of(p), "resources.sources") for m in imported(p)]
    table_imports = [pair for pair in found if under(pair[1], *LIBRARIES)]
    parquet = "resources.sources.readers.parquet_records"  # it imports PyArrow only when it reads a Parquet file
    assert {pair for pair in table_imports if pair[0] != parquet} == set()
    assert {module for _, module in table_imports} <= {"pyarrow", "pyarrow.parquet"}
    assert not [m for m in imported(MODULES[parquet], at_once=True) if under(m, *LIBRARIES)]


def test_the_scrobble_endpoint_imports_no_dagster_or_table_library() -> None:
    found = [
        (module_of(p), m) for p in FILES if under(module_of(p), "resources.scrobble_endpoint") for m in imported(p)
    ]
    assert found
    assert [pair for pair in found if under(pair[1], *LIBRARIES)] == []


def test_assets_import_no_engine_and_no_sandbox() -> None:
    engines = ("pandas", "polars", "duckdb", "dask", "distributed", "pyspark", "resources.engines")
    found = [(module_of(p), m) for p in FILES if under(module_of(p), "assets") for m in imported(p)]
    assert [pair for pair in found if under(pair[1], *engines, "resources.sandbox")] == []


def test_only_tests_import_the_truth_of_the_sandbox() -> None:
    assert [module_of(p) for p in FILES if "resources.sandbox.truth" in imported(p)] == []


def test_only_the_sandbox_imports_its_listeners() -> None:
    users = [module_of(p) for p in FILES if "resources.sandbox.listeners" in imported(p)]
    assert users
    assert [u for u in users if not under(u, "resources.sandbox")] == []


PRINTING = re.compile(r"print|(click\.)?(echo|secho)|sys\.(__)?(stdout|stderr)(__)?|(traceback\.)?print_exc")
# Modules that pass the streams to libraries, which `escaped_output` escapes.
WITH_STREAMS = {"orchestration.cli.commands", "resources.scrobble_endpoint.app", "resources.engines.workers"}


def test_only_one_module_prints_since_it_escapes_names() -> None:
    found = {
        (module_of(path), ast.unparse(node))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.Attribute) and PRINTING.fullmatch(ast.unparse(node))
    }
    assert {module for module, _ in found} - WITH_STREAMS == {"resources.terminal"}
    assert {text for _, text in found if text == "print" or "echo" in text} == {"print"}
    assert [module for module, text in found if text == "print"] == ["resources.terminal"]


def test_only_one_module_makes_markdown_since_it_escapes_names() -> None:
    made = {
        module_of(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(("MetadataValue.md", "MarkdownMetadataValue"))
    }
    assert made == {"resources.report.markdown"}


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
def test_the_linter_refuses_forbidden_imports(file: str, line: str) -> None:
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
def test_the_linter_allows_other_imports(file: str, line: str) -> None:
    assert "TID251" not in lint(file, line)


def lint(file: str, line: str) -> str:
    """Return the linter's output for a line in a file that does not exist."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", file, "-"]
    done = subprocess.run(command, input=f"{line}\n", cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout
