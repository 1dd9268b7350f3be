"""The demo: the sandbox writes two weeks of the outside world, and everything is materialized from it.

What is handed in knows nothing of the newest releases: MusicBrainz is asked for these and LRCLIB for lyrics, both as
the sandbox serves them on this machine, by the clients that ask the real ones.
"""

import os
import shutil
import time
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from orchestration.cadence import ANALYZE_MUSIC, BUILD_CATALOG, IMPORT_LISTENS
from orchestration.jobs.pulls import LYRICS
from resources.environments import data_folder
from resources.errors import TuttiError
from resources.sandbox import audio, world
from resources.sandbox.entities import entities
from resources.sandbox.http import lrclib, server
from resources.sandbox.http.accounts import Accounts
from resources.sandbox.http.faults import Faults
from resources.sandbox.performers import Recording
from resources.services.lrclib import NAME as LRCLIB
from resources.services.musicbrainz import NAME as MUSICBRAINZ

if TYPE_CHECKING:
    from orchestration.cli.runner import Runner

FIRST_DAY = date(2025, 2, 24)  # two ISO weeks that cross a month and end where the USA's clocks change
DAYS = 14
KNOWN_UNTIL = "2024"  # of some hundred recordings released since then services must be asked
LYRICS_ASKED = 100  # recordings, the most played
A_SECOND = 1_000  # requests that the sandbox's MusicBrainz allows: nobody waits for a demo


@click.command()
def demo() -> None:
    """Simulate two weeks of listening and build every table."""
    for own in (
        "TUTTI_MUSIC_DIR",
        "TUTTI_LAKE_URL",
        "TUTTI_ARTIFACTS_URL",
        "TUTTI_LANDING_URL",
    ):  # the demo has its own
        os.environ.pop(own, None)
    from orchestration.cli.runner import Runner  # its definitions read TUTTI_MUSIC_DIR

    data, began = data_folder(), time.monotonic()
    if data.name != "demo":
        raise TuttiError(
            f"the demo would overwrite {data}: run it with `make demo`, or with a TUTTI_DATA_DIR named demo"
        )
    runner = Runner(patience=0)
    for folder in ("lake", "landing", "music", "cache"):
        shutil.rmtree(data / folder, ignore_errors=True)
    print("The sandbox writes two weeks of listening to public-domain tunes ...", flush=True)
    told = world.write(data / "landing", first_day=FIRST_DAY, days=DAYS, known_until=KNOWN_UNTIL)
    print(
        f"  {told.works:,} works, {told.recordings:,} recordings, {told.listens:,} listens, {told.posts:,} posts",
        flush=True,
    )
    heard = audio.write(data / "music")
    print(f"  {heard.clips} recordings rendered, {heard.seconds / 60:.0f} minutes of sound", flush=True)
    materialize(runner, world.simulated(first_day=FIRST_DAY, days=DAYS).recordings)
    print(f"\n{runner.progress.table()}\n\nAll of it took {time.monotonic() - began:.0f} s. Where to look next:")
    print("  make ui DATA=data/demo           the assets, their checks and previews in the browser")
    print("  make chart DATA=data/demo        what was played most")
    print('  make import LISTENER=ada FILES="my_spotify_data.zip"    the same on your own history')


def materialize(runner: "Runner", recordings: Sequence[Recording]) -> None:
    """Build everything, from what landed and from services that know these recordings."""
    known, lyrics = entities(recordings), lrclib.of_world(recordings)
    services = server.application(Accounts([]), Faults(), entities=known, a_second=A_SECOND, lyrics=lyrics)
    with server.served(services) as url:
        os.environ |= {"TUTTI_MUSICBRAINZ_URL": url, "TUTTI_LRCLIB_URL": url}
        os.environ.pop("TUTTI_MUSICBRAINZ_MIN_INTERVAL_S", None)
        runner.run(BUILD_CATALOG)
        runner.run(ANALYZE_MUSIC)
        runner.run(IMPORT_LISTENS)
        runner.run("pull_metadata", config={MUSICBRAINZ: {"config": {"limit": len(recordings)}}})
        runner.run(BUILD_CATALOG)
        runner.take({})
        runner.run("pull_lyrics", config={LRCLIB: {"config": {"limit": LYRICS_ASKED}}})
        runner.run(BUILD_CATALOG, assets=sorted(runner.cadence.made_of(LYRICS)))
