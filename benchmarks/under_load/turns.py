"""Servers under load in turn: what a shared machine does meanwhile, it does to all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from under_load.load import Load, Target, load

WARM_S = 2.0


def in_turn(
    targets: Mapping[str, Target], *, rounds: int, seconds: float, connections: int, step: Callable[[str], None]
) -> dict[str, list[Load]]:
    """Load each server once a round, in an order that turns round, after a run of each that is not counted."""
    for target in targets.values():
        load(target, connections=connections, seconds=WARM_S)
    found: dict[str, list[Load]] = {name: [] for name in targets}
    for k in range(rounds):
        step(f"in turn, round {k + 1} of {rounds}: {', '.join(targets)}")
        for name in sorted(targets, reverse=k % 2 == 1):
            found[name].append(load(targets[name], connections=connections, seconds=seconds))
    return found


def rates(loads: Sequence[Load]) -> list[float]:
    """Return the requests a second of each round."""
    return [one.per_second for one in loads]


def quartiles(over: Sequence[float], under: Sequence[float]) -> dict[str, Any]:
    """Return the quartiles of the ratio of two figures, round by round, and the rounds it is of."""
    low, middle, high = statistics.quantiles([a / b for a, b in zip(over, under, strict=True)], n=4)
    return {"median": middle, "low": low, "high": high, "rounds": len(over)}
