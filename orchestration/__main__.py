"""The command line: `python -m orchestration COMMAND`, which `make` calls.

Runs are Dagster runs, kept where the web UI finds them. A mistake of the person at the keyboard is told in one line.
"""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from resources.environments import PROJECT, data_folder
from resources.errors import TuttiError
from resources.files import writing_to

if TYPE_CHECKING:
    from orchestration.cli.runner import Runner

PORTS = (1, 65_535)

N = TypeVar("N", int, float)


def demo() -> None:
    """The sandbox writes two weeks of the outside world, and everything is materialized from it afresh."""
    from orchestration.cli.demo import demo

    demo()


def import_files(listener: str, files: list[str]) -> None:
    """A person's own history goes in, and everything that follows from it is materialized."""
    from orchestration.cli.runner import Runner

    if not listener:
        raise TuttiError('whose listens are these? name the person: make import LISTENER=ada FILES="..."')
    if not files:
        raise TuttiError('which files? name them: make import LISTENER=ada FILES="my_spotify_data.zip"')
    paths = [str(Path(f).expanduser().resolve()) for f in files]
    if missing := [path for path in paths if not os.path.exists(path)]:
        raise TuttiError(f"{', '.join(missing)} cannot be read: check the name, and that you may read it")
    _take(Runner(), {"listener": listener, "files": paths})


def _take(runner: "Runner", what: dict[str, Any]) -> None:
    """Files go in with everything that follows from them, and what came of it is told, also where something failed."""
    from orchestration.cli.import_summary import brought, heard

    data, listener, began = data_folder(), what.get("listener"), datetime.now(UTC)
    before, failed = heard(data, listener), None
    try:
        new = runner.take(what)
    except TuttiError as error:
        new, failed = bool(runner.progress.seconds), error
    for line in brought(data, listener, began, before):
        print(line)
    if new:
        print(runner.progress.total())
    if failed:
        raise failed
    print("Look at it with `make ui` or `make chart`." if new else "No new listens: all stays as it is.")


def pull(source: str, user: str, first: str, last: str, again: bool) -> None:
    """A user's days are pulled from a service that keeps listens, and imported with everything that follows."""
    from orchestration.cli.date_range import span
    from orchestration.cli.runner import Runner
    from orchestration.jobs.pulls import EXAMPLE
    from resources.pulls.listens import SERVICES
    from resources.services.api import named

    if source not in SERVICES:
        raise TuttiError(f"from where? name one of {', '.join(SERVICES)}: {EXAMPLE}")
    named(user)
    span(first, last, datetime.now(UTC).date(), EXAMPLE)
    runner = Runner()
    asked = {"source": source, "user": user, "first": first, "last": last, "again": again}
    runner.run("pull_listens", config={"asked": {"config": asked}})
    _take(runner, {})


def pull_metadata(most: int) -> None:
    """What the catalogue lacks of what is listened to is pulled from MusicBrainz, and becomes tables."""
    from orchestration.cli.runner import Runner
    from resources.services.musicbrainz import NAME

    config = {NAME: {"config": {"most": most}}}
    runner = Runner()
    done = runner.run("pull_metadata", config=config)
    told = {key: value.value for key, value in done.filter_events(_ended)[0].step_output_data.metadata.items()}
    if not told["files"]:
        print("The catalogue has all of it that MusicBrainz knows: it stays as it is.")
        return
    runner.run("content")
    left = f"{told['left']:,} are left for the next pull. " if told["left"] else ""
    print(f"{runner.progress.total()}\n{left}Listens known by their names alone find the new recordings")
    print("when their days are made again: make backfill FROM=first day TO=last day")


def _number(kind: type[N], least: N, most: N, what: str, example: str) -> Callable[[str], N]:
    """What reads a number, and raises `TuttiError` for what is none or out of bounds."""

    def read(given: str) -> N:
        with suppress(ValueError):
            if least <= (number := kind(given)) <= most:
                return number
        raise TuttiError(f"{given!r} is no {what}: give one, as in {example}")

    return read


def _most(command: str) -> Callable[[str], int]:
    return _number(int, 1, sys.maxsize, "number of recordings", f"make {command} MOST=500")


def _port(example: str) -> Callable[[str], int]:
    return _number(int, *PORTS, f"port from {PORTS[0]} to {PORTS[1]}", f"make {example}")


def _ended(event: Any) -> bool:
    return bool(event.event_type_value == "STEP_OUTPUT")


def pull_lyrics(most: int) -> None:
    """Lyrics of the catalogue are pulled from LRCLIB, most played first, and what is made of lyrics is made again."""
    from orchestration.cli.runner import Runner
    from orchestration.jobs.pulls import LYRICS
    from resources.services.lrclib import NAME

    config = {NAME: {"config": {"most": most}}}
    runner = Runner()
    runner.run("pull_lyrics", config=config)
    runner.run("content", assets=sorted(runner.cadence.made_of(LYRICS)))
    print(runner.progress.total())


def analyse(folder: str) -> None:
    """The audio files of a folder are listened to: tags, covers, tempo, key, loudness and more become tables."""
    if folder:
        os.environ["TUTTI_MUSIC"] = folder
    from orchestration.cli.analyse import analyse

    analyse()


def sandbox(port: int, rate: float, kinds: list[str], seed: int) -> None:
    """The sandbox's services over HTTP, as the real ones are, until stopped; they misbehave if told to."""
    from orchestration.cli.demo import DAYS, FIRST_DAY
    from resources.sandbox import world
    from resources.sandbox.entities import entities
    from resources.sandbox.http import accounts, lrclib, server
    from resources.sandbox.http.faults import KINDS, Faults

    try:
        faults = Faults(rate=rate, kinds=tuple(kinds) or KINDS, seed=seed)
    except ValueError as error:
        raise TuttiError(str(error)) from None
    listening = _listening(port, "make sandbox SANDBOX_PORT=8761")
    told = world.simulated(first_day=FIRST_DAY, days=DAYS)
    found, lyrics = accounts.of_world(told), lrclib.of_world(told.recordings)
    last = FIRST_DAY + timedelta(days=DAYS - 1)
    names = found.names()[len(found.names()) // 4 :]  # who listens most is a machine that repeats itself
    print(f"{len(found.names()):,} listeners from {FIRST_DAY} through {last}: {', '.join(names[:5])} ...")
    print(
        f"export TUTTI_LISTENBRAINZ_URL=http://{server.HOST}:{port} TUTTI_LASTFM_URL=http://{server.HOST}:{port}/2.0/"
    )
    print(f"export TUTTI_MUSICBRAINZ_URL=http://{server.HOST}:{port} TUTTI_MUSICBRAINZ_PACE=1")
    print(f"export TUTTI_LRCLIB_URL=http://{server.HOST}:{port}")
    print("export TUTTI_LASTFM_API_KEY=sandbox    # any will do; Ctrl-C ends it", flush=True)
    faces = server.application(found, faults, entities=entities(told.recordings), lyrics=lyrics)
    server.server(faces, port).run(sockets=[listening])


def _listening(port: int, another: str) -> socket.socket:
    """A port of this machine alone. Raises `TuttiError` where it cannot be had."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        told = os.strerror(error.errno or 0)
        raise TuttiError(f"port {port} cannot be had ({told}): name another, {another}") from None


def chart(places: int = 10) -> None:
    """The chart of all time, as a person would read it; the year's, where no day was closed since there are listens."""
    from assets.derived.charts import CHART
    from resources.lake.lake import Lake

    lake = Lake(data_folder() / "lake")
    rows, of = lake.scan("derived/charts_all_time", CHART).table().to_pylist(), "all time"
    if not rows and (years := lake.scan("derived/charts_yearly", CHART).table().to_pylist()):
        newest = max(row["period_start"] for row in years)
        rows, of = [row for row in years if row["period_start"] == newest], str(newest.year)
    if not rows:
        raise TuttiError(
            f"there is no chart in {data_folder()} yet: import your history, or see the demo's with "
            "`make chart DATA=data/demo`"
        )
    for entity in ("recording", "artist"):
        print(f"\n{entity}s by plays, of {of}")
        for row in sorted((r for r in rows if r["entity"] == entity), key=lambda r: r["rank"])[:places]:
            name, hours = (row["name"] or row["entity_id"])[:60], row["ms_played"] / 3_600_000
            plays = "play " if row["plays"] == 1 else "plays"
            heard = f"{row['plays']:7,} {plays} {hours:7,.1f} h, listeners: {row['listeners']:,}"
            print(f"{row['rank']:4d}. {name:60s} {heard}")


def backfill(first: str, last: str, select: str, days: str) -> None:
    """Days made again, and what follows from them; a backfill that was killed goes on where it stopped."""
    from orchestration.cli.backfill import backfill

    backfill(first, last, select, days)


def upkeep() -> None:
    """Remove files that no reader needs and events that newer ones replace, and pack an intake's files."""
    from orchestration.instance.home import home_folder
    from orchestration.instance.pruning import prune
    from orchestration.jobs.maintenance import pack_intake, tidy
    from resources.folders.landing import Landing
    from resources.lake.lake import Lake
    from resources.locks import sharing

    lake = Lake(data_folder() / "lake").filled()
    with sharing(data_folder()):
        tidy(lake, print, print)  # without Dagster's records, which need room on the disk
        prune(home_folder(), datetime.now(UTC), print)
        pack_intake(Landing(root=str(data_folder() / "landing")), lake, print)


def erase(listener: str, sure: bool) -> None:
    """A person is erased from everything the platform keeps, and what counted them is made again."""
    from orchestration.cli.runner import Runner
    from orchestration.privacy.erasure import UNKNOWN, forget

    if not listener:
        raise TuttiError("whom? name the person: make erase LISTENER=ada")
    if not data_folder().exists():
        raise TuttiError(UNKNOWN)
    print(f"This removes {listener} from every table and every version before now, from files handed in, from")
    print("exports and from Dagster's history. Time travel of all tables ends today. It cannot be taken back.")
    if not sure and (not sys.stdin.isatty() or input("Type the name again to go on: ") != listener):
        raise TuttiError("nothing was erased: type the name again when asked, or say that you are sure (YES=1)")
    runner = Runner()
    done = runner.run("erase_person", config={"erase": {"config": {"listener": listener}}})
    for event in done.filter_events(lambda event: event.event_type_value == "STEP_OUTPUT"):
        for what, told in event.step_output_data.metadata.items():
            print(f"  {what}: {told.value:,}")
    runner.take({})
    forget(data_folder())
    print(f"\nNothing here names {listener} any more; what counted them was made again. Not reached: backups, copies")
    print("outside this folder, what a browser remembers of the launchpad, and a token, which still lets listens in.")


def export(listener: str) -> None:
    """All that is kept of a person, as a zip that imports again to the same listens."""
    from orchestration.cli.runner import Runner
    from resources.lake.lake import Lake

    if not listener:
        raise TuttiError("whose data? name the person: make export LISTENER=ada")
    Lake(data_folder() / "lake").filled()
    Runner().run("export_person", config={"export": {"config": {"listener": listener}}})


def load(listens: int) -> None:
    """The sandbox's listeners, as many as make so many listens, go straight into an empty lake."""
    from assets.events.listens import LISTENS
    from assets.events.name_ids import artist_id, recording_id
    from resources.lake.lake import Lake
    from resources.locks import sharing
    from resources.sandbox import load

    # Never among a person's own listens, unless that is where somebody says.
    os.environ["TUTTI_DATA"] = os.environ.get("TUTTI_DATA") or str(PROJECT / "data" / "load")

    def identify(artist: str, title: str) -> tuple[str, str]:
        return recording_id(artist, title), artist_id(artist)

    lake = Lake(data_folder() / "lake")
    with sharing(data_folder()):
        written = load.write(lake, "events/listens", LISTENS, identify, listens=listens)
    print(f"{written.rows:,} listens are in {lake.root / 'events' / 'listens'}. No file tells of them:")
    print("materialize what follows from events/listens, not events/listens itself.")


def stream(once: bool) -> None:
    """What lands is taken in by Spark's Structured Streaming, until stopped."""
    from orchestration.streaming.query import stream

    stream(once)


def intake() -> None:
    """Scrobblers' listens come in as ListenBrainz takes them, until stopped."""
    from resources.scrobble_endpoint.server import serve

    serve(data_folder())


def ui(port: int) -> None:
    """Dagster's web server and daemon, until stopped."""
    from dagster import DagsterInstance

    from orchestration.instance.home import dagster_home
    from orchestration.instance.killed_runs import bury, bury_launched

    _listening(port, "make ui PORT=3001").close()  # which of its many lines would say so?
    dagster_home()
    with DagsterInstance.get() as instance:
        bury(instance)  # else Dagster would wait for them
        bury_launched(instance)
    print(f"http://127.0.0.1:{port} shows {data_folder()}; Ctrl-C ends it", flush=True)
    # Days of twenty years that change at once take the sensor longer than Dagster's minute on a busy machine.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "600")
    command = ["dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    os.chdir(PROJECT)
    os.execv(str(Path(sys.executable).with_name("dagster")), command)  # noqa: S606 (it is ours)


def main() -> int:
    """Run a command; 0 if all went well, 1 if not."""
    parser = argparse.ArgumentParser(prog="tutti", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help=demo.__doc__)
    own = commands.add_parser("import", help=import_files.__doc__)
    own.add_argument("--listener", required=True)
    own.add_argument("files", nargs="*")
    theirs = commands.add_parser("pull", help=pull.__doc__)
    theirs.add_argument("--source", default="", help="listenbrainz or lastfm")
    theirs.add_argument("--user", default="", help="the user's name there")
    theirs.add_argument("--from", dest="first", default="", help="first day, as 2024-01-01")
    theirs.add_argument("--to", dest="last", default="", help="last day")
    theirs.add_argument("--again", action="store_true", help="ask for days that were pulled before, too")
    known = commands.add_parser("pull-metadata", help=pull_metadata.__doc__)
    known.add_argument("--most", type=_most("pull-metadata"), default=500, help="entities of each kind, at most")
    words = commands.add_parser("pull-lyrics", help=pull_lyrics.__doc__)
    words.add_argument("--most", type=_most("pull-lyrics"), default=500, help="recordings that are asked for, at most")
    music = commands.add_parser("analyse", help=analyse.__doc__)
    music.add_argument("--music", default="", help="the folder; TUTTI_MUSIC if none is named")
    services = commands.add_parser("sandbox", help=sandbox.__doc__)
    services.add_argument("--port", type=_port("sandbox SANDBOX_PORT=8761"), default=8760)
    rate = _number(float, 0, 1, "rate from 0 to 1", "make sandbox RATE=0.2")
    services.add_argument("--rate", type=rate, default=0.0, help="of requests that go wrong")
    services.add_argument("--faults", nargs="*", default=[], help="how; in every way if none is named")
    services.add_argument("--seed", type=int, default=0)
    commands.add_parser("chart", help=chart.__doc__)
    again = commands.add_parser("backfill", help=backfill.__doc__)
    again.add_argument("--from", dest="first", default="", help="first day, as 2024-01-01")
    again.add_argument("--to", dest="last", default="", help="last day")
    again.add_argument("--select", default="", help="Dagster's asset selection; all that is made by day if none")
    again.add_argument("--days", default="", help="the most days that a run makes")
    commands.add_parser("upkeep", help=upkeep.__doc__)
    whole = commands.add_parser("export", help=export.__doc__)
    whole.add_argument("--listener", default="")
    gone = commands.add_parser("erase", help=erase.__doc__)
    gone.add_argument("--listener", default="")
    gone.add_argument("--yes", action="store_true", help="without being asked whether you are sure")
    many = commands.add_parser("load", help=load.__doc__)
    listens = _number(int, 1, sys.maxsize, "number of listens", "make load LISTENS=20000000")
    many.add_argument("--listens", type=listens, required=True, help="about how many, as 20_000_000")
    commands.add_parser("intake", help=intake.__doc__)
    flow = commands.add_parser("stream", help=stream.__doc__)
    flow.add_argument("--once", action="store_true", help="what lies there now, and no more")
    web = commands.add_parser("ui", help=ui.__doc__)
    web.add_argument("--port", type=_port("ui PORT=3001"), default=3000)
    try:
        told = parser.parse_args()
        with writing_to(data_folder()):
            match told.command:
                case "demo":
                    demo()
                case "import":
                    import_files(told.listener, told.files)
                case "pull":
                    pull(told.source, told.user, told.first, told.last, told.again)
                case "pull-metadata":
                    pull_metadata(told.most)
                case "pull-lyrics":
                    pull_lyrics(told.most)
                case "analyse":
                    analyse(told.music)
                case "sandbox":
                    sandbox(told.port, told.rate, told.faults, told.seed)
                case "chart":
                    chart()
                case "backfill":
                    backfill(told.first, told.last, told.select, told.days)
                case "upkeep":
                    upkeep()
                case "export":
                    export(told.listener.strip())
                case "erase":
                    erase(told.listener.strip(), told.yes)
                case "load":
                    load(told.listens)
                case "intake":
                    intake()
                case "stream":
                    stream(told.once)
                case "ui":
                    ui(told.port)
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except TuttiError as error:
        print(f"tutti: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tutti: stopped", file=sys.stderr)
        return 130  # as shells tell it
    return 0


if __name__ == "__main__":
    sys.exit(main())
