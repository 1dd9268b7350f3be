"""`tutti serve-scrobbles`: listens of scrobblers reach the lake, through kills and restarts."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import liblistenbrainz
import pytest
import requests
from liblistenbrainz import errors

from resources.folders.landing import Landing
from resources.scrobble_endpoint.server import FOLDER
from tests.benchmarks.scrobble_endpoint import FIRST, TOKEN, Load, Server, faults, kill_under_load
from tests.orchestration.support import TUTTI, Process, rows

RECORDING, ARTIST = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0", "20ddea3a-1ad2-4036-9ca7-5f3383ad31c1"
IMPORT = """
from orchestration.instance.home import dagster_home
dagster_home()
from orchestration.cli.runner import Runner
Runner().run("import_listens", config={"imports": {"config": {}}})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    data = tmp_path_factory.mktemp("scrobble") / "data"
    started = Server(data)
    yield started, data
    started.process.kill()
    started.process.communicate()


def client(server: Server, token: str = TOKEN) -> liblistenbrainz.ListenBrainz:
    """Return the real client for the server."""
    listenbrainz = liblistenbrainz.ListenBrainz(server.url)
    listenbrainz.set_auth_token(token)
    return listenbrainz


def listen(number: int, **more: object) -> liblistenbrainz.Listen:
    return liblistenbrainz.Listen(f"Song {number}", "Ärtist", FIRST + number, **more)


def test_listens_of_the_real_client_are_in_the_lake(tmp_path: Path) -> None:
    server = Server(tmp_path)
    ada = client(server)
    info = {"duration_played": 95, "submission_client": "liblistenbrainz", "time_zone": "Europe/Vienna"}
    full = {"release_name": "Album", "recording_mbid": RECORDING, "artist_mbids": [ARTIST], "isrc": "GBAYE0601498"}
    assert ada.submit_single_listen(listen(1, **full, additional_info=info)) == {"status": "ok"}
    assert ada.submit_multiple_listens([listen(n) for n in range(2, 52)]) == {"status": "ok"}
    assert ada.submit_playing_now(liblistenbrainz.Listen("Now", "Ärtist")) == {"status": "ok"}
    assert ada.get_playing_now("ada").track_name == "Now"
    assert ada.remaining_requests and ada.remaining_requests > 0
    assert server.end() == 128 + signal.SIGTERM
    Process((sys.executable, "-c", IMPORT), tmp_path).fine()
    found = sorted(rows(tmp_path, "events/raw_listens"), key=lambda row: row["listened_at"])
    assert [row["recording_name"] for row in found] == [f"Song {n}" for n in range(1, 52)]
    assert {(row["user_id"], row["artist_name"], row["source"]) for row in found} == {("ada", "Ärtist", "scrobble")}
    expected = full | {"listened_at": datetime.fromtimestamp(FIRST + 1, UTC), "ms_played": 95_000}
    assert expected.items() <= found[0].items()
    assert found[0]["time_zone"] == "Europe/Vienna"


def test_the_real_client_gets_errors(server: tuple[Server, Path]) -> None:
    with pytest.raises(errors.InvalidAuthTokenException):
        client(server[0], "wrong")
    stranger = liblistenbrainz.ListenBrainz(server[0].url)
    stranger.set_auth_token("wrong", check_validity=False)
    with pytest.raises(errors.ListenBrainzAPIException) as refused:
        stranger.submit_single_listen(listen(1))
    assert (refused.value.status_code, refused.value.message) == (401, "Invalid authorization token.")
    with pytest.raises(errors.ListenBrainzAPIException) as refused:
        client(server[0]).submit_single_listen(listen(1, tags=["t" * 65]))
    assert refused.value.status_code == 400


def test_a_listen_lands_within_seconds_without_ip_agent_or_token(
    server: tuple[Server, Path],
) -> None:
    serving, data = server
    headers = {"Authorization": f"Token {TOKEN}", "User-Agent": "PlantedAgent/1.0", "X-Forwarded-For": "203.0.113.77"}
    info = {"ip_addr": "203.0.113.77", "user_agent": "PlantedAgent/1.0", "submission_client": "mpd"}
    metadata = {"artist_name": "A", "track_name": "Seen", "additional_info": info}
    body = {"listen_type": "single", "payload": [{"listened_at": FIRST, "track_metadata": metadata}]}
    assert requests.post(f"{serving.url}/1/submit-listens", json=body, headers=headers, timeout=60).status_code == 200
    requests.get(f"{serving.url}/1/validate-token?token={TOKEN}", headers=headers, timeout=60)
    until = time.monotonic() + 30
    while not any("Seen" in p.read_text() for p in (data / FOLDER).glob("[!.]*.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.1)
    everything = b"".join(p.read_bytes() + str(p).encode() for p in data.rglob("*") if p.is_file())
    assert b"Seen" in everything and b"mpd" in everything
    assert [word for word in (b"203.0.113.77", b"PlantedAgent", TOKEN.encode()) if word in everything] == []


@pytest.mark.parametrize("signalled", ["SIGTERM", "SIGINT"])
def test_a_stopped_server_completes_requests_and_says_how_to_start(tmp_path: Path, signalled: str) -> None:
    server, load = Server(tmp_path), Load()

    async def play() -> None:
        running = asyncio.create_task(load.run(server.port, 30, connections=5))
        while len(load.acknowledged) < 20:
            await asyncio.sleep(0.01)
        server.process.send_signal(getattr(signal, signalled))
        await running

    asyncio.run(play())
    out, err = server.process.communicate(timeout=60)
    assert server.process.returncode == 128 + getattr(signal, signalled)
    assert out == ""
    assert err.startswith("tutti: stopped. To start again") and err.count("\n") == 1
    assert faults(load, tmp_path) == []


def test_kills_under_load_lose_and_duplicate_no_acknowledged_listen(tmp_path: Path) -> None:
    load, output = Load(), []
    for _ in range(3):
        server = Server(tmp_path)
        output += server.output
        asyncio.run(kill_under_load(server, load, random.uniform(0, 1)))
    server = Server(tmp_path)
    output += server.output
    assert len(load.acknowledged) >= 3
    assert faults(load, tmp_path) == []
    assert any("recovered" in line and "killed" in line for line in output)
    assert server.end() == 128 + signal.SIGTERM


def test_acknowledged_listens_reach_a_bucket_once_through_kills(tmp_path: Path, bucket: str) -> None:
    load, landing = Load(), Landing(root=bucket)
    for endpoint in (os.environ["AWS_ENDPOINT_URL"], "http://127.0.0.1:1"):  # the second does not answer
        server = Server(tmp_path, TUTTI_LANDING_URL=bucket, AWS_ENDPOINT_URL=endpoint)
        asyncio.run(kill_under_load(server, load, random.uniform(1, 4)))
    assert list((tmp_path / FOLDER).glob("*.jsonl"))
    server = Server(tmp_path, TUTTI_LANDING_URL=bucket)
    assert server.end() == 128 + signal.SIGTERM
    assert list((tmp_path / FOLDER).glob("*.jsonl")) == []
    lines = [line for _, path in landing.files("listens/scrobbles") for line in path.read_text().splitlines()]
    found = Counter(json.loads(line)["listened_at"] - FIRST for line in lines)
    assert not set(load.acknowledged) - set(found)
    assert max(found.values()) == 1


def test_mistakes_give_one_line(server: tuple[Server, Path], tmp_path: Path) -> None:
    serving, data = server

    def error(folder: Path, **variables: str) -> str:
        process = Process((*TUTTI, "serve-scrobbles"), folder, {"TUTTI_SCROBBLE_PORT": "0"} | variables)
        assert (process.code, process.out) == (1, "")
        (line,) = process.err.splitlines()
        return line

    ada = {"TUTTI_SCROBBLE_TOKENS": "ada:secret"}
    assert "TUTTI_SCROBBLE_TOKENS " in error(tmp_path)
    assert "another scrobble endpoint" in error(data, **ada)
    assert f"port {serving.port}" in error(tmp_path, TUTTI_SCROBBLE_PORT=str(serving.port), **ada)
    assert "TUTTI_SCROBBLE_PORT: 'http'" in error(tmp_path, TUTTI_SCROBBLE_PORT="http", **ada)
    assert "s3://bucket/folder" in error(tmp_path, TUTTI_LANDING_URL="/somewhere", **ada)
    assert "needs credentials" in error(tmp_path, TUTTI_LANDING_URL="s3://b/landing", AWS_ACCESS_KEY_ID="", **ada)
