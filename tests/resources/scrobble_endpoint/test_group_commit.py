"""Group commit: one fsync serves many requests, and only lines on disk are acknowledged."""

import asyncio
import errno
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from resources.scrobble_endpoint.group_commit import DiskError, GroupCommit
from resources.scrobble_endpoint.journal import Journal
from tests.resources.scrobble_endpoint.support import lines


def test_requests_that_wait_share_an_fsync(tmp_path: Path) -> None:
    synced = []

    async def play() -> None:
        commit = GroupCommit(journal)
        running = asyncio.create_task(commit.run())
        await commit.put(b"{}\n")
        with patch.object(os, "fsync", synced.append):
            await asyncio.gather(*(commit.put(b"{}\n") for _ in range(500)))
        commit.end()
        await running

    journal = Journal(tmp_path)
    asyncio.run(play())
    assert len(lines(tmp_path, hidden=False)) == 501
    assert len(synced) <= 2


def test_lines_appear_within_seconds_and_the_rest_at_the_end(tmp_path: Path) -> None:
    async def play() -> None:
        commit = GroupCommit(Journal(tmp_path, seconds=0.1))
        running = asyncio.create_task(commit.run())
        await commit.put(b'{"n":1}\n')
        async with asyncio.timeout(10):
            while not lines(tmp_path, hidden=False):
                await asyncio.sleep(0.01)
        last = asyncio.create_task(commit.put(b'{"n":2}\n'))
        await asyncio.sleep(0)
        commit.end()
        await last
        await running
        with pytest.raises(DiskError):
            await commit.put(b'{"n":3}\n')

    asyncio.run(play())
    assert [record["n"] for record in lines(tmp_path, hidden=False)] == [1, 2]


def test_waiting_requests_fail_together_with_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def play() -> None:
        commit = GroupCommit(Journal(tmp_path))
        running = asyncio.create_task(commit.run())
        with patch.object(os, "write", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            for _ in range(2):
                refused = await asyncio.gather(*(commit.put(b"{}\n") for _ in range(5)), return_exceptions=True)
                assert [type(one) for one in refused] == [DiskError] * 5
        await commit.put(b'{"n":1}\n')
        commit.end()
        await running

    asyncio.run(play())
    assert lines(tmp_path, hidden=False) == [{"n": 1}]
    refusing, again = capsys.readouterr().err.splitlines()
    assert refusing.startswith("tutti: refusing") and "No space left on device" in refusing
    assert again.startswith("tutti: storing")
