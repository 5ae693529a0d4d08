"""Return risk on a real shop's log: how well it could be told, before an order, that something of it came back."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit
from sklearn.metrics import roc_auc_score

from cxreco.pipelines.shop_figures import F64, I64, Bool, Figure
from cxreco.recognise.layout import Kind
from cxreco.repeat.intervals import clustered, t_interval
from cxreco.repeat.log import Log, market_at
from cxreco.repeat.return_risk import past_orders, returns_of
from cxreco.request.calibration import fit_calibrator
from cxreco.respond.value import OWN_RETURNS
from cxreco.respond.worth import Worth


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Later orders, (n,): whether something came back, and the risk by the items alone and by items and customer.

    `better` is by how many nats the customer's own returns foretold it better than the usual rate alone, weighed as
    decisions weigh them, by `weight`.
    """

    customer: I64
    returned: Bool
    by_items: F64
    by_both: F64
    better: F64
    weight: float


def returns(log: Log, worth: Worth, *, since: int, until: int, most: int, seed: int = 7) -> Returns:
    """Foretell for orders of [since, until) whether something comes back within the harm window, which must be over.

    The risk by the items is 1 less the product of what the population, published at `since`, says is kept of each; the
    customer's own returns, as of just before the order and shrunk to everybody's, move its odds.
    """
    past = past_orders(log.ticks, worth, since=since, until=until, most=most, seed=seed)
    lines = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["item"] >= 0)]
    lines = lines[np.isin(lines["seq"], past.seq)]
    rate = market_at(log, since).population.return_rate
    kept = np.zeros(past.seq.size)
    np.add.at(kept, np.searchsorted(past.seq, lines["seq"]), np.log1p(-np.clip(rate[lines["item"]], 0.0, 1.0 - 1e-9)))
    by_items = -np.expm1(kept)
    known = returns_of(log.ticks, worth, as_of=since)
    usual, weight = known["returned"], known[OWN_RETURNS]
    own = past.own(usual)
    odds = by_items / (1.0 - by_items) * np.exp(own)
    base = np.log(usual / (1.0 - usual))
    better = log_expit(_signed(past.returned, base + weight * own)) - log_expit(_signed(past.returned, base))
    return Returns(
        customer=past.customer, returned=past.returned, by_items=by_items, by_both=odds / (1.0 + odds),
        better=better, weight=weight,
    )  # fmt: skip


def _signed(happened: Bool, logit: F64 | float) -> F64:
    return np.where(happened, logit, -np.asarray(logit))


def better_by(found: Returns) -> Figure:
    """Return the mean of `Returns.better`, interval over customers."""
    low, high = t_interval(clustered(found.better, found.customer), 0.95)
    return Figure(value=float(found.better.mean()), low=low, high=high)


def calibrated(earlier: Returns, later: Returns) -> F64 | None:
    """Return (n,) the later risk by items and customer, bent by how the earlier held; None where that is too little.

    The raw risk takes lines as independent; in an order of many lines they are not, so that it says far too much.
    """
    bend = fit_calibrator(earlier.by_both, earlier.returned.astype(np.float64))
    return None if bend is None else bend.apply(later.by_both)


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
