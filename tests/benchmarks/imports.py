"""Measure the import of a large export on a laptop: `python -m tests.benchmarks.imports --gigabytes 2`.

Each export has fifteen years (or `--years`) of one listener, in the service's format, with records and files of its
usual size. `python -m orchestration import` imports it into an empty data folder and materializes the downstream
tables. Memory is the peak resident memory of that process and all its children, during the import and overall.
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
LISTENING_S_PER_DAY = 18 * 3600
RECORDINGS, ARTISTS = 60_000, 8_000
SPOTIFY_RECORDS_PER_FILE = 16_000  # about eight megabytes


class Track(NamedTuple):
    """A recording with the names and ids that services export."""

    artist: str
    title: str
    release: str
    id: str
    ids: tuple[str, str, str, str]  # four MBIDs or MSIDs


class Play(NamedTuple):
    """A listen: its start (seconds since 1970), its duration in seconds and its recording."""

    at: int
    seconds: int
    track: Track


def tracks() -> list[Track]:
    """Generate the recordings."""
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


def plays(recordings: list[Track], days: int, per_day: int) -> Iterator[Play]:
    """Generate listens, the same number each day, some recordings much more often than others."""
    dice, interval = random.Random(2), LISTENING_S_PER_DAY // per_day
    for day in range(days):
        for n in range(per_day):
            track = recordings[int(len(recordings) * dice.random() ** 3)]
            yield Play(FIRST + day * 86_400 + 4 * 3600 + n * interval, dice.randint(interval // 3, interval), track)


def spotify(play: Play) -> str:
    """Format a record of Spotify's extended streaming history."""
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
    """Format a line of ListenBrainz's user export."""
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
    """Format a line of ghan.nl's CSV export of a Last.fm history."""
    out, track, at = io.StringIO(), play.track, datetime.fromtimestamp(play.at, UTC)
    recording, release, artist, _ = track.ids
    row = (play.at, f"{at:%d %b %Y, %H:%M}", track.artist, artist, track.release, release, track.title, recording)
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(row)
    return out.getvalue()


def write_list(out: IO[str], records: Iterable[str]) -> None:
    """Write records as one JSON list."""
    separator = "["
    for record in records:
        out.write(separator + record)
        separator = ","
    out.write("]")


def spotify_zip(path: Path, listens: Iterator[Play]) -> None:
    """Write a ZIP of JSON lists, some megabytes each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for n in count():
            if not (records := list(islice(listens, SPOTIFY_RECORDS_PER_FILE))):
                break
            name = f"Spotify Extended Streaming History/Streaming_History_Audio_{n}.json"
            with packed.open(name, "w") as raw, io.TextIOWrapper(raw, "utf-8") as out:
                write_list(out, map(spotify, records))


def listenbrainz_zip(path: Path, listens: Iterator[Play]) -> None:
    """Write a ZIP with a file of JSON lines per month."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("user.json", json.dumps({"user_id": 1, "username": "ada"}))
        for month, in_month in groupby(listens, lambda play: f"{datetime.fromtimestamp(play.at, UTC):%Y/%-m}"):
            with packed.open(f"listens/{month}.jsonl", "w") as raw, io.TextIOWrapper(raw, "utf-8") as out:
                out.writelines(f"{listenbrainz(play)}\n" for play in in_month)


def lastfm_csv(path: Path, listens: Iterator[Play]) -> None:
    """Write one CSV file."""
    with path.open("w", newline="") as out:
        out.write("uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid\r\n")
        out.writelines(map(lastfm, listens))


def spotify_json(path: Path, listens: Iterator[Play]) -> None:
    """Write all plays as one JSON list."""
    with path.open("w") as out:
        write_list(out, map(spotify, listens))


class Export(NamedTuple):
    """An export format: the file's name, a function that formats a record, and one that writes the file."""

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
    """Measure the imports and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--gigabytes", type=float, default=2.0, help="unpacked size of an export in GB (default: %(default)s)"
    )
    parser.add_argument("--years", type=int, default=15, help="years of listening (default: %(default)s)")
    parser.add_argument("--exports", nargs="+", choices=EXPORTS, default=list(EXPORTS))
    parser.add_argument("--environment", default="laptop")
    parser.add_argument("--verbose", action="store_true", help="print the import's output with the memory in use")
    parser.add_argument("--alone", action="store_true", help="stop after the import, without downstream tables")
    options = parser.parse_args()
    print("| export | GB unpacked | GB as a file | listens | seconds | peak memory GB, import | peak memory GB, all |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in options.exports:
        print(_measured(kind, options), flush=True)


def _measured(kind: str, options: argparse.Namespace) -> str:
    """Write and import an export, and format a line of the table."""
    export, recordings, days = EXPORTS[kind], tracks(), options.years * 365
    size = sum(len(export.record(play)) + 1 for play in islice(plays(recordings, 1, 1000), 1000)) / 1000
    per_day = max(1, round(options.gigabytes * GIGABYTE / size / days))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, export.name)
        export.write(path, plays(recordings, days, per_day))
        del recordings
        packed, began = path.stat().st_size / GIGABYTE, time.monotonic()
        peaks = list(_imported(path, Path(folder, "data"), options))
        seconds = time.monotonic() - began
    unpacked, listens = per_day * days * size / GIGABYTE, per_day * days
    following = "" if options.alone else f"{max(peaks):.2f}"
    figures = f"{unpacked:.2f} | {packed:.2f} | {listens:,} | {seconds:.0f} | {peaks[0]:.2f} | {following}"
    return f"| {kind} | {figures} |"


def _imported(path: Path, data: Path, options: argparse.Namespace) -> Iterator[float]:
    """Import a file. Yield the peak memory in GB during the import, then during the downstream tables."""
    command = [sys.executable, "-m", "orchestration", "import", "--listener", "ada", str(path)]
    environment = os.environ | {
        "TUTTI_ENV": options.environment,
        "TUTTI_DATA_DIR": str(data),
        "PYTHONPATH": str(PROJECT),
    }
    environment.pop("DAGSTER_HOME", None)
    reading = True
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=PROJECT) as child:
        assert child.stdout
        with metered(child.pid) as cost:
            peak = 0
            for line in child.stdout:
                if options.verbose:
                    print(f"{cost.memory / GIGABYTE:6.2f} GB  {line}", end="", flush=True)
                peak, cost.memory = max(peak, cost.memory), 0
                if reading and f"{path.name}: " in line:  # the counts of its records, once all are imported
                    reading = False
                    yield peak / GIGABYTE
                    peak = 0
                    if options.alone:
                        child.terminate()
                        return
            yield max(peak, cost.memory) / GIGABYTE
    if child.returncode:
        raise SystemExit(
            f"import of {path.name} failed with exit code {child.returncode}. Run with --verbose to see why."
        )


if __name__ == "__main__":
    main()
