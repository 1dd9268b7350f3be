"""Feedback: which recordings listeners love and hate, and what they took back, as submitted.

Written by imports. Rows are what was said, in every file that says it; the last word of a listener on a recording is
for whoever reads them to find, by `created_at`.
"""

from assets.checks import accepted_values, checks_of
from assets.imports.feedback import FEEDBACK_RECORDS
from resources.sources.records.feedback import HATE, LOVE, NEITHER

checks = [checks_of(FEEDBACK_RECORDS.spec, accepted_values("score", LOVE, HATE, NEITHER))]
