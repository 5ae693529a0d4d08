"""The repeat loop, quantified: what knowing a customer is worth, and what knowing more customers is worth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.repeat.intervals import clustered, standard_error, t_interval

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Labels = NDArray[np.generic]

# Lower edges of the bins of earlier interactions; the last bin is open.
EDGES: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """Value of a policy on some decisions: per-decision terms (money) and their customers, (n,) each."""

    terms: F64
    customers: Labels

    def __post_init__(self) -> None:
        if self.terms.shape != self.customers.shape:
            raise BadInput(f"{self.terms.size} terms for {self.customers.size} customers", where="values")
        if not bool(np.isfinite(self.terms).all()):
            raise BadInput("must be finite; leave out decisions that are too young", where="values.terms")


def individual_curve(
    own: F64,
    masked: F64,
    interactions: I64,
    customers: Labels,
    *,
    edges: tuple[int, ...] = EDGES,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Value with and without each customer's own history, on the same decisions, by earlier interactions.

    Parameters
    ----------
    own, masked
        (n,) money per decision (terms of an estimator, or the world's truth) of the same policy, with the customer's
        own history and with it masked.
    interactions
        (n,) earlier interactions of the customer at the decision.
    customers
        (n,) labels; intervals are clustered by them.
    edges
        Lower edges of the bins, ascending.

    Returns
    -------
    A row a bin that has decisions, and `all` at the end: `bin, from_interactions, n, customers, own, masked, lift,
    stderr, low, high` (of the paired lift).
    """
    if len({own.size, masked.size, interactions.size, customers.size}) != 1:
        raise BadInput("columns differ in length", where="individual_curve")
    if own.size == 0:
        raise BadInput("no decisions", where="individual_curve")
    bins = np.searchsorted(np.asarray(edges), interactions, side="right") - 1
    rows = []
    for code, edge in enumerate(edges):
        here = bins == code
        if here.any():
            last = edges[code + 1] - 1 if code + 1 < len(edges) else None
            name = f"{edge}+" if last is None else (str(edge) if last == edge else f"{edge}-{last}")
            rows.append({"bin": name, "from_interactions": edge} | _lift(own, masked, customers, here, confidence))
    everywhere = np.ones(own.size, dtype=np.bool_)
    rows.append({"bin": "all", "from_interactions": -1} | _lift(own, masked, customers, everywhere, confidence))
    return pd.DataFrame(rows)


def population_curve(by_size: Mapping[int, Values], *, confidence: float = 0.95) -> pd.DataFrame:
    """Value of new customers' decisions, as models learn from more of the log.

    Parameters
    ----------
    by_size
        Events (or decisions) learned from -> values on decisions of customers that were not in them.

    Returns
    -------
    A row a size, ascending: `size, n, customers, value, stderr, low, high`, and `gain, gain_low, gain_high` over the
    smallest size: paired by decision where the same decisions were valued, else of independent samples.
    """
    if not by_size:
        raise BadInput("no sizes", where="population_curve")
    sizes = sorted(by_size)
    first = by_size[sizes[0]]
    rows = []
    for size in sizes:
        values = by_size[size]
        data = clustered(values.terms, values.customers)
        low, high = t_interval(data, confidence)
        gain = _gain(values, first, confidence)
        spread = {"stderr": standard_error(data), "low": low, "high": high}
        rows.append(
            {"size": size, "n": values.terms.size, "customers": data.totals.size, "value": data.mean} | spread | gain
        )
    return pd.DataFrame(rows)


def _gain(values: Values, first: Values, confidence: float) -> dict[str, float]:
    if values is first:
        return {"gain": 0.0, "gain_low": 0.0, "gain_high": 0.0}
    if np.array_equal(values.customers, first.customers):
        data = clustered(values.terms - first.terms, values.customers)
        low, high = t_interval(data, confidence)
        return {"gain": data.mean, "gain_low": low, "gain_high": high}
    now, then = clustered(values.terms, values.customers), clustered(first.terms, first.customers)
    gain = now.mean - then.mean
    # Each side's half-width, joined as independent errors are.
    reach = [np.subtract(t_interval(side, confidence), side.mean) for side in (now, then)]
    down = float(np.hypot(reach[0][0], reach[1][1]))
    up = float(np.hypot(reach[0][1], reach[1][0]))
    return {"gain": gain, "gain_low": gain - down, "gain_high": gain + up}


def _lift(
    own: F64, masked: F64, customers: Labels, here: NDArray[np.bool_], confidence: float
) -> dict[str, float | int]:
    data = clustered(own[here] - masked[here], customers[here])
    low, high = t_interval(data, confidence)
    return {
        "n": int(here.sum()),
        "customers": data.totals.size,
        "own": float(own[here].mean()),
        "masked": float(masked[here].mean()),
        "lift": data.mean,
        "stderr": standard_error(data),
        "low": low,
        "high": high,
    }
