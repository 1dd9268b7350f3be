"""What importing a large export takes on a laptop: `python -m tests.benchmarks.imports --gigabytes 2`.

Each export is fifteen years of one listener (or `--years`), written as the service writes it: records of its own shape
and size, as many as make the gigabytes asked for, in files of the size it makes. `python -m orchestration import` takes
it into an empty data folder, with every table that follows. Memory is the greatest resident memory of that process and
all its children, while it imports and over all.
"""

import argparse
import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, groupby, islice
from pathlib import Path
from typing import IO, NamedTuple
from uuid import UUID

from resources.environments import PROJECT
from tests.benchmarks.meter import metered

GIGABYTE = 10**9
FIRST = int(datetime(2010, 1, 1, tzinfo=UTC).timestamp())
WAKING = 18 * 3600  # seconds of a day in which something is played
RECORDINGS, ARTISTS = 60_000, 8_000
A_FILE = 16_000  # records in a file of Spotify's: about eight megabytes


class Track(NamedTuple):
    """A recording, as services know it."""

    artist: str
    title: str
    release: str
    id: str
    ids: tuple[str, str, str, str]  # four MBIDs or MSIDs


class Play(NamedTuple):
    """A listen: when it began and how long it lasted, in seconds."""

    at: int
    seconds: int
    track: Track


def tracks() -> list[Track]:
    """The recordings that there are."""
    dice = random.Random(1)
    words = ["".join(dice.choices("aeiounrstlmdk", k=dice.randint(3, 9))) for _ in range(3_000)]
    artists = [" ".join(dice.choices(words, k=2)).title() for _ in range(ARTISTS)]
    return [
        Track(
            artists[n % ARTISTS],
            " ".join(dice.choices(words, k=3)).capitalize(),
            " ".join(dice.choices(words, k=2)).capitalize(),
            "".join(dice.choices("0123456789ABCDEFGHIJKLMabcdefghijklm", k=22)),
            tuple(str(UUID(int=dice.getrandbits(128), version=4)) for _ in range(4)),  # type: ignore[arg-type]
        )
        for n in range(RECORDINGS)
    ]


def plays(known: list[Track], days: int, a_day: int) -> Iterator[Play]:
    """So many listens on each day, some recordings much more often than others."""
    dice, apart = random.Random(2), WAKING // a_day
    for day in range(days):
        for n in range(a_day):
            track = known[int(len(known) * dice.random() ** 3)]
            yield Play(FIRST + day * 86_400 + 4 * 3600 + n * apart, dice.randint(apart // 3, apart), track)


def spotify(play: Play) -> str:
    """A record of the extended streaming history."""
    ended = datetime.fromtimestamp(play.at + play.seconds, UTC)
    return json.dumps(
        {
            "ts": f"{ended:%Y-%m-%dT%H:%M:%SZ}",
            "platform": "android",
            "ms_played": play.seconds * 1000,
            "conn_country": "DE",
            "ip_addr": "203.0.113.77",
            "master_metadata_track_name": play.track.title,
            "master_metadata_album_artist_name": play.track.artist,
            "master_metadata_album_album_name": play.track.release,
            "spotify_track_uri": f"spotify:track:{play.track.id}",
            "episode_name": None,
            "episode_show_name": None,
            "spotify_episode_uri": None,
            "audiobook_title": None,
            "audiobook_uri": None,
            "audiobook_chapter_uri": None,
            "audiobook_chapter_title": None,
            "reason_start": "trackdone",
            "reason_end": "trackdone",
            "shuffle": False,
            "skipped": False,
            "offline": False,
            "offline_timestamp": play.at,
            "incognito_mode": False,
        },
        separators=(",", ":"),
    )


def listenbrainz(play: Play) -> str:
    """A line of the user export."""
    track = play.track
    recording, release, artist, msid = track.ids
    return json.dumps(
        {
            "listened_at": play.at,
            "inserted_at": play.at + 0.25,
            "track_metadata": {
                "track_name": track.title,
                "artist_name": track.artist,
                "release_name": track.release,
                "recording_msid": msid,
                "additional_info": {
                    "duration_ms": play.seconds * 1000,
                    "duration_played": play.seconds,
                    "music_service": "spotify.com",
                    "origin_url": f"https://open.spotify.com/track/{track.id}",
                    "spotify_id": f"https://open.spotify.com/track/{track.id}",
                    "submission_client": "navidrome",
                    "submission_client_version": "0.58.0 (3ab31a7e)",
                    "recording_msid": msid,
                },
                "mbid_mapping": {
                    "recording_mbid": recording,
                    "recording_name": track.title,
                    "release_mbid": release,
                    "artist_mbids": [artist],
                    "artists": [{"artist_mbid": artist, "artist_credit_name": track.artist, "join_phrase": ""}],
                    "caa_id": 12345678901,
                    "caa_release_mbid": release,
                },
            },
        }
    )


def lastfm(play: Play) -> str:
    """A line of the table that ghan.nl makes of a Last.fm history."""
    out, track, at = io.StringIO(), play.track, datetime.fromtimestamp(play.at, UTC)
    recording, release, artist, _ = track.ids
    told = (play.at, f"{at:%d %b %Y, %H:%M}", track.artist, artist, track.release, release, track.title, recording)
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(told)
    return out.getvalue()


def listing(out: IO[str], records: Iterable[str]) -> None:
    """Records as one JSON list."""
    before = "["
    for record in records:
        out.write(before + record)
        before = ","
    out.write("]")


def spotify_zip(path: Path, told: Iterator[Play]) -> None:
    """Lists of plays, some megabytes each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for n in count():
            if not (some := list(islice(told, A_FILE))):
                break
            name = f"Spotify Extended Streaming History/Streaming_History_Audio_{n}.json"
            with packed.open(name, "w") as raw, io.TextIOWrapper(raw, "utf-8") as out:
                listing(out, map(spotify, some))


def listenbrainz_zip(path: Path, told: Iterator[Play]) -> None:
    """A file of lines for each month."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("user.json", json.dumps({"user_id": 1, "username": "ada"}))
        for month, some in groupby(told, lambda play: f"{datetime.fromtimestamp(play.at, UTC):%Y/%-m}"):
            with packed.open(f"listens/{month}.jsonl", "w") as raw, io.TextIOWrapper(raw, "utf-8") as out:
                out.writelines(f"{listenbrainz(play)}\n" for play in some)


def lastfm_csv(path: Path, told: Iterator[Play]) -> None:
    """One table."""
    with path.open("w", newline="") as out:
        out.write("uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\r\n")
        out.writelines(map(lastfm, told))


def spotify_json(path: Path, told: Iterator[Play]) -> None:
    """All plays in one list."""
    with path.open("w") as out:
        listing(out, map(spotify, told))


class Export(NamedTuple):
    """An export: what it is called, a record of it as text, and how a file of them is written."""

    name: str
    record: Callable[[Play], str]
    write: Callable[[Path, Iterator[Play]], None]


EXPORTS: Mapping[str, Export] = {
    "spotify-zip": Export("my_spotify_data.zip", spotify, spotify_zip),
    "listenbrainz-zip": Export("listenbrainz_ada.zip", listenbrainz, listenbrainz_zip),
    "lastfm-csv": Export("recenttracks.csv", lastfm, lastfm_csv),
    "spotify-json": Export("endsong.json", spotify, spotify_json),
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of an export, unpacked")
    parser.add_argument("--years", type=int, default=15, help="that it is about")
    parser.add_argument("--exports", nargs="+", choices=EXPORTS, default=list(EXPORTS))
    parser.add_argument("--environment", default="laptop")
    parser.add_argument("--verbose", action="store_true", help="what the import says, with memory")
    parser.add_argument("--alone", action="store_true", help="the import without the tables that follow")
    asked = parser.parse_args()
    print("| export | GB unpacked | GB as a file | listens | seconds | peak memory GB, import | peak memory GB, all |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in asked.exports:
        print(_measured(kind, asked), flush=True)


def _measured(kind: str, asked: argparse.Namespace) -> str:
    """A line of the table: an export is written and imported."""
    export, known, days = EXPORTS[kind], tracks(), asked.years * 365
    size = sum(len(export.record(play)) + 1 for play in islice(plays(known, 1, 1000), 1000)) / 1000
    a_day = max(1, round(asked.gigabytes * GIGABYTE / size / days))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, export.name)
        export.write(path, plays(known, days, a_day))
        del known
        packed, began = path.stat().st_size / GIGABYTE, time.monotonic()
        peaks = list(_imported(path, Path(folder, "data"), asked))
        seconds = time.monotonic() - began
    unpacked, listens = a_day * days * size / GIGABYTE, a_day * days
    following = "" if asked.alone else f"{max(peaks):.2f}"
    told = f"{unpacked:.2f} | {packed:.2f} | {listens:,} | {seconds:.0f} | {peaks[0]:.2f} | {following}"
    return f"| {kind} | {told} |"


def _imported(path: Path, data: Path, asked: argparse.Namespace) -> Iterator[float]:
    """Import a file; the most memory in GB while it is read, then between all that is said."""
    command = [sys.executable, "-m", "orchestration", "import", "--listener", "ada", str(path)]
    own = os.environ | {"TUTTI_ENV": asked.environment, "TUTTI_DATA_DIR": str(data), "PYTHONPATH": str(PROJECT)}
    own.pop("DAGSTER_HOME", None)
    reading = True
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own, cwd=PROJECT) as child:
        assert child.stdout
        with metered(child.pid) as cost:
            peak = 0
            for line in child.stdout:
                if asked.verbose:
                    print(f"{cost.memory / GIGABYTE:6.2f} GB  {line}", end="", flush=True)
                peak, cost.memory = max(peak, cost.memory), 0
                if reading and "events/imports" in line:
                    reading = False
                    yield peak / GIGABYTE
                    peak = 0
                    if asked.alone:
                        child.terminate()
                        return
            yield max(peak, cost.memory) / GIGABYTE
    if child.returncode:
        raise SystemExit(f"the import of {path.name} failed")


if __name__ == "__main__":
    main()
