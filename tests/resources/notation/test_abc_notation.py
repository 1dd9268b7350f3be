"""ABC notation: rules of the standard, and agreement with music21."""

from difflib import SequenceMatcher
from fractions import Fraction as F

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.notation import abc_notation
from resources.notation.scores import Bar, played
from resources.sandbox import catalog
from resources.sandbox.catalog import Work, works

NOTES = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71, "c": 72, "d": 74}


def tune(body: str, key: str = "C", meter: str = "4/4", unit: str = "1/8") -> list[Bar]:
    return abc_notation.read(f"T:Test\nM:{meter}\nL:{unit}\nK:{key}\n{body}\n")


def notes(bars: list[Bar]) -> list[tuple[int, F]]:
    return [(note.pitch, note.duration * 8) for bar in bars for note in bar.notes]


def order(body: str) -> str:
    """Return the first letter of each bar in playing order."""
    names = {pitch: name for name, pitch in NOTES.items()}
    return "".join(names[bar.notes[0].pitch] for bar, _ in played(tune(body)))


@pytest.mark.parametrize(
    ("body", "lengths"),
    [
        ("C D2 E/ F// G3/2 A/4", [1, 2, F(1, 2), F(1, 4), F(3, 2), F(1, 4)]),
        ("C>D E<F G>>A", [F(3, 2), F(1, 2), F(1, 2), F(3, 2), F(7, 4), F(1, 4)]),
        ("C > {g}D", [F(3, 2), F(1, 2)]),
        ("(3CDE F", [F(2, 3)] * 3 + [1]),
        ("(3:2:2C2D E", [F(4, 3), F(2, 3), 1]),
        ("((3CDE) (5CDEFG", [F(2, 3)] * 3 + [F(2, 5)] * 5),
        ("C-C D-|D2 E", [2, 3, 1]),
        ("C2-D2", [2, 2]),  # a slur, as O'Neill's editors write it
        ('"Am"C !f!D {de}E ~F .G uA', [1] * 6),
    ],
)
def test_lengths_broken_rhythm_tuplets_and_ties(body: str, lengths: list[F]) -> None:
    assert [length for _, length in notes(tune(body))] == lengths


def test_a_quintuplet_takes_three_units_in_compound_meter_else_two() -> None:
    assert [d for _, d in notes(tune("(5CDEFG", meter="6/8"))] == [F(3, 5)] * 5
    assert [d for _, d in notes(tune("(5CDEFG", meter="2/4"))] == [F(2, 5)] * 5


@pytest.mark.parametrize(
    ("key", "body", "pitches"),
    [
        ("G", "F f =F F | F", [66, 78, 65, 65, 66]),
        ("Bb", "B E ^F F f | F", [70, 63, 66, 66, 78, 65]),
        ("Ador", "F", [66]),
        ("E Minor", "F", [66]),
        ("DMix", "C", [60]),
        ("F#m", "G", [68]),
        ("Hp", "c f", [73, 78]),
        ("C", "^F f _B, B,, c'", [66, 78, 58, 46, 84]),
        ("D ^g", "G", [68]),
    ],
)
def test_pitch_follows_key_mode_and_accidentals_until_the_bar_ends(key: str, body: str, pitches: list[int]) -> None:
    assert [pitch for pitch, _ in notes(tune(body, key))] == pitches


@pytest.mark.parametrize(
    ("body", "played_as"),
    [
        ("C8|D8|", "CD"),
        ("|:C8|D8:|E8|", "CDCDE"),
        ("C8|D8:|E8|F8:|", "CDCDEFEF"),
        ("C8|D8||E8|F8:|", "CDEFEF"),
        ("|:C8|D8::E8|F8:|", "CDCDEFEF"),
        ("|:C8|1D8:|2E8||F8|", "CDCEF"),
        ("|:C8 |1 D8|E8 :|2 F8|G8 :| A8", "CDECFGA"),
        ("|:C8|[1D8:|[2E8|]\n|:F8:|", "CDCEFF"),
        ("|:C8|1,3D8:|2E8:|F8", "CDCECDF"),
        ("C8:|\n:D8:|", "CCDD"),
    ],
)
def test_repeats_and_endings_are_played(body: str, played_as: str) -> None:
    assert order(body) == played_as


def test_chord_notes_sound_together_and_only_the_first_voice_is_read() -> None:
    (bar,) = tune("[CEG]2 D2")
    assert [(n.onset, n.pitch) for n in bar.notes] == [(0, 60), (0, 64), (0, 67), (F(1, 4), 62)]
    both = abc_notation.read("M:4/4\nL:1/4\nV:1\nV:2\nK:C\n[V:1] C D E F|\n[V:2] c c c c|\n[V:1] G A B c|\n")
    assert [n.pitch for bar in both for n in bar.notes] == [60, 62, 64, 65, 67, 69, 71, 72]


@given(st.lists(st.tuples(st.sampled_from("CDEFGAB"), st.integers(1, 16)), min_size=1, max_size=20))
def test_reads_the_notes_that_were_written(written: list[tuple[str, int]]) -> None:
    (bar,) = tune(" ".join(f"{letter}{length}" for letter, length in written))
    assert [(n.pitch, n.duration * 8) for n in bar.notes] == [(NOTES[letter], length) for letter, length in written]
    assert bar.length == sum(n.duration for n in bar.notes)


@given(st.text(alphabet="ABCdefgz|:[]()0123456789/<>-^_=,'{}\"!%\\ \nKMLVP", max_size=80))
def test_any_text_is_read_without_error_and_in_bounds(text: str) -> None:
    bars = tune(text)
    assert all(0 <= n.pitch <= 127 and n.duration >= 0 for bar in bars for n in bar.notes)
    assert len(played(bars)) <= 10 * len(bars)


@pytest.fixture(scope="module")
def sample() -> list[Work]:
    """Return one tune in 290 from the ABC collections, except the last Aird book, in which two voices alternate."""
    tunes = [work for work in works() if work.tune is not None and work.file != "airdsAirs/book6.abc"]
    return tunes[7::290]


@pytest.mark.slow
def test_music21_reads_the_same_notes(sample: list[Work]) -> None:
    """At most 2 % differ: music21 skips broken rhythm next to a slur or an ornament."""
    from music21 import converter, harmony

    agreed = total = 0
    for work in sample:
        # Before ABC 2.1, music21 applies an accidental to one note instead of the rest of the bar.
        score = converter.parse(f"%abc-2.1\nX:1\n{catalog.abc(work)}", format="abc")
        expected = [
            (pitch.midi, F(chord.duration.quarterLength) / 4)
            for chord in score.stripTies().flatten().notes
            if not chord.duration.isGrace and not isinstance(chord, harmony.ChordSymbol)
            for pitch in chord.pitches
        ]
        actual = [(note.pitch, note.duration) for bar in abc_notation.read(catalog.abc(work)) for note in bar.notes]
        total += max(len(actual), len(expected))
        agreed += sum(match.size for match in SequenceMatcher(None, expected, actual, False).get_matching_blocks())
    assert len(sample) >= 12 and agreed / total > 0.98
