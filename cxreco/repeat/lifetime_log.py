"""Lifetimes read from a log's order lines: what each customer bought so far, and what they are still worth."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.recognise.layout import Kind
from cxreco.repeat.lifetime import (
    YEAR,
    Activity,
    Lifetimes,
    OrderValue,
    Purchases,
    fit_activity,
    fit_order_value,
    lifetimes,
)
from cxreco.repeat.origins import unit_money
from cxreco.respond.still_worth import StillWorth
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What each customer bought until an instant: their purchases, codes, and mean margin an order day; (n,) each."""

    purchases: Purchases
    customer: I64
    margin: F64

    @classmethod
    def until(cls, ticks: NDArray[np.void], at: int, worth: Worth) -> Self:
        """Read it from order lines before `at`, microseconds; what came back later is not taken off."""
        lines = ticks[(ticks["kind"] == Kind.ORDER_LINE) & (ticks["at"] < at)]
        day = lines["at"] // DAY
        purchases, who = Purchases.of(lines["customer"], day, at / DAY)
        _, margin = unit_money(lines, worth.margin_share)
        quantity = np.nan_to_num(lines["quantity"].astype(np.float64), nan=1.0)
        total = np.bincount(
            np.searchsorted(who, lines["customer"]), worth.margin * quantity * margin, minlength=who.size
        )
        return cls(purchases=purchases, customer=who, margin=total / (purchases.repeats + 1.0))

    @classmethod
    def served(cls, ticks: NDArray[np.void], at: int) -> Self:
        """Read the same from orders before `at`, as the state counts them: see `respond.still_worth`.

        Every order counts, age is from when the customer was first seen, and margins are the shop's own, unweighted.
        """
        ticks = ticks[(ticks["at"] < at) & (ticks["kind"] != Kind.DECIDED)]
        orders = ticks[ticks["kind"] == Kind.ORDER]
        who, of, count = np.unique(orders["customer"], return_inverse=True, return_counts=True)
        first, last = np.full(who.size, at, dtype=np.int64), np.zeros(who.size, dtype=np.int64)
        seen = ticks[np.isin(ticks["customer"], who)]
        np.minimum.at(first, np.searchsorted(who, seen["customer"]), seen["at"])
        np.maximum.at(last, of, orders["at"])
        margin = orders["margin"].astype(np.float64)
        known = np.isfinite(margin)
        mean = np.bincount(of[known], margin[known], who.size) / np.maximum(np.bincount(of[known], None, who.size), 1)
        # Whole days: a likelihood is asked once for all who are alike.
        age = np.ceil((at - first) / DAY)
        days = np.where(count > 1, np.clip(np.round((last - first) / DAY), 1.0, age), 0.0)
        found = Purchases(repeats=(count - 1).astype(np.float64), last=days, age=age)
        return cls(purchases=found, customer=who.astype(np.int64), margin=mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimeModel:
    """Both models, fitted on the same customers."""

    activity: Activity
    order_value: OrderValue

    @classmethod
    def fit(cls, bought: Bought) -> Self:
        """Fit them.

        Raises
        ------
        BadInput
            If too few customers came back.
        """
        orders = bought.purchases.repeats + 1.0
        return cls(
            activity=fit_activity(bought.purchases), order_value=fit_order_value(orders, bought.margin)
        )  # fmt: skip

    def of(self, bought: Bought, *, days: float = YEAR, discount: float = 0.10) -> Lifetimes:
        """Return what the customers are still worth; see `lifetime.lifetimes`."""
        return lifetimes(
            self.activity, self.order_value, bought.purchases, bought.margin, bought.customer,
            days=days, discount=discount,
        )  # fmt: skip


def fit_still_worth(ticks: NDArray[np.void], now: int, days: float) -> StillWorth:
    """Learn what customers are still worth, to be asked at decisions; where too few came back to tell, nothing.

    Parameters
    ----------
    now
        What comes later is not looked at, microseconds.
    days
        Horizon.
    """
    bought = Bought.served(ticks, now)
    try:
        model = LifetimeModel.fit(bought)
    except BadInput:
        return StillWorth(days=days)
    of, order = model.activity, model.order_value
    usual = float(order.mean(np.zeros(1), np.zeros(1))[0])
    if not np.isfinite(usual):
        usual = float(bought.margin[bought.margin > 0.0].mean())
    return StillWorth(
        r=of.r, alpha=of.alpha, a=of.a, b=of.b, p=order.p, q=order.q, gamma=order.gamma, usual=usual, days=days
    )


def lifetime_report(ticks: NDArray[np.void], now: int, worth: Worth) -> dict[str, float]:
    """Return what training tells of lifetimes; nothing where too few customers came back to tell."""
    bought = Bought.until(ticks, now, worth)
    try:
        model = LifetimeModel.fit(bought)
    except BadInput:
        return {}
    found = model.of(bought)
    alive = float(found.alive.sum())
    return {
        "lifetime.customers": float(found.customer.size),
        "lifetime.active": alive,
        "lifetime.orders_next_year": float(found.orders.mean()),
        "lifetime.value_next_year": float(found.value.mean()),
        "lifetime.value_of_an_active_customer": float((found.value).sum() / max(alive, 1e-9)),
        "lifetime.bg_nbd_r": model.activity.r,
        "lifetime.bg_nbd_alpha_days": model.activity.alpha,
        "lifetime.bg_nbd_a": model.activity.a,
        "lifetime.bg_nbd_b": model.activity.b,
    }
