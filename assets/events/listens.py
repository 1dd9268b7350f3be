"""Listens: who heard which recording and when, each once.

What is told of one listen by several records (a file exported again, a player and a scrobbler) is one listen, as
`replaced_listens` decides; which recording it is about, `identities` decides. A recording heard again at another time
is another listen.
"""

import dagster as dg
import narwhals as nw
import pyarrow as pa

from assets.checks import accounted, bounded, checks_of, referential
from assets.events.identities import identify
from assets.imports.listens import RAW_LISTENS, ended_at
from assets.imports.name_key import NAME_KEY
from assets.imports.record_type import BY_ARRIVAL
from assets.partitions import daily
from resources.frames.frame import Frame
from resources.schema import INSTANT, column

LISTENS = pa.schema(
    [
        column("day", pa.date32(), "UTC day on which the listen began"),
        column("user_id", pa.string(), "who listened", personal=True),
        column("recording_id", pa.string(), "MusicBrainz recording, else a UUID of artist credit and title"),
        column("listened_at", INSTANT, "start of play", unit="UTC"),
        column("ms_played", pa.int64(), "how long it was heard, where the source tells", unit="ms", null=True),
        column("source", pa.string(), "format it was submitted in"),
        column("time_zone", pa.string(), "where the listener was, as an IANA name", null=True),
        column("artist_name", pa.string(), "artist credit as submitted"),
        column("recording_name", pa.string(), "title as submitted"),
        column("release_name", pa.string(), "release as submitted", null=True),
        column("artist_ids", pa.list_(pa.string()), "MusicBrainz artists, else one UUID of the artist credit"),
        column("ended_at", INSTANT, "end of play, where the source tells", unit="UTC", null=True),
    ]
)
DECIDED = ["recording_id", "artist_ids"]
SUBMITTED = [n for n in LISTENS.names if n in RAW_LISTENS.names]


def once(raw: nw.LazyFrame, replaced: nw.LazyFrame) -> nw.LazyFrame:
    """Return each listen once: without the records that gave way to others."""
    return raw.join(replaced, on=BY_ARRIVAL, how="anti").select(*SUBMITTED, NAME_KEY.name)


def with_ends(listens: pa.Table) -> pa.Table:
    """Add to each listen its end."""
    ended = ended_at(listens)
    return pa.table([ended if n == "ended_at" else listens[n] for n in LISTENS.names], LISTENS)


@dg.asset(
    key_prefix="events",
    ins={
        "raw_listens": dg.AssetIn(["events", "raw_listens"]),
        "identities": dg.AssetIn(["events", "identities"]),
        "replaced_listens": dg.AssetIn(["events", "replaced_listens"]),
    },
    **daily(LISTENS, key=["user_id", "listened_at", "recording_id"], order=["user_id", "listened_at"]),
)
def listens(raw_listens: Frame, identities: Frame, replaced_listens: Frame) -> Frame:
    """Who heard which recording and when, by the UTC day it began."""
    raw = raw_listens.select(*SUBMITTED, NAME_KEY.name, *BY_ARRIVAL)
    unrepeated = raw.per(BY_ARRIVAL, once, replaced_listens.select(*BY_ARRIVAL))
    return identify(unrepeated, identities, *DECIDED).map(with_ends, schema=LISTENS, kernel="arrow")


checks = [
    checks_of(
        listens,
        bounded("listened_at"),
        referential(dg.AssetKey(["content", "recordings"])),
        accounted(dg.AssetKey(["events", "raw_listens"]), dg.AssetKey(["events", "replaced_listens"])),
    )
]
