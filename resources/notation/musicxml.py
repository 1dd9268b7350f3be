"""Parse MusicXML scores to bars of notes. All parts are merged.

The subset of partwise MusicXML 4.0 (https://www.w3.org/2021/06/musicxml40/) that the scores use. Grace notes are
skipped. If several parts sing together, the words come from one of them.
"""

from fractions import Fraction
from xml.etree.ElementTree import Element

from resources.notation.abc_notation import SEMITONES
from resources.notation.scores import Bar, Note

UNDERTIE = "\u035c"  # joins two vowels sung on one note


def read(root: Element) -> list[Bar]:
    """Parse a score to bars, merging the parts bar by bar. Raise ValueError if the parts differ in number of bars."""
    bars: list[Bar] = []
    singer: int | None = None  # the part that gives the words: the first that sings, until it rests
    for side_by_side in zip(*(_part(part) for part in root.iter("part")), strict=True):
        if singer is None or not side_by_side[singer].notes:
            singer = next((n for n, bar in enumerate(side_by_side) if any(note.syllables for note in bar.notes)), None)
        for note in (note for n, bar in enumerate(side_by_side) for note in bar.notes if n != singer):
            note.syllables = {}
        bars.append(
            Bar(
                sorted((n for bar in side_by_side for n in bar.notes), key=lambda note: (note.onset, note.pitch)),
                max(bar.length for bar in side_by_side),
                side_by_side[-1].fifths,  # the first part may be for a transposing instrument
                any(bar.opens for bar in side_by_side),
                any(bar.repeats for bar in side_by_side),
                frozenset[int]().union(*(bar.endings for bar in side_by_side)),
            )
        )
    return bars


def _part(part: Element) -> list[Bar]:
    bars: list[Bar] = []
    divisions, fifths, transposed = Fraction(1), 0, 0
    tied: dict[int, Note] = {}
    endings, opens = frozenset[int](), True
    for measure in part.iter("measure"):
        notes: list[Note] = []
        onset = now = length = Fraction(0)
        repeats = closed = False
        for sign in measure:
            duration = Fraction(sign.findtext("duration") or 0) / divisions / 4
            match sign.tag:
                case "attributes":
                    divisions = Fraction(sign.findtext("divisions") or divisions)
                    fifths = int(sign.findtext("key/fifths") or fifths)
                    transposed = int(sign.findtext("transpose/chromatic") or transposed)
                case "backup":
                    now -= duration
                case "forward":
                    now += duration
                case "note" if sign.find("grace") is None:
                    if sign.find("chord") is None:
                        onset = now
                        now += duration
                    if sign.find("pitch") is not None:
                        pitch = _pitch(sign) + transposed
                        ties = {tie.get("type") for tie in sign.iter("tie")}
                        note = tied.pop(pitch, None) if "stop" in ties else None
                        if note:
                            note.duration += duration
                        else:
                            note = Note(onset, duration, pitch, _syllables(sign))
                            notes.append(note)
                        if "start" in ties:
                            tied[pitch] = note
                case "barline":
                    repeat, ending = sign.find("repeat"), sign.find("ending")
                    opens |= repeat is not None and repeat.get("direction") == "forward"
                    repeats |= repeat is not None and repeat.get("direction") == "backward"
                    if ending is not None and ending.get("type") == "start":
                        numbers = (ending.get("number") or "").replace(",", " ").split()
                        endings = frozenset(int(number) for number in numbers if number.isdecimal())
                    closed |= ending is not None and ending.get("type") != "start"
            length = max(length, now)
        bars.append(Bar(notes, length, fifths, opens, repeats, endings))
        opens = repeats and not closed
        if closed:
            endings = frozenset()
    return bars


def _pitch(note: Element) -> int:
    """Return the MIDI note number. Alterations are rounded to semitones."""
    octave, step = int(note.findtext("pitch/octave") or 4), note.findtext("pitch/step") or "C"
    return 12 * (octave + 1) + SEMITONES[step] + round(float(note.findtext("pitch/alter") or 0))


def _syllables(note: Element) -> dict[int, str]:
    """Return the syllables of a note by verse. The last syllable of a word ends in a space."""
    syllables: dict[int, str] = {}
    for lyric in note.iter("lyric"):
        number = lyric.get("number", "1")
        text = (lyric.findtext("text") or "").strip().replace(UNDERTIE, " ")
        after = "" if lyric.findtext("syllabic") in ("begin", "middle") else " "
        if text and number.isdecimal():
            syllables[int(number)] = text + after
    return syllables
