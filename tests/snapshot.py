"""The snapshot of the asset graph: every table with its key, job, parents and checks, as the page `docs/tables.md`.

`python -m tests.snapshot` renews the page. What changed in it is for people to review.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg

from orchestration.cadence import Cadence
from orchestration.definitions import build
from resources.schema import key

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tables.md"
RENEW = "python -m tests.snapshot"
HEAD = f"""# Tables

What each table declares. `{RENEW}` writes this page, and a test compares the two.
A table without a job is written by each import, on the days of its records."""
COLUMNS = ("table", "description", "key", "job", "made of", "checks")


def page(platform: dg.Definitions) -> str:
    """Return the page about a platform's tables."""
    return "\n".join([*_lines(platform), ""])


def _lines(platform: dg.Definitions) -> Iterator[str]:
    graph, layer = platform.resolve_asset_graph(), ""
    jobs = Cadence(graph).jobs
    yield HEAD
    for spec in sorted(platform.resolve_all_asset_specs(), key=lambda spec: spec.key):
        if spec.group_name != layer:
            yield f"\n## {spec.group_name}\n\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"
            layer = spec.group_name or ""
        checks = (check.name for check in graph.asset_check_keys if check.asset_key == spec.key)
        parents = (parent.to_user_string() for parent in graph.get(spec.key).parent_keys)
        cells = (
            f"`{spec.key.to_user_string()}`",
            spec.description or "",
            _code(key(spec.metadata)),
            _code(filter(None, [jobs.get(spec.key)])),
            _code(sorted(parents)),
            _code(sorted(checks)),
        )
        yield f"| {' | '.join(cells)} |"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(build("laptop")))
