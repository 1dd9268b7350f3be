"""Load the scrobble endpoint: `python -m tests.benchmarks.scrobble_endpoint [--kills N]`.

The benchmark starts an endpoint on a new folder, sends single listens over fifty connections, and prints requests per
second and latencies. With `--kills`, it first kills the endpoint (kill -9) under load that many times. Every
acknowledged listen must then be in the landing folder exactly once, and every line complete.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from resources.scrobble_endpoint.server import FOLDER

PROJECT = Path(__file__).parents[2]
CONNECTIONS = 50
FIRST = 1_700_000_000
TOKEN = "a-token-of-the-benchmark"


class Server:
    """A scrobble endpoint in a child process, on a free port."""

    def __init__(self, data: Path, **variables: str) -> None:
        settings = {"TUTTI_DATA_DIR": str(data), "TUTTI_SCROBBLE_TOKENS": f"ada:{TOKEN}", "TUTTI_SCROBBLE_PORT": "0"}
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TUTTI_", "DAGSTER_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "orchestration", "serve-scrobbles"],
            cwd=PROJECT,
            env=environment | settings | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.output.append(line)
            if line.startswith("http://"):
                break
        else:
            raise RuntimeError(self.process.stderr.read() if self.process.stderr else "")
        self.url = self.output[-1].split()[0]
        self.port = int(self.url.rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the process to end and return its exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode


def request(number: int) -> bytes:
    """Return the HTTP request of a single listen whose timestamp encodes its number."""
    info = {"submission_client": "benchmark", "duration_ms": 215_000, "recording_mbid": f"{number:032x}", "isrc": "x"}
    metadata = {"artist_name": f"Artist {number % 997}", "track_name": f"Track {number}", "additional_info": info}
    listen = {"listened_at": FIRST + number, "track_metadata": metadata}
    body = json.dumps({"listen_type": "single", "payload": [listen]}).encode()
    head = f"POST /1/submit-listens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Load:
    """Clients that send one listen after the other, each waiting for the response before the next."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.seconds: list[float] = []
        self.other: Counter[str] = Counter()
        self._next = 0

    async def client(self, port: int, until: float) -> None:
        """Send listens over one connection until a time or until the server closes it."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while time.monotonic() < until:
                self._next += 1
                number, began = self._next, time.monotonic()
                writer.write(request(number))
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-l"))
                await reader.readexactly(length)
                if head.startswith(b"HTTP/1.1 200"):
                    self.acknowledged.append(number)
                    self.seconds.append(time.monotonic() - began)
                else:
                    self.other[head.split(b"\r\n")[0].decode()] += 1
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            self.other["connection lost"] += 1

    async def run(self, port: int, seconds: float, connections: int = CONNECTIONS) -> None:
        """Send listens over all connections for some seconds or until the server stops."""
        until = time.monotonic() + seconds
        await asyncio.gather(*(self.client(port, until) for _ in range(connections)))


def landed(data: Path, *, hidden: bool = False) -> Counter[int]:
    """Count each number in the landing folder. Raise AssertionError if a line is incomplete."""
    counts: Counter[int] = Counter()
    for path in (data / FOLDER).glob("*.jsonl"):
        if path.name.startswith(".") and not hidden:
            continue
        for line in path.read_bytes().splitlines(keepends=True):
            assert line.endswith(b"\n"), path
            counts[json.loads(line)["listened_at"] - FIRST] += 1
    return counts


async def kill_under_load(server: Server, load: Load, seconds: float) -> None:
    """Send listens and kill the server some seconds after the first response."""
    before = len(load.acknowledged)
    running = asyncio.create_task(load.run(server.port, 600))
    while len(load.acknowledged) == before:
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    server.process.kill()
    server.process.communicate()
    await running


def faults(load: Load, data: Path) -> list[str]:
    """Return what is wrong with the landing folder after a load: lost and duplicate listens, and hidden files."""
    counts, acknowledged = landed(data), set(load.acknowledged)
    lost = [n for n in acknowledged if not counts[n]]
    twice = [n for n, times in counts.items() if times > 1]
    hidden = [p.name for p in (data / FOLDER).glob(".*.jsonl")]
    return [f"lost: {lost[:5]} of {len(lost)}"] * bool(lost) + [f"duplicate: {twice[:5]}"] * bool(twice) + hidden


def main() -> int:
    """Print the figures. Return 1 if a listen was lost, duplicated or incomplete."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15, help="duration of the load (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=0, help="kills before it (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=PROJECT) as folder:  # /tmp may be in memory
        data, load = Path(folder), Load()
        for _ in range(options.kills):
            asyncio.run(kill_under_load(Server(data), load, 1.5))
        server = Server(data)
        began, before = time.monotonic(), len(load.acknowledged)
        asyncio.run(load.run(server.port, options.seconds))
        rate = (len(load.acknowledged) - before) / (time.monotonic() - began)
        code = server.end()
        times = sorted(load.seconds[before:])
        median, slowest = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
        print(
            f"{rate:,.0f} requests/s over {CONNECTIONS} connections, p50 {median:.1f} ms, p99 {slowest:.1f} ms; ",
            end="",
        )
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; server exit code {code}")
        wrong = faults(load, data)
        print(
            f"{len(load.acknowledged):,} acknowledged, {options.kills} kills, faults: {wrong or 'none'}",
            dict(load.other),
        )
    return bool(wrong or code)


if __name__ == "__main__":
    sys.exit(main())
