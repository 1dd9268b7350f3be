"""Credits: who is credited with a recording, a row for each name in the order in which it is printed.

A recording by several artists is one recording with several credits. Whoever counts recordings counts those of
`recordings`; whoever counts artists, each artist once for a recording, however often the credit names them.
"""

from functools import partial

import dagster as dg
import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.checks import COUNT, complete, count, distinct, unique, well_formed
from resources.frames.frame import Frame
from resources.schema import column, declare

CREDITS = pa.schema(
    [
        column("recording_id", pa.string(), "MusicBrainz recording"),
        column("position", pa.int64(), "place in the credit, from 1"),
        column("artist_id", pa.string(), "MusicBrainz artist"),
        column("credited_name", pa.string(), "what the artist is called there"),
        column("join_phrase", pa.string(), "what follows the name: &, feat., or nothing"),
    ]
)
LISTS = {"artist_id": "artist_ids", "credited_name": "credited_names", "join_phrase": "join_phrases"}


def each(recordings: pa.Table) -> pa.Table:
    """A row for each name of each credit."""
    ids = recordings["artist_ids"].combine_chunks()
    of = pc.list_parent_indices(ids)
    starts = pc.cast(pc.list_value_length(ids), pa.int64())
    before = pc.subtract(pc.cumulative_sum(starts), starts)
    position = pc.add(pc.subtract(pa.array(np.arange(len(of))), before.take(of)), 1)
    told = {name: pc.list_flatten(recordings[lists].combine_chunks()) for name, lists in LISTS.items()}
    return pa.table({"recording_id": recordings["recording_id"].take(of), "position": position, **told}, CREDITS)


def disagreeing(recordings: pa.Table, credits: pa.Table) -> pa.Table:
    """How many of these recordings are not what their credits say, or have credits that are of no recording."""
    said: dict[str, list[tuple[int, str, str]]] = {}
    for id, position, artist, name, phrase in zip(*(credits[c].to_pylist() for c in CREDITS.names), strict=True):
        said.setdefault(id, []).append((position, artist, f"{name}{phrase}"))
    wrong = 0
    columns = ("recording_id", "artist_ids", "artist_credit")
    for id, artists, printed in zip(*(recordings[c].to_pylist() for c in columns), strict=True):
        found = sorted(said.pop(id, []))
        places = list(range(1, len(artists) + 1))
        wrong += (
            [f[0] for f in found] != places
            or [f[1] for f in found] != artists
            or "".join(f[2] for f in found) != printed
        )
    return pa.table({"rows": [wrong + len(said)]}, COUNT)


def unknown(credits: nw.LazyFrame, artists: nw.LazyFrame) -> nw.LazyFrame:
    """The artists of these credits, once each, of whom the catalogue has no more than the credit."""
    return distinct(credits, ["artist_id"]).join(artists, on="artist_id", how="anti")


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(CREDITS, key=["recording_id", "position"]),
)
def credits(recordings: Frame) -> Frame:
    """Who is credited with each recording, in order."""
    return recordings.select("recording_id", *LISTS.values()).map(each, schema=CREDITS, kernel="arrow")


@dg.asset_check(
    asset=credits,
    name="agreeing",
    description="Credits, in order, are those of the recordings: none lacks, none is of another. Of artists told is "
    "how many have a row in content/artists.",
    blocking=True,
    additional_ins={
        "recordings": dg.AssetIn(["content", "recordings"]),
        "artists": dg.AssetIn(["content", "artists"]),
    },
)
def agreeing(credits: Frame, recordings: Frame, artists: Frame) -> dg.AssetCheckResult:
    """Whether credits and recordings say the same, and how many artists are known."""
    told = recordings.select("recording_id", "artist_ids", "artist_credit")
    wrong = _added(told.per("recording_id", disagreeing, credits, schema=COUNT, kernel="arrow"))
    named = credits.select("artist_id")
    credited = _added(named.per("artist_id", partial(distinct, key=["artist_id"])).map(count))
    lacking = _added(named.per("artist_id", unknown, artists.select("artist_id")).map(count))
    return dg.AssetCheckResult(
        passed=wrong == 0,
        metadata={"offending recordings": wrong, "artists": credited, "artists in the catalogue": credited - lacking},
    )


def _added(counts: Frame) -> int:
    return sum(n or 0 for n in counts.collect(COUNT)["rows"].to_pylist())


checks = [
    unique(credits, "recording_id", "position"),
    complete(credits, CREDITS),
    well_formed(credits, "recording_id", "artist_id"),
    agreeing,
]
