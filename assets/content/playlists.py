"""Playlists: what people put together, a row for each track, in order.

Written by imports. A playlist that is handed in again, changed, is there once for each file: `import_id` tells them
apart.
"""

import dagster as dg

from assets.checks import complete, unique
from assets.imports.playlists import PLAYLISTS, TRACK_RECORDS

checks: list[dg.AssetChecksDefinition] = [
    unique(TRACK_RECORDS.spec, "import_id", "file", "playlist_id", "position"),
    complete(TRACK_RECORDS.spec, PLAYLISTS),
]
