"""Off-policy evaluation: do the intervals hold the truth, over simulated logs; do the estimates equal those of `obp`.

Simulated logs of a shop whose truth is known: five modes with one to three actions each, moments and customers that
differ, money that is mostly nothing and sometimes much, several decisions a customer. Every estimator's 95 % interval
is held against the truth in every log, from 200 decisions to 5,000 and from good overlap to hardly any; a log that is
refused counts as refused. Then the Open Bandit Dataset: the same arrays given to `obp` in its own environment, and
Bernoulli TS valued from the random log beside what it earned itself.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
from open_bandit.beside import DATA, LARGEST, measured, shown
from rich.console import Console
from rich.table import Table
from scipy import stats
from simulated.logs import CURATED, MODE, OVERLAPS, Drawn, Truth, draw, truth_of
from under_load.report import hardware, keep

from cxreco.errors import BadInput, NoSupport
from cxreco.repeat.estimators import DEFAULT, Estimate, estimates, paired_difference
from cxreco.repeat.support import Logged

SIZES = (200, 1_000, 5_000)
PROMISED, DEMANDED = 0.95, 0.93
OWN = ("ips", "snips", "dr", "switch_dr", "dm")
LEVELS = ("choice of mode", "a mode's takings", "within a mode", "difference of two")
ROWS = (*OWN, *LEVELS)
Found = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One estimate of one log beside the truth; nothing but the refusal where there was none."""

    value: float = nan
    low: float = nan
    high: float = nan
    refused: bool = False
    method: str = ""


def seen(drawn: Drawn, policy: np.ndarray[Any, Any]) -> Logged:
    """Return the log as a policy sees it, with the misspecified model."""
    row = np.arange(drawn.action.size)
    return Logged(
        reward=drawn.reward,
        propensity=drawn.logged[row, drawn.action],
        target=policy[row, drawn.action],
        clusters=drawn.customer,
        q=drawn.q[row, drawn.action],
        q_target=(policy * drawn.q).sum(axis=1),
    )


def shots(drawn: Drawn) -> dict[str, Shot]:
    """Estimate everything from one log, as `evaluate` does level by level."""
    row, mode = np.arange(drawn.action.size), MODE[drawn.action]
    joint = seen(drawn, drawn.wanted)
    of_mode, logged_mode = drawn.by_mode(drawn.wanted)[row, mode], drawn.by_mode(drawn.logged)[row, mode]
    plain = replace(joint, q=None, q_target=None)
    here = mode == CURATED
    loose = replace(DEFAULT, max_miscalibration=inf, max_unsupported=1.0)

    def part(propensity: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> Logged:
        return Logged(
            reward=drawn.reward[here], propensity=propensity[here], target=target[here], clusters=drawn.customer[here]
        )

    found = _taken(lambda: {e.name: e for e in estimates(joint)}, OWN)
    choice = replace(plain, propensity=logged_mode, target=of_mode)
    found |= _taken(lambda: {LEVELS[0]: _snips(estimates(choice))}, LEVELS[:1])
    found |= _taken(
        lambda: {LEVELS[1]: _snips(estimates(part(joint.propensity, joint.target), rules=loose))}, LEVELS[1:2]
    )
    within = joint.propensity / logged_mode, joint.target / of_mode
    found |= _taken(lambda: {LEVELS[2]: _snips(estimates(part(*within), rules=loose))}, LEVELS[2:3])
    near = seen(drawn, drawn.near)
    return found | _taken(lambda: {LEVELS[3]: paired_difference(joint, near)}, LEVELS[3:])


def _snips(found: tuple[Estimate, ...]) -> Estimate:
    return next(estimate for estimate in found if estimate.name == "snips")


def _taken(estimate: Callable[[], dict[str, Estimate]], names: tuple[str, ...]) -> dict[str, Shot]:
    try:
        found = estimate()
    except NoSupport:
        return {name: Shot(refused=True) for name in names}
    return {n: Shot(value=e.value, low=e.low, high=e.high, method=e.method) for n, e in found.items()}


def cell(overlap: str, size: int, logs: int, truth: Truth) -> Found:
    """Hold every interval against the truth over many logs of one size and overlap."""
    taken: dict[str, list[Shot]] = {name: [] for name in ROWS}
    for seed in range(logs):
        drawn = draw(np.random.default_rng([size, OVERLAPS[overlap].number, seed]), size, OVERLAPS[overlap])
        for name, shot in shots(drawn).items():
            taken[name].append(shot)
    return {name: summed(taken[name], truth.of(name)) for name in ROWS}


def summed(taken: list[Shot], truth: float) -> Found:
    """Return coverage with its own interval, refusals, bias and width, as shares of the truth where they are money."""
    given = [shot for shot in taken if not shot.refused]
    row: Found = {"logs": len(taken), "refused": len(taken) - len(given), "truth": truth}
    if not given:
        return row
    low, high, value = (np.array([getattr(shot, name) for shot in given]) for name in ("low", "high", "value"))
    held = int(((low <= truth) & (truth <= high)).sum())
    exact = stats.binomtest(held, len(given)).proportion_ci(0.95)
    return row | {
        "coverage": held / len(given),
        "coverage_low": float(exact.low),
        "coverage_high": float(exact.high),
        "above": float((low > truth).mean()),
        "below": float((high < truth).mean()),
        "bias": float(value.mean()) - truth,
        "bias_stderr": float(value.std()) / len(given) ** 0.5,
        "rmse": float(np.sqrt(((value - truth) ** 2).mean())),
        "half_width": float(np.median(high - low)) / 2.0,
        "widened": float(np.mean([shot.method == "betting" for shot in given])),
    }


def coverage(sizes: list[int], logs: int, step: Callable[[str], None]) -> Found:
    """Run every cell."""
    found: Found = {"promised": PROMISED, "demanded": DEMANDED, "overlaps": {}, "truths": {}, "cells": []}
    for name, overlap in OVERLAPS.items():
        step(f"{name}: the truth")
        truth = truth_of(overlap)
        found["overlaps"][name] = {"logging": overlap.logging, "target": overlap.target, "floor": overlap.floor}
        found["truths"][name] = {row: {"value": truth.of(row), "stderr": truth.error(row)} for row in ROWS}
        for size in sizes:
            step(f"{name} overlap, {size:,} decisions, {logs:,} logs")
            found["cells"].append({"overlap": name, "decisions": size, "rows": cell(name, size, logs, truth)})
    return found


def failing(found: Found) -> list[str]:
    """Name the cells where an interval that promises to cover is shown, at 95 %, to cover less than demanded."""
    return [
        f"{part['overlap']}, {part['decisions']:,}: {name} {row['coverage']:.1%}"
        for part in found["cells"]
        for name, row in part["rows"].items()
        if name != "dm" and row.get("coverage_high", 1.0) < DEMANDED
    ]


def show(found: Found, console: Console) -> None:
    """Print coverage, refusals and widths, a row a cell."""
    names = ("ips", "snips", "dr", "switch_dr", "dm")
    for title, columns, said in (
        (
            "share of the 95 % intervals that hold the truth (Monte-Carlo interval), of the logs not refused",
            names,
            _held,
        ),
        ("the same of the levels below the whole", LEVELS, _held),
        ("half-width of the interval over the truth, median", names, _wide),
        ("bias over the truth (its standard error), of the logs not refused", names, _off),
    ):
        table = Table("overlap", "decisions", "refused", *columns, title=title)
        for part in found["cells"]:
            rows = [part["rows"][name] for name in columns]
            refused = "/".join(dict.fromkeys(f"{row['refused'] / row['logs']:.1%}" for row in rows))
            table.add_row(part["overlap"], f"{part['decisions']:,}", refused, *(said(row) for row in rows))
        console.print(table)
    short = failing(found)
    total = [
        row["coverage"] for part in found["cells"] for n, row in part["rows"].items() if n != "dm" and "bias" in row
    ]
    console.print(
        f"{len(total)} coverages, least {min(total):.1%}; shown to be under {DEMANDED:.0%}: "
        f"{'; '.join(short) or 'none'}"
    )


def _held(row: Found) -> str:
    if "coverage" not in row:
        return "all refused"
    return f"{row['coverage']:.1%} ({row['coverage_low']:.1%}-{row['coverage_high']:.1%})"


def _wide(row: Found) -> str:
    return "" if "bias" not in row else f"{row['half_width'] / abs(row['truth']):.0%}, widened {row['widened']:.0%}"


def _off(row: Found) -> str:
    if "bias" not in row:
        return ""
    return f"{row['bias'] / abs(row['truth']):+.1%} ({row['bias_stderr'] / abs(row['truth']):.1%})"


def main() -> int:
    """Measure, print, and write the figures with what they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=1_000, help="simulated logs a cell")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="decisions a log")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the Open Bandit Dataset, campaign men")
    parser.add_argument("--parts", nargs="+", choices=("coverage", "open_bandit"), default=["coverage", "open_bandit"])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "off_policy.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    begun = time.perf_counter()
    found: Found = {"where": hardware()}
    with console.status("simulating") as status:
        if "coverage" in asked.parts:
            found["coverage"] = coverage(asked.sizes, asked.logs, status.update)
        if "open_bandit" in asked.parts:
            found["open_bandit"] = measured(asked.data, status.update)
    found["seconds"] = time.perf_counter() - begun
    if "coverage" in found:
        show(found["coverage"], console)
    if "open_bandit" in found:
        shown(found["open_bandit"], console)
    keep(found, asked.out, console)
    short = "coverage" in found and bool(failing(found["coverage"]))
    apart = "open_bandit" in found and (found["open_bandit"]["largest_difference"] or 0.0) > LARGEST
    return int(short or apart)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BadInput as wrong:
        print(f"off_policy: {wrong}", file=sys.stderr)
        raise SystemExit(1) from None
