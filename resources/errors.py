"""The error that commands and runs show without a traceback."""


class TuttiError(Exception):
    """An error for people: one line with what failed, why, and what to do next."""
