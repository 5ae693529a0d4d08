"""Pictures, where people would rather look than read."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from cxreco.journey import MODES

matplotlib.use("Agg")
from matplotlib import pyplot

F64 = NDArray[np.float64]
COLOURS = ("#1b6ca8", "#d1772b", "#8a8a8a", "#2f8f4e", "#8250a0")


def curve_picture(money: Mapping[str, F64], currency: str, path: Path) -> None:
    """Draw what each policy earned by week, with one standard error over customers.

    Parameters
    ----------
    money
        Policy -> (customers, weeks).
    """
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for colour, (name, table) in zip(COLOURS, money.items(), strict=False):
        week = np.arange(1, table.shape[1] + 1)
        mean = table.mean(axis=0)
        error = table.std(axis=0, ddof=1) / np.sqrt(table.shape[0])
        axes.plot(week, mean, marker="o", color=colour, label=name)
        axes.fill_between(week, mean - error, mean + error, color=colour, alpha=0.12)
    axes.set(
        xlabel="week", ylabel=f"{currency} per customer", title="Takings by week, one standard error over customers"
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def confusion_picture(confusion: F64, path: Path) -> None:
    """Draw the best mode by the truth against the chosen one, rows summing to 1."""
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1.0)
    figure, axes = pyplot.subplots(figsize=(6.5, 5), layout="constrained")
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    names = [mode.value.replace("_", " ") for mode in MODES]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="chosen by cxreco", ylabel="best by the world's truth")
    for row in range(len(names)):
        for column in range(len(names)):
            dark = share[row, column] > 0.5
            axes.text(column, row, f"{share[row, column]:.0%}", ha="center", va="center", color="w" if dark else "k")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
