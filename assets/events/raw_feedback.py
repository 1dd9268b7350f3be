"""Raw feedback: recordings that listeners love or hate, and withdrawn feedback, as submitted.

Written by imports, with duplicates from several files. The latest feedback of a listener on a recording is the one with
the latest `created_at`.
"""

from assets.checks import accepted_values, checks_of
from assets.imports.feedback import FEEDBACK_RECORDS
from resources.sources.records.feedback import HATE, LOVE, NEITHER

checks = [checks_of(FEEDBACK_RECORDS.spec, accepted_values("score", LOVE, HATE, NEITHER))]
