"""All record types. To add one, write a module for it in this package and list it below."""

from assets.imports.app_events import APP_EVENT_RECORDS
from assets.imports.deletions import DELETION_RECORDS
from assets.imports.feedback import FEEDBACK_RECORDS
from assets.imports.listens import LISTEN_RECORDS
from assets.imports.playlists import TRACK_RECORDS
from assets.imports.posts import POST_RECORDS
from assets.imports.record_type import RecordType
from assets.imports.relationships import RELATIONSHIP_RECORDS
from assets.imports.shares import SHARE_RECORDS
from assets.imports.tag_assignments import TAG_ASSIGNMENT_RECORDS

RECORD_TYPES: tuple[RecordType, ...] = (
    LISTEN_RECORDS,
    FEEDBACK_RECORDS,
    TRACK_RECORDS,
    APP_EVENT_RECORDS,
    RELATIONSHIP_RECORDS,
    POST_RECORDS,
    SHARE_RECORDS,
    TAG_ASSIGNMENT_RECORDS,
    DELETION_RECORDS,
)
