"""Playlists: what people put together, a row for each track, in order.

Written by imports. A playlist that is handed in again, changed, is there once for each file: `import_id` tells them
apart.
"""

from assets.checks import checks_of
from assets.imports.playlists import TRACK_RECORDS

checks = [checks_of(TRACK_RECORDS.spec)]
