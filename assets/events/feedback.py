"""Feedback: which recordings listeners love and hate, and what they took back, as submitted.

Written by imports. Rows are what was said, in every file that says it; the last word of a listener on a recording is
for whoever reads them to find, by `created_at`.
"""

import dagster as dg

from assets.checks import complete, one_of, unique
from assets.imports.feedback import FEEDBACK, FEEDBACK_RECORDS
from assets.imports.record_type import BY_ARRIVAL
from resources.sources.records.feedback import HATE, LOVE, NEITHER

checks: list[dg.AssetChecksDefinition] = [
    unique(FEEDBACK_RECORDS.spec, *BY_ARRIVAL),
    complete(FEEDBACK_RECORDS.spec, FEEDBACK),
    one_of(FEEDBACK_RECORDS.spec, "score", LOVE, HATE, NEITHER),
]
