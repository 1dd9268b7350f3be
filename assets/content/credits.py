"""Credits: the artists credited with each recording, one row per name, in printed order.

A recording by several artists is one recording with several credits. To count recordings, use `recordings`. To count
artists, count each artist once per recording, even if the credit names them twice.
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
        column("credited_name", pa.string(), "name of the artist in this credit"),
        column("join_phrase", pa.string(), "phrase after the name: &, feat., or empty"),
    ]
)
COMPARED = ("recording_id", "artist_ids", "artist_credit")  # the columns of recordings that credits must match
LISTS = {"artist_id": "artist_ids", "credited_name": "credited_names", "join_phrase": "join_phrases"}


def split_credits(recordings: pa.Table) -> pa.Table:
    """Return a row for each name of each credit."""
    ids = recordings["artist_ids"].combine_chunks()
    row = pc.list_parent_indices(ids)
    lengths = pc.cast(pc.list_value_length(ids), pa.int64())
    before = pc.subtract(pc.cumulative_sum(lengths), lengths)
    position = pc.add(pc.subtract(pa.array(np.arange(len(row))), before.take(row)), 1)
    columns = {name: pc.list_flatten(recordings[lists].combine_chunks()) for name, lists in LISTS.items()}
    return pa.table({"recording_id": recordings["recording_id"].take(row), "position": position, **columns}, CREDITS)


def count_mismatches(recordings: pa.Table, credits: pa.Table) -> pa.Table:
    """Count the recordings that differ from their credits, and the recording ids that only credits have."""
    by_recording: dict[str, list[tuple[int, str, str]]] = {}
    for key, position, artist, name, phrase in zip(*(credits[c].to_pylist() for c in CREDITS.names), strict=True):
        by_recording.setdefault(key, []).append((position, artist, f"{name}{phrase}"))
    wrong = 0
    for key, artists, printed in zip(*(recordings[c].to_pylist() for c in COMPARED), strict=True):
        # A null position is counted by `not_null`.
        ordered = sorted(by_recording.pop(key, []), key=lambda credit: credit[0] or 0)
        places = list(range(1, len(artists) + 1))
        wrong += (
            [credit[0] for credit in ordered] != places
            or [credit[1] for credit in ordered] != artists
            or "".join(credit[2] for credit in ordered) != printed
        )
    return pa.table({"rows": [wrong + len(by_recording)]}, COUNT)


def not_in_catalog(credits: nw.LazyFrame, artists: nw.LazyFrame) -> nw.LazyFrame:
    """Return the artists of these credits, once each, that have no row in the catalog."""
    return distinct(credits, ["artist_id"]).join(artists, on="artist_id", how="anti")


@dg.asset(
    key_prefix="content",
    ins={"recordings": dg.AssetIn(["content", "recordings"])},
    metadata=declare(CREDITS, key=["recording_id", "position"]),
)
def credits(recordings: Frame) -> Frame:
    """Artists credited with each recording, one row per name, in printed order."""
    return recordings.select("recording_id", *LISTS.values()).map(split_credits, schema=CREDITS, kernel="arrow")


def compare(table: Table, _: Figures) -> Figures:
    """Count the recordings whose credits are wrong, the artists credited, and those of them in the catalog."""
    recordings = table.open(dg.AssetKey(["content", "recordings"]), subset(RECORDINGS, COMPARED), None)
    artists = table.open(dg.AssetKey(["content", "artists"]), subset(ARTISTS, ["artist_id"]), None)
    artist_ids = table.rows.select("artist_id")
    credited = total(artist_ids.per("artist_id", partial(distinct, key=["artist_id"])).map(count))
    missing = total(artist_ids.per("artist_id", not_in_catalog, artists).map(count))
    return {
        WRONG: total(recordings.per("recording_id", count_mismatches, table.rows, schema=COUNT, kernel="arrow")),
        "artists": credited,
        "artists_in_catalog": credited - missing,
    }


WRONG = "offending_recordings"
credits_match_recordings = Check(
    "credits_match_recordings",
    "The credits of each recording equal its artist_ids and artist_credit in content/recordings. The figures also "
    "count the credited artists that have a row in content/artists.",
    {},
    compare,
    lambda figures: not figures[WRONG],
    [dg.AssetKey(["content", "recordings"]), dg.AssetKey(["content", "artists"])],
)
checks = [checks_of(credits, well_formed("recording_id", "artist_id"), credits_match_recordings)]
