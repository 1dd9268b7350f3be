"""The command `mock-services`: it serves simulated music services over HTTP."""

from datetime import timedelta

import click

from orchestration.cli.demo import DAYS, FIRST_DAY
from orchestration.cli.number import Number
from orchestration.cli.port import listen, port
from resources.errors import TuttiError
from resources.sandbox import world
from resources.sandbox.entities import entities
from resources.sandbox.http import accounts, lrclib, server
from resources.sandbox.http.faults import KINDS, Faults
from resources.terminal import say

EXAMPLE = "make mock-services MOCK_PORT=8761"
FAULT_RATE = Number("fault rate", "make mock-services FAULT_RATE=0.2", 0, 1, kind=float)


@click.command()
@click.option("--port", "number", type=port(EXAMPLE), default=8760, show_default=True, help="Local port to listen on.")
@click.option(
    "--fault-rate",
    "rate",
    type=FAULT_RATE,
    default=0.0,
    show_default=True,
    help="Fraction of failing requests, 0 to 1.",
)
@click.option(
    "--faults",
    "kinds",
    multiple=True,
    help=f"Kind of fault, repeatable: {', '.join(KINDS)}. Default: all.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random faults.")
def mock_services(number: int, rate: float, kinds: tuple[str, ...], seed: int) -> None:
    """Serve simulated music services over HTTP.

    The services are ListenBrainz, Last.fm, MusicBrainz and LRCLIB. The command prints the variables that make pulls use
    them, and runs until you press Ctrl-C.
    """
    try:
        faults = Faults(rate=rate, kinds=kinds or KINDS, seed=seed)
    except ValueError as error:
        raise TuttiError(str(error)) from None
    listening = listen(number, EXAMPLE)
    simulated = world.simulated(first_day=FIRST_DAY, days=DAYS, turnover=True)
    users, lyrics = accounts.of_world(simulated), lrclib.of_world(simulated.recordings)
    last = FIRST_DAY + timedelta(days=DAYS - 1)
    names = users.names()[len(users.names()) // 4 :]  # without the most active listeners: these are bots
    say(f"{len(users.names()):,} listeners from {FIRST_DAY} through {last}: {', '.join(names[:5])} ...")
    url = f"http://{server.HOST}:{number}"
    say(f"export TUTTI_LISTENBRAINZ_URL={url} TUTTI_LASTFM_URL={url}/2.0/")
    say(f"export TUTTI_MUSICBRAINZ_URL={url} TUTTI_MUSICBRAINZ_MIN_INTERVAL_S=1")
    say(f"export TUTTI_LRCLIB_URL={url}")
    say("export TUTTI_LASTFM_API_KEY=sandbox    # any value works; Ctrl-C stops the server")
    faces = server.application(users, faults, entities=entities(simulated.recordings), lyrics=lyrics)
    server.server(faces, number).run(sockets=[listening])
