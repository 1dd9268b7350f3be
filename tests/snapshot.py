"""The snapshot of the asset graph: every table with its columns, key, job, inputs and checks, as `docs/assets.md`.

`python -m tests.snapshot` (`make docs`) writes the page. Review what it changes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg

from assets.partitions import PERIODS
from assets.tables import SCHEMAS
from orchestration.cadence import Cadence
from orchestration.definitions import build
from resources.schema import key

PAGE = Path(__file__).resolve().parents[1] / "docs" / "assets.md"
RENEW = "python -m tests.snapshot"
HEAD = """# Assets

Every asset is one table. `make docs` writes this page from the declarations, and a test compares the two.

- The key identifies a row. A column is never null unless its type ends with `?`. 👤 marks columns about a person.
- A table without a job is written by each import, on the days of its records."""


def page(platform: dg.Definitions) -> str:
    """Return the page about a platform's tables."""
    return "\n".join([*_lines(platform), ""])


def _lines(platform: dg.Definitions) -> Iterator[str]:
    graph = platform.resolve_asset_graph()
    jobs = Cadence(graph).jobs
    specs = sorted(platform.resolve_all_asset_specs(), key=lambda spec: spec.key)
    yield HEAD
    yield from ("\n## Overview\n", "| table | description |", "|---|---|")
    for spec in specs:
        name = spec.key.to_user_string()
        yield f"| [`{name}`](#{_anchor(name)}) | {_description(spec)} |"
    for spec in specs:
        name = spec.key.to_user_string()
        checks = (check.name for check in graph.asset_check_keys if check.asset_key == spec.key)
        parents = (parent.to_user_string() for parent in graph.get(spec.key).parent_keys)
        period = next((p.name for p in PERIODS if p.partitions == spec.partitions_def), None)
        yield f"\n## {name}\n\n{_description(spec)}\n"
        facts = {
            "key": _code(key(spec.metadata)),
            "partitions": period,
            "job": _code(filter(None, [jobs.get(spec.key)])),
            "inputs": _code(sorted(parents)),
            "checks": _code(sorted(checks)),
        }
        yield from (f"- {title}: {fact}" for title, fact in facts.items() if fact)
        yield "\n| column | type | description |\n|---|---|---|"
        for field in SCHEMAS[name]:
            notes = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
            personal = " 👤" if "personal" in notes else ""
            comment = notes.get("comment", "").replace("|", "\\|")
            yield f"| `{field.name}`{personal} | {_type(str(field.type))}{'?' * field.nullable} | {comment} |"


def _anchor(heading: str) -> str:
    return heading.replace("/", "")


def _description(spec: dg.AssetSpec) -> str:
    """Return an asset's description without the example query, which names a folder of this machine."""
    return (spec.description or "").split("\n\n```")[0]


def _type(name: str) -> str:
    """Shorten the name of an Arrow type."""
    for arrow, short in TYPES.items():
        name = name.replace(arrow, short)
    return name


TYPES = {
    "timestamp[us, tz=UTC]": "timestamp",
    "date32[day]": "date",
    "list<item: ": "list<",
    "list<element: ": "list<",
}


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(build("laptop")))
