"""Lyrics: the words of recordings, as LRCLIB tells them.

Read from files of LRCLIB records, one JSON object a line, in the landing folder ("lyrics").
"""

from dataclasses import asdict

import dagster as dg
import pyarrow as pa

from assets.checks import complete, unique
from resources.columns import column, declare
from resources.landing import Landing
from resources.sources import lrclib

LYRICS = pa.schema(
    [
        column("lyrics_id", pa.int64(), "LRCLIB's id"),
        column("recording_id", pa.string(), "MusicBrainz recording, where the source tells", null=True),
        column("title", pa.string(), "title as the source has it"),
        column("artist_credit", pa.string(), "artist as the source has it"),
        column("language", pa.string(), "ISO 639-1 code, where the source tells", null=True),
        column("instrumental", pa.bool_(), "whether there is nothing to sing"),
        column("text", pa.string(), "the words, in lines", null=True),
    ]
)


@dg.asset(key_prefix="content", metadata=declare(LYRICS, order=["lyrics_id"]))
def lyrics(context: dg.AssetExecutionContext, landing: Landing) -> pa.Table:
    """The words of recordings."""
    rows: dict[int, lrclib.Lyrics] = {}
    for path in landing.files("lyrics"):
        for found in lrclib.lyrics(path):
            if isinstance(found, lrclib.Lyrics):
                rows[found.lyrics_id] = found
            else:
                context.log.warning("%s, record %s is passed over: %s", path.name, *found)
    return pa.Table.from_pylist([asdict(r) for r in rows.values()], LYRICS)


checks = [unique(lyrics, "lyrics_id"), complete(lyrics, LYRICS)]
