"""How well tempo, beats and key are heard in what the sandbox renders: `python -m tests.benchmarks.audio`.

The tempo is right within 4 %, alone or where a half, a third, twice and three times count as well (Gouyon et al., "An
Experimental Comparison of Audio Tempo Induction Algorithms", IEEE TSALP 2006: accuracies 1 and 2). Beats meet within
70 ms (F-measure). Keys count by the weights of MIREX: a fifth away half, the relative key 0.3, the parallel 0.2; scores
in modes other than major and minor are left out of them. Seconds are CPU seconds of one process.
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

WITHIN = 0.04  # of the tempo
LEVELS = (1, 2, 1 / 2, 3, 1 / 3)
NEAR_S = 0.07  # of a beat
FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}
EXPECTED = {"tempo, accuracy 2": 0.98, "key": 0.8, "times real time": 40}


@dataclass(frozen=True)
class Heard:
    """What is in a file, and what was heard in it."""

    path: Path
    truth: Rendering
    found: Features

    def at_level(self, levels: Sequence[float]) -> bool:
        """Whether the tempo is right, or at one of these other levels of the metre."""
        bpm = self.found.tempo_bpm
        return bpm is not None and any(abs(bpm / (self.truth.tempo_bpm * n) - 1) <= WITHIN for n in levels)

    def beats(self) -> float:
        """The F-measure of its beats."""
        found, true = np.array(self.found.beats), np.array(self.truth.beats)
        if not len(found):
            return 0.0
        hits = sum(np.abs(found[:, None] - true).min(axis=0) <= NEAR_S)
        return float(2 * hits / (len(found) + len(true)))

    def key(self) -> float:
        """What MIREX counts for its key."""
        if self.found.key is None:
            return 0.0
        true = FLATS.get(self.truth.key, self.truth.key)
        up, same = (NAMES.index(self.found.key) - NAMES.index(true)) % 12, self.found.mode == self.truth.mode
        if same:
            return {0: 1.0, 5: 0.5, 7: 0.5}.get(up, 0.0)
        return {0: 0.2, 9 if self.truth.mode == "major" else 3: 0.3}.get(up, 0.0)


def main() -> None:
    """Render, listen, and print a table; with `--wrong` the clips whose tempo is not the true one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7, 8, 9], help="of the worlds that are rendered")
    parser.add_argument("--clips", type=int, default=audio.CLIPS, help="of each")
    parser.add_argument("--wrong", action="store_true")
    asked = parser.parse_args()
    heard, listening = [], 0.0
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            audio.write(Path(folder), seed=seed, clips=asked.clips)
            began = time.process_time()
            heard += listened(Path(folder), renderings(seed, clips=asked.clips))
            listening += time.process_time() - began
    keyed = [h.key() for h in heard if h.truth.mode in ("major", "minor")]
    told = {
        "clips": len(heard),
        "tempo, accuracy 1": mean(h.at_level([1]) for h in heard),
        "tempo, accuracy 2": mean(h.at_level(LEVELS) for h in heard),
        "beats, F-measure": mean(h.beats() for h in heard),
        "key": mean(k == 1 for k in keyed),
        "key, MIREX": mean(keyed),
        "times real time": sum(h.found.duration_s for h in heard) / listening,
    }
    print("| | found | wanted |\n|---|---:|---:|")
    for what, value in told.items():
        print(f"| {what} | {value:{'.3f' if value < 10 else ',.0f'}} | {EXPECTED.get(what, '')} |")
    for h in heard if asked.wrong else []:
        if not h.at_level([1]):
            level = "another level" if h.at_level(LEVELS) else "WRONG"
            says = f"{h.truth.metre}, beat {h.truth.beat}, {h.truth.tempo_bpm:.1f}"
            print(f"{level}: {h.path.stem} ({says}): {h.found.tempo_bpm}")


def listened(folder: Path, truth: dict[str, Rendering]) -> Iterator[Heard]:
    """What is heard in the files of a folder whose truth is known."""
    for path in sorted(folder.rglob("*.flac")):
        if path.parent.name != audio.ODD:
            yield Heard(path, truth[str(FLAC(path)["musicbrainz_trackid"][0])], features(path))


if __name__ == "__main__":
    main()
