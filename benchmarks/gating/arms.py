"""Two arms looked at every day for half a year: how often the interval ever misses, and the check of their sizes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.repeat.experiments import SPLIT_ALPHA, compare
from cxreco.repeat.intervals import sample_ratio
from gating.promotions import share

F64 = NDArray[np.float64]
DAYS, CUSTOMERS, COMES = 182, 300, 56
ARMS = ("champion", "holdout")
VISITS, MARGIN, SPREAD, BACK, LOSS = 0.08, 10.0, 0.8, 0.08, 15.0
NOTHING = ("orders", "returned", "complained", "unsubscribed", "contacts")
Found = dict[str, Any]


def lives(rng: np.random.Generator, gain: float) -> tuple[NDArray[np.int64], F64, NDArray[np.bool_]]:
    """Return each customer's first day, money by day, (n, DAYS), and whether they are in the first arm."""
    first = rng.integers(0, COMES, CUSTOMERS)
    treated = rng.random(CUSTOMERS) < 0.5
    eager = rng.lognormal(-0.32, 0.8, CUSTOMERS)[:, None]
    buys = rng.random((CUSTOMERS, DAYS)) < np.minimum(VISITS * eager * np.where(treated, 1.0 + gain, 1.0)[:, None], 1.0)
    margin = MARGIN * rng.lognormal(-0.5 * SPREAD**2, SPREAD, (CUSTOMERS, DAYS))
    money = np.where(rng.random((CUSTOMERS, DAYS)) < BACK, -LOSS, margin) * buys
    return first, np.where(np.arange(DAYS) >= first[:, None], money, 0.0), treated


def true_difference(gain: float) -> float:
    """Return the money a customer-week that the first arm earns more; hardly anybody's chance of a visit reaches 1."""
    return 7.0 * VISITS * gain * (MARGIN * (1.0 - BACK) - LOSS * BACK)


def looked(seed: int, gain: float, every: int) -> tuple[bool, bool]:
    """Look every day (or so): whether an interval ever missed the truth, and whether one ever told a winner."""
    first, money, treated = lives(np.random.default_rng([5, seed]), gain)
    so_far, arm = money.cumsum(axis=1), np.where(treated, *ARMS)
    truth, missed, told = true_difference(gain), False, False
    for day in range(1, DAYS, every):
        here = first < day
        if len(set(arm[here])) < 2:
            continue
        frame = pd.DataFrame({"arm": arm[here], "weeks": (day - first[here]) / 7.0, "money": so_far[here, day - 1]})
        row = compare(frame.assign(**dict.fromkeys(NOTHING, 0.0)), controls=("holdout",)).differences.iloc[0]
        low, high = float(row["low"]), float(row["high"])
        missed, told = missed or not low <= truth <= high, told or low > 0.0 or high < 0.0
    return missed, told


def sequences(sims: int, gain: float, every: int) -> Found:
    """Look at many pairs of arms."""
    looks = [looked(seed, gain, every) for seed in range(sims)]
    return {
        "true_difference": true_difference(gain),
        "ever_missed": share(sum(missed for missed, _ in looks), sims),
        "told_apart": share(sum(told for _, told in looks), sims),
    }


def sizes(sims: int, kept: float) -> Found:
    """Check the arms' sizes every day, where this share of one arm's customers is recorded at all."""
    alarms = 0
    for seed in range(sims):
        rng = np.random.default_rng([6, seed])
        first, treated = rng.integers(0, DAYS, 4_000), rng.random(4_000) < 0.5
        seen = treated | (rng.random(4_000) < kept)
        counts = [np.bincount(first[seen & side], minlength=DAYS).cumsum() for side in (treated, ~treated)]
        alarms += any(
            sample_ratio(dict(zip(ARMS, (int(a), int(b)), strict=True)), dict.fromkeys(ARMS, 0.5)) < SPLIT_ALPHA
            for a, b in zip(*counts, strict=True)
        )
    return share(alarms, sims)
