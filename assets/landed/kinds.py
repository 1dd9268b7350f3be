"""The kinds of records that files give. To add one, write its module here as the others are, and name it below."""

from assets.landed.app_events import APP_EVENTS
from assets.landed.feedback import GIVEN
from assets.landed.kind import Kind
from assets.landed.listens import LISTENS
from assets.landed.playlists import TRACKS
from assets.landed.posts import POSTED
from assets.landed.relations import TOLD
from assets.landed.retractions import RETRACTED
from assets.landed.shares import SHARED
from assets.landed.taggings import TAGGED

KINDS: tuple[Kind, ...] = (LISTENS, GIVEN, TRACKS, APP_EVENTS, TOLD, POSTED, SHARED, TAGGED, RETRACTED)
