"""Plots CPU seconds of the contract and of queries by hand.

`python -m tests.benchmarks.plot` draws `docs/images/contract.svg` from the committed figures in `contract.csv`.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FIGURES = Path(__file__).with_name("contract.csv")
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "contract.svg"
COLORS = {"contract": "#3b6ea5", "by hand": "#c9a227"}
WIDTH = 0.38  # of a bar, where engines are 1 apart


class Spread(NamedTuple):
    """Median, least and most CPU seconds."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.least:.1f}–{self.most:.1f})"


def committed() -> dict[tuple[str, str, str], Spread]:
    """Read the committed figures by job, engine and way."""
    with FIGURES.open() as file:
        return {
            (row["job"], row["engine"], row["way"]): Spread(
                float(row["cpu_s"]), float(row["least_cpu_s"]), float(row["most_cpu_s"])
            )
            for row in csv.DictReader(file)
        }


def plot(figures: Mapping[tuple[str, str, str], Spread], path: Path) -> None:
    """Draw both ways side by side, engine by engine, in a plot for each job. The same figures give the same file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    jobs, engines = (list(dict.fromkeys(key[n] for key in figures)) for n in (0, 1))
    with matplotlib.rc_context({"svg.hashsalt": "tutti", "svg.fonttype": "none", "font.family": "DejaVu Sans"}):
        figure, axes = plt.subplots(1, len(jobs), figsize=(12, 3.6), layout="constrained", squeeze=False)
        for axis, job in zip(axes[0], jobs, strict=True):
            for side, (way, color) in enumerate(COLORS.items()):
                bars = {n: figures[key] for n, e in enumerate(engines) if (key := (job, e, way)) in figures}
                places, heights = [n + 0.4 * side for n in bars], [each.median for each in bars.values()]
                reach = [[each.median - each.least for each in bars.values()]]
                reach += [[each.most - each.median for each in bars.values()]]
                axis.bar(places, heights, WIDTH, yerr=reach, color=color, label=way, capsize=2)
            axis.set_xticks([n + 0.2 for n in range(len(engines))], engines)
            axis.set_title(job)
            axis.set_ylabel("CPU seconds")
        axes[0][0].legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    plot(committed(), PICTURE)
