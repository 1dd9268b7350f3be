"""Undecodable: the one error of this folder."""


class Undecodable(Exception):
    """Why no sound, or nothing about it, can be had from a file: one line that a person can act on."""
