"""The one error that Tutti shows to a person."""


class TuttiError(Exception):
    """What is wrong and what to do about it, in one line."""
