"""Generate a Spotify export of any size, with podcasts and broken records."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

START = datetime(2024, 2, 28, 6, tzinfo=UTC)  # over a leap day and a month's end
PODCAST_SHARE, BROKEN_SHARE = 0.02, 0.01
FILES = 2  # in the ZIP


def write(path: Path, records: int, days: int, seed: int = 1) -> Path:
    """Write a ZIP of `records` plays over `days` days. The same arguments give the same records."""
    random = Random(seed)
    step = timedelta(days=days) / records
    plays = [_play(START + n * step, random) for n in range(records)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(FILES):
            part = plays[n * records // FILES : (n + 1) * records // FILES]
            name = f"Spotify Extended Streaming History/Streaming_History_Audio_2024_{n}.json"
            archive.writestr(name, json.dumps(part, indent=2))
    return path


def _play(ended: datetime, random: Random) -> dict[str, Any]:
    song = int(random.paretovariate(0.8)) % 2_000
    play: dict[str, Any] = {
        "ts": ended.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "username": "someone",
        "platform": "linux",
        "ms_played": random.randrange(400_000),
        "conn_country": "TR",
        "ip_addr_decrypted": "203.0.113.7",
        "user_agent_decrypted": "unknown",
        "master_metadata_track_name": f"Song {song}",
        "master_metadata_album_artist_name": f"Artist {song % 300}",
        "master_metadata_album_album_name": f"Album {song % 700}",
        "spotify_track_uri": f"spotify:track:{song:022d}",
        "episode_name": None,
        "episode_show_name": None,
        "spotify_episode_uri": None,
        "reason_start": "trackdone",
        "reason_end": "trackdone",
        "shuffle": random.random() < 0.5,
        "skipped": False,
        "offline": False,
        "offline_timestamp": None,
        "incognito_mode": False,
    }
    kind = random.random()
    if kind < PODCAST_SHARE:
        return play | {"master_metadata_track_name": None, "episode_name": "News", "spotify_track_uri": None}
    return play | {"ms_played": None} if kind < PODCAST_SHARE + BROKEN_SHARE else play
