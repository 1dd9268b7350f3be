"""Metadata pulls as Dagster runs them: what listens name and the catalogue lacks is asked for and lands.

One at a time, by the pool of the service. What has landed becomes tables in a run of its own: one that fails here
leaves the tables as they are, and their freshness tells how long that has been so.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
from pydantic import Field

from assets.content.artists import ARTISTS
from assets.content.recordings import RECORDINGS
from assets.content.release_groups import RELEASE_GROUPS
from assets.content.releases import RELEASES
from assets.content.wanted import HEARD, heard, lacking
from orchestration.jobs.pulls import RETRIES, asking
from resources.folders.landing import Landing
from resources.frames.frame import Frame
from resources.lake.io_manager import LakeIO
from resources.pulls import metadata
from resources.pulls.metadata import USUAL, Wanted
from resources.services.musicbrainz import NAME


class MetadataConfig(dg.Config):
    """How much to ask for."""

    most: int = Field(default=USUAL, ge=1, description="entities of each kind, at most: a second each, or more")


def wanted(io_manager: LakeIO) -> Wanted:
    """What the lake names and its catalogue lacks, by the folder in which it would land."""

    def table(layer: str, name: str, schema: pa.Schema) -> Frame:
        return io_manager.open(dg.AssetKey([layer, name]), schema)

    recordings = table("content", "recordings", RECORDINGS)
    artists, releases = table("content", "artists", ARTISTS), table("content", "releases", RELEASES)
    groups = table("content", "release_groups", RELEASE_GROUPS)
    credits = [(rows, "artist_ids") for rows in (recordings, releases, groups)]
    return {
        "recordings": heard(table("events", "raw_listens", HEARD), recordings),
        "artists": lacking(artists, "artist_id", *credits),
        "releases": lacking(releases, "release_id", (recordings, "release_id")),
        "release_groups": lacking(groups, "release_group_id", (releases, "release_group_id")),
    }


@dg.op(
    name=NAME,
    description="What the catalogue lacks of what is listened to goes from MusicBrainz into the landing folder.",
    pool=NAME,
    retry_policy=RETRIES,
    out=dg.Out(dg.Nothing),
)
def ask(
    context: dg.OpExecutionContext, config: MetadataConfig, landing: Landing, io_manager: dg.ResourceParam[LakeIO]
) -> None:
    """Ask for it, the most played first."""
    tell, folder = context.log.info, Path(landing.root)
    with asking(context, landing):
        api = metadata.musicbrainz(os.environ, folder.parent, tell)
        now, names = datetime.now(UTC), wanted(io_manager)
        told = metadata.pull_metadata(api, names, folder, now, most=config.most, tell=tell)
    tell(
        f"{NAME}: {told.recordings:,} recordings, {told.artists:,} artists, {told.releases:,} releases and "
        f"{told.release_groups:,} release groups pulled; unknown there: {told.unknown:,}, left for the next pull: "
        f"{told.left:,}"
    )
    context.add_output_metadata(vars(told))


@dg.job(description="What the catalogue lacks of what is listened to, from MusicBrainz.")
def pull_metadata() -> None:
    """The most played first, with the artists and releases they name."""
    ask()
