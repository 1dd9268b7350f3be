"""The landing folder taken in by Spark's Structured Streaming: the import of files as a query that never ends.

What a file becomes, and when it counts as in, is as in any import: the same readers, ledger and commits. Tasks read
files and write rows; this process commits them. A micro-batch that is broken off is made again from the checkpoint, of
the same files, and the ledger knows by their content which of them were in by then: so each is taken in exactly once,
also where the daemon's sensor takes in the same.

The watermark is the newest time of a listen (or whatever else has a day) so far, less `PATIENCE`: until then, what live
feeds have to tell has landed. It tells how complete the lake is and drops nothing, since no step keeps state to be
cleared by it. What comes later than it, such as the history of years, goes where it belongs, its days are told to
Dagster like all others, and what is made of them follows; the materializations of `imports` count how much that was.
"""

import shutil
import signal
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from assets.imports.ledger import prepare
from orchestration.definitions import CHOSEN
from orchestration.instance.home import dagster_home
from orchestration.sensors.landing_files import FILES
from orchestration.streaming.records import HAPPENED
from orchestration.streaming.sink import Sink
from resources.environments import ENVIRONMENTS, data_folder
from resources.errors import TuttiError
from resources.locks import one_process
from resources.materializations import report_outside_runs
from resources.sources.records.listen import CLOCK_SKEW

PATIENCE = CLOCK_SKEW + timedelta(minutes=15)  # a clock may run ahead so far, and a listen is sent when it has ended
EVERY = "5 seconds"  # as the sensor looks


def stream(once: bool) -> None:
    """Take in what lands until told to stop, or what lies there now. Raises `TuttiError` with the cause if it fails."""
    if CHOSEN != "spark":
        raise TuttiError("a stream needs Spark: TUTTI_ENV=spark make stream")
    engine, data = ENVIRONMENTS[CHOSEN]().engine, data_folder()
    dagster_home()
    instance = dg.DagsterInstance.get()
    sink = Sink(engine, data, partial(report_outside_runs, instance), partial(print, flush=True))
    with one_process(sink.checkpoint.with_suffix(".lock"), "another stream is at work on this data"):
        query = start(sink, once)
        stopping = threading.Event()
        for told in (signal.SIGINT, signal.SIGTERM):  # Spark's own would end what a micro-batch is at
            signal.signal(told, lambda *_: stopping.set())
        print(f"What lands in {sink.landing.place('listens')} is taken in; Ctrl-C ends it", flush=True)
        wait(query, sink, stopping)


def start(sink: Sink, once: bool, files: int = FILES) -> Any:
    """The query, begun or gone on with, of at most so many files in a micro-batch."""
    from orchestration.streaming.source import LandedSource

    landing = sink.landing
    if not landing.store.remote:
        Path(landing.place("listens")).mkdir(parents=True, exist_ok=True)
    prepare(sink.lake)
    _clear_unbegun(sink.checkpoint)
    session = sink.engine.session
    session.dataSource.register(LandedSource)
    options = {"data": str(sink.data), "landing": landing.root, "files": str(files), "shares": str(sink.engine.shares)}
    rows = session.readStream.format(LandedSource.name()).options(**options).load()
    trigger: dict[str, Any] = {"availableNow": True} if once else {"processingTime": EVERY}
    return (
        rows.withWatermark(HAPPENED, f"{PATIENCE // timedelta(seconds=1)} seconds")
        .writeStream.queryName("landed")
        .option("checkpointLocation", str(sink.checkpoint))
        .trigger(**trigger)
        .foreachBatch(sink.take)
        .start()
    )


def _clear_unbegun(checkpoint: Path) -> None:
    """Empty a checkpoint without a micro-batch: Spark refuses what a query killed that early leaves there."""
    if not any(noted.name.isdecimal() for noted in checkpoint.glob("offsets/*")):
        for left in checkpoint.glob("*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def wait(query: Any, sink: Sink, stopping: threading.Event) -> None:
    """Wait until the query ends, or end it after its present micro-batch once told to stop."""
    from pyspark.errors import StreamingQueryException

    try:
        while not query.awaitTermination(1):
            if stopping.is_set():
                with sink.at_work:
                    pass  # another may begin the moment after: it is broken off, and made again the next time
                query.stop()
                return
    except StreamingQueryException as error:
        raise sink.cause or TuttiError(str(error).splitlines()[0]) from error
