"""Tunes in ABC notation, read as bars of notes.

The subset of the ABC standard 2.1 (https://abcnotation.com/wiki/abc:standard:v2.1) that the collections use: keys,
modes and accidentals, lengths, broken rhythm, tuplets, ties, chords, repeats and endings. Grace notes, ornaments and
remarks are passed over, and of several voices only the first is read.
"""

import re
from fractions import Fraction

from resources.notation.keys import MAJOR_KEYS, MODES
from resources.notation.scores import Bar, Note

FLATTER = {"major": 0, "minor": 3, "dorian": 2, "mixolydian": 1, "lydian": -1, "phrygian": 4, "locrian": 5}
SHARPS = "FCGDAEB"  # in the order that a key signature takes them; flats come in from the end
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ALTERED = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
FITS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # that many notes in the time of so many; others depend on the metre (4.13)
MAX_UNITS = 256  # of one note: a digit too many must not ask for hours

FIELD = re.compile(r"([A-Za-z]):(?![|:])(.*)")
LENGTH = r"\d*(?:/+\d*)?"
TOKEN = re.compile(
    rf"""
      \{{[^}}]*\}} | "[^"\n]*" | ![^!\s|]{{1,12}}!                      # grace notes, remarks, ornaments
    | \[(?P<field>[A-Za-z]):(?P<value>[^\]\n]*)\]
    | \[(?P<chord>[^\]\[|:\d\s][^\]\[|:]*)\](?P<chord_length>{LENGTH})
    | (?:\[|(?<=[|:]))(?P<ending>\d[\d,-]*)
    | (?P<bar>(?:[|:\]]|\[(?=\|))+)
    | \((?P<tuplet>\d)(?::(?P<fits>\d?))?(?::(?P<spans>\d?))?
    | (?P<accidental>\^\^?|__?|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{LENGTH})
    | (?P<rest>[xzZ])(?P<rest_length>{LENGTH})
    | (?P<broken>>+|<+)
    | (?P<tie>-)
    """,
    re.VERBOSE,
)


def read(tune: str) -> list[Bar]:
    """The bars of one tune, from its header on.

    What is no ABC is passed over, as players do; a tune without music has no bars.
    """
    reader = _Reader()
    for line in tune.splitlines():
        line = re.sub(r"(?<!\\)%.*", "", line)
        if told := FIELD.match(line):
            reader.told(told[1], told[2].strip())
        elif not reader.header:
            reader.play(line + "\n")
    reader.bar("|")
    return reader.bars


class _Reader:
    """Where one is in a tune: what the signs so far say of the notes to come."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.header = True
        self.metre, self.compound = Fraction(1), False
        self.unit: Fraction | None = None
        self.fifths, self.signature = 0, dict[str, int]()
        self.voice: str | None = None  # the first one named
        self.silent = False  # while another voice is written
        self.opens, self.endings = True, frozenset[int]()
        self.notes, self.now, self.accidentals = list[Note](), Fraction(0), dict[str, int]()
        self.last, self.took = list[Note](), Fraction(0)  # what broken rhythm and ties refer to
        self.tied: dict[int, Note] = {}
        self.broken = Fraction(1)  # what a sign before it makes of the next length
        self.tuplet, self.left = Fraction(1), 0

    def told(self, field: str, value: str) -> None:
        """What a field says, in the header or among the notes."""
        if field == "V":
            name = value.split()[0] if value else ""
            self.voice = name if self.voice is None else self.voice
            self.silent = not self.header and name != self.voice
        elif self.silent:
            return
        elif field == "M" and (metre := _metre(value)):
            self.metre, self.compound = metre, value.startswith(("6/", "9/", "12/"))
        elif field == "L" and re.fullmatch(r"[1-9]\d?/[1-9]\d{0,2}", value):
            self.unit = Fraction(value)
        elif field == "K":
            self.fifths, self.signature = _key(value)
            self.header = False
        elif field == "P" and not self.header:
            self.bar("||")

    def play(self, line: str) -> None:
        """The signs of a line of music."""
        for sign in TOKEN.finditer(line):
            if sign["field"]:
                self.told(sign["field"], sign["value"].strip())
            elif self.silent:
                continue
            elif sign["letter"]:
                self.sound([self.pitch(sign)], _length(sign["length"]))
            elif sign["chord"]:
                parts = [part for part in TOKEN.finditer(sign["chord"]) if part["letter"]]
                if parts:
                    length = _length(parts[0]["length"]) * _length(sign["chord_length"])
                    self.sound([self.pitch(part) for part in parts], length)
            elif sign["rest"]:
                whole_bars = sign["rest"] == "Z"
                self.sound([], _length(sign["rest_length"]) * (self.metre / self.beat() if whole_bars else 1))
            elif sign["bar"]:
                self.bar(sign["bar"])
            elif sign["ending"]:
                self.bar("|")
                first, *more = (int(n) for n in re.findall(r"\d", sign["ending"]))
                span = range(first, more[-1] + 1) if "-" in sign["ending"] and more else (first, *more)
                self.endings, self.opens = frozenset(span), False
            elif sign["tuplet"]:
                spans = int(sign["tuplet"])
                fits = int(sign["fits"] or 0) or FITS.get(spans, 3 if self.compound else 2)
                self.tuplet, self.left = Fraction(fits, max(spans, 1)), int(sign["spans"] or 0) or spans
            elif sign["broken"]:
                short = Fraction(1, 2 ** min(len(sign["broken"]), 3))
                before, self.broken = (2 - short, short) if sign["broken"][0] == ">" else (short, 2 - short)
                longer = self.took * (before - 1)
                for note in self.last:
                    note.duration += longer
                self.now += longer
                self.took += longer
            elif sign["tie"]:
                self.tied = {note.pitch: note for note in self.last}

    def beat(self) -> Fraction:
        """The unit of note lengths, in whole notes."""
        return self.unit or (Fraction(1, 16) if self.metre < Fraction(3, 4) else Fraction(1, 8))

    def pitch(self, sign: re.Match[str]) -> int:
        """A MIDI note number. An accidental holds for its letter, in every octave, until the end of the bar."""
        letter = sign["letter"].upper()
        if sign["accidental"]:
            self.accidentals[letter] = ALTERED[sign["accidental"]]
        altered = self.accidentals.get(letter, self.signature.get(letter, 0))
        octave = 5 + sign["letter"].islower() + sign["octave"].count("'") - sign["octave"].count(",")
        return min(max(12 * octave + SEMITONES[letter] + altered, 0), 127)

    def sound(self, pitches: list[int], length: Fraction) -> None:
        """A note, a chord, or a rest where there is no pitch."""
        duration = self.beat() * length * self.broken
        if self.left:
            duration, self.left = duration * self.tuplet, self.left - 1
        self.last, self.took = [], duration
        for pitch in dict.fromkeys(pitches):
            if pitch in self.tied:
                self.tied[pitch].duration += duration
                self.last.append(self.tied[pitch])
            else:
                self.last.append(Note(self.now, duration, pitch))
                self.notes.append(self.last[-1])
        self.now += duration
        self.broken, self.tied = Fraction(1), {}

    def bar(self, line: str) -> None:
        """A bar line; what it says of repeats holds for the bar before it or, after another line, for the last one."""
        repeats = line.startswith((":|", "::"))
        double = line.endswith(("|:", "::")) or any(sign in line for sign in ("||", "|]", "[|"))
        if line in (":", "]"):
            return
        if self.now:
            self.bars.append(Bar(self.notes, self.now, self.fifths, self.opens, repeats, self.endings))
            self.opens = False
        elif repeats and self.bars:
            self.bars[-1].repeats = True
        if repeats or double:
            self.opens, self.endings = True, frozenset()
        self.notes, self.now, self.accidentals = [], Fraction(0), {}


def _metre(value: str) -> Fraction | None:
    """The length of a bar: `6/8`, `C`, `C|`."""
    if value in ("C", "C|"):
        return Fraction(1)
    return Fraction(value) if re.fullmatch(r"[1-9]\d?/[1-9]\d?", value) else None


def _length(text: str) -> Fraction:
    """A length in units: `3`, `/`, `//`, `3/2`."""
    number, slashes, divisor = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    by = int(divisor or 0) or 2 ** len(slashes) if slashes else 1
    return min(Fraction(int(number or 0) or 1, by), Fraction(MAX_UNITS))


def _key(value: str) -> tuple[int, dict[str, int]]:
    """The key signature of a `K:` field: its sharps (flats below zero), and by how much it alters which letter."""
    if value.lower().startswith("hp"):  # the Highland pipes
        fifths = 2
    else:
        key = re.match(r"([A-G][#b]?)\s*([A-Za-z]{0,3})", value)
        mode = MODES.get(key[2].lower(), "major") if key else "major"
        fifths = MAJOR_KEYS.index(key[1]) - 7 - FLATTER[mode] if key and key[1] in MAJOR_KEYS else 0
    altered = {letter: (fifths + 6 - place) // 7 for place, letter in enumerate(SHARPS)}
    altered |= {letter.upper(): ALTERED[sign] for sign, letter in re.findall(r"(\^\^?|__?|=)([a-gA-G])", value)}
    return fifths, altered
