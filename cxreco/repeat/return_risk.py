"""Return risk by history: orders of the past, what was known of the customer before each, and what came back.

What the items say of it stands in the catalogue's own rates; here is learned how far a customer's own returns move the
odds, which serving then adds (`respond.value.own_returns`). It needs no decision: every shop's log has orders.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import DAY
from cxreco.recognise.layout import Kind
from cxreco.recognise.replay import moments_of, replay
from cxreco.repeat.origins import Judged, consequences_of
from cxreco.request.readings import READING, readings_of
from cxreco.respond.value import OWN_RETURNS, own_returns
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
LOOKED_BACK = 182 * DAY
MOST = 4_000
LEAST_RETURNED = 20
# The share of returns after which the rest no longer matters.
MOST_RETURNS = 0.95
# Of the weight, which is believed to be none: 1 would move the odds in full.
SD = 0.5
_READ = tuple(READING[name] for name in ("orders", "returned_share", "lines_mean"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastOrders:
    """Orders, (n,) each: whose, when and at which arrival.

    `returned` tells whether something of it came back within the harm window; `orders`, `share` and `lines` are what
    was known of the customer just before (`respond.value.own_returns`).
    """

    customer: I64
    at: I64
    seq: I64
    returned: Bool
    orders: F64
    share: F64
    lines: F64

    def own(self, usual: float) -> F64:
        """Return (n,) log of the customer's own returns over the usual ones."""
        return own_returns(self.orders, self.share, self.lines, usual)


def past_orders(
    ticks: NDArray[np.void], worth: Worth, *, since: int, until: int, most: int, seed: int = 7
) -> PastOrders:
    """Return up to `most` orders of [since, until), drawn evenly, by arrival; their harm window should be over.

    Parameters
    ----------
    ticks
        (n,) TICK by (customer, at, seq).
    """
    lines = ticks[(ticks["kind"] == Kind.ORDER_LINE) & (ticks["item"] >= 0)]
    lines = lines[(lines["at"] >= since) & (lines["at"] < until)]
    _, first = np.unique(lines["seq"], return_index=True)
    if first.size > most:
        first = first[np.sort(np.random.default_rng(seed).choice(first.size, most, replace=False))]
    customer, at, seq = (lines[name][first].astype(np.int64) for name in ("customer", "at", "seq"))
    back = _came_back(ticks, worth)
    returned = np.array([key in back for key in zip(customer.tolist(), at.tolist(), seq.tolist(), strict=True)], bool)
    known = np.full((first.size, len(_READ)), np.nan)
    for row, state in replay(ticks, moments_of(customer, at - 1)):
        known[row] = readings_of(state, int(at[row]) - 1)[list(_READ)]
    return PastOrders(
        customer=customer, at=at, seq=seq, returned=returned, orders=known[:, 0], share=known[:, 1], lines=known[:, 2]
    )  # fmt: skip


def returns_of(ticks: NDArray[np.void], worth: Worth, *, as_of: int) -> dict[str, float]:
    """Return the rates that the value model starts from, as of an instant: `returned` and `own_returns`."""
    usual = usual_returns(ticks, worth, as_of=as_of)
    settled = as_of - worth.harm_window
    past = past_orders(ticks, worth, since=settled - LOOKED_BACK, until=settled, most=MOST)
    return {"returned": usual, OWN_RETURNS: weight_of_own_returns(past, usual)}


def usual_returns(ticks: NDArray[np.void], worth: Worth, *, as_of: int) -> float:
    """Return the share of orders of which something came back, shrunk towards the declared prior as by 50 orders."""
    past = ticks[ticks["at"] < as_of]
    orders = int((past["kind"] == Kind.ORDER).sum())
    returns = past[past["kind"] == Kind.RETURNED]
    events = np.unique(np.stack([returns["customer"], returns["at"]], axis=1), axis=0).shape[0] if returns.size else 0
    return float((min(events, orders) + 50.0 * worth.return_rate) / (orders + 50.0))


def weight_of_own_returns(past: PastOrders, usual: float) -> float:
    """Return how far customers' own returns move the odds, from 0 (not at all) to 1 (in full).

    A logistic regression of what came back on `PastOrders.own`, the weight shrunk to none; few returns tell nothing.
    """
    from sklearn.linear_model import LogisticRegression  # only training pays for this import

    if min(past.returned.sum(), (~past.returned).sum()) < LEAST_RETURNED:
        return 0.0
    fitted = LogisticRegression(C=SD**2).fit(past.own(usual)[:, None], past.returned)
    return float(np.clip(fitted.coef_[0, 0], 0.0, 1.0))


def returns_show(ticks: NDArray[np.void], worth: Worth, *, as_of: int) -> int:
    """Return the microseconds within which most returns have come, of orders whose harm window is over by an instant.

    Half the harm window where too few have come back to tell.
    """
    back = _came_back(ticks[ticks["at"] < as_of], worth)
    late = np.array([came - at for (_, at, _), came in back.items() if at + worth.harm_window <= as_of])
    if late.size < LEAST_RETURNED:
        return worth.harm_window // 2
    return int(np.quantile(late, MOST_RETURNS))


def _came_back(ticks: NDArray[np.void], worth: Worth) -> dict[tuple[int, int, int], int]:
    """Return (customer, at, seq) of the orders of which something came back in time, and when it did."""
    nobody = np.empty(0, dtype=np.int64)
    judged = Judged(customer=nobody, at=nobody, cut=nobody, ref=np.empty(0, dtype=np.uint64))
    window = worth.harm_window
    found = consequences_of(
        ticks, judged, pleased=worth.pleased, margin_share=worth.margin_share, harm_window=window
    )  # fmt: skip
    hit = (found.kind == Kind.RETURNED) & (found.origin_at >= 0) & (found.at - found.origin_at <= window)
    columns = (found.customer[hit], found.origin_at[hit], found.origin_seq[hit])
    return dict(zip(zip(*(column.tolist() for column in columns), strict=True), found.at[hit].tolist(), strict=True))
