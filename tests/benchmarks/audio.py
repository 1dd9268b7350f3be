"""Measure the accuracy of tempo, beats and key on the sandbox's audio: `python -m tests.benchmarks.audio`.

A tempo is correct within 4 %. Accuracy 2 also accepts a half, a third, twice and three times the tempo. Source: Gouyon
et al., "An Experimental Comparison of Audio Tempo Induction Algorithms", IEEE TSALP 2006.

The F-measure of beats allows 70 ms. Keys are weighted as in MIREX: 0.5 for a fifth, 0.3 for the relative key, 0.2 for
the parallel key. Scores in modes other than major and minor are excluded. Seconds are CPU seconds of one process.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from mutagen.flac import FLAC

from resources.audio.feature_schema import Features
from resources.audio.features import features
from resources.audio.key import NAMES
from resources.sandbox import audio
from resources.sandbox.truth import Rendering, renderings

TEMPO_TOLERANCE = 0.04
TEMPO_RATIOS = (1, 2, 1 / 2, 3, 1 / 3)
BEAT_TOLERANCE_S = 0.07
FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}
EXPECTED = {"tempo, accuracy 2": 0.98, "key": 0.8, "times real time": 40}


@dataclass(frozen=True)
class Result:
    """A file, its true tempo, beats and key, and the features that the analysis found."""

    path: Path
    truth: Rendering
    features: Features

    def has_tempo(self, ratios: Sequence[float]) -> bool:
        """Return whether the tempo is one of these multiples of the true tempo."""
        bpm = self.features.tempo_bpm
        return bpm is not None and any(abs(bpm / (self.truth.tempo_bpm * n) - 1) <= TEMPO_TOLERANCE for n in ratios)

    def beats(self) -> float:
        """Compute the F-measure of the beats."""
        detected, true = np.array(self.features.beats), np.array(self.truth.beats)
        if not len(detected):
            return 0.0
        hits = sum(np.abs(detected[:, None] - true).min(axis=0) <= BEAT_TOLERANCE_S)
        return float(2 * hits / (len(detected) + len(true)))

    def key(self) -> float:
        """Return the MIREX score of the key."""
        if self.features.key is None:
            return 0.0
        true = FLATS.get(self.truth.key, self.truth.key)
        up, same = (NAMES.index(self.features.key) - NAMES.index(true)) % 12, self.features.mode == self.truth.mode
        if same:
            return {0: 1.0, 5: 0.5, 7: 0.5}.get(up, 0.0)
        return {0: 0.2, 9 if self.truth.mode == "major" else 3: 0.3}.get(up, 0.0)


def main() -> None:
    """Render clips, analyze them and print a table. With `--wrong`, also list the clips with a wrong tempo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[7, 8, 9], help="seeds of the worlds to render (default: 7 8 9)"
    )
    parser.add_argument("--clips", type=int, default=audio.CLIPS, help="clips per world (default: all)")
    parser.add_argument("--wrong", action="store_true", help="list the clips with a wrong tempo")
    options = parser.parse_args()
    results, analyzing = [], 0.0
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            audio.write(Path(folder), seed=seed, clips=options.clips)
            began = time.process_time()
            results += analyzed(Path(folder), renderings(seed, clips=options.clips))
            analyzing += time.process_time() - began
    key_scores = [result.key() for result in results if result.truth.mode in ("major", "minor")]
    figures = {
        "clips": len(results),
        "tempo, accuracy 1": mean(result.has_tempo([1]) for result in results),
        "tempo, accuracy 2": mean(result.has_tempo(TEMPO_RATIOS) for result in results),
        "beats, F-measure": mean(result.beats() for result in results),
        "key": mean(k == 1 for k in key_scores),
        "key, MIREX": mean(key_scores),
        "times real time": sum(result.features.duration_s for result in results) / analyzing,
    }
    print("| | measured | expected |\n|---|---:|---:|")
    for name, value in figures.items():
        print(f"| {name} | {value:{'.3f' if value < 10 else ',.0f'}} | {EXPECTED.get(name, '')} |")
    for result in results if options.wrong else []:
        if not result.has_tempo([1]):
            level = "another level" if result.has_tempo(TEMPO_RATIOS) else "WRONG"
            truth = f"{result.truth.meter}, beat {result.truth.beat}, {result.truth.tempo_bpm:.1f}"
            print(f"{level}: {result.path.stem} ({truth}): {result.features.tempo_bpm}")


def analyzed(folder: Path, truth: dict[str, Rendering]) -> Iterator[Result]:
    """Analyze the files of a folder, whose truth is given by recording id."""
    for path in sorted(folder.rglob("*.flac")):
        if path.parent.name != audio.ODD:
            yield Result(path, truth[str(FLAC(path)["musicbrainz_trackid"][0])], features(path))


if __name__ == "__main__":
    main()
