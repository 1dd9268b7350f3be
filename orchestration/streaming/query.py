"""The streaming query: Spark's Structured Streaming imports the landing folder continuously.

The stream uses the same readers, ledger and commits as any import. Spark tasks read files and write rows, and this
process commits them. An interrupted micro-batch is repeated from the checkpoint with the same files. The ledger
identifies files by their content, so each is imported exactly once, even if the daemon's sensor imports it too.

The watermark is the newest event time so far, minus `LATENESS`. Live feeds have delivered their records by then, so
the watermark shows how complete the lake is. It drops nothing, since no step keeps state. Later records, such as an old
history, are imported too. Their days are reported to Dagster, so the downstream tables are rebuilt, and the
materialization of `imports` has the number of late records.
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
from orchestration.sensors.landing_files import MAX_FILES
from orchestration.streaming.records import HAPPENED
from orchestration.streaming.sink import Sink
from resources.environments import ENVIRONMENTS, data_folder
from resources.errors import TuttiError
from resources.locks import one_process
from resources.materializations import report_outside_runs
from resources.sources.records.listen import CLOCK_SKEW
from resources.terminal import say

LATENESS = CLOCK_SKEW + timedelta(minutes=15)  # a clock may run ahead, and a listen is sent when it has ended
TRIGGER_INTERVAL = "5 seconds"  # the same as the sensor's


def stream(once: bool) -> None:
    """Import landed files until stopped, or (`once`) only the files that have landed.

    Raises `TuttiError` without Spark, if another stream is running, or with the cause of a failure.
    """
    if CHOSEN != "spark":
        raise TuttiError(f"streaming needs Spark, but TUTTI_ENV is {CHOSEN}. Run `TUTTI_ENV=spark make stream`")
    engine, data = ENVIRONMENTS[CHOSEN]().engine, data_folder()
    dagster_home()
    instance = dg.DagsterInstance.get()
    sink = Sink(engine, data, partial(report_outside_runs, instance), say)
    with one_process(sink.checkpoint.with_suffix(".lock"), "another stream is running on this data"):
        query = start(sink, once)
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # Spark's own handlers would interrupt a micro-batch
            signal.signal(number, lambda *_: stopping.set())
        say(f"Importing files that land in {sink.landing.place('listens')}. Press Ctrl-C to stop.")
        wait(query, sink, stopping)


def start(sink: Sink, once: bool, files: int = MAX_FILES) -> Any:
    """Start or resume the query, with at most `files` files in a micro-batch, and return it."""
    from orchestration.streaming.source import LandedSource

    landing = sink.landing
    if not landing.store.remote:
        Path(landing.place("listens")).mkdir(parents=True, exist_ok=True)
    prepare(sink.lake)
    _clear_unused(sink.checkpoint)
    session = sink.engine.session
    session.dataSource.register(LandedSource)
    options = {
        "data": str(sink.data),
        "landing": landing.root,
        "files": str(files),
        "shares": str(sink.engine.shuffle_partitions),
    }
    rows = session.readStream.format(LandedSource.name()).options(**options).load()
    trigger: dict[str, Any] = {"availableNow": True} if once else {"processingTime": TRIGGER_INTERVAL}
    return (
        rows.withWatermark(HAPPENED, f"{LATENESS // timedelta(seconds=1)} seconds")
        .writeStream.queryName("landed")
        .option("checkpointLocation", str(sink.checkpoint))
        .trigger(**trigger)
        .foreachBatch(sink.import_batch)
        .start()
    )


def _clear_unused(checkpoint: Path) -> None:
    """Empty a checkpoint without a micro-batch. Spark refuses the files that a query killed that early leaves."""
    if not any(offset.name.isdecimal() for offset in checkpoint.glob("offsets/*")):
        for path in checkpoint.glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def wait(query: Any, sink: Sink, stopping: threading.Event) -> None:
    """Wait until the query ends. If `stopping` is set, stop it after the current micro-batch.

    Raises `TuttiError` with the cause if the query fails.
    """
    from pyspark.errors import StreamingQueryException

    try:
        while not query.awaitTermination(1):
            if stopping.is_set():
                with sink.lock:
                    pass  # the next micro-batch may start right away; it is interrupted and repeated by the next stream
                query.stop()
                return
    except StreamingQueryException as error:
        raise sink.cause or TuttiError(str(error).splitlines()[0]) from error
