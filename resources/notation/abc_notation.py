"""Parse tunes in ABC notation to bars of notes.

The subset of the ABC standard 2.1 (https://abcnotation.com/wiki/abc:standard:v2.1) that the collections use: keys,
modes and accidentals, lengths, broken rhythm, tuplets, ties, chords, repeats and endings. Grace notes, ornaments and
remarks are skipped. Only the first of several voices is read.
"""

import re
from fractions import Fraction

from resources.notation.keys import MAJOR_KEYS, MODES
from resources.notation.scores import Bar, Note

MODE_FLATS = {"major": 0, "minor": 3, "dorian": 2, "mixolydian": 1, "lydian": -1, "phrygian": 4, "locrian": 5}
SHARPS = "FCGDAEB"  # in the order of key signatures; flats in reverse
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # n notes in the time of m; other n depend on the meter (section 4.13)
MAX_NOTE_UNITS = 256  # a typing error must not make a note last for hours

FIELD = re.compile(r"([A-Za-z]):(?![|:])(.*)")
LENGTH = r"\d*(?:/+\d*)?"
TOKEN = re.compile(
    rf"""
      \{{[^}}]*\}} | "[^"\n]*" | ![^!\s|]{{1,12}}!                      # grace notes, remarks, ornaments
    | \[(?P<field>[A-Za-z]):(?P<value>[^\]\n]*)\]
    | \[(?P<chord>[^\]\[|:\d\s][^\]\[|:]*)\](?P<chord_length>{LENGTH})
    | (?:\[|(?<=[|:]))(?P<ending>\d[\d,-]*)
    | (?P<bar>(?:[|:\]]|\[(?=\|))+)
    | \((?P<tuplet>\d)(?::(?P<time_of>\d?))?(?::(?P<spans>\d?))?
    | (?P<accidental>\^\^?|__?|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{LENGTH})
    | (?P<rest>[xzZ])(?P<rest_length>{LENGTH})
    | (?P<broken>>+|<+)
    | (?P<tie>-)
    """,
    re.VERBOSE,
)


def read(tune: str) -> list[Bar]:
    """Parse one tune, from its header on, to bars.

    Invalid signs are skipped, as players do. A tune without music has no bars.
    """
    reader = _Reader()
    for line in tune.splitlines():
        line = re.sub(r"(?<!\\)%.*", "", line)
        if match := FIELD.match(line):
            reader.apply_field(match[1], match[2].strip())
        elif not reader.header:
            reader.read_music(line + "\n")
    reader.end_bar("|")
    return reader.bars


class _Reader:
    """The parser state within a tune: how the signs so far affect the next notes."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.header = True
        self.meter, self.compound = Fraction(1), False
        self.unit: Fraction | None = None
        self.fifths, self.signature = 0, dict[str, int]()
        self.voice: str | None = None  # the first voice named
        self.silent = False  # while in another voice
        self.opens, self.endings = True, frozenset[int]()
        self.notes, self.now, self.accidentals = list[Note](), Fraction(0), dict[str, int]()
        self.last, self.last_duration = list[Note](), Fraction(0)  # for broken rhythm and ties
        self.tied: dict[int, Note] = {}
        self.broken = Fraction(1)  # factor for the next length, from a broken rhythm sign
        self.tuplet, self.tuplet_notes_left = Fraction(1), 0

    def apply_field(self, field: str, value: str) -> None:
        """Apply a field of the header or of a line of music."""
        if field == "V":
            name = value.split()[0] if value else ""
            self.voice = name if self.voice is None else self.voice
            self.silent = not self.header and name != self.voice
        elif self.silent:
            return
        elif field == "M" and (meter := _meter(value)):
            self.meter, self.compound = meter, value.startswith(("6/", "9/", "12/"))
        elif field == "L" and re.fullmatch(r"[1-9]\d?/[1-9]\d{0,2}", value):
            self.unit = Fraction(value)
        elif field == "K":
            self.fifths, self.signature = _key(value)
            self.header = False
        elif field == "P" and not self.header:
            self.end_bar("||")

    def read_music(self, line: str) -> None:
        """Process the signs in a line of music."""
        for sign in TOKEN.finditer(line):
            if sign["field"]:
                self.apply_field(sign["field"], sign["value"].strip())
            elif self.silent:
                continue
            elif sign["letter"]:
                self.add_notes([self.pitch(sign)], _length(sign["length"]))
            elif sign["chord"]:
                parts = [part for part in TOKEN.finditer(sign["chord"]) if part["letter"]]
                if parts:
                    length = _length(parts[0]["length"]) * _length(sign["chord_length"])
                    self.add_notes([self.pitch(part) for part in parts], length)
            elif sign["rest"]:
                whole_bars = sign["rest"] == "Z"
                self.add_notes(
                    [], _length(sign["rest_length"]) * (self.meter / self.length_unit() if whole_bars else 1)
                )
            elif sign["bar"]:
                self.end_bar(sign["bar"])
            elif sign["ending"]:
                self.end_bar("|")
                first, *more = (int(n) for n in re.findall(r"\d", sign["ending"]))
                span = range(first, more[-1] + 1) if "-" in sign["ending"] and more else (first, *more)
                self.endings, self.opens = frozenset(span), False
            elif sign["tuplet"]:
                spans = int(sign["tuplet"])
                time_of = int(sign["time_of"] or 0) or TUPLETS.get(spans, 3 if self.compound else 2)
                self.tuplet = Fraction(time_of, max(spans, 1))
                self.tuplet_notes_left = int(sign["spans"] or 0) or spans
            elif sign["broken"]:
                short = Fraction(1, 2 ** min(len(sign["broken"]), 3))
                before, self.broken = (2 - short, short) if sign["broken"][0] == ">" else (short, 2 - short)
                longer = self.last_duration * (before - 1)
                for note in self.last:
                    note.duration += longer
                self.now += longer
                self.last_duration += longer
            elif sign["tie"]:
                self.tied = {note.pitch: note for note in self.last}

    def length_unit(self) -> Fraction:
        """Return the unit of note lengths, in whole notes."""
        return self.unit or (Fraction(1, 16) if self.meter < Fraction(3, 4) else Fraction(1, 8))

    def pitch(self, sign: re.Match[str]) -> int:
        """Return the MIDI note number. An accidental applies to its letter in every octave until the end of the bar."""
        letter = sign["letter"].upper()
        if sign["accidental"]:
            self.accidentals[letter] = ACCIDENTALS[sign["accidental"]]
        alteration = self.accidentals.get(letter, self.signature.get(letter, 0))
        octave = 5 + sign["letter"].islower() + sign["octave"].count("'") - sign["octave"].count(",")
        return min(max(12 * octave + SEMITONES[letter] + alteration, 0), 127)

    def add_notes(self, pitches: list[int], length: Fraction) -> None:
        """Add a note or a chord, or a rest if there are no pitches. `length` is in length units."""
        duration = self.length_unit() * length * self.broken
        if self.tuplet_notes_left:
            duration, self.tuplet_notes_left = duration * self.tuplet, self.tuplet_notes_left - 1
        self.last, self.last_duration = [], duration
        for pitch in dict.fromkeys(pitches):
            if pitch in self.tied:
                self.tied[pitch].duration += duration
                self.last.append(self.tied[pitch])
            else:
                self.last.append(Note(self.now, duration, pitch))
                self.notes.append(self.last[-1])
        self.now += duration
        self.broken, self.tied = Fraction(1), {}

    def end_bar(self, line: str) -> None:
        """Process a bar line. Its repeat signs apply to the bar that it ends, else to the last bar before it."""
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


def _meter(value: str) -> Fraction | None:
    """Parse a meter such as `6/8`, `C` or `C|` to the length of a bar in whole notes."""
    if value in ("C", "C|"):
        return Fraction(1)
    return Fraction(value) if re.fullmatch(r"[1-9]\d?/[1-9]\d?", value) else None


def _length(text: str) -> Fraction:
    """Parse a length such as `3`, `/`, `//` or `3/2`, in length units."""
    number, slashes, divisor = re.fullmatch(r"(\d*)(/*)(\d*)", text).groups()  # type: ignore[union-attr]
    denominator = int(divisor or 0) or 2 ** len(slashes) if slashes else 1
    return min(Fraction(int(number or 0) or 1, denominator), Fraction(MAX_NOTE_UNITS))


def _key(value: str) -> tuple[int, dict[str, int]]:
    """Parse a `K:` field to its sharps (negative for flats) and the alteration of each letter in semitones."""
    if value.lower().startswith("hp"):  # the Highland pipes
        fifths = 2
    else:
        key = re.match(r"([A-G][#b]?)\s*([A-Za-z]{0,3})", value)
        mode = MODES.get(key[2].lower(), "major") if key else "major"
        fifths = MAJOR_KEYS.index(key[1]) - 7 - MODE_FLATS[mode] if key and key[1] in MAJOR_KEYS else 0
    altered = {letter: (fifths + 6 - place) // 7 for place, letter in enumerate(SHARPS)}
    altered |= {letter.upper(): ACCIDENTALS[sign] for sign, letter in re.findall(r"(\^\^?|__?|=)([a-gA-G])", value)}
    return fifths, altered
