"""Counts in sentences."""


def counted(n: int, things: str) -> str:
    """Return a number with a plural in "s", or the singular of 1."""
    return f"{n:,} {things.removesuffix('s') if n == 1 else things}"
