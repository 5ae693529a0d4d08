"""What each decision earned: outcomes in its fixed window, in money, and what is still too young to tell."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import AUTOMATE
from cxreco.recognise.codes import ref_of
from cxreco.recognise.layout import Kind
from cxreco.repeat.attribution import (
    TAKEN,
    WRONG,
    bought_after,
    check_sorted,
    harm_after,
    named_by,
    naming,
    orphans,
)
from cxreco.repeat.origins import Consequences, Judged, consequences_of
from cxreco.respond.worth import Worth
from cxreco.tables import DECISIONS, checked, contacts

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

# Head -> (column of the outcome, column that says whether it is settled).
HEADS: dict[str, tuple[str, str]] = {
    "order": ("ordered", "ripe_order"),
    "unsubscribed": ("unsubscribed", "ripe_order"),
    "returned": ("returned", "ripe_harm"),
    "cancelled": ("cancelled", "ripe_harm"),
    "complained": ("complained", "ripe_harm"),
    "satisfied": ("satisfied", "ripe_harm"),
    "wrong": ("wrong_auto", "ripe_harm"),
}
_FEWEST_DELAYS = 20
_SHRINK_LINES = 50.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What followed the decisions, a row a decision in their order, and what the log could not tell.

    Attributes
    ----------
    frame
        `decision_id, customer_id, at, mode`; 0/1 as floats: `ordered, returned, cancelled, complained, unsubscribed,
        surveyed, satisfied, accepted, dismissed, wrong_auto, stopped` (an order of the shop's, in its notice),
        `contact`; `orders, lines, revenue, margin` (bought), `kept_margin` (less what came back), `returned_lines,
        returned_price, cancelled_lines`; `still_worth` as decided; `money_observed`, `predicted_loss` (of
        returns still to come), `money` (NaN before the order window is over); booleans `ripe_order, ripe_harm`.
    as_of
        The instant of judgement, microseconds.
    orphans
        Events that name a decision nobody has heard of.
    untraced
        Returns and cancellations of goods whose order is not in the log.
    share_unripe
        Share of the judged (order-ripe) decisions whose returns are still predicted.
    share_predicted
        Predicted loss as a share of the absolute observed money.
    return_rate
        Expected share of what was bought that comes back, as used for the prediction.
    """

    frame: pd.DataFrame
    as_of: int
    orphans: int
    untraced: int
    share_unripe: float
    share_predicted: float
    return_rate: float

    def head(self, name: str) -> tuple[F64, Bool]:
        """Return the 0/1 outcome of a head (see HEADS) and whether it is settled, (n,) each."""
        column, ripe = HEADS[name]
        return self.frame[column].to_numpy(np.float64), self.frame[ripe].to_numpy(np.bool_)


def outcomes_of(
    decisions: pd.DataFrame,
    ticks: NDArray[np.void],
    *,
    customer: I64,
    worth: Worth,
    as_of: int,
    return_rate: float | F64 | None = None,
    order: U64 | None = None,
) -> Outcomes:
    """Join what followed to each decision, by the same window for every action, `hold` included.

    Parameters
    ----------
    decisions
        Columns DECISIONS, any order; a boolean column `contact` overrides the rule of `tables.contacts`, and
        `still_worth` is what the customer was still worth when it was decided, in money (absent: 0).
    ticks
        (n_ticks,) of TICK, sorted by customer, at, seq; ticks later than `as_of` are not looked at.
    customer
        (n,) code of each decision's customer, as the ticks carry it.
    worth
        Worth of outcomes and the windows.
    as_of
        Now, microseconds.
    return_rate
        Expected share of a line's goods that comes back, one or (n,); None: the ripe decisions' own, shrunk towards
        the declared prior.
    order
        (n_ticks,) hash of each tick's order id, 0 where none; None where the log has no order ids.

    Raises
    ------
    BadInput
        If ticks are not sorted or columns do not fit.
    """
    decisions = checked(decisions, DECISIONS, name="decisions")
    if customer.shape != (len(decisions),):
        raise BadInput(f"{customer.size} customers for {len(decisions)} decisions", where="customer")
    check_sorted(ticks)
    past = ticks["at"] <= as_of
    if not bool(past.all()):
        ticks, order = ticks[past], order if order is None else order[past]
    judged = Judged(
        customer=customer.astype(np.int64),
        at=decisions["at"].to_numpy(np.int64),
        cut=decisions["arrival_cut"].to_numpy(np.int64),
        ref=np.array([ref_of(name) for name in decisions["decision_id"].to_list()], dtype=np.uint64),
    )
    found = consequences_of(
        ticks,
        judged,
        pleased=worth.pleased,
        margin_share=worth.margin_share,
        harm_window=worth.harm_window,
        order=order,
    )
    frame = _joined(decisions, ticks, judged, found, worth)
    frame["ripe_order"] = judged.at + worth.order_window <= as_of
    frame["ripe_harm"] = judged.at + worth.harm_window <= as_of
    rate = _own_rate(frame, worth) if return_rate is None else return_rate
    _price(frame, worth, as_of, rate)
    ripe = frame["ripe_order"].to_numpy(np.bool_)
    unripe = ripe & ~frame["ripe_harm"].to_numpy(np.bool_)
    observed = float(np.abs(frame["money_observed"].to_numpy()[ripe]).sum())
    goods = (found.kind == int(Kind.RETURNED)) | (found.kind == int(Kind.CANCELLED))
    return Outcomes(
        frame=frame.drop(columns="delay"),
        as_of=as_of,
        orphans=orphans(ticks, judged),
        untraced=int((goods & (found.origin_at < 0)).sum()),
        share_unripe=float(unripe.sum() / max(int(ripe.sum()), 1)),
        share_predicted=float(frame["predicted_loss"].to_numpy()[ripe].sum() / observed) if observed > 0.0 else 0.0,
        return_rate=float(np.mean(rate)),
    )


def _joined(
    decisions: pd.DataFrame, ticks: NDArray[np.void], judged: Judged, found: Consequences, worth: Worth
) -> pd.DataFrame:
    """Observed outcomes of each decision."""
    bought = bought_after(ticks, judged, window=worth.order_window, margin_share=worth.margin_share)
    harm = harm_after(found, judged, order_window=worth.order_window, harm_window=worth.harm_window)
    mode = decisions["mode"].to_numpy()
    contact = decisions["contact"] if "contact" in decisions else contacts(mode, decisions["surface"].to_numpy(object))
    wrong = naming(ticks, judged, WRONG, window=worth.harm_window) | named_by(
        *_blame(found), judged, window=worth.harm_window
    )
    zero_one = {
        "ordered": bought.orders > 0,
        "returned": harm.returned > 0,
        "cancelled": harm.cancelled > 0,
        "complained": harm.complained,
        "unsubscribed": bought.unsubscribed,
        "surveyed": harm.surveyed,
        "satisfied": harm.satisfied,
        "accepted": naming(ticks, judged, TAKEN, window=worth.harm_window),
        "dismissed": naming(ticks, judged, (Kind.DISMISSED,), window=worth.harm_window),
        "wrong_auto": wrong & (mode == AUTOMATE),
        "stopped": naming(ticks, judged, (Kind.AUTO_CANCELLED,), window=worth.harm_window),
        "contact": np.asarray(contact, dtype=np.bool_),
    }
    sums = {
        "orders": bought.orders,
        "lines": bought.lines,
        "revenue": bought.revenue,
        "margin": bought.margin,
        "kept_margin": bought.margin - harm.returned_margin - harm.cancelled_margin,
        "kept_price": bought.revenue - harm.returned_price - harm.cancelled_price,
        "returned_lines": harm.returned,
        "returned_price": harm.returned_price,
        "cancelled_lines": harm.cancelled,
        "delay": harm.delay,
        "still_worth": decisions["still_worth"] if "still_worth" in decisions else np.zeros(len(decisions)),
    }
    frame = decisions[["decision_id", "customer_id", "at", "mode"]].copy()
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in (zero_one | sums).items()}
    return frame.assign(**columns)


def _blame(found: Consequences) -> tuple[U64, I64]:
    """Decision and time of every return, cancellation and complaint that can be laid at a decision's door."""
    blamed = (found.blamed != 0) & (found.kind != int(Kind.SURVEY))
    return found.blamed[blamed], found.at[blamed]


def _price(frame: pd.DataFrame, worth: Worth, as_of: int, rate: float | F64) -> None:
    """Add the money columns to the frame under construction."""
    column = {name: frame[name].to_numpy(np.float64) for name in frame.columns[4:]}
    observed = worth.money(
        margin=column["kept_margin"],
        returned_price=column["returned_price"],
        returned=column["returned_lines"],
        cancelled=column["cancelled_lines"],
        complained=column["complained"],
        unsubscribed=column["unsubscribed"],
        satisfied=column["satisfied"],
        still_worth=column["still_worth"],
    )
    observed = observed - worth.contact * column["contact"]
    coming = _still_to_come(frame, worth, as_of, rate)
    kept_lines = np.maximum(column["lines"] - column["returned_lines"] - column["cancelled_lines"], 0.0)
    loss = worth.margin * np.maximum(column["kept_margin"], 0.0)
    loss = loss + worth.return_price_share * np.maximum(column["kept_price"], 0.0) + worth.return_handling * kept_lines
    frame["money_observed"] = observed
    frame["predicted_loss"] = coming * loss
    frame["money"] = np.where(frame["ripe_order"], observed - coming * loss, np.nan)


def _still_to_come(frame: pd.DataFrame, worth: Worth, as_of: int, rate: float | F64) -> F64:
    """Chance that goods not yet returned still will be: r S(a) / (1 - r (1 - S(a))) at age a, 0 once ripe.

    S is the share of returns that come later than a: the delays of ripe decisions where there are enough of them, else
    spread evenly over the harm window.
    """
    age = np.clip((as_of - frame["at"].to_numpy(np.float64)) / worth.harm_window, 0.0, 1.0)
    ripe = frame["ripe_harm"].to_numpy(np.bool_)
    delays = np.sort(frame["delay"].to_numpy(np.float64)[ripe & (frame["returned"].to_numpy(np.float64) > 0)])
    if delays.size >= _FEWEST_DELAYS:
        later = 1.0 - np.searchsorted(delays, age * worth.harm_window, side="right") / delays.size
    else:
        later = 1.0 - age
    share = np.clip(np.asarray(rate, dtype=np.float64), 0.0, 0.999)
    return np.where(ripe, 0.0, share * later / (1.0 - share * (1.0 - later)))


def _own_rate(frame: pd.DataFrame, worth: Worth) -> float:
    """Share of lines that came back among ripe decisions, shrunk towards the declared prior."""
    ripe = frame["ripe_harm"].to_numpy(np.bool_)
    lines = float(frame["lines"].to_numpy(np.float64)[ripe].sum())
    returned = min(float(frame["returned_lines"].to_numpy(np.float64)[ripe].sum()), lines)
    return (returned + _SHRINK_LINES * worth.return_rate) / (lines + _SHRINK_LINES)
