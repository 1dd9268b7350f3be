"""MusicXML: rules of the format, and agreement with music21."""

from collections import Counter
from fractions import Fraction as F
from typing import Any
from xml.etree import ElementTree

import pytest

from resources.notation import musicxml
from resources.notation.scores import Bar, played
from resources.sandbox import catalog
from resources.sandbox.catalog import works

ATTRIBUTES = "<attributes><divisions>2</divisions><key><fifths>-1</fifths></key></attributes>"


def score(*parts: str) -> list[Bar]:
    return musicxml.read(ElementTree.fromstring(f"<s>{''.join(f'<part>{part}</part>' for part in parts)}</s>"))


def note(step: str, duration: int, more: str = "", octave: int = 4) -> str:
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>{duration}</duration>{more}</note>"


def lyric(text: str, syllabic: str = "single", number: int = 1) -> str:
    return f'<lyric number="{number}"><syllabic>{syllabic}</syllabic><text>{text}</text></lyric>'


def test_chords_rests_and_voices_have_their_onsets() -> None:
    chord = (
        "<note><chord/><pitch><step>E</step><alter>-1</alter><octave>4</octave></pitch><duration>2</duration></note>"
    )
    rest = "<note><rest/><duration>2</duration></note>"
    grace = "<note><grace/><pitch><step>A</step><octave>4</octave></pitch></note>"
    second = f"<backup><duration>8</duration></backup>{note('C', 8, octave=3)}"
    (bar,) = score(f"<measure>{ATTRIBUTES}{note('C', 2)}{chord}{rest}{grace}{note('G', 4)}{second}</measure>")
    notes = [(n.onset, n.duration, n.pitch) for n in bar.notes]
    assert notes == [(0, 1, 48), (0, F(1, 4), 60), (0, F(1, 4), 63), (F(1, 2), F(1, 2), 67)]
    assert (bar.length, bar.fifths) == (1, -1)


def test_tied_notes_become_one_note_of_their_total_duration() -> None:
    start, stop = '<tie type="start"/>', '<tie type="stop"/>'
    first, second = score(
        f"<measure>{ATTRIBUTES}{note('C', 8, start)}</measure><measure>{note('C', 2, stop)}{note('D', 6)}</measure>"
    )
    assert [(n.duration, n.pitch) for n in first.notes] == [(F(5, 4), 60)]
    assert [(n.onset, n.pitch) for n in second.notes] == [(F(1, 4), 62)]


def test_a_transposing_instrument_is_read_at_sounding_pitch() -> None:
    clarinet = ATTRIBUTES.replace("</attributes>", "<transpose><chromatic>-2</chromatic></transpose></attributes>")
    (bar,) = score(f"<measure>{clarinet}{note('D', 8)}</measure>", f"<measure>{ATTRIBUTES}{note('C', 8)}</measure>")
    assert [n.pitch for n in bar.notes] == [60, 60]


def test_repeats_and_endings_are_played_with_their_verses() -> None:
    def ending(number: int, sign: str = "") -> str:
        return (
            f'<barline><ending number="{number}" type="start"/></barline>{note("E", 8)}'
            f'<barline><ending number="{number}" type="stop"/>{sign}</barline>'
        )

    repeat = '<repeat direction="backward"/>'
    sung = note("C", 8, lyric("one") + lyric("two", number=2))
    bars = score(
        f"<measure>{ATTRIBUTES}{sung}</measure><measure>{ending(1, repeat)}</measure><measure>{ending(2)}</measure>"
        f"<measure>{note('D', 8)}</measure>"
    )
    assert [(bars.index(bar), time) for bar, time in played(bars)] == [(0, 1), (1, 1), (0, 2), (2, 2), (3, 1)]
    assert bars[0].notes[0].syllables == {1: "one ", 2: "two "}


def test_words_come_from_one_of_the_parts_that_sing_together() -> None:
    words = lyric("Al", "begin"), lyric("lor", "end")
    (bar,) = score(*(f"<measure>{ATTRIBUTES}{note('C', 4, words[0])}{note('D', 4, words[1])}</measure>" for _ in "ab"))
    assert "".join(n.syllables.get(1, "") for n in bar.notes) == "Allor "


def test_parts_of_different_lengths_are_refused() -> None:
    bar = f"<measure>{ATTRIBUTES}{note('C', 8)}</measure>"
    with pytest.raises(ValueError, match="shorter"):
        score(bar + bar, bar)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["johnson_j_r/lift_every_voice.mxl", "leadSheet/fosterBrownHair.mxl"])
def test_music21_reads_the_same_notes(file: str) -> None:
    from music21 import converter, harmony

    work = next(work for work in works() if work.file == file)
    expected: Counter[Any] = Counter()
    for part in converter.parse(catalog._corpus() / file).parts:
        for chord in part.stripTies().flatten().notes:
            if not chord.duration.isGrace and not isinstance(chord, harmony.ChordSymbol):
                timed = F(chord.offset) / 4, F(chord.duration.quarterLength) / 4
                expected.update((pitch.midi, *timed) for pitch in chord.pitches)
    actual: Counter[Any] = Counter()
    at = F(0)
    for bar in musicxml.read(catalog.musicxml(work)):
        actual.update((n.pitch, at + n.onset, n.duration) for n in bar.notes)
        at += bar.length
    assert sum(actual.values()) > 90 and actual == expected
