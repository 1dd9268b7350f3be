"""Synthetic music: drums and chords whose tempo, beats and key are known."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 22_050
MAJOR, MINOR = (0, 4, 7), (0, 3, 7)
CADENCES = {  # semitones above the tonic, and the chord there
    "major": ((0, MAJOR), (5, MAJOR), (7, MAJOR), (0, MAJOR), (9, MINOR), (5, MAJOR), (7, MAJOR), (0, MAJOR)),
    "minor": ((0, MINOR), (5, MINOR), (7, MAJOR), (0, MINOR), (8, MAJOR), (5, MINOR), (7, MAJOR), (0, MINOR)),
}


def tone(hertz: float, seconds: float, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def note(midi: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """Synthesize a plucked string with six partials."""
    at = np.arange(int(seconds * rate)) / rate
    hertz = 440 * 2 ** ((midi - 69) / 12)
    parts = [np.sin(2 * np.pi * n * hertz * at) / n for n in range(1, 7) if n * hertz < rate / 2]
    return np.sum(parts, axis=0) * np.exp(-3 * at / seconds) * np.minimum(1, at / 0.005)


def kick(rate: int = RATE) -> np.ndarray:
    at = np.arange(int(0.15 * rate)) / rate
    return np.sin(2 * np.pi * (50 * at + 8 * (1 - np.exp(-30 * at)))) * np.exp(-20 * at)


def snare(rate: int = RATE, seconds: float = 0.12) -> np.ndarray:
    at = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(1).normal(size=len(at))
    return (0.4 * noise + 0.5 * np.sin(2 * np.pi * 190 * at)) * np.exp(-25 * at)


def hat(rate: int = RATE) -> np.ndarray:
    noise = np.diff(np.random.default_rng(2).normal(size=int(0.05 * rate) + 1))
    return 0.3 * noise * np.exp(-80 * np.arange(len(noise)) / rate)


def place(events: list[tuple[float, np.ndarray]], seconds: float, rate: int = RATE) -> np.ndarray:
    """Mix sounds, each starting at its time in seconds."""
    samples = np.zeros(int(seconds * rate))
    for at, sound in events:
        start = round(at * rate)
        if 0 <= start < len(samples):
            sound = sound[: len(samples) - start]
            samples[start : start + len(sound)] += sound
    return (0.5 * samples / max(np.abs(samples).max(), 1e-9)).astype(np.float32)


def beats(bpm: float, seconds: float, first: float = 0.3) -> np.ndarray:
    return np.arange(first, seconds - 0.05, 60 / bpm)


def drums(bpm: float, seconds: float, beats_per_bar: int = 4, swing: float = 0.5, first: float = 0.3) -> np.ndarray:
    """Play kick on beat one (and three of four), snare on the others, and hi-hats on quavers, delayed by swing."""
    events = []
    for number, at in enumerate(beats(bpm, seconds, first)):
        low = number % beats_per_bar in ((0, 2) if beats_per_bar == 4 else (0,))
        events += [(at, kick() if low else snare()), (at, hat()), (at + swing * 60 / bpm, hat())]
    return place(events, seconds)


def song(tonic: int, mode: str, bpm: float, seconds: float) -> np.ndarray:
    """Play a cadence with two beats per chord, a bass and an arpeggio in quavers."""
    beat = 60 / bpm
    events = []
    for number, at in enumerate(beats(bpm, seconds, 0.1)):
        degree, chord = CADENCES[mode][number // 2 % 8]
        root = 48 + (tonic + degree) % 12
        if number % 2 == 0:
            events.append((at, 1.5 * note(root - 12, 2 * beat)))
            events += [(at, 0.7 * note(root + interval, 2 * beat)) for interval in chord]
        events += [
            (at + half * beat, 0.6 * note(root + 12 + chord[(number + i) % 3], beat)) for i, half in ((0, 0), (1, 0.5))
        ]
    return place(events, seconds)


def written(path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def f_measure(detected: list[float], true: np.ndarray, tolerance: float = 0.07) -> float:
    """Compute the F-measure of beats, each matched at most once (Davies, Degara & Plumbley 2009)."""
    hits, unmatched = 0, list(true)
    for beat in detected:
        near = [t for t in unmatched if abs(t - beat) <= tolerance]
        if near:
            unmatched.remove(near[0])
            hits += 1
    return 2 * hits / max(len(detected) + len(true), 1)
