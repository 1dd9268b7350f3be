"""Helpers of the tests of the scrobble endpoint: requests, and the lines on disk."""

import json
from pathlib import Path
from typing import Any

TOKEN = "a-token-of-ada"
MBID = "c7d0bf6e-b2aa-4ffa-bded-2448415b39b0"


def authorized(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def listen(listened_at: Any = 1_700_000_000, info: Any = None, **metadata: Any) -> dict[str, Any]:
    """Return a listen as a client submits it; None omits `listened_at` or `info`."""
    names = {"artist_name": "Artist", "track_name": "Song"} | metadata
    if info is not None:
        names["additional_info"] = info
    return {"track_metadata": names} | ({} if listened_at is None else {"listened_at": listened_at})


def single(*listens: Any, listen_type: Any = "single") -> dict[str, Any]:
    return {"listen_type": listen_type, "payload": list(listens)}


def lines(folder: Path, *, hidden: bool = True) -> list[dict[str, Any]]:
    """Return the lines of all files in a folder, in the order of the files' names."""
    files = [p for p in folder.rglob("*.jsonl") if hidden or not p.name.startswith(".")]
    records = []
    for path in sorted(files, key=lambda p: p.name.removeprefix(".")):
        text = path.read_text()
        assert not text or text.endswith("\n")
        records += [json.loads(line) for line in text.splitlines()]
    return records
