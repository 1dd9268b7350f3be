"""Lyrics as Dagster pulls them: for the recordings of the catalogue that have none yet, what is played most first.

What lands becomes `content/lyrics` when that is made: the command does so at once, the job `content` whenever it runs.
"""

import os
from collections.abc import Collection

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from assets.content.recordings import RECORDINGS
from assets.derived.charts import CHART
from orchestration.jobs.pulls import RETRIES, asking
from resources.errors import TuttiError
from resources.folders.landing import Landing
from resources.lake.io_manager import LakeIO
from resources.lake.lake import Lake
from resources.pulls.lyrics import Track, pull, service, told
from resources.services.lrclib import NAME

MOST = 500  # recordings that a pull asks for unless told otherwise: some minutes, for LRCLIB looks elsewhere too
LYRICS = dg.AssetKey(["content", "lyrics"])  # what lands becomes


class LyricsConfig(dg.Config):
    """How many recordings to ask for."""

    most: int = Field(default=MOST, ge=1, description="the most recordings that are asked for")


def tracks(lake: Lake, settled: Collection[str], most: int) -> list[Track]:
    """The recordings to ask for: those of the catalogue that are not settled, most played first, then by id.

    Raises `TuttiError` where there is no catalogue.
    """
    names = ["recording_id", "title", "artist_credit", "length_ms"]
    catalogue = lake.scan("content/recordings", RECORDINGS).select(names).table()
    if not len(catalogue):
        raise TuttiError("there is no catalogue to ask for: put recordings into the landing folder, or see the demo's")
    left = catalogue.filter(pc.invert(pc.is_in(catalogue["recording_id"], pa.array(list(settled), pa.string()))))
    chart = lake.scan("derived/charts_all_time", CHART).select(["entity", "entity_id", "plays"])
    heard = chart.table().filter(pc.field("entity") == "recording")
    ranked = left.join(heard.select(["entity_id", "plays"]), "recording_id", "entity_id").sort_by(
        [("plays", "descending"), ("recording_id", "ascending")]
    )
    return [Track(*row.values()) for row in ranked.select(names).slice(0, most).to_pylist()]


@dg.op(
    name=NAME,
    description="Lyrics go from LRCLIB into the landing folder, an answer for each recording that has none.",
    pool=NAME,
    retry_policy=RETRIES,
    out=dg.Out(dg.Nothing),
)
def ask(
    context: dg.OpExecutionContext, config: LyricsConfig, landing: Landing, io_manager: dg.ResourceParam[LakeIO]
) -> None:
    """Ask LRCLIB."""
    tell = context.log.info

    def choose(settled: Collection[str]) -> list[Track]:
        chosen = tracks(io_manager.lake, settled, config.most)
        tell(f"{NAME}: {len(chosen):,} recordings are asked for; {len(settled):,} have an answer")
        return chosen

    with asking(context, landing):
        pulled = pull(service(os.environ, tell), choose, landing, tell=tell)
    tell(f"{NAME}: {told(pulled)}; not taken: {pulled.refused:,}; new files: {pulled.files:,}")
    context.add_output_metadata({**pulled.answers, "refused": pulled.refused, "files": pulled.files})


@dg.job(description="Lyrics of the catalogue's recordings, from LRCLIB into the landing folder.")
def pull_lyrics() -> None:
    """What is played most first."""
    ask()
