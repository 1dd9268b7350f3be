"""Beats: where a listener's foot comes down, and how fast.

A bar pointer runs through each beat at one of many tempi and may change it only on the beat; of all its runs the one
that meets the onsets best is found by dynamic programming (Whiteley, Cemgil & Godsill, ISMIR 2006; Krebs, Böck &
Widmer, "An Efficient State-Space Model for Joint Tempo and Meter Tracking", ISMIR 2015).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import maximum_filter1d

SLOWEST, FASTEST = 55.0, 215.0  # beats per minute
STEADINESS = 100.0  # of the tempo: a change by 1 % is exp(-1) times as likely as none
ON_BEAT = 16  # the first of so many parts of a beat is where onsets belong
OPINION = 0.35  # how much the network has to say beside the onsets: it knows levels, they know moments
LISTENING_S = 4.0  # until it has heard enough to have one
STRAIGHT = 0.04
FEWEST = 3  # beats that make a tempo
AROUND_S, QUIET = 4.0, 0.2
# Other levels of the metre that may be the beat; of all, the one that recurs most clearly and is not unusual.
LEVELS = (1 / 3, 1 / 2, 2, 3)
LEVEL_WIDTH = 1.15
SLOWEST_LEVEL, FASTEST_LEVEL = 40.0, 240.0
USUAL, USUAL_OCTAVES = 115.0, 0.9  # how fast music is, as a log-normal distribution
FIT = 0.4  # what a nat a second of the better fit is worth
WINDOW_S = 20.0  # in which the tempo is about the same
PLAIN, CLEARER = 0.5, 0.02  # how much beats of three quavers recur, and more than two and four of them
SHORT_S = 12.0  # a loop of a bar or two recurs by everything that divides it
CLEAR = 0.08  # noise and drones recur less than this


class Rhythm(NamedTuple):
    """Tempo in beats per minute, how clear it is from 0 to 1, and the beats in seconds."""

    tempo_bpm: float | None
    confidence: float
    beats: list[float]


def rhythm(flux: np.ndarray, rate: float, chances: np.ndarray, chance_rate: float) -> Rhythm:
    """The rhythm of a curve of onsets and a network's chances of a beat, each so many values a second."""
    at = np.arange(len(flux)) / rate
    opinion = np.interp(at, np.arange(len(chances)) / chance_rate, chances)
    strokes = activation(flux, rate)
    weight = OPINION * np.minimum(at / LISTENING_S, 1)
    curve = weight * opinion + (1 - weight) * strokes
    frames, fit = track(curve, rate, SLOWEST, FASTEST)
    if len(frames) < FEWEST:
        return Rhythm(None, 0.0, [])
    window = int(WINDOW_S * rate)
    starts = range(0, max(len(strokes) - window // 2, 1), window)
    pulses = [autocorrelation(strokes[at : at + window], int(2 * 60 * rate / SLOWEST_LEVEL)) for at in starts]
    found = tempo(frames, rate)
    runs = {found: (frames, fit)}
    for level in LEVELS:
        if SLOWEST_LEVEL <= found * level <= FASTEST_LEVEL:
            other, fit = track(curve, rate, found * level / LEVEL_WIDTH, found * level * LEVEL_WIDTH)
            if len(other) >= FEWEST:
                runs[tempo(other, rate)] = other, fit
    # Of the strokes alone: a network hears a beat in noise, too.
    clarity = {bpm: _clarity(pulses, run, window) for bpm, (run, _) in runs.items()}
    seconds = len(flux) / rate

    def liking(bpm: float) -> float:
        usual = -0.5 * (math.log2(bpm / USUAL) / USUAL_OCTAVES) ** 2
        return math.log(max(clarity[bpm], 0.01)) + usual + FIT * runs[bpm][1] / seconds

    bpm = max(runs, key=liking)
    if clarity[bpm] < CLEAR:
        return Rhythm(None, 0.0, [])
    if seconds > SHORT_S and _in_threes(pulses, 60 * rate / bpm):
        frames, _ = track(curve, rate, bpm / 1.5 / LEVEL_WIDTH, bpm / 1.5 * LEVEL_WIDTH)
        bpm = tempo(frames, rate)
        return Rhythm(bpm, _clarity(pulses, frames, window), (frames / rate).tolist())
    return Rhythm(bpm, clarity[bpm], (runs[bpm][0] / rate).tolist())


def activation(flux: np.ndarray, rate: float) -> np.ndarray:
    """Onsets on a scale of 0 to 1, each beside the strongest of the seconds around it, lest quiet parts be lost."""
    strongest = maximum_filter1d(flux, int(AROUND_S * rate), mode="nearest") if len(flux) else flux
    least = QUIET * float(flux.max(initial=0)) or 1
    return np.clip(flux / np.maximum(strongest, least), 0, 1)


def tempo(frames: np.ndarray, rate: float) -> float:
    """Beats per minute of the straight line that fits the beats best; where they follow none, of the usual beat."""
    line = float(60 * rate / np.polyfit(np.arange(len(frames)), frames, 1)[0])
    usual = float(60 * rate / np.median(np.diff(frames)))
    return line if abs(line / usual - 1) < STRAIGHT else usual


def autocorrelation(curve: np.ndarray, longest: int) -> np.ndarray:
    """How like a curve is to itself so many frames later, from 1 at none."""
    curve = curve - curve.mean()
    size = next_fast_len(len(curve) + longest, real=True)
    transformed = rfft(curve, size)
    products = irfft(transformed * transformed.conj(), size)[: min(longest, len(curve))]
    shared = np.maximum(1 - np.arange(len(products)) / len(curve), 0.3)  # a short file has few long lags
    return products / (float(products[0]) or 1) / shared


def _clarity(pulses: list[np.ndarray], frames: np.ndarray, window: int) -> float:
    """How like each window is to itself a beat of its own later, on average."""
    parts = np.split(frames, np.searchsorted(frames, window * np.arange(1, len(pulses))))
    pairs = zip(pulses, parts, strict=True)
    return float(np.mean([_near(p, float(np.median(np.diff(f)))) if len(f) >= FEWEST else 0.0 for p, f in pairs]))


def _in_threes(pulses: list[np.ndarray], lag: float) -> bool:
    """Whether what was taken for a beat is two thirds of it, as two of the three quavers are in 6/8.

    Then it recurs after three of its halves rather than after two and four, and after six rather than after eight.
    """
    if any(len(p) <= 4.5 * lag for p in pulses):  # too slow to be so much faster than the beat
        return False
    two, three, four, six, eight = (float(np.mean([_near(p, n * lag / 2) for p in pulses])) for n in (2, 3, 4, 6, 8))
    return three > PLAIN and three > (two + four) / 2 + CLEARER and six > eight


def _near(pulse: np.ndarray, lag: float) -> float:
    """The highest value within 3 % of a lag."""
    at, width = round(lag), max(1, int(0.03 * lag))
    return float(np.clip(pulse[at - width : at + width + 1].max(initial=0), 0, 1))


def track(activation: np.ndarray, rate: float, slowest: float, fastest: float) -> tuple[np.ndarray, float]:
    """Frames of the beats in a curve of 0 to 1, `rate` values a second: the chance that a beat is there.

    Between two tempi in beats per minute. With it, how well they meet the curve, as a logarithm.
    """
    lengths = np.arange(round(60 * rate / fastest), round(60 * rate / slowest) + 1)
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
    came = np.zeros((end, len(lengths)), np.uint8)
    best, at_end, tempo_at_end = -np.inf, 0, 0
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
            row, tempo_at_end = divmod(int(over.argmax()), len(lengths))
            at_end = int(at[row])
    beats = []
    while (began_at := at_end - int(lengths[tempo_at_end])) >= longest:
        beats.append(began_at)
        at_end, tempo_at_end = began_at, int(came[began_at, tempo_at_end])
    return np.array(beats[::-1], np.int64) - longest, best
