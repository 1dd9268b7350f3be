"""Commands: every line to type in the pages is one that works."""

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from orchestration.cli.commands import COMMANDS, tutti
from tests.docs.pages import PAGES, PROJECT, lines
from tests.orchestration.conftest import MUSIC
from tests.orchestration.support import Process, environ, table

LINES = list(dict.fromkeys(line for _, line in lines("sh")))
MAKE = [line for line in LINES if re.match(r"(?:TUTTI_\w+=\S+ )*make ", line)]
SCRIPT = [line for line in LINES if re.match(r"(?:TUTTI_\w+=\S+ )*\.venv/bin/tutti ", line)]
MODULES = [line for line in LINES if line.startswith(".venv/bin/python -m ")]
DAGSTER = [line for line in LINES if line.startswith(("dagster ", "dg "))]

RUN_BY = {
    "backfill": "tests/orchestration/cli/test_backfill.py",
    "erase": "tests/orchestration/privacy/test_erasure.py",
    "import": "tests/orchestration/test_commands.py",
    "maintenance": "tests/orchestration/jobs/test_maintenance.py",
    "mock-services": "tests/orchestration/jobs/test_pulls.py",
    "pull": "tests/orchestration/jobs/test_pulls.py",
    "pull-lyrics": "tests/orchestration/jobs/test_pull_lyrics.py",
    "pull-metadata": "tests/orchestration/jobs/test_pull_metadata.py",
    "serve-scrobbles": "tests/benchmarks/scrobble_endpoint.py",
    "ui": "tests/orchestration/test_ui.py",
}
"""Commands that tests elsewhere run at small size."""
TYPED_HERE = {
    "chart": "make chart DATA=data/demo",
    "analyze": "make analyze MUSIC=~/Music",
    "export": "make export LISTENER={listener}",
    "generate-listens": "make generate-listens LISTENS=2000 DATA=data/generated",
}
"""Commands that this module runs, through make, as the pages show them."""
NOT_RUN = {
    "make demo": "builds the tables of the small world, which tests/orchestration/conftest.py builds the same way",
    "make stream": "tests/orchestration/streaming/test_query.py runs the query without the terminal",
    "make test": "runs this test",
    "make test-fast": "runs this test",
    "make lint": "changes the code",
    "make clean": "removes the installation",
    "make help": "is one line of grep",
    "make docs": "changes the pages, which other tests compare with what it writes",
    "make screenshots": "needs Chromium and a minute of the web server",
    "make bench": "takes hours; tests/test_benchmarks.py runs its jobs at small size",
    "make chaos": "takes half an hour; tests/test_chaos.py kills a few",
    "make install-dask": "needs the network",
    "make install-s3": "needs the network",
    "make install-spark": "needs the network",
    "curl": "needs the running endpoint, whose tests send the same request",
    "tests.benchmarks": "takes minutes to hours",
    "tests.chaos": "takes half an hour",
    "pytest": "runs tests",
}
SHELL = (". .venv/bin/activate", "export ")


def command_of(line: str) -> str:
    """Return the command of a line for make: its target."""
    return next(word for word in shlex.split(line)[shlex.split(line).index("make") + 1 :] if "=" not in word)


def accepted(words: list[str]) -> None:
    """Parse the words after `tutti` as the command line does. Raises if it does not accept them."""
    name, *arguments = words
    command = tutti.get_command(click.Context(tutti), name)
    assert command, name
    if arguments != ["--help"]:
        command.make_context(name, arguments)


def expanded(line: str) -> list[str]:
    """Return the words that make would run for a line."""
    targets = ("-o", ".venv/base", "-o", ".venv/test")  # taken as installed
    done = subprocess.run(
        ["sh", "-c", f"make -n -s {shlex.join(targets)} {line[line.index('make ') + 5 :]}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout)


def test_every_line_is_of_a_kind_that_is_tested() -> None:
    known = {*MAKE, *SCRIPT, *MODULES, *DAGSTER}
    assert [each for each in LINES if each not in known and not each.startswith((*SHELL, "curl "))] == []


@pytest.mark.parametrize("line", MAKE)
def test_make_runs_a_command_that_accepts_its_options(line: str) -> None:
    words = expanded(line)
    if "orchestration" in words:
        accepted([word.replace("$LISTENER", "ada") for word in words[words.index("orchestration") + 1 :]])
    else:
        assert f"make {command_of(line)}" in NOT_RUN


@pytest.mark.parametrize("line", SCRIPT)
def test_the_script_accepts_its_options(line: str) -> None:
    words = shlex.split(line)
    arguments = words[words.index(".venv/bin/tutti") + 1 :]
    if arguments != ["--help"]:
        accepted(arguments)


@pytest.mark.parametrize("line", MODULES)
def test_modules_exist_and_have_the_options(line: str) -> None:
    module, *arguments = shlex.split(line)[2:]
    assert any(module.startswith(each) for each in NOT_RUN)
    found = importlib.util.find_spec(module)
    assert found
    if module == "pytest":
        assert [path for path in arguments if path.startswith("tests/") and not (PROJECT / path).exists()] == []
    elif options := [word for word in arguments if word.startswith("--")]:
        assert found.origin
        text = Path(found.origin).read_text()
        assert [option for option in options if f'"{option}"' not in text] == []


def test_modules_in_sentences_exist() -> None:
    named = {name for text in PAGES.values() for name in re.findall(r"python -m (tests[\w.]*\w)", text)}
    assert named
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []


def test_every_command_is_run_by_a_test_or_has_a_reason() -> None:
    reasons = {each.removeprefix("make ") for each in NOT_RUN}
    assert set(COMMANDS) - set(RUN_BY) - set(TYPED_HERE) - reasons == set()
    assert [
        command for command, path in RUN_BY.items() if not re.search(rf'"{command}"', (PROJECT / path).read_text())
    ] == []
    targets = {command_of(line) for line in MAKE}
    assert targets - set(RUN_BY) - set(TYPED_HERE) - reasons == set()


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Path]:
    """What the commands typed here leave behind, all in one folder."""
    listener = str(table(folder / "data" / "demo", "events/sessions")["user_id"][0])
    shutil.copytree(folder / "data" / "demo" / "music", folder / "Music")
    where = environ(folder / "data" / "demo", HOME=str(folder))
    for line in TYPED_HERE.values():
        typed = line.format(listener=shlex.quote(shlex.quote(listener)))
        done = subprocess.run(
            ["sh", "-c", typed], cwd=folder, env=where, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, f"{typed}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        assert done.stdout
    return {"demo": folder / "data" / "demo", "generated": folder / "data" / "generated"}


def test_commands_through_make_leave_what_the_pages_promise(made: dict[str, Path]) -> None:
    (export,) = (made["demo"] / "exports").iterdir()
    assert (export.suffix, export.stat().st_mode & 0o077) == (".zip", 0)
    assert len(table(made["demo"], "content/audio_features")) == len(MUSIC)
    assert len(table(made["generated"], "events/listens")) > 1000


@pytest.fixture(scope="module")
def typed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Process]:
    """Every command for Dagster, side by side, each on data of its own."""
    found = {}
    for line in DAGSTER:
        data = tmp_path_factory.mktemp("typed") / "data"
        shutil.copytree(folder / "data" / "demo", data)
        found[line] = Process(("sh", "-c", line), data)
    return found


@pytest.mark.parametrize("line", DAGSTER)
def test_commands_of_dagster_work(typed: dict[str, Process], line: str) -> None:
    typed[line].fine()


def test_both_commands_of_dagster_are_shown() -> None:
    assert {line.split()[0] for line in DAGSTER} == {"dagster", "dg"}
    assert "export TUTTI_DATA_DIR=$PWD/data/demo DAGSTER_HOME=$PWD/data/demo/dagster" in LINES
