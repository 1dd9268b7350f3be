"""Beats: beat times and tempo of a recording.

The model is a bar pointer that moves through each beat at one of many tempi and may change tempo only on a beat.
Dynamic programming finds the path that fits the onsets best. Sources: Whiteley, Cemgil & Godsill, ISMIR 2006; Krebs,
Böck & Widmer, "An Efficient State-Space Model for Joint Tempo and Meter Tracking", ISMIR 2015.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import maximum_filter1d

MIN_BPM, MAX_BPM = 55.0, 215.0
TEMPO_STEADINESS = 100.0  # a tempo change of 1 % is exp(-1) times as likely as no change
BEAT_PARTS = 16  # a beat is divided into this many parts, and onsets are expected in the first
NETWORK_WEIGHT = 0.35  # beside the onset curve: the network is better at metrical levels, onsets at exact moments
NETWORK_WARMUP_S = 4.0  # the network is unreliable before it has seen this much
MAX_LINE_DEVIATION = 0.04  # if the fitted tempo differs more from the median beat, the tempo is not constant
MIN_BEATS = 3  # for a tempo
NORMALIZATION_WINDOW_S, MIN_NORMALIZATION = 4.0, 0.2
# Ratios to other metrical levels that may be the beat. The one that recurs most clearly and is not unusual wins.
LEVEL_RATIOS = (1 / 3, 1 / 2, 2, 3)
LEVEL_WIDTH = 1.15
MIN_LEVEL_BPM, MAX_LEVEL_BPM = 40.0, 240.0
USUAL_BPM, USUAL_SPREAD_OCTAVES = 115.0, 0.9  # log-normal distribution of the tempi of music
FIT_WEIGHT = 0.4  # weight of one nat per second of better fit
WINDOW_S = 20.0  # the tempo is about constant within this
MIN_TERNARY, TERNARY_MARGIN = 0.5, 0.02  # self-similarity after three quavers, and its lead over two and four
LOOP_S = 12.0  # a loop of a bar or two is similar to itself at every lag that divides it
MIN_CLARITY = 0.08  # noise and drones stay below this


class Rhythm(NamedTuple):
    """Tempo in beats per minute, its clarity from 0 to 1, and the times of the beats in seconds."""

    tempo_bpm: float | None
    confidence: float
    beats: list[float]


def rhythm(flux: np.ndarray, rate: float, probabilities: np.ndarray, probability_rate: float) -> Rhythm:
    """Estimate tempo and beats from an onset curve and a network's probabilities of a beat.

    `flux` has `rate` values per second, `probabilities` has `probability_rate`. If there is no clear beat, the tempo is
    None and there are no beats.
    """
    at = np.arange(len(flux)) / rate
    network = np.interp(at, np.arange(len(probabilities)) / probability_rate, probabilities)
    strokes = activation(flux, rate)
    weight = NETWORK_WEIGHT * np.minimum(at / NETWORK_WARMUP_S, 1)
    curve = weight * network + (1 - weight) * strokes
    frames, fit = track(curve, rate, MIN_BPM, MAX_BPM)
    if len(frames) < MIN_BEATS:
        return Rhythm(None, 0.0, [])
    window = int(WINDOW_S * rate)
    starts = range(0, max(len(strokes) - window // 2, 1), window)
    pulses = [autocorrelation(strokes[at : at + window], int(2 * 60 * rate / MIN_LEVEL_BPM)) for at in starts]
    detected = tempo(frames, rate)
    runs = {detected: (frames, fit)}
    for level in LEVEL_RATIOS:
        if MIN_LEVEL_BPM <= detected * level <= MAX_LEVEL_BPM:
            other, fit = track(curve, rate, detected * level / LEVEL_WIDTH, detected * level * LEVEL_WIDTH)
            if len(other) >= MIN_BEATS:
                runs[tempo(other, rate)] = other, fit
    # Use the onsets alone: a network detects beats even in noise.
    clarity = {bpm: _clarity(pulses, run, window) for bpm, (run, _) in runs.items()}
    seconds = len(flux) / rate

    def score(bpm: float) -> float:
        usual = -0.5 * (math.log2(bpm / USUAL_BPM) / USUAL_SPREAD_OCTAVES) ** 2
        return math.log(max(clarity[bpm], 0.01)) + usual + FIT_WEIGHT * runs[bpm][1] / seconds

    bpm = max(runs, key=score)
    if clarity[bpm] < MIN_CLARITY:
        return Rhythm(None, 0.0, [])
    if seconds > LOOP_S and _in_threes(pulses, 60 * rate / bpm):
        frames, _ = track(curve, rate, bpm / 1.5 / LEVEL_WIDTH, bpm / 1.5 * LEVEL_WIDTH)
        bpm = tempo(frames, rate)
        return Rhythm(bpm, _clarity(pulses, frames, window), (frames / rate).tolist())
    return Rhythm(bpm, clarity[bpm], (runs[bpm][0] / rate).tolist())


def activation(flux: np.ndarray, rate: float) -> np.ndarray:
    """Scale onset strengths to 0..1 by the strongest onset of the surrounding seconds, so that quiet parts count."""
    strongest = maximum_filter1d(flux, int(NORMALIZATION_WINDOW_S * rate), mode="nearest") if len(flux) else flux
    least = MIN_NORMALIZATION * float(flux.max(initial=0)) or 1
    return np.clip(flux / np.maximum(strongest, least), 0, 1)


def tempo(frames: np.ndarray, rate: float) -> float:
    """Return beats per minute from a line fitted to the beats or, if the tempo is not constant, the median beat."""
    line = float(60 * rate / np.polyfit(np.arange(len(frames)), frames, 1)[0])
    usual = float(60 * rate / np.median(np.diff(frames)))
    return line if abs(line / usual - 1) < MAX_LINE_DEVIATION else usual


def autocorrelation(curve: np.ndarray, max_lag: int) -> np.ndarray:
    """Return the autocorrelation of a curve at lags of 0 to `max_lag` frames, 1 at lag 0."""
    curve = curve - curve.mean()
    size = next_fast_len(len(curve) + max_lag, real=True)
    transformed = rfft(curve, size)
    products = irfft(transformed * transformed.conj(), size)[: min(max_lag, len(curve))]
    shared = np.maximum(1 - np.arange(len(products)) / len(curve), 0.3)  # a short file has few long lags
    return products / (float(products[0]) or 1) / shared


def _clarity(pulses: list[np.ndarray], frames: np.ndarray, window: int) -> float:
    """Return the mean autocorrelation of the windows, each at the length of its median beat."""
    parts = np.split(frames, np.searchsorted(frames, window * np.arange(1, len(pulses))))
    pairs = zip(pulses, parts, strict=True)
    return float(np.mean([_near(p, float(np.median(np.diff(f)))) if len(f) >= MIN_BEATS else 0.0 for p, f in pairs]))


def _in_threes(pulses: list[np.ndarray], lag: float) -> bool:
    """Return whether the detected beat is only two thirds of the real one, like two of three quavers in 6/8.

    The music then repeats after three halves of the detected beat rather than two or four, and after six rather than
    eight.
    """
    if any(len(p) <= 4.5 * lag for p in pulses):  # too slow to be two thirds of a beat
        return False
    two, three, four, six, eight = (float(np.mean([_near(p, n * lag / 2) for p in pulses])) for n in (2, 3, 4, 6, 8))
    return three > MIN_TERNARY and three > (two + four) / 2 + TERNARY_MARGIN and six > eight


def _near(pulse: np.ndarray, lag: float) -> float:
    """Return the highest value within 3 % of a lag."""
    at, width = round(lag), max(1, int(0.03 * lag))
    return float(np.clip(pulse[at - width : at + width + 1].max(initial=0), 0, 1))


def track(activation: np.ndarray, rate: float, slowest: float, fastest: float) -> tuple[np.ndarray, float]:
    """Find the best sequence of beats by dynamic programming.

    `activation` holds the probability of a beat, `rate` values per second. `slowest` and `fastest` limit the tempo, in
    beats per minute. Return the frames of the beats, of shape [beats], and their log likelihood.
    """
    lengths = np.arange(round(60 * rate / fastest), round(60 * rate / slowest) + 1)
    shortest, longest = int(lengths[0]), int(lengths[-1])
    pad = np.zeros(longest)
    probability = np.clip(activation, 1e-6, 1 - 1e-6)
    on = np.concatenate([[0.0], np.cumsum(np.concatenate([pad, np.log(probability), pad]))])
    off = np.concatenate([[0.0], np.cumsum(np.concatenate([pad, np.log((1 - probability) / (BEAT_PARTS - 1)), pad]))])
    strokes = -(-lengths // BEAT_PARTS)
    change = -TEMPO_STEADINESS * np.abs(lengths[None, :] / lengths[:, None] - 1)  # [from, to]
    change -= np.log(np.exp(change).sum(axis=1, keepdims=True))
    into = change.T.copy()  # [to, from]
    end = longest + len(activation)
    tempi = np.arange(len(lengths))
    history = longest + shortest  # frames back that are still needed
    score = np.zeros((history, len(lengths)))
    previous = np.zeros((end, len(lengths)), np.uint8)
    best, at_end, tempo_at_end = -np.inf, 0, 0
    for start in range(longest, end + longest, shortest):  # a block of frames that do not depend on each other
        at = np.arange(start, min(start + shortest, end + longest))
        began = at[:, None] - lengths
        turned = began + strokes
        met = on[turned] - on[began] + off[at][:, None] - off[turned]
        ended = np.where(began < end, score[began % history, tempi] + met, -np.inf)
        options = ended[:, None, :] + into
        chosen = options.argmax(axis=2)
        score[at % history] = np.take_along_axis(options, chosen[:, :, None], axis=2)[:, :, 0]
        previous[at[at < end]] = chosen[at < end]
        over = np.where(at[:, None] >= end, ended, -np.inf)
        if over.max() > best:
            best = over.max()
            row, tempo_at_end = divmod(int(over.argmax()), len(lengths))
            at_end = int(at[row])
    beats = []
    while (began_at := at_end - int(lengths[tempo_at_end])) >= longest:
        beats.append(began_at)
        at_end, tempo_at_end = began_at, int(previous[began_at, tempo_at_end])
    return np.array(beats[::-1], np.int64) - longest, best
