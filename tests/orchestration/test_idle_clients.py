"""Idle and slow clients of the scrobble endpoint: they do not keep others out, with 1,024 file descriptors."""

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest

from resources.scrobble_endpoint.connection import REST_S, WAIT_S
from resources.scrobble_endpoint.submission import MAX_BODY_BYTES
from tests.benchmarks.scrobble_endpoint import TOKEN, Server, landed, request

DESCRIPTORS, CLIENTS = 1_024, 1_100
SUBMIT = f"POST /1/submit-listens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\n"

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """Set the number of file descriptors of this process, and of processes that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < soft:
        pytest.skip(f"needs {soft} file descriptors: `ulimit -Hn` is {before[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idle") / "data"


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Server]:
    with descriptors(DESCRIPTORS):
        started = Server(data)
    with descriptors(4 * CLIENTS):
        yield started
    started.process.send_signal(signal.SIGTERM)
    _, errors = started.process.communicate(timeout=60)
    assert started.process.returncode == 128 + signal.SIGTERM
    assert errors.count("\n") == 1, errors  # how to start it again


def sends(text: str, then: str = "", pause_s: float = 0.5) -> Client:
    """Return a client that sends a text, then another one again and again, and never reads."""

    async def client(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.encode())
        while then and not writer.is_closing():
            await asyncio.sleep(pause_s)
            writer.write(then.encode())

    return client


SLOW = {
    "silent": sends(""),
    "idle after a response": sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "part of a header": sends("GET /1/validate-token HTT"),
    "header byte by byte": sends("GET / HTTP/1.1\r\nX-Slow: ", "x"),
    "part of a body": sends(f"{SUBMIT}Content-Length: 1000\r\n\r\n{{"),
    "body byte by byte": sends(f"{SUBMIT}Content-Length: 100000\r\n\r\n", " "),
    "body of a refused request": sends(
        "POST /1/submit-listens HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", " "
    ),
    "never reads": sends(*2 * ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10], pause_s=5),
    "pipelines": sends("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_000),
}


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection that receives little before it is read from."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=client, limit=1_000)


async def crowd(port: int, kinds: list[Client], during: Callable[[], object]) -> None:
    """Keep `CLIENTS` connections of these kinds to a server, and replace those that end, while `during` runs."""

    async def stay(kind: Client) -> None:
        while True:
            writer = None
            try:
                reader, writer = await connect(port)
                await kind(reader, writer)  # type: ignore[misc]
                await writer.wait_closed() if writer.is_closing() else await reader.read(1)
                await asyncio.sleep(5)
            except OSError:
                await asyncio.sleep(5)
            finally:
                if writer:
                    writer.transport.abort()

    clients = [asyncio.create_task(stay(kinds[n % len(kinds)])) for n in range(CLIENTS)]
    await asyncio.sleep(3)
    try:
        await during()  # type: ignore[misc]
    finally:
        for each in clients:
            each.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


@pytest.mark.parametrize("kind", [*SLOW, "all of them"])
def test_others_get_answers_beside_idle_and_slow_clients(kind: str, server: Server, data: Path) -> None:
    first = 1_000 * [*SLOW, "all of them"].index(kind) + 1
    acknowledged, refused, waits = [], [], []

    async def submit_on_new_connections() -> None:
        for number in range(first, first + 50):
            began = time.monotonic()
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(request(number))
                line = await asyncio.wait_for(reader.readline(), 10)
                writer.close()
            except (OSError, TimeoutError) as error:
                line = type(error).__name__.encode()
            (acknowledged if line.startswith(b"HTTP/1.1 200") else refused).append((number, line))
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.02)

    kinds = list(SLOW.values()) if kind == "all of them" else [SLOW[kind]]
    asyncio.run(crowd(server.port, kinds, submit_on_new_connections))
    assert refused == []
    assert sorted(waits)[len(waits) // 2] < WAIT_S / 2
    stored = landed(data, hidden=True)
    assert [number for number, _ in acknowledged if stored[number] != 1] == []


ENDING = [name for name in SLOW if name not in ("body byte by byte", "never reads", "pipelines")]


def test_connections_of_idle_and_slow_clients_end_after_seconds(server: Server) -> None:
    async def duration(kind: str) -> float:
        began = time.monotonic()
        reader, writer = await connect(server.port)
        sending = asyncio.create_task(SLOW[kind](reader, writer))  # type: ignore[arg-type]
        with suppress(OSError):
            while await reader.read(100):
                pass
        sending.cancel()
        writer.transport.abort()
        return time.monotonic() - began

    async def does_not_read() -> float:
        _, writer = await connect(server.port)
        began = time.monotonic()
        while not writer.transport.is_closing():
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
            blocked = writer.transport.get_write_buffer_size() > 100_000
            began = began if blocked else time.monotonic()
            await asyncio.sleep(0.3 if blocked else 0.002)
        return time.monotonic() - began

    async def durations() -> list[float]:
        return await asyncio.wait_for(asyncio.gather(does_not_read(), *map(duration, ENDING)), 120)

    blocked, *seconds = asyncio.run(durations())
    assert blocked < 2 * WAIT_S + 5
    limits = {"body of a refused request": REST_S + 10}
    late = [(kind, s) for kind, s in zip(ENDING, seconds, strict=True) if s > limits.get(kind, 2 * WAIT_S + 5)]
    assert late == []
    assert min(seconds) > WAIT_S - 1


def test_a_body_over_the_limit_gets_413_and_no_reset(server: Server) -> None:
    async def answer(connection: str, length: int, chunked: bool) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        kind = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
        writer.write(f"{SUBMIT}Connection: {connection}\r\n{kind}\r\n\r\n".encode())
        for _ in range(0, length, 65_536):
            writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n" if chunked else b" " * 65_536)
            await writer.drain()
        await asyncio.sleep(0.5)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return head

    for shape in product(["keep-alive", "close"], [MAX_BODY_BYTES + 1, 5 * MAX_BODY_BYTES], [False, True]):
        head = asyncio.run(answer(*shape))
        assert head.startswith(b"HTTP/1.1 413 "), shape
        assert b"connection: close" in head.lower()
