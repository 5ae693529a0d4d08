"""Our estimates beside those of `obp` on the same arrays, and Bernoulli TS from the random log beside its earnings."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cxreco.repeat.estimators import (
    Estimate,
    choose_threshold,
    dm_terms,
    dr_terms,
    estimates,
    ips_terms,
    snips_terms,
    switch_dr_terms,
)
from cxreco.repeat.intervals import clustered, standard_error, t_interval
from cxreco.repeat.support import Logged
from open_bandit.environment import PEER, python_of_obp, run_in
from open_bandit.rounds import F64, ITEMS, PLACES, Rounds, bernoulli_ts, load

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "open_bandit_men"
# Sums of ten thousand terms, added in another order.
LARGEST = 1e-12
THRESHOLDS = (1.0, 3.0)
DRAWS = 400_000
Found = dict[str, Any]
# Which log speaks for which policy, and the log in which that policy itself was shown.
TASKS = {"bernoulli ts from the random log": ("random", "bts"), "uniform from the bernoulli ts log": ("bts", "random")}


def logged_of(rounds: Rounds, target: F64) -> Logged:
    """Return a log as a policy sees it; `target` is (items, places)."""
    row = np.arange(rounds.item.size)
    return Logged(
        reward=rounds.click,
        propensity=rounds.propensity,
        target=target[rounds.item, rounds.place],
        q=rounds.q[row, rounds.item],
        q_target=(rounds.q * target[:, rounds.place].T).sum(axis=1),
    )


def own(log: Logged, thresholds: tuple[float, ...]) -> dict[str, float]:
    """Return the mean of every estimator's terms."""
    if log.q is None or log.q_target is None:
        raise ValueError("needs a model")
    triple = (log.reward, log.target, log.propensity)
    terms = {
        "ips": ips_terms(*triple),
        "snips": snips_terms(*triple),
        "dm": dm_terms(log.q_target),
        "dr": dr_terms(*triple, log.q, log.q_target),
    }
    for threshold in thresholds:
        switched = switch_dr_terms(*triple, log.q, log.q_target, threshold=threshold)
        terms[f"switch_dr at {threshold:.6g}"] = switched
    return {name: float(part.mean()) for name, part in terms.items()}


def measured(folder: Path, step: Callable[[str], None]) -> Found:
    """Value both policies from each other's log, here and in `obp`, and beside what they earned themselves."""
    step("the Open Bandit Dataset")
    rounds = {policy: load(folder, policy) for policy in ("random", "bts")}
    thompson = bernoulli_ts(folder, draws=DRAWS, seed=1)
    targets = {"bts": thompson, "random": np.full((ITEMS, PLACES), 1.0 / ITEMS)}
    given: dict[str, Any] = {"logs": json.dumps(list(TASKS))}
    found: Found = {"draws": DRAWS, "tasks": {}}
    for name, (speaks, about) in TASKS.items():
        log = logged_of(rounds[speaks], targets[about])
        chosen, _ = choose_threshold(log)
        thresholds = (*THRESHOLDS, chosen)
        given |= {f"{name}.{part}": getattr(rounds[speaks], part) for part in ("item", "place", "propensity", "q")}
        given |= {f"{name}.click": rounds[speaks].click.astype(np.int64), f"{name}.target": targets[about]}
        given[f"{name}.thresholds"] = np.array(thresholds)
        itself = clustered(rounds[about].click)
        found["tasks"][name] = {
            "rounds": log.reward.size,
            "clicks": int(log.reward.sum()),
            "own": own(log, thresholds),
            "switched_at": chosen,
            "with_intervals": [_row(estimate) for estimate in estimates(log)],
            "on_policy": dict(zip(("low", "high"), t_interval(itself, 0.95), strict=True))
            | {"value": itself.mean, "stderr": standard_error(itself), "clicks": int(rounds[about].click.sum())},
        }
    step(f"the same in {PEER}, in its own environment (made the first time)")
    packed = io.BytesIO()
    np.savez(packed, **given)
    theirs = json.loads(run_in(python_of_obp(), Path(__file__).with_name("with_obp.py"), packed.getvalue()))
    found["versions"] = theirs["versions"]
    found["bernoulli_ts_apart"] = float(np.abs(np.array(theirs["bernoulli_ts"]) - thompson).max())
    for name, task in found["tasks"].items():
        task["obp"] = theirs[name]
        task["difference"] = {key: value - theirs[name]["estimates"][key] for key, value in task["own"].items()}
    every = [abs(apart) for task in found["tasks"].values() for apart in task["difference"].values()]
    return found | {"largest_difference": max(every)}


def _row(estimate: Estimate) -> Found:
    kept = ("name", "value", "stderr", "low", "high", "ess", "max_weight", "method", "consistent")
    return {name: getattr(estimate, name) for name in kept}


def shown(found: Found, console: Console) -> None:
    """Print the differences, and the estimates beside the on-policy value."""
    for name, task in found["tasks"].items():
        table = Table(
            "estimator", "cxreco", f"obp {found['versions']['obp']}", "difference",
            title=f"{name}: clicks a round, {task['rounds']:,} rounds with {task['clicks']} clicks",
        )  # fmt: skip
        for key, value in task["own"].items():
            apart = task["difference"][key]
            table.add_row(key, f"{value:.15f}", f"{task['obp']['estimates'][key]:.15f}", f"{apart:+.1e}")
        console.print(table)
        table = Table("estimate", "value", "95 % interval", "obp's bootstrap interval", "effective sample size")
        for row in task["with_intervals"]:
            theirs = task["obp"]["intervals"].get(row["name"])
            if row["name"] == "switch_dr":
                theirs = task["obp"]["intervals"][f"switch_dr at {task['switched_at']:.6g}"]
            table.add_row(row["name"], f"{row['value']:.3%}", _span(row), _boot(theirs), f"{row['ess']:,.0f}")
        itself = task["on_policy"]
        table.add_row("on-policy", f"{itself['value']:.3%}", _span(itself), "", f"{itself['clicks']} clicks")
        console.print(table)
    console.print(
        f"largest difference to obp {found['largest_difference']:.1e}; Bernoulli TS, ours and obp's own simulation of "
        f"it: at most {found['bernoulli_ts_apart']:.4f} apart in any probability"
    )


def _span(row: Found) -> str:
    return f"{row['low']:.3%} to {row['high']:.3%}"


def _boot(row: Found | None) -> str:
    if row is None:
        return ""
    return f"{row['95.0% CI (lower)']:.3%} to {row['95.0% CI (upper)']:.3%}"
