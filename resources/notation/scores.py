"""Scores: bars of notes, and the order in which they are played.

Only what all notations share belongs here. `abc_notation` and `musicxml` parse each notation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class Note:
    onset: Fraction  # whole notes from the beginning of its bar
    duration: Fraction  # whole notes, including tied notes, so it may extend beyond its bar
    pitch: int  # MIDI note number: 60 is middle C
    syllables: dict[int, str] = field(default_factory=dict)  # by verse; the last syllable of a word ends in a space


@dataclass
class Bar:
    notes: list[Note]
    length: Fraction  # whole notes
    fifths: int  # key signature: number of sharps, negative for flats
    opens: bool = False  # a repeat jumps back to this bar
    repeats: bool = False  # it ends with a repeat sign
    endings: frozenset[int] = frozenset()  # the passes in which it is played; empty: in all


def played(bars: Sequence[Bar]) -> list[tuple[Bar, int]]:
    """Return the bars in playing order, each with the pass through its section: 1, 2, ...

    A repeat sign jumps back to the bar that opened the section, once or until its last ending. An ending without a
    closing sign lasts until the next section opens.
    """
    order: list[tuple[Bar, int]] = []
    start, time, i = 0, 1, 0
    while i < len(bars):
        bar = bars[i]
        after_endings = i > start and bool(bars[i - 1].endings) and not bar.endings
        if after_endings or (bar.opens and time == 1):
            start, time = i, 1
        if not bar.endings or time in bar.endings:
            order.append((bar, time))
            if bar.repeats and time < _times(bars, start, i):
                time += 1
                i = start
                continue
            if bar.repeats:
                time = 1
                start = i + 1
        i += 1
    return order


def _times(bars: Sequence[Bar], first: int, last: int) -> int:
    """Return how often a section is played. Bar `last` ends with the repeat sign, and endings may follow it."""
    endings = set[int]().union(*(bar.endings for bar in bars[first : last + 1]))
    for bar in bars[last + 1 :]:
        if not bar.endings or bar.opens:
            break
        endings |= bar.endings
    return max(endings, default=2)
