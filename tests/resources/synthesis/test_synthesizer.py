"""The synthesizer: tones have their pitch and timbre, and nothing is clipped."""

import numpy as np
import pytest

from resources.synthesis import synthesizer
from resources.synthesis.arrangement import Sound
from resources.synthesis.synthesizer import DRUMS, RATE, TIMBRES, frequency, render, tone


def spectrum(samples: synthesizer.Floats) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies in Hz and their magnitudes."""
    windowed = samples * np.hanning(len(samples))
    return np.fft.rfftfreq(4 * len(samples), 1 / RATE), np.abs(np.fft.rfft(windowed, 4 * len(samples)))


@pytest.mark.parametrize("timbre", TIMBRES)
@pytest.mark.parametrize("pitch", [55, 69, 81])
def test_a_tone_has_the_requested_pitch(timbre: str, pitch: int) -> None:
    hertz, size = spectrum(tone(timbre, pitch, 1.0))
    near = (hertz > frequency(pitch) * 0.75) & (hertz < frequency(pitch) * 1.4)
    strongest = hertz[near][size[near].argmax()]
    assert abs(1200 * np.log2(strongest / frequency(pitch))) < 12  # cents
    below = (hertz > 30) & (hertz < frequency(pitch) * 0.9)
    assert size[below].max() < 0.1 * size[near].max()


@pytest.mark.parametrize("timbre", TIMBRES)
def test_no_partial_is_high_enough_to_alias(timbre: str) -> None:
    """Only noise, from breath or a hammer, is above the limit."""
    hertz, size = spectrum(tone(timbre, 100, 1.0))
    assert size[hertz > synthesizer.MAX_PARTIAL_HZ + 500].max() < 0.05 * size.max()


def test_timbres_differ_by_their_spectra() -> None:
    """Compare vectors of the first ten partials and the envelope of one tone."""
    shares = []
    for timbre in TIMBRES:
        hertz, size = spectrum(tone(timbre, 62, 1.0))
        peaks = [size[np.abs(hertz - n * frequency(62)) < 12].max() for n in range(1, 11)]
        envelope = np.abs(tone(timbre, 62, 1.0)).reshape(10, -1).mean(axis=1)
        shares.append(np.concatenate([peaks / np.linalg.norm(peaks), envelope / np.linalg.norm(envelope)]) / np.sqrt(2))
    similarity = np.array(shares) @ np.array(shares).T - np.eye(len(TIMBRES))
    assert similarity.max() < 0.995


@pytest.mark.parametrize("drum", DRUMS)
def test_a_drum_sounds_at_the_requested_time(drum: str) -> None:
    samples = render([Sound(0.5, 0.3, 0, drum, 1.0)], 1.0, "a stage")
    size = np.abs(samples).max(axis=1)
    assert not size[: int(0.5 * RATE)].any()
    assert abs(size.argmax() / RATE - 0.5) < 0.02


def test_many_sounds_at_once_are_not_clipped_and_fade_to_silence() -> None:
    everything = [Sound(n / 8, 1.0, 48 + n, timbre, 1.0) for n in range(24) for timbre in (*TIMBRES, *DRUMS)]
    samples = render(everything, 4.0, "a stage")
    assert samples.shape == (int((4.0 + synthesizer.FADE_S) * RATE), 2)
    assert samples.dtype == np.float32 and np.isfinite(samples).all()
    assert 0.3 < np.abs(samples).max() <= synthesizer.MAX_PEAK + 1e-6
    assert np.abs(samples[-50:]).max() < 1e-3


def test_a_stroke_after_silence_is_compressed_below_full_scale() -> None:
    size = np.abs(render([Sound(8.0, 0.3, 0, "kick", 1.0)], 10.0, "a stage"))
    assert synthesizer.LINEAR_LEVEL < size.max() <= synthesizer.MAX_PEAK + 1e-6


def test_the_same_sounds_and_stage_give_the_same_samples() -> None:
    sounds = [Sound(0.1 * n, 0.2, 60 + n, "fiddle", 0.8) for n in range(8)]
    once, again, elsewhere = (render(sounds, 1.0, stage) for stage in ("a stage", "a stage", "another"))
    assert (once == again).all() and (once != elsewhere).any()


def test_silence_stays_silent() -> None:
    assert not render([], 0.5, "a stage").any()
