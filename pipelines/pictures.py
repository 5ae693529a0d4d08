"""Pictures, where people would rather look than read."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from cxreco.journey import MODES

F64 = NDArray[np.float64]
COLOURS = ("#1b6ca8", "#d1772b", "#8a8a8a", "#2f8f4e", "#8250a0")
# A picture with fewer bars is as tall as one with so many: its title, axis and key need the room.
LEAST_ROWS = 3


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a picture of so many inches with one panel.

    A figure of its own, not pyplot's: that would choose the backend for whoever imports this, notebooks too.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def curve_picture(money: Mapping[str, F64], currency: str, path: Path) -> None:
    """Draw what each policy earned by week, with one standard error over customers.

    Parameters
    ----------
    money
        Policy -> (customers, weeks).
    """
    figure, axes = sheet(8, 4.5)
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


def confusion_picture(confusion: F64, path: Path) -> None:
    """Draw the best mode by the truth against the chosen one, rows summing to 1."""
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1.0)
    figure, axes = sheet(6.5, 5)
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


def attribution_picture(frame: pd.DataFrame, title: str, most: int = 15) -> bytes:
    """Draw the features that move a model most: how much, and whether more of one raises or lowers the score.

    Parameters
    ----------
    frame
        As `repeat.explanations.attributed` returns it.
    """
    top = frame[frame["importance"] > 0.0].head(most).iloc[::-1]
    figure, axes = sheet(8, 1.2 + 0.32 * max(len(top), LEAST_ROWS))
    colours = [COLOURS[0] if way > 0.1 else COLOURS[1] if way < -0.1 else COLOURS[2] for way in top["direction"]]
    axes.barh(top["feature"], top["importance"], color=colours)
    axes.set(xlabel="mean contribution to the score, whichever way", title=title)
    names = ("more of it raises the score", "more of it lowers it", "it depends")
    keys = [Patch(color=colour, label=name) for name, colour in zip(names, COLOURS, strict=False)]
    axes.legend(handles=keys, frameon=False, loc="lower right", fontsize="small")
    return _png(figure, axes)


def coefficient_picture(frame: pd.DataFrame, title: str) -> bytes:
    """Draw the coefficients of a head by mode: learned with two standard deviations, and what was believed before.

    Parameters
    ----------
    frame
        As `repeat.explanations.head_coefficients` returns it.
    """
    groups = [(str(mode), part.iloc[::-1]) for mode, part in frame.groupby("mode", sort=False)]
    tallest = max(len(part) for _, part in groups)
    width = _width(frame["signal"], len(groups))
    figure = Figure(figsize=(width, 1.5 + 0.3 * max(tallest, LEAST_ROWS)), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)
    for axes, (mode, part) in zip(panels[0], groups, strict=True):
        axes.axvline(0.0, color=COLOURS[2], linewidth=0.8)
        axes.errorbar(
            part["coefficient"], part["signal"], xerr=2.0 * part["sd"], fmt="o", color=COLOURS[0], label="learned"
        )
        axes.plot(part["believed"], part["signal"], "|", color=COLOURS[1], markersize=11, label="believed")
        axes.set(title=mode.replace("_", " "), xlabel="log-odds")
    panels[0][0].legend(frameon=False, fontsize="small")
    figure.suptitle(title)
    return _png(figure, *panels[0])


def strongest_picture(frame: pd.DataFrame, title: str, most: int = 15) -> bytes:
    """Draw the strongest coefficients of a head over all modes (see `coefficient_picture`)."""
    top = frame.reindex(frame["coefficient"].abs().sort_values(ascending=False).index).head(most).iloc[::-1]
    names = [f"{mode.replace('_', ' ')}: {signal}" for mode, signal in zip(top["mode"], top["signal"], strict=True)]
    figure, axes = sheet(8.5, 1.2 + 0.3 * max(len(top), LEAST_ROWS))
    axes.axvline(0.0, color=COLOURS[2], linewidth=0.8)
    axes.errorbar(top["coefficient"], names, xerr=2.0 * top["sd"], fmt="o", color=COLOURS[0], label="learned")
    axes.plot(top["believed"], names, "|", color=COLOURS[1], markersize=11, label="believed")
    axes.set(title=title, xlabel="log-odds")
    axes.legend(frameon=False, fontsize="small")
    return _png(figure, axes)


def driver_picture(frame: pd.DataFrame, currency: str, most: int = 8) -> bytes:
    """Draw what each signal adds to the worth of each mode over hold, in money a decision.

    Parameters
    ----------
    frame
        As `repeat.explanations.mode_drivers` returns it.
    """
    groups = [(str(mode), part) for mode, part in frame.groupby("mode", sort=False)]
    figure = Figure(figsize=(_width(frame["signal"], len(groups)), 3.8), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)
    for axes, (mode, part) in zip(panels[0], groups, strict=True):
        top = part.reindex(part["money"].abs().sort_values(ascending=False).index).head(most).iloc[::-1]
        axes.barh(top["signal"], top["money"], color=[COLOURS[0] if v > 0 else COLOURS[1] for v in top["money"]])
        axes.axvline(0.0, color=COLOURS[2], linewidth=0.8)
        axes.set(title=mode.replace("_", " "), xlabel=f"{currency} a decision")
    figure.suptitle("What makes a mode worth more, or less, than leaving the customer be")
    return _png(figure, *panels[0])


def _width(names: pd.Series, panels: int) -> float:
    """Return the inches of panels side by side, each with its names beside it: no name may leave it without room."""
    return max(7.0, panels * (2.4 + 0.085 * float(names.astype(str).str.len().max())))


def loop_picture(individual: pd.DataFrame | None, population: pd.DataFrame | None, currency: str) -> bytes:
    """Draw the repeat loop: what a customer's own history is worth, and what others' answers are worth to the new."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    if individual is not None:
        part = individual[(individual["from_interactions"] >= 0) & np.isfinite(individual["stderr"])]
        spread = [part["lift"] - part["low"], part["high"] - part["lift"]]
        left.errorbar(part["bin"], part["lift"], yerr=_drawable(spread), marker="o", color=COLOURS[0], capsize=3)
    if population is not None:
        spread = [population["gain"] - population["gain_low"], population["gain_high"] - population["gain"]]
        right.errorbar(
            population["size"], population["gain"], yerr=_drawable(spread), marker="o", color=COLOURS[3], capsize=3
        )
    for axes, told in ((left, individual), (right, population)):
        axes.axhline(0.0, color=COLOURS[2], linewidth=0.8)
        axes.set(ylabel=f"{currency} a decision")
        if told is None:
            axes.text(0.5, 0.5, "not enough data yet", ha="center", va="center", transform=axes.transAxes)
    left.set(title="knowing the customer, against not", xlabel="earlier interactions of the customer")
    right.set(title="customers never seen before", xlabel="answers of others learned from")
    return _png(figure, left, right)


def interval_picture(frame: pd.DataFrame, name: str, value: str, title: str, currency: str) -> bytes:
    """Draw values with their intervals, `low` to `high`, a row each."""
    rows = frame.iloc[::-1]
    figure, axes = sheet(8, 1.4 + 0.45 * max(len(rows), LEAST_ROWS))
    spread = [rows[value] - rows["low"], rows["high"] - rows[value]]
    axes.axvline(0.0, color=COLOURS[2], linewidth=0.8)
    axes.errorbar(rows[value], rows[name], xerr=_drawable(spread), fmt="o", color=COLOURS[0], capsize=3)
    axes.set(xlabel=currency, title=title)
    return _png(figure, axes)


def _drawable(spread: list[pd.Series]) -> F64:
    """Return half-widths that can be drawn: an interval without an end is left out."""
    table = np.array([side.to_numpy(np.float64) for side in spread])
    return np.where(np.isfinite(table), np.maximum(table, 0.0), 0.0)


def _png(figure: Figure, *panels: Axes) -> bytes:
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()
