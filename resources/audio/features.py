"""Features: tempo, beats, key, loudness, timbre and more of one audio file.

The analysis reads the file once, in blocks. Only curves such as onsets and loudness grow with the duration, by a few
hundred bytes per second.
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
from resources.audio.block_sums import BlockSums
from resources.audio.danceability import DanceabilityMeter
from resources.audio.feature_schema import VERSION, Features
from resources.audio.key import KeyMeter
from resources.audio.loudness import LoudnessMeter
from resources.audio.onsets import RATE, OnsetCurve, peaks
from resources.audio.running_stats import RunningStats
from resources.audio.sound import Sound, Undecodable
from resources.audio.spectrum import SAMPLE_RATE, Spectrum

__all__ = ["VERSION", "Features", "Undecodable", "features"]

BLOCK_SAMPLES = 1 << 17  # of all channels, decoded at a time
PART_SAMPLES = 30 * SAMPLE_RATE  # analyzed at a time, so that shorter files are analyzed as a whole
MAX_DURATION_S = 12 * 3600  # a few megabytes of FLAC can hold days of silence
MAX_AMPLITUDE = 100.0  # times full scale: a larger float is broken
SILENCE_LEVEL = 10 ** (-90 / 20)  # rounding errors of 16-bit samples
RUMBLE_HZ = 10.0  # below this there is no tone, only an offset
OUTLINE_BLOCK_S = 0.01
WAVEFORM_POINTS = 200


def features(path: Path) -> Features:
    """Analyze an audio file. Raise Undecodable if it holds no sound, only silence, or too much of it."""
    with Sound(path) as sound:
        analyzer = _Analyzer(sound.sample_rate, sound.channels, sound.codec)
        for block in sound.blocks(max(1024, BLOCK_SAMPLES // sound.channels)):
            analyzer.feed(block)
            if analyzer.frames > MAX_DURATION_S * sound.sample_rate:
                raise Undecodable(f"too long: more than {MAX_DURATION_S // 3600} hours")
        return analyzer.features(sound.complaint)


class _Analyzer:
    """The meters that a stream of blocks passes through."""

    def __init__(self, sample_rate: int, channels: int, codec: str) -> None:
        self.sample_rate = sample_rate
        self.frames = self.broken_samples = 0
        self.lowest, self.highest = np.full(channels, np.inf), np.full(channels, -np.inf)
        self.loudness = LoudnessMeter(sample_rate, channels, codec)
        self.danceability = DanceabilityMeter(sample_rate)
        self.outline = BlockSums(sample_rate * OUTLINE_BLOCK_S, np.maximum)
        self.resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
        self.spectrum, self.onsets, self.beats, self.key = Spectrum(), OnsetCurve(), BeatCurve(), KeyMeter()
        self.rumble = butter(2, RUMBLE_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
        self.rumbling: np.ndarray | None = None
        self.waiting: list[np.ndarray] = []

    def feed(self, block: np.ndarray) -> None:
        """Process the next samples, of shape [frames, channels]."""
        self.frames += len(block)
        good = np.abs(block) <= MAX_AMPLITUDE  # also False for NaN
        if not good.all():
            self.broken_samples += int(block.size - good.sum())
            block = np.where(good, block, 0).astype(np.float32)
        self.lowest, self.highest = np.minimum(self.lowest, block.min(0)), np.maximum(self.highest, block.max(0))
        self.loudness.feed(block)
        mono = block.mean(axis=1)
        self.danceability.feed(mono)
        self.outline.feed(np.abs(mono))
        self._analyze(self.resampler.resample_chunk(mono))

    def _analyze(self, samples: np.ndarray, last: bool = False) -> None:
        self.waiting.append(samples)
        if sum(map(len, self.waiting)) < PART_SAMPLES and not last:
            return
        samples = np.concatenate(self.waiting)
        self.waiting = []
        if len(samples):
            if self.rumbling is None:  # start as if the first sample had always been there, to avoid a step
                self.rumbling = sosfilt_zi(self.rumble) * samples[0]
            filtered, self.rumbling = sosfilt(self.rumble, samples, zi=self.rumbling)
            samples = filtered.astype(np.float32)
        for meter in (self.spectrum, self.onsets, self.beats, self.key):
            meter.feed(samples, last)

    def features(self, complaint: str | None) -> Features:
        """Return the features. Raise Undecodable if everything was silent."""
        if (self.highest - self.lowest).max() / 2 < SILENCE_LEVEL:
            raise Undecodable(f"silent: {self.frames / self.sample_rate:.1f} s without a sound above -90 dBFS")
        self._analyze(self.resampler.resample_chunk(np.zeros(0, np.float32), last=True), last=True)
        duration = self.frames / self.sample_rate
        flux = self.onsets.flux()
        beat = rhythm(flux, RATE, self.beats.probabilities(), beatnet.RATE)
        key, mode, key_confidence = self.key.key()
        spectrum = self.spectrum
        loudness = self.loudness.integrated()
        onset_rate = len(peaks(flux)) / duration
        centroid = float(spectrum.centroid.mean()[0])
        partial = self.outline.partial()
        peak = np.concatenate([self.outline.complete(), [] if partial is None else [partial]])
        notes = [complaint] if complaint else []
        if self.broken_samples:
            notes.append(f"{self.broken_samples} samples are not valid numbers and were replaced by silence")
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
            **_mean_and_std("rms", spectrum.rms),
            **_mean_and_std("zero_crossing_rate", spectrum.zero_crossing_rate),
            **_mean_and_std("spectral_centroid", spectrum.centroid),
            **_mean_and_std("spectral_bandwidth", spectrum.bandwidth),
            **_mean_and_std("spectral_rolloff", spectrum.rolloff),
            **_mean_and_std("spectral_flatness", spectrum.flatness),
            spectral_contrast_mean=spectrum.contrast.mean().tolist(),
            spectral_contrast_std=spectrum.contrast.std().tolist(),
            mfcc_mean=spectrum.mfcc.mean().tolist(),
            mfcc_std=spectrum.mfcc.std().tolist(),
            chroma_mean=spectrum.chroma.mean().tolist(),
            chroma_std=spectrum.chroma.std().tolist(),
            waveform=_outline(peak),
            note="; ".join(notes) or None,
        )


def _mean_and_std(name: str, stats: RunningStats) -> dict[str, float]:
    return {f"{name}_mean": float(stats.mean()[0]), f"{name}_std": float(stats.std()[0])}


def _energy(loudness: float | None, onset_rate: float, centroid: float) -> float:
    """Average loudness, onset rate and brightness: they raise arousal in listeners (Gabrielsson & Lindström 2010)."""
    loud = 0.0 if loudness is None else (loudness + 40) / 35
    parts = np.clip([loud, onset_rate / 8, math.log2(max(centroid, 1) / 300) / 4], 0, 1)
    return float(parts.mean())


def _outline(peaks: np.ndarray) -> list[float]:
    edges = np.linspace(0, len(peaks), WAVEFORM_POINTS + 1)
    return [float(peaks[int(low) : max(math.ceil(high), int(low) + 1)].max()) for low, high in pairwise(edges)]
