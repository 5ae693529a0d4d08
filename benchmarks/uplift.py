"""Uplift: who acts because of an e-mail, beside scikit-uplift, causalml and econml on the MineThatData trial.

Each seed halves the trial, learns on one half, ranks the other, and the other way round. Qini and AUUC as scikit-uplift
defines them; `gain` is the Qini area a treated customer, which also reads money. Intervals resample customers, the same
ones for every method, so that differences are paired. Then the policy of three arms, valued by inverse propensities on
the half it has not seen, against the best single arm. Peers: `uv sync --group uplift-peers`.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from mail_trial import peers
from mail_trial.averages import averages
from mail_trial.trial import ARMS, OUTCOMES, load
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from under_load.report import keep

import cxreco
from cxreco.errors import BadInput
from cxreco.repeat import qini
from cxreco.repeat.uplift import F64, Trial
from cxreco.repeat.uplift_choice import choose
from cxreco.repeat.uplift_learners import learners

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "hillstrom_email" / "hillstrom.csv.gz"
OWN = "cxreco"
PACKAGES = ("scikit-uplift", "causalml", "econml", "lightgbm", "scikit-learn", "numpy", "scipy")
Found = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often the trial is halved, how often customers are resampled, and which libraries stand beside."""

    seeds: int
    resampled: int
    rivals: tuple[str, ...]


def halves(trial: Trial, seeds: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield (seed, rows to learn on): each half of each seed once."""
    for seed in range(seeds):
        fold = trial.folds(2, seed)
        for k in (0, 1):
            yield seed, fold != k


def task(trial: Trial, outcome: str, plan: Plan, step: Callable[[str], None]) -> Found:
    """Compare the rankings of every method on one arm against none; means over seeds and halves."""
    seeds, resampled = plan.seeds, plan.resampled
    methods = peers.peers(outcome, plan.rivals)
    own = {f"own: {learner.name}": learner for learner in learners()}
    weights = qini.resampled_weights(len(trial), seed=99, resampled=resampled)
    measures = {"gain": qini.gains}
    if outcome == "visit":
        measures |= {"qini": qini.qini_scores, "auuc": qini.uplift_scores}
    sums: dict[str, dict[str, F64]] = {}
    seconds: dict[str, float] = {}
    picked: list[Found] = []
    for seed, rows in halves(trial, seeds):
        step(f"{outcome}, seed {seed}: {OWN}")
        known, fresh = trial.take(rows), trial.take(~rows)
        told: dict[str, F64] = {}
        begun = time.perf_counter()
        chosen = choose(known, seed=seed)
        told[OWN] = chosen.effects(fresh.x)[:, 0]
        seconds[OWN] = seconds.get(OWN, 0.0) + time.perf_counter() - begun
        picked.append({"learner": chosen.learner, "slope": round(float(chosen.slope[0, 1]), 3)})
        for name, learner in own.items():
            told[name] = learner.fit(known, seed).effects(fresh.x)[:, 0]
        told |= averages(known, fresh.x, seed)
        for name, fit in methods.items():
            step(f"{outcome}, seed {seed}: {name}")
            begun = time.perf_counter()
            told[name] = peers.quiet(fit, known, fresh.x, seed)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun
        both = np.vstack([np.ones(len(fresh)), weights[:, ~rows]])
        for name, score in told.items():
            for measure, of in measures.items():
                here = of(fresh.outcome, score, fresh.arm, both) / (2.0 * seeds)
                into = sums.setdefault(name, {})
                into[measure] = into.get(measure, np.zeros(resampled + 1)) + here
    return {
        "methods": {name: {m: _interval(v) for m, v in row.items()} for name, row in sums.items()},
        "cxreco_less": {
            name: {m: _interval(sums[OWN][m] - v) for m, v in row.items()} for name, row in sums.items() if name != OWN
        },
        "chosen": picked, "seconds_a_fit": {name: round(s / (2 * seeds), 3) for name, s in seconds.items()},
    }  # fmt: skip


def _interval(values: F64) -> Found:
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def policies(trial: Trial, outcome: str, plan: Plan, step: Callable[[str], None]) -> Found:
    """Value the policies of all three arms on the halves they have not seen, by inverse propensities."""
    seeds, resampled = plan.seeds, plan.resampled
    weights = np.vstack([np.ones(len(trial)), qini.resampled_weights(len(trial), seed=98, resampled=resampled)])
    worth = {"the best single arm": np.zeros(resampled + 1)}
    rivals = peers.policies(plan.rivals)
    acted: list[Found] = []
    for seed, rows in halves(trial, seeds):
        known, fresh = trial.take(rows), trial.take(~rows)
        step(f"{outcome}, three arms, seed {seed}")
        chosen = choose(known, seed=seed)
        given = {
            "the best single arm": np.full(len(fresh), chosen.best_single()),
            OWN: chosen.choose(fresh.x),
            "cxreco without its rule": _best(chosen.effects(fresh.x)),
        }
        for name, fit in rivals.items():
            given[name] = _best(peers.quiet(fit, known, fresh.x, seed))
        w = weights[:, ~rows]
        acted.append({
            "learner": chosen.learner, "single": ARMS[chosen.best_single()], "needed_t": round(chosen.needed_t, 2),
            "t_of_the_slopes": next(s.t for s in chosen.standings if s.name == chosen.learner).round(2).tolist(),
            "given_another": round(float((given[OWN] != chosen.best_single()).mean()), 3),
        })  # fmt: skip
        for name, arm in given.items():
            terms = fresh.outcome * (fresh.arm == arm) / fresh.propensity[np.arange(len(fresh)), fresh.arm]
            worth[name] = worth.get(name, np.zeros(resampled + 1)) + (w @ terms) / w.sum(axis=1) / (2.0 * seeds)
    single = worth["the best single arm"]
    return {
        "value": {name: _interval(v) for name, v in worth.items()},
        "over_the_best_single_arm": {name: _interval(v - single) for name, v in worth.items() if v is not single},
        "decided": acted,
    }  # fmt: skip


def _best(lifts: F64) -> NDArray[np.int64]:
    arm = lifts.argmax(axis=1)
    return np.where(lifts[np.arange(len(lifts)), arm] > 0.0, arm + 1, 0)


def show(found: Found, console: Console) -> None:
    """Print the peers of each task, the best first, with cxreco among them; and the policies."""
    for name, part in found["tasks"].items():
        measures = [m for m in ("qini", "auuc", "gain") if m in part["methods"][OWN]]
        table = Table("method", *measures, f"{OWN} less it, {measures[0]}", title=f"{name} (95 % intervals)")
        rows = [(method, row) for method, row in part["methods"].items() if not method.startswith("own: ")]
        for method, row in sorted(rows, key=lambda pair: -pair[1][measures[0]]["value"]):
            apart = "" if method == OWN else _said(part["cxreco_less"][method][measures[0]])
            table.add_row(method, *(_said(row[m]) for m in measures), apart)
        console.print(table)
    for outcome, part in found["policies"].items():
        table = Table("policy", "value", "over the best single arm", title=f"{outcome}: Mens, Womens or none, by IPS")
        for method, row in part["value"].items():
            apart = part["over_the_best_single_arm"].get(method)
            table.add_row(method, _said(row), "" if apart is None else _said(apart))
        console.print(table)


def _said(row: Found) -> str:
    return f"{row['value']:.4f} ({row['low']:.4f} to {row['high']:.4f})"


def _where() -> Found:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    versions: dict[str, str | None] = {OWN: cxreco.__version__}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": cpu or platform.processor(), "cores": os.cpu_count(), "python": platform.python_version(),
        "system": platform.platform(), "packages": versions,
    }  # fmt: skip


def main() -> int:
    """Measure, print, and write the figures with what they were measured on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the trial, a CSV (gzipped or not)")
    parser.add_argument("--seeds", type=int, default=5, help="how often the trial is halved")
    parser.add_argument("--resampled", type=int, default=300, help="bootstrap resamples of the customers")
    parser.add_argument("--outcomes", nargs="+", choices=OUTCOMES, default=list(OUTCOMES))
    parser.add_argument("--alone", action="store_true", help="cxreco alone, without the peers")
    parser.add_argument("--quick", action="store_true", help="one seed and few resamples: to see that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "uplift.json")
    asked = parser.parse_args()
    console = Console() if Console().is_terminal else Console(width=180)
    rivals = [] if asked.alone else peers.installed()
    missing = [name for name in peers.LIBRARIES if name not in rivals]
    if missing and not asked.alone:
        console.print(f"not installed, so left out: {', '.join(missing)} (uv sync --group uplift-peers)")
    plan = Plan(
        seeds=1 if asked.quick else asked.seeds, resampled=50 if asked.quick else asked.resampled, rivals=tuple(rivals)
    )  # fmt: skip
    begun = time.perf_counter()
    found: Found = {"tasks": {}, "policies": {}}
    with console.status("reading the trial") as status:
        for outcome in asked.outcomes:
            whole = load(asked.data, outcome)
            for arm in (1, 2):
                name = f"{ARMS[arm]} against none, {outcome}"
                found["tasks"][name] = task(whole.pair(arm), outcome, plan, status.update)
            found["policies"][outcome] = policies(whole, outcome, plan, status.update)
    found |= {
        "seeds": plan.seeds,
        "resampled": plan.resampled,
        "where": _where(),
        "seconds": time.perf_counter() - begun,
    }
    show(found, console)
    keep(found, asked.out, console)
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BadInput as wrong:
        print(f"uplift: {wrong}", file=sys.stderr)
        raise SystemExit(1) from None
