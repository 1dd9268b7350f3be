"""Arrangement: the sounds of a take, which are its tune, chords, bass and drums.

This module decides what is played when, how loud and on which instrument. The synthesizer renders it. The arrangement
makes key and beat detectable. Chords belong to the mode, with the tonic where phrases begin and end. The bass plays
strong beats, and the drums mark the first beat of a bar.
"""

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from resources.sandbox.renditions import PHRASE_BARS, Take, TimedNote, keynote


class Sound(NamedTuple):
    at: float  # seconds
    seconds: float  # until the release
    pitch: int  # MIDI note number; drums ignore it
    timbre: str
    strength: float  # 0 to 1


# fmt: off
LEADS = ("fiddle", "flute", "accordion", "banjo", "harp", "piano")
POLYPHONIC = ("piano", "accordion", "harp")  # can play several voices
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)
# The chords of each mode by the degree of their root in semitones, each with a preference. The tonic is preferred, then
# the chords that characterize the mode (the minor seventh, the major fourth of dorian).
CHORDS = {
    "major": {0: (MAJOR, .25), 5: (MAJOR, .14), 7: (MAJOR, .16), 9: (MINOR, 0), 2: (MINOR, -.10)},
    "minor": {0: (MINOR, .35), 5: (MINOR, .10), 10: (MAJOR, .08), 7: (MINOR, .05), 3: (MAJOR, -.05), 8: (MAJOR, -.05)},
    "dorian": {0: (MINOR, .35), 10: (MAJOR, .14), 5: (MAJOR, .08), 7: (MINOR, .02)},
    "mixolydian": {0: (MAJOR, .35), 10: (MAJOR, .14), 5: (MAJOR, .08), 7: (MINOR, 0)},
    "lydian": {0: (MAJOR, .35), 2: (MAJOR, .12), 7: (MAJOR, .10)},
    "phrygian": {0: (MINOR, .35), 1: (MAJOR, .12), 10: (MINOR, .08)},
    "locrian": {0: (MINOR, .35), 1: (MAJOR, .12), 10: (MINOR, .08)},
}
# fmt: on
TONIC_BONUS = 0.35  # added preference for the tonic where a phrase begins or the tune ends
CLASH = 0.6  # subtracted from a chord's fit for each note outside the chord; a note inside adds 1
DRUMS_SHARE = 0.75  # of the releases of dances
FREE_FORMS = {"", "air"}  # without drums
MARCHES = {"march", "quick step"}
STRUM_INTERVAL_S = 0.008  # between the strings of a strum
TIMING_STD_S = 0.004  # standard deviation of human timing


def sounds(take: Take) -> list[Sound]:
    """Return the sounds of a take in order of time. The result is deterministic."""
    work, credit = take.recording.work, take.recording.credit
    hands = random.Random(f"hands/{take.recording.id}")
    artist, release = random.Random(f"plays/{credit[0][0].id}"), random.Random(f"drums/{take.recording.release.id}")
    voices = len(take.notes) > 1.2 * len({note.onset for note in take.notes})
    lead = artist.choice(POLYPHONIC if voices else LEADS)
    arranged = list(_tune(take, lead))
    if not voices:  # a score with several voices has its own harmony
        arranged += _accompaniment(take, "piano" if lead == "piano" else "guitar")
    if (work.form or "") not in FREE_FORMS and release.random() < DRUMS_SHARE:
        arranged += _drums(take)
    humanized = [
        sound._replace(
            at=max(0.0, sound.at + hands.gauss(0, TIMING_STD_S)),
            strength=min(1.0, sound.strength * hands.uniform(0.9, 1.1)),
        )
        for sound in arranged
    ]
    return sorted(humanized)


def _tune(take: Take, lead: str) -> Iterator[Sound]:
    """Yield the notes as written, with those on strong beats louder."""
    for note in take.notes:
        at = (note.onset - take.upbeat) % take.bar
        strength = 0.95 if at == 0 else 0.85 if at % take.beat == 0 else 0.72
        yield Sound(take.seconds(note.onset), _seconds(take, note.duration), note.pitch, lead, strength)


def _seconds(take: Take, duration: Fraction) -> float:
    """Convert a duration in whole notes to seconds."""
    return float(duration / take.beat) * 60 / take.tempo_bpm


def harmony(take: Take) -> list[tuple[int, tuple[int, ...]]]:
    """Choose the chord of each bar that fits most of its notes, weighting long notes and notes on beats.

    Return the pitch class of each chord's root, and its notes in semitones above the root.
    """
    work = take.recording.work
    tonic = keynote(work.key or "C")
    bars: list[list[TimedNote]] = [[] for _ in range(take.bars)]
    for note in take.notes:
        if note.onset >= take.upbeat:
            bars[int((note.onset - take.upbeat) / take.bar)].append(note)
    chosen: list[tuple[int, tuple[int, ...]]] = []
    for n, notes in enumerate(bars):
        weights = {note: float(note.duration / take.bar) for note in notes}
        for note in notes:
            if (note.onset - take.upbeat) % take.beat == 0:
                weights[note] *= 1.5
        fits = {}
        for degree, (chord, preference) in CHORDS[work.mode or "major"].items():
            inside = {(tonic + degree + step) % 12 for step in chord}
            fit = sum(w if note.pitch % 12 in inside else -CLASH * w for note, w in weights.items())
            at_home = degree == 0 and (n % (2 * PHRASE_BARS) in (0, 2 * PHRASE_BARS - 1) or n == take.bars - 1)
            fits[degree] = fit + preference + TONIC_BONUS * at_home
        best = max(fits, key=lambda degree: fits[degree])
        chosen.append(((tonic + best) % 12, CHORDS[work.mode or "major"][best][0]))
    return chosen


def _accompaniment(take: Take, timbre: str) -> Iterator[Sound]:
    """Yield bass and one chord per bar: held for songs and airs, "oom-pah" for dances."""
    for n, (root, chord) in enumerate(harmony(take)):
        start = take.upbeat + n * take.bar
        bass = 36 + root
        lowest = 50 + (root - 50) % 12
        strum = [lowest, *(50 + (root + step - 50) % 12 for step in chord[1:]), lowest + 12]
        pattern = _held if (take.recording.work.form or "") in FREE_FORMS else _oom_pah
        yield from pattern(take, start, bass, strum, timbre)


def _held(take: Take, start: Fraction, bass: int, strum: list[int], timbre: str) -> Iterator[Sound]:
    """Yield bass and chord at the start of the bar, and single notes of the chord on the other beats."""
    yield Sound(take.seconds(start), _seconds(take, take.bar), bass, "bass", 0.7)
    for n, pitch in enumerate(strum):
        yield Sound(take.seconds(start) + n * STRUM_INTERVAL_S, _seconds(take, take.bar), pitch, timbre, 0.5)
    for k in range(1, int(take.bar / take.beat)):
        yield Sound(take.seconds(start + k * take.beat), _seconds(take, take.beat), strum[k % 3], timbre, 0.45)


def _oom_pah(take: Take, start: Fraction, bass: int, strum: list[int], timbre: str) -> Iterator[Sound]:
    """Yield bass on strong beats, alternating root and fifth, and chords on weak beats.

    If all beats are strong, the chord follows each beat.
    """
    beats = int(take.bar / take.beat)
    compound = take.beat.numerator == 3
    all_strong = compound or beats == 2
    after = take.beat * (Fraction(2, 3) if compound else Fraction(1, 2)) if all_strong else Fraction(0)
    for k in range(beats):
        at = start + k * take.beat
        strong = all_strong or k in ((0, 2) if beats == 4 else (0,))
        if strong:
            turn = k if all_strong else k // 2
            pitch = bass if turn % 2 == 0 else bass + (7 if bass < 44 else -5)
            strength = 0.85 if k == 0 else 0.6
            yield Sound(take.seconds(at), _seconds(take, take.beat) * 0.9, pitch, "bass", strength)
        if all_strong or not strong:
            for n, pitch in enumerate(strum):
                yield Sound(
                    take.seconds(at + after) + n * STRUM_INTERVAL_S, _seconds(take, take.beat) / 2, pitch, timbre, 0.5
                )


def _drums(take: Take) -> Iterator[Sound]:
    """Yield a kick on the first beat of the bar, a snare on weak beats, and a hi-hat between beats."""
    beats = int(take.bar / take.beat)
    compound = take.beat.numerator == 3
    march = take.recording.work.form in MARCHES
    between: tuple[Fraction, ...]
    if march:  # the snare rolls into the beat
        between, drum, softly = (Fraction(2, 3) if compound else Fraction(1, 2),), "snare", 0.25
    else:
        between, drum, softly = (Fraction(1, 3), Fraction(2, 3)) if compound else (Fraction(1, 2),), "hat", 0.28
    for n in range(take.bars):
        for k in range(beats):
            at = take.upbeat + n * take.bar + k * take.beat
            if k in ((0, 2) if beats == 4 else (0,)):
                yield Sound(take.seconds(at), 0.3, 0, "kick", 0.8 if k else 0.95)
            else:
                yield Sound(take.seconds(at), 0.3, 0, "snare", 0.5 if beats % 3 == 0 else 0.7)
            yield Sound(take.seconds(at), 0.1, 0, "hat", 0.4)
            for share in between:
                yield Sound(take.seconds(at + take.beat * share), 0.1, 0, drum, softly)
