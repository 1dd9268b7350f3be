"""Missing entries: the metadata and lyrics that the lake refers to but does not have. Pulls request these."""

from collections.abc import Collection

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from assets.content.wanted import SUBMITTED_MBIDS, wanted_ids, wanted_recordings
from assets.tables import SCHEMAS
from resources.errors import TuttiError
from resources.frames.frame import Frame
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.pulls.lyrics import Track
from resources.pulls.metadata import Wanted


def metadata(io_manager: LakeIO) -> Wanted:
    """Return the ids that listens or the catalog refer to and the catalog lacks, by landing folder.

    Recordings are ordered by plays, the most played first.
    """

    def table(name: str, schema: pa.Schema | None = None) -> Frame:
        return io_manager.open(dg.AssetKey(name.split("/")), schema or SCHEMAS[name])

    recordings, artists, releases, groups = (
        table(f"content/{name}") for name in ("recordings", "artists", "releases", "release_groups")
    )
    return {
        "recordings": wanted_recordings(table("events/raw_listens", SUBMITTED_MBIDS), recordings),
        "artists": wanted_ids(artists, "artist_id", *((rows, "artist_ids") for rows in (recordings, releases, groups))),
        "releases": wanted_ids(releases, "release_id", (recordings, "release_id")),
        "release_groups": wanted_ids(groups, "release_group_id", (releases, "release_group_id")),
    }


def lyrics(lake: Lake, answered: Collection[str], limit: int) -> list[Track]:
    """Return at most `limit` recordings of the catalog without an answer, by plays (descending), then by id.

    Raises `TuttiError` if the catalog is empty.
    """
    names = ["recording_id", "title", "artist_credit", "length_ms"]
    catalog = lake.scan("content/recordings", SCHEMAS["content/recordings"]).select(names).table()
    if not len(catalog):
        raise TuttiError(
            "the catalog is empty, so there are no lyrics to pull. Run `make pull-metadata` first, or `make demo`"
        )
    unanswered = catalog.filter(pc.invert(pc.is_in(catalog["recording_id"], pa.array(list(answered), pa.string()))))
    chart = lake.scan("derived/charts_all_time", SCHEMAS["derived/charts_all_time"])
    plays = chart.select(["entity", "entity_id", "plays"]).table().filter(pc.field("entity") == "recording")
    ranked = unanswered.join(plays.select(["entity_id", "plays"]), "recording_id", "entity_id").sort_by(
        [("plays", "descending"), ("recording_id", "ascending")]
    )
    return [Track(*row.values()) for row in ranked.select(names).slice(0, limit).to_pylist()]
