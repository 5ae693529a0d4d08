"""Single promotions: how often the worse pass, and the better once the announced number of decisions is logged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from simulated.promotions import PER, drawn_by, off_by, pair, report_of, shop_of

from cxreco.repeat.promotion import Change, PromotionRules, judge

RULES = PromotionRules()
CUSTOMERS, STEP, MOST, PROMISED = 150, 1.1, 40, 0.80
Found = dict[str, Any]


def share(count: int, of: int) -> Found:
    """Return a share with its 95 % interval (Clopper-Pearson)."""
    if of == 0:
        return {"share": float("nan"), "low": 0.0, "high": 1.0, "count": 0, "of": 0}
    exact = stats.binomtest(count, of).proportion_ci(0.95)
    return {"share": count / of, "low": float(exact.low), "high": float(exact.high), "count": count, "of": of}


def worse(sims: int, kind: Change, gain: float) -> Found:
    """Promote challengers that are truly off by this share, on one log each."""
    passed = [
        judge(*pair(np.random.default_rng([1, seed]), CUSTOMERS, gain), RULES, kind=kind).promote
        for seed in range(sims)
    ]
    return share(sum(passed), sims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """A better challenger: whether it passed at once, what total was announced, whether that sufficed."""

    at_once: bool
    logged: int
    announced: int | None = None
    passed: bool = False


def waited(seed: int, gain: float) -> Waited:
    """Judge a better challenger, log as many more decisions as the gate announced, and judge it again."""
    rng = np.random.default_rng([2, seed])
    first = pair(rng, CUSTOMERS, gain)
    verdict, logged = judge(*first, RULES, kind="change"), first[0].support.n
    if verdict.promote or verdict.needed is None:
        return Waited(at_once=verdict.promote, logged=logged, passed=verdict.promote)
    total = logged + verdict.needed
    again = judge(*pair(rng, round(total / PER), gain), RULES, kind="change", attempt=2)
    return Waited(at_once=False, logged=logged, announced=total, passed=again.promote)


def taken(seed: int, gain: float) -> int | None:
    """Return how long a log the second judgement takes to promote: the first of lengths a tenth apart; None: longer."""
    rng = np.random.default_rng([3, seed])
    sizes = [round(CUSTOMERS * PER * STEP**step) for step in range(MOST)]
    shop = shop_of(rng, round(1.2 * sizes[-1] / PER))
    drawn, challenger = drawn_by(rng, shop, shop.logged), off_by(shop, gain)
    for size in sizes:
        part, log = shop.take(size), drawn.take(size)
        reports = (
            report_of("champion", part, log, part.logged), report_of("challenger", part, log, challenger[:size]),
        )  # fmt: skip
        if judge(*reports, RULES, kind="change", attempt=2).promote:
            return size
    return None


def better(sims: int, gain: float) -> Found:
    """Hold the announced numbers against what it takes: the length of log at which as many pass as is promised."""
    waits = [waited(seed, gain) for seed in range(sims)]
    lengths = np.array([size if size else np.inf for size in (taken(seed, gain) for seed in range(sims))])
    reached, typical = float(np.quantile(lengths, PROMISED)), float(np.median(lengths))
    announced = np.array([wait.announced for wait in waits if wait.announced is not None], dtype=np.float64)
    ratio = announced / reached
    return {
        "promoted": share(sum(wait.passed for wait in waits), sims),
        "at_once": share(sum(wait.at_once for wait in waits), sims),
        "not_told": sum(not wait.at_once and wait.announced is None for wait in waits),
        "after_waiting": share(sum(wait.passed for wait in waits if wait.announced is not None), announced.size),
        "announced_median": float(np.median(announced)),
        "reached_at": reached,
        "half_reached_at": typical,
        "ratio_median": float(np.median(ratio)),
        "ratio_half_median": float(np.median(announced)) / typical,
        "within_two": share(int(((ratio >= 0.5) & (ratio <= 2.0)).sum()), ratio.size),
    }
