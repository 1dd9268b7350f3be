"""Batches: long work on many files, committed as it goes, so that a run that is killed loses minutes at most."""

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

FEWEST, MOST = 32, 4_096  # files in a batch: the first tells soon how fast it goes, a large one keeps a cluster busy
LONG = 60  # seconds: what may be lost, and what one waits to be told


@dataclass(frozen=True)
class Done:
    """A batch that is in the table: how many files of how many are done, what became of its own, and in which time."""

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
    tells: Sequence[str],
) -> Iterator[Done]:
    """Work on files batch by batch, the rows made of each replacing the asset's rows of the same `key` in one commit.

    Files come in the order of `key`, by which the table is sorted, so that a batch touches little of it. What is known
    of a file of which no row is made stays. Of the rows made, the columns that `tells` names are given back.
    """
    name, files, done, size = "/".join(asset.path), files.sort_by(key), 0, FEWEST
    while done < len(files):
        began, batch = time.monotonic(), files.slice(done, size)
        rows = work(io_manager.engine.engine.from_arrow(batch.combine_chunks()))
        with io_manager.lake.writing(name, schema, [key]) as draft:
            draft.write(rows)
            told = Scan([str(draft.folder / f) for f in draft.files], subset(schema, [key, *tells])).table()
            if len(told):
                draft.publish(ValuesFilter.of(key, told[key].to_pylist()))
        done, seconds = done + len(batch), time.monotonic() - began
        yield Done(done, len(files), told, seconds)
        if seconds < LONG:
            size = min(2 * size, MOST)
