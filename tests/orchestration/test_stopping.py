"""Ctrl-C and SIGTERM: every command stops soon, with one line that says how to go on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fork_server import PROJECT
from tests.orchestration.support import environ, free_port, rows, rows_by_table

pytestmark = [pytest.mark.slow, pytest.mark.process]
LIMIT_S = 10.0
START_S = 240
TUTTI = (sys.executable, "-S", "-m", "orchestration")  # as `make` starts it
DAYS = 4 * 365


class Command:
    """A command in a process group of its own, as a terminal starts it."""

    def __init__(self, arguments: Sequence[str], data: Path, **variables: str) -> None:
        self.log = data.parent / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*TUTTI, *arguments],
                cwd=PROJECT,
                env=environ(data, **variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def await_line(self, text: str) -> None:
        """Wait until the command has printed a text."""
        until = time.monotonic() + START_S
        while text not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def stop(self, number: int, group: bool) -> str:
        """Send a signal. Assert that the command ends in time as it should, and return what it printed."""
        sent = time.monotonic()
        (os.killpg if group else os.kill)(self.process.pid, number)
        code = self.process.wait(60)
        seconds, printed = time.monotonic() - sent, self.log.read_text()
        assert code == 128 + number, printed
        assert seconds < LIMIT_S, printed
        assert "Traceback" not in printed and "KeyboardInterrupt" not in printed, printed
        assert printed.splitlines()[-1].startswith("tutti: stopped. To "), printed
        return printed


@pytest.mark.parametrize("after_s", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_stops_while_it_imports_modules(after_s: float, number: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    command = Command(("import", "--listener", "ada", "--", str(tmp_path)), data)
    time.sleep(after_s)
    if command.process.poll() is None:
        assert f"tutti import --listener ada -- {tmp_path}" in command.stop(number, group=True)


def exported(folder: Path) -> Path:
    """Write a listen of each day of four years, which take a run each."""
    records = [
        {
            "ts": f"{datetime(2015, 1, 1, 12) + timedelta(days=n):%Y-%m-%dT%H:%M:%SZ}",
            "ms_played": 200_000,
            "master_metadata_track_name": f"Track {n % 7}",
            "master_metadata_album_artist_name": f"Artist {n % 3}",
        }
        for n in range(DAYS)
    ]
    (folder / "endsong_0.json").write_text(json.dumps(records))
    return folder / "endsong_0.json"


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_an_import_of_years_stops_at_once_and_resumes(number: int, group: bool, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    arguments = ("import", "--listener", "ada", "--", str(exported(tmp_path)))
    command = Command(arguments, data)
    command.await_line("(run 2 of ")
    printed = command.stop(number, group)
    assert "(run 4 of" not in printed
    assert " duplicates" not in printed and "not built yet" in printed
    rows_by_table(data)  # reads every table
    resumed = Command(arguments, data)
    assert resumed.process.wait(START_S) == 0, resumed.log.read_text()
    assert len(rows(data, "events/listens")) == len(rows(data, "events/raw_listens")) == DAYS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_web_ui_stops_with_all_its_processes(number: int, tmp_path: Path) -> None:
    data, port = tmp_path / "data", str(free_port())
    data.mkdir()
    command = Command(("ui", "--port", port), data)
    command.await_line(" shows ")
    command.stop(number, group=True)
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert [line for line in listing.splitlines() if str(tmp_path) in line or f"-p {port}" in line] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("service", ["serve-scrobbles", "mock-services"])
def test_a_service_stops(service: str, number: int, tmp_path: Path) -> None:
    data, port = tmp_path / "data", str(free_port())
    data.mkdir()
    arguments = (service,) if service == "serve-scrobbles" else (service, "--port", port)
    command = Command(arguments, data, TUTTI_SCROBBLE_TOKENS="ada:secret", TUTTI_SCROBBLE_PORT=port)
    command.await_line("Ctrl-C")
    command.stop(number, group=True)
