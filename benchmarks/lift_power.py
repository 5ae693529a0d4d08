"""Lift power: how often an uplift learner is kept for messages, by how much they differ and how many there are.

Simulated logs of messages whose effects are known. A learner may find who orders soon because of a message; it is kept
only if what it would do is shown to earn more (`cxreco/repeat/lift_training.py`). Where messages do not differ it must
seldom be kept; where they differ, the more often the more of them there are; and where orders soon are worth nothing,
because they would have come later, a learner that finds them must not be kept for it. Beside it `evident in orders`
keeps what tells orders apart evidently, as t of all messages says, and `forced` always keeps it. What each earns is
judged by the truth on messages that nobody learned from.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from simulated.letters import letters
from under_load.report import hardware, keep

from cxreco.edge.specs import load_specs
from cxreco.repeat.lift_training import LiftRules, fit_lift, lift_of
from cxreco.repeat.uplift import Learner
from cxreco.repeat.uplift_choice import choose
from cxreco.repeat.uplift_learners import DR, Ridge, S, T, X, learners
from cxreco.repeat.value_training import ANSWERED, Answers, Undisturbed, ValueSpec, fit_value
from cxreco.respond.lift import Lift
from cxreco.respond.value import ValueModel
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
Found = dict[str, Any]
FEW: tuple[Learner, ...] = tuple(kind(base=Ridge()) for kind in (S, X, DR, T))
WAYS = ("kept", "evident in orders", "forced")
FRESH, AWAY = 4_000, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Logs of a kind: messages in each, by how much they differ, and what is won of an order soon."""

    messages: int
    size: float
    carried: float


def apprentice() -> ValueModel:
    """Return the value model that nobody has taught: what a good shopkeeper believes."""
    specs = load_specs()
    worth, none = Worth.from_spec(specs["reward"]), Undisturbed.none()
    never = none.at.astype(np.bool_)
    nothing = Answers(
        x=none.x, hold_x=none.x, mode=none.at.astype(np.int16), contact=never,
        outcomes=dict.fromkeys(ANSWERED, none.soon), ripe=dict.fromkeys(ANSWERED, never), stopped=none.soon,
        ordered=none.soon, window_over=never, margin=none.margin, margin_soon=none.margin, at=none.at,
    )  # fmt: skip
    spec = ValueSpec.from_spec(specs["value"])
    return fit_value(spec, worth, none, nothing, returns={"returned": worth.return_rate})


def judged(cell: Cell, seed: int, believed: ValueModel, candidates: tuple[Learner, ...]) -> tuple[F64, F64]:
    """Return (ways,) whether each keeps a lift of one log, and the true money a message that doing so brings."""
    known = letters(believed, seed, cell.messages, size=cell.size, carried=cell.carried).messages
    rules = LiftRules()
    lift = fit_lift(known, lambda _: believed, believed, rules, candidates)
    trial = known.trial(believed)
    chosen = choose(trial, candidates=candidates, rules=rules.choice, seed=rules.seed)
    forced = lift_of(chosen, trial)
    fresh = letters(believed, seed + AWAY, FRESH, size=cell.size, carried=cell.carried)
    before, after = (fresh.messages.worth_sending(replace(believed, lift=own)) for own in (Lift(), forced))
    brought = float(((after.astype(np.float64) - before) * fresh.money).mean())
    evident = chosen.learned_t > chosen.needed_t and forced.kept > 0.0
    keeps = np.array([bool(lift.terms), evident, forced.kept > 0.0], dtype=np.float64)
    return keeps, keeps * brought


def measured(cell: Cell, logs: int, believed: ValueModel, candidates: tuple[Learner, ...]) -> Found:
    """Return by way the share of logs in which a lift is kept, and what that earns, with 95 % intervals over logs."""
    found = [judged(cell, seed, believed, candidates) for seed in range(logs)]
    keeps, earns = (np.stack([pair[k] for pair in found]) for k in (0, 1))
    rows: Found = {"messages": cell.messages, "size": cell.size, "carried": cell.carried, "logs": logs}
    for k, way in enumerate(WAYS):
        rows[way] = {"share": _wilson(keeps[:, k]), "earns": _normal(earns[:, k])}
    return rows


def _wilson(kept: F64) -> tuple[float, float, float]:
    """Return a share with its Wilson interval."""
    n, p, z = kept.size, float(kept.mean()), 1.96
    centre, half = p + z * z / (2 * n), z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return p, max((centre - half) / (1 + z * z / n), 0.0), min((centre + half) / (1 + z * z / n), 1.0)


def _normal(values: F64) -> tuple[float, float, float]:
    mean, half = float(values.mean()), 1.96 * float(values.std(ddof=1)) / np.sqrt(values.size)
    return mean, mean - half, mean + half


def show(cells: Sequence[Found], console: Console) -> None:
    """Print how often each way keeps a lift, and what it earns."""
    table = Table("messages", "differ by", "won of an order", *(f"{way}: share, EUR a message" for way in WAYS),
                  title="how often a lift is kept, and what that truly earns")  # fmt: skip
    for row in cells:
        said = [
            "{:.0%} ({:.0%} to {:.0%})".format(*row[way]["share"])
            + "; {:+.4f} ({:+.4f} to {:+.4f})".format(*row[way]["earns"])
            for way in WAYS
        ]
        table.add_row(f"{row['messages']:,}", f"{row['size']:.2f}", f"{row['carried']:.0%}", *said)
    console.print(table)


def main() -> int:
    """Draw the logs, keep or not, judge by the truth, print and keep the figures."""
    parser = argparse.ArgumentParser(
        prog="cxreco bench lift_power --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", nargs="+", type=int, default=[1_500, 6_000, 20_000])
    parser.add_argument("--sizes", nargs="+", type=float, default=[0.0, 0.1, 0.2])
    parser.add_argument("--logs", type=int, default=40)
    parser.add_argument("--all", action="store_true", help="choose among all learners, not among the linear ones")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "lift_power.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    candidates = learners() if asked.all else FEW
    believed, begun = apprentice(), time.perf_counter()
    cells = [Cell(messages=n, size=size, carried=0.6) for n in asked.messages for size in asked.sizes]
    cells += [Cell(messages=n, size=max(asked.sizes), carried=0.0) for n in asked.messages]
    rows = []
    for cell in cells:
        rows.append(measured(cell, asked.logs, believed, candidates))
        console.print(f"[dim]{cell.messages:,} messages, {cell.size}, {cell.carried}[/]", highlight=False)
    show(rows, console)
    names = [own.name for own in candidates]
    keep({"where": hardware(), "learners": names, "cells": rows, "seconds": time.perf_counter() - begun}, asked.out,
         console)  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
