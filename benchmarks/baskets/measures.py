"""How good a list of items is: recall, NDCG and personal hit ratio, over all, repeated and new items.

NDCG is binary, and the ideal list holds min(K, items bought) hits. Repeated items are those that the customer had
bought before; a customer without any in the next basket does not count there, nor one without new ones in the other.
Intervals are percentile bootstraps over customers (Efron 1979), of differences paired.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from baskets.shops import Baskets, Task

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
TOPS = (10, 20)
MOST = max(TOPS)
PARTS = ("all", "repeat", "explore")
RESAMPLED = 2_000


def measured(task: Task, lists: I32) -> dict[str, F64]:
    """Return each measure of each customer, (n,); NaN where it does not apply.

    Parameters
    ----------
    lists
        (n, 20) items, best first; -1 for none.
    """
    own = _own(task.history)
    out = {f"{part}.{name}@{k}": np.full(task.customers.size, np.nan)
           for part in PARTS for name in ("recall", "ndcg", "phr") for k in TOPS}  # fmt: skip
    gain = 1.0 / np.log2(np.arange(2, MOST + 2))
    for row, (customer, bought) in enumerate(zip(task.customers.tolist(), task.truth, strict=True)):
        before = np.isin(bought, own[customer])
        for part, wanted in (("all", bought), ("repeat", bought[before]), ("explore", bought[~before])):
            if not wanted.size:
                continue
            hit = np.isin(lists[row], wanted)
            for k in TOPS:
                out[f"{part}.recall@{k}"][row] = hit[:k].sum() / wanted.size
                out[f"{part}.ndcg@{k}"][row] = gain[:k][hit[:k]].sum() / gain[: min(k, wanted.size)].sum()
                out[f"{part}.phr@{k}"][row] = float(hit[:k].any())
    return out


def interval(values: F64, who: I64, seed: int = 7) -> tuple[float, float, float]:
    """Return the mean of (n,) values and the ends of its 95 % interval; NaN values do not count.

    Parameters
    ----------
    who
        (n,) the customer of each value: a customer who is asked about in several folds is resampled as one.
    """
    known = ~np.isnan(values)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    _, customer = np.unique(who[known], return_inverse=True)
    total = np.bincount(customer, weights=values[known])
    count = np.bincount(customer).astype(np.float64)
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLED)
    for i in range(RESAMPLED):
        drawn = rng.integers(0, total.size, total.size)
        means[i] = total[drawn].sum() / count[drawn].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return float(values[known].mean()), float(low), float(high)


def summary(values: Mapping[str, F64], who: I64) -> dict[str, dict[str, float]]:
    """Return mean and interval by measure."""
    names = ("mean", "low", "high")
    return {name: dict(zip(names, interval(column, who), strict=True)) for name, column in values.items()}


def paired(ours: Mapping[str, F64], theirs: Mapping[str, F64], who: I64) -> dict[str, dict[str, float]]:
    """Return mean and interval of the differences of the same customers, by measure."""
    return summary({name: column - theirs[name] for name, column in ours.items()}, who)


def _own(history: Baskets) -> list[I32]:
    owner = history.customer[history.owner]
    cuts = np.searchsorted(owner, np.arange(history.n_customers + 1))
    return [np.unique(history.items[cuts[c] : cuts[c + 1]]) for c in range(history.n_customers)]
