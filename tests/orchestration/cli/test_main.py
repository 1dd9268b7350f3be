"""The command line as a whole: every command, its help, and the script `tutti`."""

import sys
import tomllib
from importlib import import_module

import click
import pytest

from orchestration.cli.commands import COMMANDS, tutti
from orchestration.cli.main import main
from tests.orchestration.support import PROJECT


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command line, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["tutti", *arguments])
    return main()


def test_the_script_is_the_command_line() -> None:
    script = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"]["tutti"]
    module, name = script.split(":")
    assert getattr(import_module(module), name) is main


def test_help_describes_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split(maxsplit=1)[1:] for line in out.splitlines() if line.strip()}
    assert [name for name in COMMANDS if not lines.get(name)] == []
    assert "..." not in out.split("Commands:")[1]  # no help is truncated


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_describes_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = tutti.get_command(click.Context(tutti), name)
    assert command
    assert command.name == name
    assert [p.name for p in command.params if isinstance(p, click.Option) and not p.help] == []
    assert exit_code(monkeypatch, name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: tutti {name} ")


@pytest.mark.parametrize("arguments", [("chrat",), ("chart", "--color"), ("generate-listens",), ("backfill", "now")])
def test_refuses_unknown_words_in_one_line(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tutti: ")
    assert err.count("\n") == 1
