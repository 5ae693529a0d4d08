"""Return risk on a real shop's log: how well it could be told, before an order, that something of it came back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreco.pipelines.shop_figures import F64, I64, Bool, Figure
from cxreco.recognise.layout import Kind
from cxreco.recognise.replay import moments_of, replay
from cxreco.repeat.log import Log, market_at
from cxreco.repeat.origins import Judged, consequences_of
from cxreco.request.calibration import fit_calibrator
from cxreco.respond.worth import Worth

# A customer's own returns count as much as those of all customers after so many orders.
OWN_ORDERS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Later orders, (n,): whether something came back, and the risk by the items alone and by items and customer."""

    customer: I64
    returned: Bool
    by_items: F64
    by_both: F64


def returns(log: Log, worth: Worth, *, since: int, until: int, most: int, seed: int = 7) -> Returns:
    """Foretell for orders of [since, until) whether something comes back within the harm window, which must be over.

    The risk by the items is 1 less the product of what the population, published at `since`, says is kept of each; the
    customer's own returns, as of just before the order and shrunk to everybody's, move its odds.
    """
    ticks = log.ticks
    lines = ticks[(ticks["kind"] == Kind.ORDER_LINE) & (ticks["item"] >= 0)]
    lines = lines[(lines["at"] >= since) & (lines["at"] < until)]
    _, first, order = np.unique(lines["seq"], return_index=True, return_inverse=True)
    chosen = np.arange(first.size)
    if first.size > most:
        chosen = np.sort(np.random.default_rng(seed).choice(first.size, most, replace=False))
    rate = market_at(log, since).population.return_rate
    kept = np.zeros(first.size)
    np.add.at(kept, order, np.log1p(-np.clip(rate[lines["item"]], 0.0, 1.0 - 1e-9)))
    by_items = -np.expm1(kept)[chosen]
    customer, at, seq = (lines[name][first[chosen]].astype(np.int64) for name in ("customer", "at", "seq"))
    usual = _usual_returns(ticks[ticks["at"] < since])
    odds = by_items / (1.0 - by_items)
    for row, state in replay(ticks, moments_of(customer, at - 1)):
        head = state.head[0]
        own = (float(head["returned_180"]) + OWN_ORDERS * usual) / (float(head["orders_180"]) + OWN_ORDERS)
        odds[row] *= own / usual
    back = _came_back(ticks, worth)
    returned = np.array([key in back for key in zip(customer.tolist(), at.tolist(), seq.tolist(), strict=True)])
    return Returns(customer=customer, returned=returned, by_items=by_items, by_both=odds / (1.0 + odds))


def calibrated(earlier: Returns, later: Returns) -> F64 | None:
    """Return (n,) the later risk by items and customer, bent by how the earlier held; None where that is too little.

    The raw risk takes lines as independent; in an order of many lines they are not, so that it says far too much.
    """
    bend = fit_calibrator(earlier.by_both, earlier.returned.astype(np.float64))
    return None if bend is None else bend.apply(later.by_both)


def _usual_returns(past: NDArray[np.void]) -> float:
    """Return the lines that came back for each order."""
    returned, orders = (int((past["kind"] == kind).sum()) for kind in (Kind.RETURNED, Kind.ORDER))
    return max(returned, 1) / max(orders, 1)


def _came_back(ticks: NDArray[np.void], worth: Worth) -> set[tuple[int, int, int]]:
    """Return (customer, at, seq) of the orders of which something came back in time."""
    nobody = np.empty(0, dtype=np.int64)
    judged = Judged(customer=nobody, at=nobody, cut=nobody, ref=np.empty(0, dtype=np.uint64))
    window = worth.harm_window
    found = consequences_of(
        ticks, judged, pleased=worth.pleased, margin_share=worth.margin_share, harm_window=window
    )  # fmt: skip
    hit = (found.kind == Kind.RETURNED) & (found.origin_at >= 0) & (found.at - found.origin_at <= window)
    columns = (found.customer[hit], found.origin_at[hit], found.origin_seq[hit])
    return set(zip(*(column.tolist() for column in columns), strict=True))


def auc_of(score: F64, outcome: Bool, customer: I64, seed: int = 7, resampled: int = 300) -> Figure:
    """Return the area under the ROC curve with its bootstrap interval over customers; NaN where all ended alike."""
    if outcome.all() or not outcome.any():
        return Figure(value=float("nan"), low=float("nan"), high=float("nan"))
    who, of = np.unique(customer, return_inverse=True)
    rows_of = np.split(np.argsort(of, kind="stable"), np.cumsum(np.bincount(of))[:-1])
    rng = np.random.default_rng(seed)
    areas: list[float] = []
    for _ in range(resampled):
        rows = np.concatenate([rows_of[pick] for pick in rng.integers(0, who.size, who.size)])
        if 0 < outcome[rows].sum() < rows.size:
            areas.append(float(roc_auc_score(outcome[rows], score[rows])))
    low, high = np.quantile(areas, (0.025, 0.975))
    return Figure(value=float(roc_auc_score(outcome, score)), low=float(low), high=float(high))
