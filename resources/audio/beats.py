"""Beats: where a listener's foot comes down, and how fast.

A bar pointer runs through each beat at one of many tempi and may change it only on the beat; of all its runs the one
that meets the onsets best is found by dynamic programming (Whiteley, Cemgil & Godsill, ISMIR 2006; Krebs, Böck & Widmer,
"An Efficient State-Space Model for Joint Tempo and Meter Tracking", ISMIR 2015).
"""

from typing import NamedTuple

import numpy as np

SLOWEST, FASTEST = 55.0, 215.0  # beats per minute
STEADINESS = 100.0  # of the tempo: a change by 1 % is exp(-1) times as likely as none
ON_BEAT = 16  # the first of so many parts of a beat is where onsets belong


class Rhythm(NamedTuple):
    """Tempo in beats per minute, how clear it is from 0 to 1, and the beats in seconds."""

    tempo_bpm: float | None
    confidence: float
    beats: list[float]


def rhythm(flux: np.ndarray, rate: float, duration: float) -> Rhythm:
    """The rhythm of a curve of onsets, `rate` values a second."""
    frames = track(activation(flux, rate), rate)
    beats = frames / rate
    if len(beats) < 3:
        return Rhythm(None, 0.0, [])
    return Rhythm(tempo(beats), 1.0, [float(b) for b in beats if b < duration])


def activation(flux: np.ndarray, rate: float) -> np.ndarray:
    """The curve on a scale of 0 to 1."""
    top = np.quantile(flux, 0.99) if len(flux) else 0
    return np.clip(flux / (top or 1), 0, 1)


def tempo(beats: np.ndarray) -> float:
    """Beats per minute of the straight line that fits the beats best."""
    number = np.arange(len(beats))
    return float(60 / np.polyfit(number, beats, 1)[0])


def track(activation: np.ndarray, rate: float, prior: np.ndarray | None = None) -> np.ndarray:
    """Frames of the beats in a curve of 0 to 1, `rate` values a second: the chance that a beat is there.

    `prior`, if given, is the logarithm of how likely each length of a beat is, as `periods(rate)` has them.
    """
    lengths = periods(rate)
    shortest, longest = int(lengths[0]), int(lengths[-1])
    pad = np.zeros(longest)
    chance = np.clip(activation, 1e-6, 1 - 1e-6)
    on = np.concatenate([[0.0], np.cumsum(np.concatenate([pad, np.log(chance), pad]))])
    off = np.concatenate([[0.0], np.cumsum(np.concatenate([pad, np.log((1 - chance) / (ON_BEAT - 1)), pad]))])
    strokes = -(-lengths // ON_BEAT)
    change = -STEADINESS * np.abs(lengths[None, :] / lengths[:, None] - 1)  # [from, to]
    change -= np.log(np.exp(change).sum(axis=1, keepdims=True))
    into = change.T.copy()  # [to, from]
    end = longest + len(activation)
    tempi = np.arange(len(lengths))
    kept = longest + shortest  # frames back that are still needed
    score = np.zeros((kept, len(lengths)))
    if prior is not None:
        score += prior
    came = np.zeros((end, len(lengths)), np.uint8)
    best, last = -np.inf, (0, 0)
    for start in range(longest, end + longest, shortest):  # as many at once as do not depend on each other
        at = np.arange(start, min(start + shortest, end + longest))
        began = at[:, None] - lengths
        turned = began + strokes
        met = on[turned] - on[began] + off[at][:, None] - off[turned]
        ended = np.where(began < end, score[began % kept, tempi] + met, -np.inf)
        options = ended[:, None, :] + into
        chosen = options.argmax(axis=2)
        score[at % kept] = np.take_along_axis(options, chosen[:, :, None], axis=2)[:, :, 0]
        came[at[at < end]] = chosen[at < end]
        over = np.where(at[:, None] >= end, ended, -np.inf)
        if over.max() > best:
            best = over.max()
            row, tempo = np.unravel_index(over.argmax(), over.shape)
            last = int(at[row]), int(tempo)
    beats = []
    at_end, tempo = last
    while (began_at := at_end - int(lengths[tempo])) >= longest:
        beats.append(began_at)
        at_end, tempo = began_at, int(came[began_at, tempo])
    return np.array(beats[::-1], np.int64) - longest


def periods(rate: float) -> np.ndarray:
    """Lengths of a beat that are tried, in frames."""
    return np.arange(round(60 * rate / FASTEST), round(60 * rate / SLOWEST) + 1)
