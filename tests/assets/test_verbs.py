"""Assets use only the Narwhals verbs that have the same meaning on every engine.

Each of the other verbs failed on one engine or, worse, gave different rows.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "assets"
FRAMES = {"select", "filter", "with_columns", "rename", "drop", "join", "group_by", "agg", "unique"}
EXPRESSIONS = {"col", "lit", "len", "when", "then", "otherwise", "any_horizontal", "all_horizontal", "alias", "cast"}
VALUES = {"is_null", "fill_null", "is_in", "is_between", "sum", "min", "max", "n_unique", "truncate"}
ORDERED = {"shift", "cum_sum", "cum_max"}
WINDOWS = ORDERED | {"rank", "over"}
WINDOWED = "windowed"  # the function of resources/frames for ordered windows
TYPES = {"String", "Int64", "Float64", "Boolean", "Date"}
PYTHON = {"items"}
ALLOWED = FRAMES | EXPRESSIONS | VALUES | WINDOWS | TYPES | PYTHON
JOINS = {"inner", "left", "semi", "anti"}


def complaints(source: str) -> Iterator[str]:
    """Yield the problems of the Narwhals functions in a module."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and _on_rows(function):
            ordered = _ordered(function)
            for node in ast.walk(function):
                if complaint := _complaint(node, node in ordered):
                    yield f"line {getattr(node, 'lineno', '?')}: {complaint}"


def _on_rows(function: ast.FunctionDef) -> bool:
    """Return whether a function gets rows or builds an expression over them."""
    returned = ast.unparse(function.returns) if function.returns else ""
    return "LazyFrame" in ast.unparse(function.args) or returned.endswith("Expr")


def _complaint(node: ast.AST, ordered: bool) -> str | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return "% is missing on some engines"
    if isinstance(node, ast.Attribute) and node.attr in ("str", "list", "struct"):
        return f".{node.attr} differs by engine: use an arrow function"
    verb, arguments = _verb(node), _arguments(node)
    if verb is None:
        return None
    if verb not in ALLOWED:
        return f"{verb} does not have the same meaning on every engine"
    if verb in ORDERED and not ordered:
        return f"{verb} needs an order: compute it in {WINDOWED}"
    if verb in ORDERED and not _is_column(node):
        return f"ordered {verb} needs an existing column: pandas uses the stored order for an expression"
    if verb == "rank" and ordered:
        return "ordered rank is missing on SQL engines: number rows by a running sum"
    if verb == "over" and "order_by" in arguments:
        return f"ordered over makes pandas sort for each column: compute it in {WINDOWED}"
    if verb == "join" and ast.literal_eval(arguments.get("how", ast.Constant("inner"))) not in JOINS:
        return "join must be inner, left, semi or anti"
    if verb == "unique" and ("order_by" in arguments) != ("keep" in arguments):
        return "unique needs an order to choose the row to keep"
    if verb == "unique" and isinstance(arguments.get("order_by"), ast.Constant):
        return "unique needs its order as a list"
    return None


def _ordered(function: ast.FunctionDef) -> set[ast.AST]:
    """Return the nodes in calls of `windowed`."""
    calls = (n for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name))
    return {n for call in calls if ast.unparse(call.func) == WINDOWED for n in ast.walk(call)}


def _verb(node: ast.AST) -> str | None:
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None


def _is_column(node: ast.AST) -> bool:
    """Return whether a method is called on a column, or on a named expression."""
    on = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    return isinstance(on, ast.Name) or (on is not None and _verb(on) == "col")


def _arguments(node: ast.AST) -> dict[str | None, ast.expr]:
    return {k.arg: k.value for k in node.keywords} if isinstance(node, ast.Call) else {}


@pytest.mark.parametrize("path", sorted(ASSETS.rglob("*.py")), ids=lambda p: str(p.relative_to(ASSETS)))
def test_assets_use_verbs_with_the_same_meaning_on_every_engine(path: Path) -> None:
    assert list(complaints(path.read_text())) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "rows.with_columns(r=nw.col('a').rank('min').over('b', order_by=['c']))",
        "windowed(rows, ['b'], ['c'], r=nw.col('a').rank('min'))",
        "rows.with_columns(nw.col('a').shift(1).over('b', order_by='c'))",
        "rows.group_by('a').agg(nw.col('b').first())",
        "rows.group_by('a').agg(nw.col('b').last())",
        "rows.join_asof(rows, on='a')",
        "rows.join(rows, on='a', how='full')",
        "rows.unpivot('a')",
        "rows.explode('a')",
        "rows.filter(nw.col('a').str.contains('b'))",
        "rows.with_columns(nw.col('a') % 2)",
        "rows.with_columns(nw.col('a').dt.timestamp('ms'))",
        "rows.with_columns(nw.col('a').dt.total_minutes())",
        "rows.with_columns(nw.col('a').shift(1).over('b'))",
        "rows.with_columns(nw.col('a').cum_sum())",
        "windowed(rows, ['b'], ['c'], r=nw.when(nw.col('a')).then(1).cum_sum())",
        "rows.unique(['a'], keep='first')",
        "rows.unique(['a'], keep='first', order_by='b')",
    ],
)
def test_verbs_that_differ_by_engine_are_reported(wrong: str) -> None:
    assert list(complaints(f"def f(rows: nw.LazyFrame) -> nw.LazyFrame:\n    return {wrong}\n"))


def test_verbs_with_the_same_meaning_are_allowed() -> None:
    right = "windowed(rows, ['b'], ['c'], r=nw.col('a').shift(1)).with_columns(s=nw.col('a').rank('min').over('b'))"
    assert list(complaints(f"def f(rows: nw.LazyFrame) -> nw.LazyFrame:\n    return {right}\n")) == []
