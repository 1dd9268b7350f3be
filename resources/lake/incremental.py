"""Incremental work on many files in batches, each with its own commit, so that a killed run loses minutes at most."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg
import pyarrow as pa

from resources.frames.filters import ValuesFilter
from resources.frames.frame import Frame
from resources.frames.scan import Scan
from resources.lake.io_manager import LakeIO
from resources.schema import subset

# Files in a batch: a small first batch soon shows the speed, a large one keeps a cluster busy.
MIN_BATCH_FILES, MAX_BATCH_FILES = 32, 4_096
# Batches grow until one takes this long: it is the work that a kill loses, and the time between two progress lines.
BATCH_S = 60


@dataclass(frozen=True)
class Done:
    """A committed batch: files done so far, the total, and the batch's own rows and duration."""

    files: int
    total: int
    rows: pa.Table
    seconds: float


def batches(
    files: pa.Table,
    key: str,
    work: Callable[[Frame], Frame],
    io_manager: LakeIO,
    asset: dg.AssetKey,
    schema: pa.Schema,
    reported: Sequence[str],
) -> Iterator[Done]:
    """Run `work` on files in batches. A batch's rows replace the asset's rows with the same `key` in one commit.

    Files are processed in the order of `key`, by which the table is sorted, so that a batch touches little of it. If
    `work` returns no row for a file, the file's stored rows stay. Yields each batch with the columns `reported` of its
    rows.
    """
    name, files, done, size = "/".join(asset.path), files.sort_by(key), 0, MIN_BATCH_FILES
    while done < len(files):
        began, batch = time.monotonic(), files.slice(done, size)
        rows = work(io_manager.engine.engine.from_arrow(batch.combine_chunks()))
        with io_manager.lake.writing(name, schema, [key]) as draft:
            draft.write(rows)
            written = Scan([str(draft.folder / f) for f in draft.files], subset(schema, [key, *reported])).table()
            if len(written):
                draft.publish(ValuesFilter.of(key, written[key].to_pylist()))
        done, seconds = done + len(batch), time.monotonic() - began
        yield Done(done, len(files), written, seconds)
        if seconds < BATCH_S:
            size = min(2 * size, MAX_BATCH_FILES)
