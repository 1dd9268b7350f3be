"""How many examples of a property are drawn."""

from hypothesis import settings

FEW = 3  # with the profile `fast`, as in `make test-fast`


def examples(most: int) -> settings:
    """Draw so many examples, or `FEW` if the profile does."""
    return settings(max_examples=FEW if settings.default.max_examples == FEW else most)
