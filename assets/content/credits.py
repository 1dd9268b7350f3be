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

from assets.checks import COUNT, Check, Figures, Table, checks_of, count, distinct, total, well_formed
from assets.content.artists import ARTISTS
from assets.content.recordings import RECORDINGS
from resources.frames.frame import Frame
from resources.schema import column, declare, subset

CREDITS = pa.schema(
    [
        column("recording_id", pa.string(), "MusicBrainz recording"),
        column("position", pa.int64(), "place in the credit, from 1"),
        column("artist_id", pa.string(), "MusicBrainz artist"),
        column("credited_name", pa.string(), "what the artist is called there"),
        column("join_phrase", pa.string(), "what follows the name: &, feat., or nothing"),
    ]
)
COMPARED = ("recording_id", "artist_ids", "artist_credit")  # what credits are compared with
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
    for id, artists, printed in zip(*(recordings[c].to_pylist() for c in COMPARED), strict=True):
        found = sorted(said.pop(id, []), key=lambda credit: credit[0] or 0)  # another check finds missing places
        places = list(range(1, len(artists) + 1))
        wrong += (
            [f[0] for f in found] != places
            or [f[1] for f in found] != artists
            or "".join(f[2] for f in found) != printed
        )
    return pa.table({"rows": [wrong + len(said)]}, COUNT)


def unknown(credits: nw.LazyFrame, artists: nw.LazyFrame) -> nw.LazyFrame:
    """The artists of these credits, once each, of whom the catalog has no more than the credit."""
    return distinct(credits, ["artist_id"]).join(artists, on="artist_id", how="anti")


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(CREDITS, key=["recording_id", "position"]),
)
def credits(recordings: Frame) -> Frame:
    """Who is credited with each recording, in order."""
    return recordings.select("recording_id", *LISTS.values()).map(each, schema=CREDITS, kernel="arrow")


def agree(table: Table, _: Figures) -> Figures:
    """Count the recordings whose credits are wrong, the artists credited, and those that the catalog has."""
    recordings = table.open(dg.AssetKey(["content", "recordings"]), subset(RECORDINGS, COMPARED), None)
    artists = table.open(dg.AssetKey(["content", "artists"]), subset(ARTISTS, ["artist_id"]), None)
    named = table.rows.select("artist_id")
    credited = total(named.per("artist_id", partial(distinct, key=["artist_id"])).map(count))
    lacking = total(named.per("artist_id", unknown, artists).map(count))
    return {
        WRONG: total(recordings.per("recording_id", disagreeing, table.rows, schema=COUNT, kernel="arrow")),
        "artists": credited,
        "artists_in_catalog": credited - lacking,
    }


WRONG = "offending_recordings"
credits_match_recordings = Check(
    "credits_match_recordings",
    "Credits, in order, are those of the recordings: none lacks, none is of another. Shows how many of the artists "
    "have a row in content/artists.",
    {},
    agree,
    lambda figures: not figures[WRONG],
    [dg.AssetKey(["content", "recordings"]), dg.AssetKey(["content", "artists"])],
)
checks = [checks_of(credits, well_formed("recording_id", "artist_id"), credits_match_recordings)]
