"""Load: the sandbox's listeners in any number, their listens written straight into the lake.

What belongs here: one month of the world that `world.write` tells in files, as the table that the platform makes of
them, without the dirt on the way; a lake of the size of a service in minutes. Who listens to what is the listeners'
own affair.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa

from resources.errors import TuttiError
from resources.frames.filters import RangeFilter
from resources.frames.frame import Writer
from resources.lake.lake import Lake
from resources.lake.write_transaction import Written
from resources.sandbox import catalog, performers
from resources.sandbox.listeners import ZONES, Ints, epoch, population, simulate_by_day
from resources.sandbox.performers import Recording
from resources.sandbox.world import NAMES_ONLY
from resources.sources.formats.listenbrainz import NAME

# The days stay and the listeners grow: so a day grows as it does for a service that does well, the cost of a listen
# stays the same, and every size has whole weeks and one whole month to chart.
FIRST_DAY, DAYS = date(2025, 4, 1), 30
LISTENS_A_DAY = 9.8  # of a listener, bots included, on average over those days: seen, not chosen
BATCH = 200_000  # listens turned into text at a time: 60 MB
TELL = 5.0  # seconds between two lines of progress

Identify: TypeAlias = Callable[[str, str], tuple[str, str]]
"""The ids that the platform gives a recording and its artist credit by the names of artist and recording alone."""


@dataclass(frozen=True)
class Share:
    """Some days of a world of `listeners`."""

    names: pa.Table  # what a listen says of its recording: a row for each as mapped, then a row for each by names alone
    listeners: int
    seed: int
    first_day: date
    days: int


def write(
    lake: Lake,
    table: str,
    schema: pa.Schema,
    identify: Identify,
    *,
    listens: int,
    seed: int = 7,
    workers: int | None = None,
    say: Callable[[str], None] = print,
) -> Written:
    """Write about as many listens as a table of the lake, sorted by day, listener and time, in one commit.

    The same size and seed write the same rows, whatever the number of workers (by default one for each core), each of
    which holds about 300 bytes for each listen of a day. Raises `TuttiError` for a size without listeners, and where
    the table has rows already. Where a worker fails or is killed, nothing is to be seen.
    """
    listeners = round(listens / (DAYS * LISTENS_A_DAY))
    if listeners < 1:
        raise TuttiError(
            f"{listens} listens are fewer than one listener has: ask for {DAYS * LISTENS_A_DAY:.0f} or more"
        )

    def refuse_to_overwrite() -> None:
        if lake.scan(table, schema).files:
            raise TuttiError(
                f"{lake.root / table} has listens already: name an empty folder (make load DATA=data/another)"
            )

    refuse_to_overwrite()
    say(f"{listeners:,} listeners, {DAYS} days from {FIRST_DAY} ...")
    names = _names(performers.recordings(catalog.works(), seed), identify)
    shares = _divide(Share(names, listeners, seed, FIRST_DAY, DAYS), workers or os.cpu_count() or 1)
    with lake.writing(table, schema) as draft:
        draft.files += _run(shares, draft.writer, say)
        refuse_to_overwrite()  # minutes have passed
        return draft.publish(RangeFilter("day", FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1)))


def tables(share: Share) -> Iterator[pa.Table]:
    """The listens of a share, sorted by day, listener and time."""
    recordings = performers.recordings(catalog.works(), share.seed)
    people = population(recordings, share.seed, share.listeners)
    by_name = np.argsort(people.user_name)
    users = pa.table(
        {
            "user_id": pa.array(people.user_name).take(pa.array(by_name)),
            "time_zone": pa.array(list(ZONES)).take(pa.array(people.zone[by_name])),
        }
    )
    place = np.argsort(by_name)
    for day, listens in simulate_by_day(
        people, recordings, first_day=share.first_day, days=share.days, seed=share.seed
    ):
        unmapped = np.random.default_rng([share.seed, 4, day.toordinal()]).random(len(listens.listener)) < NAMES_ONLY
        order = np.argsort(place[listens.listener] * 86_400 + listens.listened_at - epoch(day))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            at = listens.listened_at[rows] * 1_000_000
            seconds_played = listens.ms_played[rows] // 1000  # ListenBrainz tells whole seconds
            columns = {
                "day": pa.repeat(pa.scalar(day), len(rows)),
                "listened_at": _instants(at),
                "ms_played": pa.array(seconds_played * 1000),
                "source": pa.repeat(NAME, len(rows)),
                "ended_at": _instants(at + seconds_played * 1_000_000),
            }
            user = users.take(pa.array(place[listens.listener[rows]]))
            named = share.names.take(pa.array(listens.recording[rows] + unmapped[rows] * len(recordings)))
            for table in (user, named):
                columns |= dict(zip(table.column_names, table.columns, strict=True))
            yield pa.table(columns)
        del listens, unmapped, order  # the next day needs the room


def _instants(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds).cast(pa.timestamp("us", "UTC"))


def _names(recordings: list[Recording], identify: Identify) -> pa.Table:
    """What a listen says of each recording: first of each as players tell it that know its MBIDs, then as others do."""
    mapped = [(r.id, [artist.id for artist, _ in r.credit]) for r in recordings]
    by_name = [identify(r.credited, r.work.title) for r in recordings]
    ids = [*mapped, *((recording_id, [artist_id]) for recording_id, artist_id in by_name)]
    return pa.table(
        {
            "recording_id": [recording_id for recording_id, _ in ids],
            "artist_ids": pa.array([artist_ids for _, artist_ids in ids], pa.list_(pa.string())),
            "artist_name": [r.credited for r in recordings] * 2,
            "recording_name": [r.work.title for r in recordings] * 2,
            "release_name": [r.release.title for r in recordings] * 2,
        }
    )


def _divide(whole: Share, shares: int) -> list[Share]:
    """Stretches of days as even as can be: where two meet, both simulate a day on either side."""
    starts = sorted({whole.days * n // shares for n in range(shares)})
    return [
        replace(whole, first_day=whole.first_day + timedelta(days=start), days=end - start)
        for start, end in zip(starts, [*starts[1:], whole.days], strict=True)
    ]


def _run(shares: Sequence[Share], write: Writer, say: Callable[[str], None]) -> list[str]:
    """Write each share in a process of its own; the names of the files."""
    spawn = multiprocessing.get_context("spawn")  # a forked process deadlocks once deltalake was used
    processes, pipes = [], []
    began = last = time.monotonic()
    listens, files = 0, list[str]()
    try:
        for share in shares:
            here, there = spawn.Pipe(duplex=False)
            processes.append(spawn.Process(target=_work, args=(share, write, there), daemon=True))
            processes[-1].start()
            there.close()  # so that the pipe ends with the process
            pipes.append(here)
        while pipes:
            ready = wait(pipes)
            for pipe in [p for p in pipes if p in ready]:
                news = _news(pipe)
                if isinstance(news, int):
                    listens += news
                else:
                    files += news
                    pipes.remove(pipe)
            if not pipes or time.monotonic() - last > TELL:
                last = time.monotonic()
                say(f"  {listens:>13,} listens, {listens / (last - began):,.0f} a second")
    finally:
        for process in processes:
            process.kill()  # whoever started this may have let SIGTERM be ignored
            process.join()
    return files


def _work(share: Share, write: Writer, pipe: "Connection[Any, Any]") -> None:
    """Write a share and tell of it: the listens of each batch, and at the end the files or what went wrong."""

    def counted() -> Iterator[pa.Table]:
        for rows in tables(share):
            pipe.send(len(rows))
            yield rows

    try:
        pipe.send(write(counted()))
    except BrokenPipeError:
        pass  # nobody is left to publish what was written
    except Exception as error:
        pipe.send(error)


def _news(pipe: "Connection[Any, Any]") -> int | list[str]:
    """The next that a worker tells. Raises what it could not cope with."""
    try:
        news = pipe.recv()
    except EOFError:
        raise TuttiError(
            "a process that wrote listens was killed, maybe for want of memory: nothing is stored"
        ) from None
    if isinstance(news, Exception):
        raise news
    return cast(int | list[str], news)
