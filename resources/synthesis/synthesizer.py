"""A small synthesizer that renders sounds to stereo samples.

It has timbres, drums, panning, reverberation and level. Additive and wavetable synthesis follow Roads, The Computer
Music Tutorial (1996). The reverberation is Schroeder's parallel comb filters (Natural Sounding Artificial
Reverberation, 1962). All tones are band-limited: no partial is above `MAX_PARTIAL_HZ`.
"""

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.synthesis.arrangement import Sound

RATE = 22_050  # samples per second: half a CD's, to halve the size
MAX_PARTIAL_HZ = 9_500.0
TABLE_SAMPLES = 4096  # in the one period of a wavetable
FADE_S = 1.2  # after the last note
MAX_PEAK = 0.89  # of full scale (-1 dB): larger peaks are compressed, never clipped
LINEAR_LEVEL = 0.6  # of full scale: smaller samples are not compressed
MIN_LEVEL_DB, MAX_LEVEL_DB = -21.0, -12.5  # RMS of a release relative to full scale; about -20 to -10 LUFS

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Timbre:
    """Envelope, partials and modulation of an instrument's tones."""

    partials: tuple[float, ...]  # amplitude of each multiple of the pitch
    attack: float  # seconds
    release: float  # seconds
    decay: float = 0.0  # seconds in which the first partial falls by 60 dB, at 220 Hz; 0 for a sustained tone
    damping: float = 0.0  # relative increase of the decay rate per partial
    vibrato: float = 0.0  # cents, up and down
    rate: float = 5.5  # Hz, of the vibrato
    breath: float = 0.0  # share of noise
    detuned: float = 0.0  # cents between two reeds; 0 for one reed
    knock: float = 0.0  # share of noise in the first 10 ms
    gain: float = 1.0
    pan: float = 0.0  # -1 is left, 1 right


def _plucked(at: float, brightness: float, partials: int = 24) -> tuple[float, ...]:
    """Return the partials of a string plucked at the share `at` of its length."""
    return tuple(abs(np.sin(np.pi * n * at)) / n**brightness for n in range(1, partials + 1))


# fmt: off
TIMBRES = {
    "fiddle": Timbre(tuple(f / n for n, f in enumerate((.8, 1, 1.1, .9, 1.2, .8, .7, .9, .6, .5, .45, .4, .3, .3), 1)),
                     .035, .06, vibrato=14, breath=.006, pan=-.15),
    "flute": Timbre((1, .38, .16, .06, .03), .045, .07, vibrato=6, rate=4.8, breath=.02, gain=1.25, pan=-.1),
    "accordion": Timbre((1, .7, .75, .45, .5, .3, .3, .2, .2, .15, .12, .1, .1, .08), .02, .04, detuned=9, pan=.1),
    "banjo": Timbre(_plucked(.08, 1.0), .002, .08, decay=1.0, damping=.10, knock=.25, gain=1.6, pan=-.1),
    "harp": Timbre(_plucked(.42, 1.7), .003, .25, decay=3.0, damping=.12, gain=1.3, pan=-.1),
    "piano": Timbre(_plucked(.125, 1.35, 16), .003, .12, decay=3.5, damping=.18, knock=.08, gain=1.3),
    "guitar": Timbre(_plucked(.15, 1.05, 20), .003, .10, decay=2.2, damping=.15, knock=.05, pan=.35),
    "bass": Timbre((1, .6, .3, .15, .08, .04), .006, .08, decay=2.5, damping=.30, gain=1.5),
}
DRUMS = {"kick": (1.5, 0.0), "snare": (.75, .1), "hat": (.5, -.3)}  # gain and pan
# fmt: on
COMBS = ((0.0297, 0.0371, 0.0411, 0.0437), (0.0307, 0.0359, 0.0421, 0.0447))  # seconds, left and right


def frequency(pitch: float) -> float:
    """Return the frequency in Hz of a MIDI note number, with A4 at 440 Hz."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


def render(sounds: Sequence[Sound], end: float, stage: str) -> Floats:
    """Render sounds until `FADE_S` seconds after `end`, as samples from -1 to 1 of shape [samples, 2].

    `stage` seeds the reverberation and level, which the recordings of a release share.
    """
    stage_random = random.Random(f"stage/{stage}")
    reverberation, wet = stage_random.uniform(0.5, 1.3), stage_random.uniform(0.05, 0.16)
    level = stage_random.uniform(MIN_LEVEL_DB, MAX_LEVEL_DB)
    mix = np.zeros((2, int((end + FADE_S) * RATE)), dtype=np.float32)
    for sound in sounds:
        samples, gain, pan = _drum(sound) if sound.timbre in DRUMS else _note(sound)
        begin = int(sound.at * RATE)
        part = samples[: max(0, mix.shape[1] - begin)] * np.float32(gain * sound.strength**1.5)
        angle = (pan + 1) * np.pi / 4  # constant power at any position
        for channel, share in enumerate((np.cos(angle), np.sin(angle))):
            mix[channel, begin : begin + len(part)] += part * np.float32(share)
    mix += np.float32(wet) * _room(mix.mean(axis=0), reverberation)
    fade = int(FADE_S * RATE)
    mix[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    return _leveled(mix, level).T


def _note(sound: Sound) -> tuple[Floats, float, float]:
    """Return a note's samples, with its release, and its gain and pan."""
    timbre = TIMBRES[sound.timbre]
    release = int(timbre.release * RATE)
    held = max(int(sound.seconds * RATE), int(timbre.attack * RATE) + 1)
    sustained = tone(sound.timbre, sound.pitch, _rounded_up((held + release) / RATE))
    samples = sustained[: held + release].copy()
    samples[-release:] *= np.linspace(1, 0, release, dtype=np.float32) ** 2
    return samples, timbre.gain, timbre.pan


def _rounded_up(seconds: float) -> float:
    """Round up to one of a few durations, so that cached tones are reused."""
    return next(length for length in (0.5, 1.0, 2.0, 4.0, 8.0, 30.0) if seconds <= length or length == 30.0)


@functools.lru_cache(maxsize=1024)
def tone(name: str, pitch: int, seconds: float) -> Floats:
    """Synthesize a tone without release, with samples from -1 to 1. All tones are about equally loud."""
    timbre, pitched = TIMBRES[name], frequency(pitch)
    time = np.arange(int(seconds * RATE), dtype=np.float32) / np.float32(RATE)
    partials = [amplitude for n, amplitude in enumerate(timbre.partials, 1) if n * pitched < MAX_PARTIAL_HZ]
    noise = np.random.default_rng([pitch, len(name)]).standard_normal(len(time), dtype=np.float32)
    if timbre.decay:
        samples = _decaying(partials, pitched, time, timbre)
    else:
        table = _table(partials)
        swell = np.minimum(time / np.float32(0.4), 1)  # vibrato starts gradually
        bend = timbre.vibrato / 1200 * math.log(2) * swell * np.sin(2 * np.pi * timbre.rate * time)
        phase = np.cumsum(pitched / RATE * (1 + bend), dtype=np.float64)
        samples = _looked_up(table, phase)
        if timbre.detuned:
            ratio = 2 ** (timbre.detuned / 2400)
            samples = (_looked_up(table, phase / ratio) + _looked_up(table, phase * ratio)) * np.float32(0.7)
    if timbre.breath:
        samples += np.float32(timbre.breath) * noise
    if timbre.knock:
        samples += np.float32(timbre.knock) * noise * np.exp(-time / np.float32(0.008))
    samples *= np.minimum(time / np.float32(timbre.attack), 1)
    samples *= np.float32(0.25 / np.sqrt(sum(amplitude**2 for amplitude in partials) / 2))
    samples.setflags(write=False)  # the cache shares it
    return samples


def _decaying(partials: Sequence[float], pitched: float, time: Floats, timbre: Timbre) -> Floats:
    """Synthesize partials that decay separately, higher ones faster, like those of strings."""
    samples = np.zeros_like(time)
    fall = np.float32(6.9 / timbre.decay * (pitched / 220) ** 0.5)  # 60 dB are a factor of e^6.9
    step, amplitudes = np.exp(-fall * np.float32(timbre.damping) * time), np.exp(-fall * time)
    table = _table((1.0,))
    phase = np.cumsum(np.full(len(time), pitched / RATE), dtype=np.float64)
    for n, amplitude in enumerate(partials, 1):
        samples += np.float32(amplitude) * amplitudes * _looked_up(table, phase * n)
        amplitudes *= step
    return samples


def _table(partials: Sequence[float]) -> Floats:
    """Return one period of a wave whose partials are all sines."""
    spectrum = np.zeros(TABLE_SAMPLES // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(partials) + 1] = -0.5j * TABLE_SAMPLES * np.asarray(partials)
    return np.fft.irfft(spectrum).astype(np.float32)


def _looked_up(table: Floats, phase: NDArray[np.float64]) -> Floats:
    """Return a wave at each phase, in periods. The table is long enough to need no interpolation."""
    return table[(phase * TABLE_SAMPLES).astype(np.int64) & (TABLE_SAMPLES - 1)]


def _drum(sound: Sound) -> tuple[Floats, float, float]:
    gain, pan = DRUMS[sound.timbre]
    return drum(sound.timbre), gain, pan


@functools.cache
def drum(name: str) -> Floats:
    """Synthesize a drum stroke, with samples of about -1 to 1."""
    time = np.arange(int(0.35 * RATE), dtype=np.float32) / np.float32(RATE)
    noise = np.random.default_rng([len(name), 1]).standard_normal(len(time), dtype=np.float32) * np.float32(0.3)
    match name:
        case "kick":  # the pitch of the skin falls as it comes to rest
            hertz = 48 + 90 * np.exp(-time / 0.03)
            samples = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-time / 0.09)
            samples += noise * np.exp(-time / 0.003)
        case "snare":
            hertz = 160 + 90 * np.exp(-time / 0.02)  # a falling pitch, so that it suggests no key
            samples = noise * np.exp(-time / 0.07)
            samples += 0.4 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-time / 0.03)
        case _:  # metal: noise without low frequencies
            samples = np.diff(noise, n=2, prepend=np.zeros(2, dtype=np.float32)) * np.exp(-time / 0.025) * 0.6
    stroke: Floats = (samples * np.minimum(1, (time[-1] - time) / 0.02)).astype(np.float32)
    stroke.setflags(write=False)
    return stroke


def _room(signal: Floats, reverberation: float) -> Floats:
    """Return the reverberation of a signal, of shape [2, samples]. It falls by 60 dB in `reverberation` seconds."""
    reflected = np.zeros((2, len(signal)), dtype=np.float32)
    for channel, delays in enumerate(COMBS):
        for delay in delays:
            samples = int(delay * RATE)
            rows = -(-len(signal) // samples)
            echoes = np.zeros((rows, samples), dtype=np.float32)
            echoes.ravel()[: len(signal)] = signal
            feedback = np.float32(10 ** (-3 * delay / reverberation))
            for row in range(1, rows):
                echoes[row] += feedback * echoes[row - 1]
            reflected[channel, samples:] += echoes.ravel()[: len(signal) - samples]
    return reflected


def _leveled(mix: Floats, level: float) -> Floats:
    """Scale the mix in place to an RMS in dB of full scale, and compress peaks to stay below `MAX_PEAK`."""
    rms = float(np.sqrt(np.mean(np.square(mix)))) or 1.0
    mix *= np.float32(10 ** (level / 20) / rms)
    size = np.abs(mix)
    high = size > LINEAR_LEVEL
    compressed = LINEAR_LEVEL + (MAX_PEAK - LINEAR_LEVEL) * np.tanh(
        (size[high] - LINEAR_LEVEL) / (MAX_PEAK - LINEAR_LEVEL)
    )
    mix[high] = np.sign(mix[high]) * compressed
    return mix
