"""Undecodable: the error for audio files that cannot be read."""


class Undecodable(Exception):
    """An audio file or its tags cannot be read. The message is one line with the reason."""
