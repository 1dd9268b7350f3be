"""BeatNet: the probability of a beat in each frame, from a small neural network in plain numpy.

The network is a convolution over the spectrum of a frame, followed by two LSTM layers. Source: Heydari, Cwitkowitz &
Duan, "BeatNet: CRNN and Particle Filtering for Online Joint Beat, Downbeat and Meter Tracking", ISMIR 2021. The weights
are the first of its three published sets, under CC BY 4.0 (weights/README.md).
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy.fft import rfft

from resources.audio.frames import Frames
from resources.audio.spectrum import SAMPLE_RATE

SIZE, HOP = 1411, 441  # samples: 64 ms and 20 ms
RATE = SAMPLE_RATE / HOP  # frames per second
BINS = SIZE // 2
BANDS_PER_OCTAVE = 24
LOWEST_HZ, HIGHEST_HZ, A4_HZ = 30.0, 17_000.0, 440.0
CELLS = 150  # per LSTM layer
PEAK_LEVEL = 0.9  # samples are scaled to this peak: the network was trained on recordings near full scale
WEIGHTS = Path(__file__).with_name("weights") / "beatnet.npz"
WINDOW = np.hanning(SIZE).astype(np.float32)


class BeatCurve:
    """Compute the probability of a beat in a stream of mono samples at SAMPLE_RATE, RATE values per second."""

    def __init__(self) -> None:
        self._weights = weights()
        self._filters = log_filters().T.copy()
        self._frames = Frames(SIZE, HOP)
        self._before: np.ndarray | None = None
        self._loudest = 0.0
        self._states = [(np.zeros(CELLS, np.float32), np.zeros(CELLS, np.float32)) for _ in range(2)]
        self._probabilities: list[np.ndarray] = []

    def feed(self, samples: np.ndarray, last: bool = False) -> None:
        """Process the next samples, of shape [n]. `last` ends the stream."""
        frames = self._frames.feed(samples, last)
        if not len(frames):
            return
        self._loudest = max(self._loudest, float(np.abs(frames).max()))
        bands = np.abs(rfft(frames * WINDOW, axis=1))[:, :BINS] @ self._filters
        level = np.log10(1 + PEAK_LEVEL / (self._loudest or 1) * bands)
        before = level[:1] if self._before is None else self._before
        growth = np.maximum(np.diff(level, axis=0, prepend=before), 0)
        self._before = level[-1:]
        self._probabilities.append(self._forward(np.concatenate([level, growth], axis=1)))

    def _forward(self, inputs: np.ndarray) -> np.ndarray:
        w = self._weights
        windows = np.lib.stride_tricks.sliding_window_view(inputs, w["conv1.weight"].shape[-1], axis=1)
        convolved = np.maximum(np.einsum("fwk,ck->fcw", windows, w["conv1.weight"][:, 0]) + w["conv1.bias"][:, None], 0)
        pairs = convolved.shape[2] // 2
        pooled = convolved[:, :, : 2 * pairs].reshape(len(inputs), 2, pairs, 2).max(axis=3)
        values = pooled.reshape(len(inputs), -1) @ w["linear0.weight"].T + w["linear0.bias"]
        for layer in range(2):
            values, self._states[layer] = _recurrent(values, self._states[layer], w, layer)
        out = values @ w["linear.weight"].T + w["linear.bias"]
        probabilities = np.exp(out - out.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        # The first class is a beat within a bar, the second a downbeat.
        return probabilities[:, 0] + probabilities[:, 1]

    def probabilities(self) -> np.ndarray:
        """Return the probability of a beat in each frame so far, of shape [frames]."""
        return np.concatenate(self._probabilities) if self._probabilities else np.zeros(0)


def _recurrent(
    values: np.ndarray, state: tuple[np.ndarray, np.ndarray], weights: dict[str, np.ndarray], layer: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Run an LSTM layer over values of shape [frames, inputs]. Return [frames, CELLS] and the state at the end."""
    inputs = values @ weights[f"lstm.weight_ih_l{layer}"].T
    inputs += weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"]
    recurrence = np.ascontiguousarray(weights[f"lstm.weight_hh_l{layer}"])
    hidden, cell = state
    outputs = np.empty((len(values), CELLS), np.float32)
    for number, gates in enumerate(inputs):
        gates += recurrence @ hidden
        candidate = np.tanh(gates[2 * CELLS : 3 * CELLS])
        gates = 0.5 * np.tanh(0.5 * gates) + 0.5  # the logistic function, without overflow
        cell = gates[CELLS : 2 * CELLS] * cell + gates[:CELLS] * candidate
        hidden = gates[3 * CELLS :] * np.tanh(cell)
        outputs[number] = hidden
    return outputs, (hidden, cell)


@cache
def weights() -> dict[str, np.ndarray]:
    """Load the network's weights by name."""
    with np.load(WEIGHTS) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


@cache
def log_filters() -> np.ndarray:
    """Compute overlapping triangles of equal area between the bins nearest to quarter tones, of shape [bands, bins]."""
    first = int(np.floor(np.log2(LOWEST_HZ / A4_HZ) * BANDS_PER_OCTAVE))
    last = int(np.ceil(np.log2(HIGHEST_HZ / A4_HZ) * BANDS_PER_OCTAVE))
    hertz = A4_HZ * 2.0 ** (np.arange(first, last) / BANDS_PER_OCTAVE)
    hertz = hertz[(hertz >= LOWEST_HZ) & (hertz <= HIGHEST_HZ)]
    bins = np.arange(BINS) * SAMPLE_RATE / (2 * BINS)
    nearest = np.unique(np.abs(bins - hertz[:, None]).argmin(axis=1))
    filters = np.zeros((len(nearest) - 2, BINS), np.float32)
    for row, low, middle, high in zip(filters, nearest, nearest[1:], nearest[2:], strict=False):
        if high - low < 2:
            row[low] = 1
            continue
        row[low:middle] = np.linspace(0, 1, middle - low, endpoint=False)
        row[middle:high] = np.linspace(1, 0, high - middle, endpoint=False)
        row /= row.sum()
    return filters
