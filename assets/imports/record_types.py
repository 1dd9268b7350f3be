"""The kinds of records that files give. To add one, write its module here as the others are, and name it below."""

from assets.imports.app_events import APP_EVENTS
from assets.imports.feedback import GIVEN
from assets.imports.listens import LISTENS
from assets.imports.playlists import TRACKS
from assets.imports.posts import POSTED
from assets.imports.record_type import Kind
from assets.imports.relations import TOLD
from assets.imports.retractions import RETRACTED
from assets.imports.shares import SHARED
from assets.imports.taggings import TAGGED

KINDS: tuple[Kind, ...] = (LISTENS, GIVEN, TRACKS, APP_EVENTS, TOLD, POSTED, SHARED, TAGGED, RETRACTED)
