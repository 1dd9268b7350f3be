"""Names: the pages have every name that users can type or see, and no other."""

import ast
import re

import pytest

from orchestration.cli.commands import COMMANDS
from resources.engines.resource import EngineResource
from resources.environments import ENVIRONMENTS
from resources.scrobble_endpoint import app, server
from resources.services import lastfm, listenbrainz, lrclib, musicbrainz
from tests.docs.pages import BLOCK, PAGES, PROJECT, anchors
from tests.orchestration.support import platform
from tests.snapshot import page

README_LINES, PICTURE_BYTES = 150, 300_000  # at most
MAKEFILE = (PROJECT / "Makefile").read_text()
TARGETS = sorted(set(re.findall(r"^([a-z0-9-]+):.*##", MAKEFILE, re.MULTILINE)))
VARIABLE = re.compile(r"\bTUTTI_[A-Z][A-Z_]*[A-Z]\b")
TEXTS = [MAKEFILE]  # of code that reads or names variables
for path in (path for package in ("orchestration", "resources") for path in (PROJECT / package).rglob("*.py")):
    nodes = ast.walk(ast.parse(path.read_text()))
    TEXTS += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
VARIABLES = sorted({name for text in TEXTS for name in VARIABLE.findall(text)})
FOR_TESTS = {"TUTTI_SAMPLES"}
ALL = "\n".join(PAGES.values())
WRITTEN = "\n".join(text for path, text in PAGES.items() if path != "docs/assets.md")  # by people
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
CONFIGURATION = PAGES["docs/configuration.md"]


def named(kind: str) -> set[str]:
    """Return the names that the pages give to things of a kind: "sensor `x`"."""
    return set(re.findall(rf"\b{kind}s? `(\w+)`", WRITTEN))


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= README_LINES


def test_pictures_are_small() -> None:
    pictures = list((PROJECT / "docs" / "images").iterdir())
    assert [p.name for p in pictures if p.stat().st_size > PICTURE_BYTES] == []
    assert [p.name for p in pictures if f"images/{p.name}" not in ALL] == []


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path: str) -> None:
    broken = []
    for target, anchor in LINK.findall(PAGES[path]):
        to = (PROJECT / path).parent / target if target else PROJECT / path
        known = PAGES.get(str(to.resolve().relative_to(PROJECT)))
        if not to.exists() or (anchor and (known is None or anchor not in anchors(known))):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target for target, _ in LINK.findall(PAGES["README.md"])}
    assert {path for path in PAGES if path != "README.md"} - linked == set()


def test_every_make_target_is_in_the_pages_and_every_named_one_exists() -> None:
    typed = set(re.findall(r"(?:`|^|\s)make ([a-z][a-z0-9-]*)(?=[ `\n])", "\n".join(_code(ALL)), re.MULTILINE))
    assert typed == set(TARGETS)


def test_every_command_is_in_the_pages() -> None:
    typed = set(re.findall(r"\b(?:make|tutti) ([a-z-]+)", ALL))
    assert set(COMMANDS) <= typed


def test_every_job_sensor_and_schedule_is_in_the_pages_and_no_other() -> None:
    repository = platform().get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    sensors, schedules = ({d.name for d in found} for found in (repository.sensor_defs, repository.schedule_defs))
    assert named("sensor") == sensors
    assert named("schedule") == schedules
    names = set(re.findall(r"`(\w+)`", PAGES["docs/operations.md"]))
    assert jobs <= names


def test_every_table_that_the_pages_name_exists() -> None:
    keys = {key.to_user_string() for key in platform().resolve_asset_graph().get_all_asset_keys()}
    found = set(re.findall(r"\b((?:content|derived|events)/[a-z_]+)\b", WRITTEN))
    examples = {f"derived/{name}" for name in ("long_listens", "long_listens_month", "long_listeners")}
    assert found - keys - examples == set()


def test_every_check_is_explained() -> None:
    checks = {key.name for key in platform().resolve_asset_graph().asset_check_keys}
    explained = set(re.findall(r"`(\w+)`", PAGES["docs/concepts.md"]))
    assert checks - explained == set()


def test_the_page_of_assets_is_what_they_declare() -> None:
    assert page(platform()).splitlines() == PAGES["docs/assets.md"].splitlines(), "run `make docs`"


def test_paths_in_the_pages_exist() -> None:
    found = set(re.findall(r"`((?:assets|docs|orchestration|resources|tests)/[\w/.]*)`", WRITTEN))
    missing = [path for path in sorted(found) if not (PROJECT / path).exists()]
    extending = PAGES["docs/extending.md"]
    assert [path for path in missing if f"`{path}`" not in extending and f"# {path}" not in extending] == []


def test_every_variable_is_configured_on_one_page_and_every_named_one_exists() -> None:
    listed = re.findall(r"^\| `(TUTTI_\w+)`", CONFIGURATION, re.MULTILINE)
    assert sorted(listed) == VARIABLES
    assert set(VARIABLE.findall(ALL)) - FOR_TESTS == set(VARIABLES)


@pytest.mark.parametrize(
    ("variable", "default"),
    [
        ("TUTTI_ENV", "laptop"),
        ("TUTTI_LISTENBRAINZ_URL", listenbrainz.URL),
        ("TUTTI_LASTFM_URL", lastfm.URL),
        ("TUTTI_MUSICBRAINZ_URL", musicbrainz.URL),
        ("TUTTI_LRCLIB_URL", lrclib.URL),
        ("TUTTI_SCROBBLE_PORT", str(server.PORT)),
        ("TUTTI_SCROBBLE_RATE_LIMIT", str(app.REQUESTS)),
    ],
)
def test_defaults_are_those_of_the_code(variable: str, default: str) -> None:
    (found,) = re.findall(rf"^\| `{variable}` \| `?([^|`]+)`? \|", CONFIGURATION, re.MULTILINE)
    assert found.strip() == default


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_each_environment_is_listed_with_its_engine(name: str) -> None:
    (engine,) = re.findall(rf"^\| `{name}`[^|]*\| (\w+)", PAGES["docs/engines.md"], re.MULTILINE)
    assert engine.lower() == ENVIRONMENTS[name]().name.value


def test_engine_settings_are_listed() -> None:
    listed = re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \|$", PAGES["docs/engines.md"], re.MULTILINE)
    assert set(listed) == set(EngineResource.model_fields)


def _code(text: str) -> list[str]:
    """Return the code of pages: blocks and inline."""
    return [*(block for _, block in BLOCK.findall(text)), *(f"`{c}`" for c in re.findall(r"`([^`\n]+)`", text))]
