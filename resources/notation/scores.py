"""A score as bars of notes, and the order in which they are played.

What belongs here: what every notation has in common. How each is read is elsewhere (abc_notation, musicxml).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class Note:
    onset: Fraction  # whole notes from the beginning of its bar
    duration: Fraction  # whole notes; what is tied to it is part of it, so that it may reach beyond its bar
    pitch: int  # MIDI note number: 60 is middle C
    syllables: dict[int, str] = field(default_factory=dict)  # by verse; the last of a word ends in a space


@dataclass
class Bar:
    notes: list[Note]
    length: Fraction  # whole notes
    fifths: int  # its key signature: sharps, or flats below zero
    opens: bool = False  # a repeat sign sends back to here
    repeats: bool = False  # it ends with a repeat sign
    endings: frozenset[int] = frozenset()  # the times through in which it is played; always if empty


def played(bars: Sequence[Bar]) -> list[tuple[Bar, int]]:
    """The bars in the order they are played, each with the time through its section: 1, 2, ...

    A repeat sign sends back, once or until its last ending, to the bar that opened the section. An ending that no sign
    closes lasts until the next section opens.
    """
    order: list[tuple[Bar, int]] = []
    start, time, i = 0, 1, 0
    while i < len(bars):
        bar = bars[i]
        past = i > start and bool(bars[i - 1].endings) and not bar.endings  # the last ending is over
        if past or (bar.opens and time == 1):
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
    """How often a section is played, from its first bar to the one that ends with a repeat sign, and its endings."""
    endings = set[int]().union(*(bar.endings for bar in bars[first : last + 1]))
    for bar in bars[last + 1 :]:
        if not bar.endings or bar.opens:
            break
        endings |= bar.endings
    return max(endings, default=2)
