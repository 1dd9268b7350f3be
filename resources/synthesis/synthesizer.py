"""A small synthesizer: sounds become stereo samples.

What belongs here: timbres, drums, the place of each on the stage, the room and the level. Additive and wavetable
synthesis as in Roads, The Computer Music Tutorial (1996); the room is Schroeder's parallel comb filters (Natural
Sounding Artificial Reverberation, 1962). All tones are band-limited: no partial lies above `HIGHEST`.
"""

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resources.synthesis.arrangement import Sound

RATE = 22_050  # samples a second: half a CD's, and half its bytes
HIGHEST = 9_500.0  # Hz
TABLE = 4096  # samples of a wavetable's one period
RING = 1.2  # seconds after the last note, in which it fades
PEAK = 0.89  # of full scale (-1 dB): what is nearer to it is bent, never cut
LINEAR = 0.6  # of full scale: below, nothing is bent
QUIETEST, LOUDEST = -21.0, -12.5  # RMS of a release in dB of full scale; about -20 to -10 LUFS

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Timbre:
    """How a tone begins, what it is made of, and how it ends."""

    partials: tuple[float, ...]  # amplitude of each multiple of the pitch
    attack: float  # seconds
    release: float  # seconds that a tone let go of sounds on
    decay: float = 0.0  # seconds in which the pitch's own partial falls by 60 dB, at 220 Hz; 0 if it is held
    damping: float = 0.0  # how much faster each higher partial falls
    vibrato: float = 0.0  # cents, up and down
    rate: float = 5.5  # Hz, of the vibrato
    breath: float = 0.0  # share of noise
    detuned: float = 0.0  # cents between two reeds; 0 if there is one
    knock: float = 0.0  # share of noise in the first hundredth of a second
    gain: float = 1.0
    pan: float = 0.0  # -1 is left, 1 right


def _plucked(at: float, brightness: float, partials: int = 24) -> tuple[float, ...]:
    """The partials of a string plucked at a share of its length."""
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
    """Hz of a MIDI note number, A4 at 440."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


def render(sounds: Sequence[Sound], end: float, stage: str) -> Floats:
    """The samples of some sounds until `RING` seconds after `end`, as (samples, 2) between -1 and 1.

    `stage` seeds the room and the level, which recordings of one release share.
    """
    where = random.Random(f"stage/{stage}")
    reverberation, wet = where.uniform(0.5, 1.3), where.uniform(0.05, 0.16)
    level = where.uniform(QUIETEST, LOUDEST)
    mix = np.zeros((2, int((end + RING) * RATE)), dtype=np.float32)
    for sound in sounds:
        samples, gain, pan = _drum(sound) if sound.timbre in DRUMS else _note(sound)
        begin = int(sound.at * RATE)
        part = samples[: max(0, mix.shape[1] - begin)] * np.float32(gain * sound.strength**1.5)
        angle = (pan + 1) * np.pi / 4  # the same power wherever it stands
        for channel, share in enumerate((np.cos(angle), np.sin(angle))):
            mix[channel, begin : begin + len(part)] += part * np.float32(share)
    mix += np.float32(wet) * _room(mix.mean(axis=0), reverberation)
    fade = int(RING * RATE)
    mix[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    return _levelled(mix, level).T


def _note(sound: Sound) -> tuple[Floats, float, float]:
    """A tone held as long as it is, and let go."""
    timbre = TIMBRES[sound.timbre]
    rest = int(timbre.release * RATE)
    held = max(int(sound.seconds * RATE), int(timbre.attack * RATE) + 1)
    whole = tone(sound.timbre, sound.pitch, _rounded((held + rest) / RATE))
    samples = whole[: held + rest].copy()
    samples[-rest:] *= np.linspace(1, 0, rest, dtype=np.float32) ** 2
    return samples, timbre.gain, timbre.pan


def _rounded(seconds: float) -> float:
    """A length of which few differ, so that tones are made once."""
    return next(length for length in (0.5, 1.0, 2.0, 4.0, 8.0, 30.0) if seconds <= length or length == 30.0)


@functools.lru_cache(maxsize=1024)
def tone(name: str, pitch: int, seconds: float) -> Floats:
    """A tone of a timbre, never let go: samples between -1 and 1, about as loud as any other."""
    timbre, pitched = TIMBRES[name], frequency(pitch)
    time = np.arange(int(seconds * RATE), dtype=np.float32) / np.float32(RATE)
    partials = [amplitude for n, amplitude in enumerate(timbre.partials, 1) if n * pitched < HIGHEST]
    noise = np.random.default_rng([pitch, len(name)]).standard_normal(len(time), dtype=np.float32)
    if timbre.decay:
        samples = _decaying(partials, pitched, time, timbre)
    else:
        table = _table(partials)
        swell = np.minimum(time / np.float32(0.4), 1)  # vibrato sets in after the tone
        bend = timbre.vibrato / 1200 * math.log(2) * swell * np.sin(2 * np.pi * timbre.rate * time)
        phase = np.cumsum(pitched / RATE * (1 + bend), dtype=np.float64)
        samples = _looked_up(table, phase)
        if timbre.detuned:
            apart = 2 ** (timbre.detuned / 2400)
            samples = (_looked_up(table, phase / apart) + _looked_up(table, phase * apart)) * np.float32(0.7)
    if timbre.breath:
        samples += np.float32(timbre.breath) * noise
    if timbre.knock:
        samples += np.float32(timbre.knock) * noise * np.exp(-time / np.float32(0.008))
    samples *= np.minimum(time / np.float32(timbre.attack), 1)
    samples *= np.float32(0.25 / np.sqrt(sum(amplitude**2 for amplitude in partials) / 2))
    samples.setflags(write=False)  # it is shared
    return samples


def _decaying(partials: Sequence[float], pitched: float, time: Floats, timbre: Timbre) -> Floats:
    """Partials that each fall by themselves, the higher the faster, as those of strings do."""
    samples = np.zeros_like(time)
    fall = np.float32(6.9 / timbre.decay * (pitched / 220) ** 0.5)  # 60 dB are a factor of e^6.9
    step, each = np.exp(-fall * np.float32(timbre.damping) * time), np.exp(-fall * time)
    table = _table((1.0,))
    phase = np.cumsum(np.full(len(time), pitched / RATE), dtype=np.float64)
    for n, amplitude in enumerate(partials, 1):
        samples += np.float32(amplitude) * each * _looked_up(table, phase * n)
        each *= step
    return samples


def _table(partials: Sequence[float]) -> Floats:
    """One period of a wave, its partials all sines."""
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(partials) + 1] = -0.5j * TABLE * np.asarray(partials)
    return np.fft.irfft(spectrum).astype(np.float32)


def _looked_up(table: Floats, phase: NDArray[np.float64]) -> Floats:
    """A wave at each phase, in periods; its table is long enough to need no interpolation."""
    return table[(phase * TABLE).astype(np.int64) & (TABLE - 1)]


def _drum(sound: Sound) -> tuple[Floats, float, float]:
    gain, pan = DRUMS[sound.timbre]
    return drum(sound.timbre), gain, pan


@functools.cache
def drum(name: str) -> Floats:
    """A stroke on a drum: samples about between -1 and 1."""
    time = np.arange(int(0.35 * RATE), dtype=np.float32) / np.float32(RATE)
    noise = np.random.default_rng([len(name), 1]).standard_normal(len(time), dtype=np.float32) * np.float32(0.3)
    match name:
        case "kick":  # a skin whose pitch falls as it comes to rest
            hertz = 48 + 90 * np.exp(-time / 0.03)
            samples = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-time / 0.09)
            samples += noise * np.exp(-time / 0.003)
        case "snare":
            hertz = 160 + 90 * np.exp(-time / 0.02)  # of no pitch, so that it is of every key
            samples = noise * np.exp(-time / 0.07)
            samples += 0.4 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-time / 0.03)
        case _:  # metal: noise without its lower part
            samples = np.diff(noise, n=2, prepend=np.zeros(2, dtype=np.float32)) * np.exp(-time / 0.025) * 0.6
    stroke: Floats = (samples * np.minimum(1, (time[-1] - time) / 0.02)).astype(np.float32)
    stroke.setflags(write=False)
    return stroke


def _room(sent: Floats, reverberation: float) -> Floats:
    """What comes back from the walls, left and right; it falls by 60 dB in `reverberation` seconds."""
    back = np.zeros((2, len(sent)), dtype=np.float32)
    for channel, delays in enumerate(COMBS):
        for delay in delays:
            samples = int(delay * RATE)
            rows = -(-len(sent) // samples)
            echoes = np.zeros((rows, samples), dtype=np.float32)
            echoes.ravel()[: len(sent)] = sent
            again = np.float32(10 ** (-3 * delay / reverberation))
            for row in range(1, rows):
                echoes[row] += again * echoes[row - 1]
            back[channel, samples:] += echoes.ravel()[: len(sent) - samples]
    return back


def _levelled(mix: Floats, level: float) -> Floats:
    """The mix at its RMS in dB of full scale, with peaks bent to stay below `PEAK`."""
    rms = float(np.sqrt(np.mean(np.square(mix)))) or 1.0
    mix *= np.float32(10 ** (level / 20) / rms)
    size = np.abs(mix)
    high = size > LINEAR
    bent = LINEAR + (PEAK - LINEAR) * np.tanh((size[high] - LINEAR) / (PEAK - LINEAR))
    mix[high] = np.sign(mix[high]) * bent
    return mix
