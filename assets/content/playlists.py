"""Playlists: the tracks of imported playlists, in order.

Written by imports. A changed playlist that is imported again has rows for each file. `import_id` distinguishes them.
"""

from assets.checks import checks_of
from assets.imports.playlists import TRACK_RECORDS

checks = [checks_of(TRACK_RECORDS.spec)]
