"""Listen generator: listens of any number of sandbox listeners, written directly into the lake.

It writes one month of the world that `world.write` writes to files, as the table that the platform builds from them,
without errors and duplicates. A lake of the size of a service takes minutes.
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
from resources.sandbox.world import NAMES_ONLY_SHARE
from resources.sources.formats.listenbrainz import NAME
from resources.terminal import say

# The number of days is fixed and the number of listeners varies, so that days grow as in a growing service. The cost
# per listen stays the same, and every size has whole weeks and one whole month for the charts.
FIRST_DAY, DAYS = date(2025, 4, 1), 30
LISTENS_PER_DAY = 9.8  # of a listener, including bots; measured average over these days
BATCH_LISTENS = 200_000  # converted at a time: 60 MB
PROGRESS_INTERVAL_S = 5.0

Identify: TypeAlias = Callable[[str, str], tuple[str, str]]
"""Returns the ids of a recording and its artist credit that the platform derives from the names of both."""


@dataclass(frozen=True)
class DayRange:
    """Some days of a world of `listeners`."""

    names: (
        pa.Table
    )  # recording columns of a listen: first a row per recording with MBIDs, then a row per recording by name
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
    report: Callable[[str], None] = say,
) -> Written:
    """Write about `listens` listens to a table of the lake, sorted by day, listener and time, in one commit.

    The same size and seed give the same rows, whatever the number of `workers` (default: one per core). A worker needs
    about 300 bytes per listen of a day. Raise TuttiError if the size is too small, the table has rows, or a worker is
    killed. In these cases nothing is written.
    """
    listeners = round(listens / (DAYS * LISTENS_PER_DAY))
    if listeners < 1:
        raise TuttiError(
            f"too few listens: {listens}. One listener has {DAYS * LISTENS_PER_DAY:.0f}, so that is the minimum."
        )

    def refuse_to_overwrite() -> None:
        if lake.scan(table, schema).files:
            raise TuttiError(
                f"{lake.root / table} already has listens. Name an empty folder, for example"
                " `make generate-listens DATA=data/another`."
            )

    refuse_to_overwrite()
    report(f"{listeners:,} listeners, {DAYS} days from {FIRST_DAY} ...")
    names = _names(performers.recordings(catalog.works(), seed), identify)
    ranges = _divided(DayRange(names, listeners, seed, FIRST_DAY, DAYS), workers or os.cpu_count() or 1)
    with lake.writing(table, schema) as transaction:
        transaction.files += _run(ranges, transaction.writer, report)
        refuse_to_overwrite()  # again, because generating takes minutes
        return transaction.publish(RangeFilter("day", FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1)))


def tables(day_range: DayRange) -> Iterator[pa.Table]:
    """Yield the listens of some days in batches, sorted by day, listener and time."""
    recordings = performers.recordings(catalog.works(), day_range.seed)
    people = population(recordings, day_range.seed, day_range.listeners)
    by_name = np.argsort(people.user_name)
    users = pa.table(
        {
            "user_id": pa.array(people.user_name).take(pa.array(by_name)),
            "time_zone": pa.array(list(ZONES)).take(pa.array(people.zone[by_name])),
        }
    )
    place = np.argsort(by_name)
    for day, listens in simulate_by_day(
        people, recordings, first_day=day_range.first_day, days=day_range.days, seed=day_range.seed
    ):
        unmapped = (
            np.random.default_rng([day_range.seed, 4, day.toordinal()]).random(len(listens.listener)) < NAMES_ONLY_SHARE
        )
        order = np.argsort(place[listens.listener] * 86_400 + listens.listened_at - epoch(day))
        for start in range(0, len(order), BATCH_LISTENS):
            rows = order[start : start + BATCH_LISTENS]
            at = listens.listened_at[rows] * 1_000_000
            seconds_played = listens.ms_played[rows] // 1000  # ListenBrainz has whole seconds
            columns = {
                "day": pa.repeat(pa.scalar(day), len(rows)),
                "listened_at": _instants(at),
                "ms_played": pa.array(seconds_played * 1000),
                "source": pa.repeat(NAME, len(rows)),
                "ended_at": _instants(at + seconds_played * 1_000_000),
            }
            user = users.take(pa.array(place[listens.listener[rows]]))
            named = day_range.names.take(pa.array(listens.recording[rows] + unmapped[rows] * len(recordings)))
            for table in (user, named):
                columns |= dict(zip(table.column_names, table.columns, strict=True))
            yield pa.table(columns)
        del listens, unmapped, order  # free memory for the next day


def _instants(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds).cast(pa.timestamp("us", "UTC"))


def _names(recordings: list[Recording], identify: Identify) -> pa.Table:
    """Return the recording columns of listens: a row per recording with MBIDs, then a row per recording by name."""
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


def _divided(all_days: DayRange, parts: int) -> list[DayRange]:
    """Divide days into ranges as even as possible. Each range also simulates the day before it and after it."""
    starts = sorted({all_days.days * n // parts for n in range(parts)})
    return [
        replace(all_days, first_day=all_days.first_day + timedelta(days=start), days=end - start)
        for start, end in zip(starts, [*starts[1:], all_days.days], strict=True)
    ]


def _run(ranges: Sequence[DayRange], write: Writer, report: Callable[[str], None]) -> list[str]:
    """Write each range of days in its own process, and return the names of the files."""
    spawn = multiprocessing.get_context("spawn")  # a forked process deadlocks after deltalake was used
    processes, pipes = [], []
    began = last = time.monotonic()
    listens, files = 0, list[str]()
    try:
        for day_range in ranges:
            receiver, sender = spawn.Pipe(duplex=False)
            processes.append(spawn.Process(target=_work, args=(day_range, write, sender), daemon=True))
            processes[-1].start()
            sender.close()  # so that the pipe closes when the process ends
            pipes.append(receiver)
        while pipes:
            ready = wait(pipes)
            for pipe in [p for p in pipes if p in ready]:
                message = _received(pipe)
                if isinstance(message, int):
                    listens += message
                else:
                    files += message
                    pipes.remove(pipe)
            if not pipes or time.monotonic() - last > PROGRESS_INTERVAL_S:
                last = time.monotonic()
                report(f"  {listens:>13,} listens, {listens / (last - began):,.0f} per second")
    finally:
        for process in processes:
            process.kill()  # SIGTERM may be ignored, which child processes inherit
            process.join()
    return files


def _work(day_range: DayRange, write: Writer, pipe: "Connection[Any, Any]") -> None:
    """Write a range of days. Send the number of listens of each batch, and finally the files or the error."""

    def counted() -> Iterator[pa.Table]:
        for rows in tables(day_range):
            pipe.send(len(rows))
            yield rows

    try:
        pipe.send(write(counted()))
    except BrokenPipeError:
        pass  # the parent process is gone and cannot commit the files
    except Exception as error:
        pipe.send(error)


def _received(pipe: "Connection[Any, Any]") -> int | list[str]:
    """Return the next message of a worker. Raise its error, or TuttiError if it was killed."""
    try:
        message = pipe.recv()
    except EOFError:
        raise TuttiError(
            "a worker process was killed, perhaps because memory ran out. Nothing was written."
            " Free memory or generate fewer listens, and run the same command again."
        ) from None
    if isinstance(message, Exception):
        raise message
    return cast(int | list[str], message)
