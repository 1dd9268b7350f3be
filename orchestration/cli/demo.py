"""The demo: the sandbox simulates six weeks of the outside world, and Dagster builds every table from it.

The landed files lack the newest releases and all lyrics. The demo pulls them from MusicBrainz and LRCLIB, as the
sandbox serves these on this machine, by the clients that ask the real services.
"""

import os
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import click
import dagster as dg

from orchestration.cadence import ANALYZE_MUSIC, BUILD_CATALOG, IMPORT_LISTENS
from orchestration.cli.findings import findings
from orchestration.cli.hints import make
from orchestration.instance.home import dagster_home
from orchestration.jobs.pulls import LYRICS
from resources.environments import data_folder, open_lake
from resources.errors import TuttiError
from resources.sandbox import audio, catalog, performers, world
from resources.sandbox.entities import entities
from resources.sandbox.http import lrclib, server
from resources.sandbox.http.accounts import Accounts
from resources.sandbox.http.faults import Faults
from resources.sandbox.performers import Recording
from resources.services.lrclib import NAME as LRCLIB
from resources.services.musicbrainz import NAME as MUSICBRAINZ
from resources.span import FIRST_DAY as EARLIEST_DAY
from resources.span import Span, store
from resources.terminal import say

if TYPE_CHECKING:
    from orchestration.cli.runner import Runner

TODAY = date(2025, 4, 7)  # the Monday after six ISO weeks in which clocks change in the USA, then in Europe
DAYS = 42
FIRST_DAY = TODAY - timedelta(days=DAYS)
SEED = 7
KNOWN_UNTIL = "2024"  # some hundred recordings released since then are pulled
LYRICS_ASKED = 500  # most played recordings
IGNORED = ("TUTTI_MUSIC_DIR", "TUTTI_LAKE_URL", "TUTTI_ARTIFACTS_URL", "TUTTI_LANDING_URL")
REQUESTS_PER_S = 1_000  # allowed by the mock MusicBrainz, so that the demo is fast


@click.command()
@click.option("--today", default="", metavar="DATE", help=f"Day after the last simulated day. Default: {TODAY}.")
def demo(today: str) -> None:
    """Simulate six weeks of listening and build every table."""
    first_day = day_of(today) - timedelta(days=DAYS) if today else FIRST_DAY
    for variable in IGNORED:  # the demo uses only its own folder
        os.environ.pop(variable, None)
    data, began = data_folder(), time.monotonic()
    if data.name != "demo":
        raise TuttiError(
            f"the demo would overwrite {data}. Run `make demo`, or set TUTTI_DATA_DIR to a folder named demo"
        )
    from orchestration.cli.runner import Runner  # its definitions read TUTTI_MUSIC_DIR

    runner = Runner(patience_s=0)
    for folder in ("lake", "landing", "music", "cache"):
        shutil.rmtree(data / folder, ignore_errors=True)
    last_day = first_day + timedelta(days=DAYS - 1)
    say(f"Simulating six weeks of listening, {first_day} through {last_day} ...")
    written = world.write(
        data / "landing",
        first_day=first_day,
        days=DAYS,
        seed=SEED,
        known_until=KNOWN_UNTIL,
        lyrics=False,
        turnover=True,
    )
    say(
        f"  {written.works:,} public-domain works, {written.recordings:,} recordings, {written.listens:,} listens, "
        f"{written.posts:,} posts"
    )
    rendered = audio.write(data / "music", seed=SEED)
    say(f"  {rendered.clips} recordings rendered, {rendered.seconds / 60:.0f} minutes of sound")
    materialize(runner, performers.recordings(catalog.works(), SEED))
    # The simulated history has ended. Otherwise the UI would show each later day as missing.
    store(dagster_home(), Span(first_day, last_day))
    for line in ("", runner.progress.total(), "", f"What {first_day} through {last_day} show:"):
        say(line)
    for line in findings(open_lake()):
        say(line)
    say()
    say(f"Done in {time.monotonic() - began:.0f} s. Next:")
    say(f"  {make('chart')}    # print charts, for example with PERIOD=weekly")
    say(f"  {make('ui')}       # assets, checks, previews and runs in a browser")
    say('  make import LISTENER=ada FILES="my_spotify_data.zip"    # your own history')


def day_of(today: str) -> date:
    """Return `today` as a date. Raises `TuttiError` if it is invalid, too early or in the future."""
    first, last = EARLIEST_DAY + timedelta(days=DAYS), datetime.now(UTC).date()
    try:
        day = date.fromisoformat(today)
    except ValueError:
        raise TuttiError(f"invalid day {today!r}: expected a date such as {TODAY}") from None
    if not first <= day <= last:
        raise TuttiError(f"invalid day {today}: expected {first} to {last}")
    return day


def materialize(runner: "Runner", recordings: Sequence[Recording]) -> None:
    """Build every table from the landed files and from mock services that have these recordings."""
    known, lyrics = entities(recordings), lrclib.of_world(recordings)
    services = server.application(
        Accounts([]), Faults(), entities=known, musicbrainz_per_second=REQUESTS_PER_S, lyrics=lyrics
    )
    with server.served(services) as url:
        os.environ |= {"TUTTI_MUSICBRAINZ_URL": url, "TUTTI_LRCLIB_URL": url}
        os.environ.pop("TUTTI_MUSICBRAINZ_MIN_INTERVAL_S", None)
        imported = [dg.AssetKey(["content", folder]) for folder, _ in world.CATALOG]
        runner.run(BUILD_CATALOG, assets=imported)  # the pull requests what the catalog lacks
        runner.run(ANALYZE_MUSIC)
        runner.run(IMPORT_LISTENS)
        runner.run("pull_metadata", config={MUSICBRAINZ: {"config": {"limit": len(recordings)}}})
        runner.run(BUILD_CATALOG)
        runner.import_and_build({})
        runner.run("pull_lyrics", config={LRCLIB: {"config": {"limit": LYRICS_ASKED}}})
        runner.run(BUILD_CATALOG, assets=sorted(runner.cadence.made_of(LYRICS)))
