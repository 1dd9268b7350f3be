"""All record types. To add one, write its module here as the others are, and name it below."""

from assets.imports.app_events import APP_EVENT_RECORDS
from assets.imports.feedback import FEEDBACK_RECORDS
from assets.imports.listens import LISTEN_RECORDS
from assets.imports.playlists import TRACK_RECORDS
from assets.imports.posts import POST_RECORDS
from assets.imports.record_type import RecordType
from assets.imports.relations import RELATION_RECORDS
from assets.imports.retractions import RETRACTION_RECORDS
from assets.imports.shares import SHARE_RECORDS
from assets.imports.taggings import TAGGING_RECORDS

RECORD_TYPES: tuple[RecordType, ...] = (
    LISTEN_RECORDS,
    FEEDBACK_RECORDS,
    TRACK_RECORDS,
    APP_EVENT_RECORDS,
    RELATION_RECORDS,
    POST_RECORDS,
    SHARE_RECORDS,
    TAGGING_RECORDS,
    RETRACTION_RECORDS,
)
