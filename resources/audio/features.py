"""Features: what can be told of a recording by listening to it.

One pass over the file, in blocks: what grows with its length is an onset curve, the energy of each tenth of a second
and such, a few hundred bytes a second.
"""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
from scipy.signal import butter, sosfilt, sosfilt_zi

from resources.audio import beatnet
from resources.audio.beatnet import BeatCurve
from resources.audio.beats import rhythm
from resources.audio.block_sums import Stretches
from resources.audio.danceability import DanceabilityMeter
from resources.audio.feature_schema import VERSION, Features
from resources.audio.key import KeyMeter
from resources.audio.loudness import LoudnessMeter
from resources.audio.onsets import RATE, OnsetCurve, peaks
from resources.audio.running_stats import Moments
from resources.audio.sound import Sound, Undecodable
from resources.audio.spectrum import SAMPLE_RATE, Spectrum

__all__ = ["VERSION", "Features", "Undecodable", "features"]

BLOCK = 1 << 17  # samples of all channels that are decoded at a time
PART = 30 * SAMPLE_RATE  # samples that are transformed at a time; of shorter files everything is known at once
LONGEST_S = 12 * 3600  # a few megabytes of FLAC can hold days of nothing
MOST = 100.0  # times full scale: beyond is no sound but a broken float
SILENCE = 10 ** (-90 / 20)  # what rounding to 16 bits leaves of nothing
RUMBLE_HZ = 10.0  # below is no tone, only an offset
OUTLINE_S = 0.01
WAVEFORM = 200  # points of the plot


def features(path: Path) -> Features:
    """Listen to a file. Undecodable, with the reason, if it gives no sound, or only silence."""
    with Sound(path) as sound:
        listener = _Listener(sound.sample_rate, sound.channels, sound.codec)
        for block in sound.blocks(max(1024, BLOCK // sound.channels)):
            listener.feed(block)
            if listener.heard > LONGEST_S * sound.sample_rate:
                raise Undecodable(f"too long: it goes on after {LONGEST_S // 3600} hours")
        return listener.features(sound.complaint)


class _Listener:
    def __init__(self, sample_rate: int, channels: int, codec: str) -> None:
        self.sample_rate = sample_rate
        self.heard = self.broken = 0
        self.lowest, self.highest = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.loudness = LoudnessMeter(sample_rate, channels, codec)
        self.danceability = DanceabilityMeter(sample_rate)
        self.outline = Stretches(sample_rate * OUTLINE_S, np.maximum)
        self.resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
        self.spectrum, self.onsets, self.beats, self.key = Spectrum(), OnsetCurve(), BeatCurve(), KeyMeter()
        self.rumble = butter(2, RUMBLE_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
        self.rumbling: np.ndarray | None = None
        self.waiting: list[np.ndarray] = []

    def feed(self, block: np.ndarray) -> None:
        """Take in the next samples, of shape [frames, channels]."""
        self.heard += len(block)
        good = np.abs(block) <= MOST  # false for what is no number, too
        if not good.all():
            self.broken += int(block.size - good.sum())
            block = np.where(good, block, 0).astype(np.float32)
        self.lowest, self.highest = np.minimum(self.lowest, block.min(0)), np.maximum(self.highest, block.max(0))
        self.loudness.feed(block)
        mono = block.mean(axis=1)
        self.danceability.feed(mono)
        self.outline.feed(np.abs(mono))
        self._hear(self.resampler.resample_chunk(mono))

    def _hear(self, samples: np.ndarray, last: bool = False) -> None:
        self.waiting.append(samples)
        if sum(map(len, self.waiting)) < PART and not last:
            return
        samples = np.concatenate(self.waiting)
        self.waiting = []
        if len(samples):
            if self.rumbling is None:  # as if the first sample had always been: no step where it begins off zero
                self.rumbling = sosfilt_zi(self.rumble) * samples[0]
            filtered, self.rumbling = sosfilt(self.rumble, samples, zi=self.rumbling)
            samples = filtered.astype(np.float32)
        for meter in (self.spectrum, self.onsets, self.beats, self.key):
            meter.feed(samples, last)

    def features(self, complaint: str | None) -> Features:
        """What was heard."""
        if (self.highest - self.lowest).max() / 2 < SILENCE:
            raise Undecodable(f"silent: {self.heard / self.sample_rate:.1f} s without a sound above -90 dBFS")
        self._hear(self.resampler.resample_chunk(np.zeros(0, np.float32), last=True), last=True)
        duration = self.heard / self.sample_rate
        flux = self.onsets.flux()
        beat = rhythm(flux, RATE, self.beats.chances(), beatnet.RATE)
        key, mode, key_confidence = self.key.key()
        spectrum = self.spectrum
        loudness = self.loudness.integrated()
        onset_rate = len(peaks(flux)) / duration
        centroid = float(spectrum.centroid.mean()[0])
        rest = self.outline.rest()
        peak = np.concatenate([self.outline.whole(), [] if rest is None else [rest]])
        notes = [complaint] if complaint else []
        if self.broken:
            notes.append(f"{self.broken} samples were no numbers or beyond measure, and count as silence")
        return Features(
            duration_s=duration,
            tempo_bpm=beat.tempo_bpm,
            tempo_confidence=beat.confidence,
            beats=[at for at in beat.beats if at < duration],
            key=key,
            mode=mode,
            key_confidence=key_confidence,
            loudness_lufs=loudness,
            loudness_range_lu=self.loudness.range(),
            peak_dbfs=20 * math.log10(max(self.highest.max(), -self.lowest.min())),
            danceability=self.danceability.danceability(),
            energy=_energy(loudness, onset_rate, centroid),
            onset_rate=onset_rate,
            **_both("rms", spectrum.rms),
            **_both("zero_crossing_rate", spectrum.zero_crossing_rate),
            **_both("spectral_centroid", spectrum.centroid),
            **_both("spectral_bandwidth", spectrum.bandwidth),
            **_both("spectral_rolloff", spectrum.rolloff),
            **_both("spectral_flatness", spectrum.flatness),
            spectral_contrast_mean=spectrum.contrast.mean().tolist(),
            spectral_contrast_std=spectrum.contrast.std().tolist(),
            mfcc_mean=spectrum.mfcc.mean().tolist(),
            mfcc_std=spectrum.mfcc.std().tolist(),
            chroma_mean=spectrum.chroma.mean().tolist(),
            chroma_std=spectrum.chroma.std().tolist(),
            waveform=_outline(peak),
            note="; ".join(notes) or None,
        )


def _both(name: str, moments: Moments) -> dict[str, float]:
    return {f"{name}_mean": float(moments.mean()[0]), f"{name}_std": float(moments.std()[0])}


def _energy(loudness: float | None, onset_rate: float, centroid: float) -> float:
    """What raises arousal in listening tests (Gabrielsson & Lindström 2010), each from 0 to 1, in equal shares."""
    loud = 0.0 if loudness is None else (loudness + 40) / 35
    parts = np.clip([loud, onset_rate / 8, math.log2(max(centroid, 1) / 300) / 4], 0, 1)
    return float(parts.mean())


def _outline(peaks: np.ndarray) -> list[float]:
    edges = np.linspace(0, len(peaks), WAVEFORM + 1)
    return [float(peaks[int(low) : max(math.ceil(high), int(low) + 1)].max()) for low, high in pairwise(edges)]
