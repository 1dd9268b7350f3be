"""Renditions: the chosen recordings are varied, and their notes match meter, tempo and key."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction as F

import pytest

from resources.notation.scores import Bar, Note
from resources.sandbox import audio
from resources.sandbox.renditions import MAX_EXCERPT_S, PACES, Take, _excerpt, keynote
from resources.synthesis import arrangement, synthesizer


@pytest.fixture(scope="module")
def chosen() -> list[Take]:
    return audio.rendered()


def test_the_choice_covers_forms_keys_modes_meters_and_tempi(chosen: Sequence[Take]) -> None:
    works = [take.recording.work for take in chosen]
    assert len(chosen) == audio.CLIPS == len({take.recording.id for take in chosen})
    assert len({work.form for work in works}) >= 10
    assert len({work.key for work in works}) >= 6
    assert {"major", "minor", "dorian", "mixolydian"} <= {work.mode for work in works}
    assert {"2/4", "3/4", "4/4", "2/2", "6/8", "9/8"} <= {work.meter for work in works}
    tempi = sorted(take.tempo_bpm for take in chosen)
    assert tempi[0] < 85 and tempi[-1] > 150
    assert 10 <= len({take.recording.release.id for take in chosen}) <= 40


def test_the_choice_has_songs_with_words(chosen: Sequence[Take]) -> None:
    assert sum(bool(take.recording.work.lyrics) for take in chosen) >= 3


def test_an_excerpt_has_whole_bars_and_at_most_twenty_seconds(chosen: Sequence[Take]) -> None:
    for take in chosen:
        music = take.seconds(take.end) - take.downbeats[0]
        assert MAX_EXCERPT_S / 2 < music <= MAX_EXCERPT_S + 1e-9
        assert len(take.downbeats) == take.bars and set(take.downbeats) <= set(take.beats)
        assert max(note.onset + note.duration for note in take.notes) <= take.end
        gaps = [b - a for a, b in zip(take.beats, take.beats[1:], strict=False)]
        assert max(gaps) - min(gaps) < 1e-6 and abs(60 / gaps[0] - take.tempo_bpm) < 1e-6


def test_the_beat_follows_the_meter_and_the_tempo_the_form(chosen: Sequence[Take]) -> None:
    for take in chosen:
        meter = take.recording.work.meter
        if meter in ("6/8", "9/8", "12/8"):
            assert take.beat == F(3, 8)
        if meter == "3/4":
            assert take.beat == F(1, 4)
        pace = PACES.get(take.recording.work.form or "")
        if pace and not take.recording.work.tempo_bpm:
            assert pace.slowest <= take.tempo_bpm <= pace.fastest


def test_most_tunes_begin_on_the_tonic_chord_and_use_it_most(chosen: Sequence[Take]) -> None:
    first_bars, most_bars = 0, 0
    for take in chosen:
        roots = [root for root, _ in arrangement.harmony(take)]
        tonic = keynote(take.recording.work.key or "")
        first_bars += roots[0] == tonic
        most_bars += Counter(roots).most_common(1)[0][0] == tonic
    assert first_bars > 0.8 * len(chosen) and most_bars > 0.8 * len(chosen)


def test_a_score_that_contradicts_its_meter_is_rejected() -> None:
    full, short = (Bar([Note(F(0), F(n, 4), 60)], F(n, 4), 0) for n in (4, 3))
    assert _excerpt([(full, 1), (full, 1)], F(0), F(1), 4)
    assert _excerpt([(full, 1), (short, 1)], F(0), F(1), 4) is None
    upbeat = replace(full, length=F(1, 4), notes=[Note(F(0), F(1, 4), 60)])
    assert _excerpt([(upbeat, 1), (full, 1), (short, 1)], F(1, 4), F(1), 4)  # the upbeat completes the last bar


def test_keynotes_are_pitch_classes() -> None:
    assert [keynote(key) for key in ("C", "G", "F", "Bb", "F#", "Cb")] == [0, 7, 5, 10, 6, 11]


def test_the_arrangement_contains_the_tune_and_is_deterministic(chosen: Sequence[Take]) -> None:
    for take in chosen:
        arranged = arrangement.sounds(take)
        assert arranged == arrangement.sounds(take)
        assert {sound.timbre for sound in arranged} <= {*synthesizer.TIMBRES, *synthesizer.DRUMS}
        tune = {note.pitch for note in take.notes}
        assert tune <= {sound.pitch for sound in arranged}
        assert all(0 <= sound.at <= take.seconds(take.end) and 0 < sound.strength <= 1 for sound in arranged)
