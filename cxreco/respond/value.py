"""What a candidate is worth, in money: the chance of each outcome times its worth, compared with `hold`.

What the customer would do anyway earns no credit: `base` learns it from moments at which nobody acted, and `order` is
what serving adds to it: a few coefficients for the moments that are really asked about (shared with `hold`, for they
are not history's), and the lift of each mode. An order the shop places itself has its own arithmetic: the margin if
it was right, the cost if it was wrong, less what the customer would have bought of it unprompted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import MODE_CODE, MODES, Mode
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.respond.design import WIDTH, pooled, signals
from cxreco.respond.head import Head, logit_of
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
I16 = NDArray[np.int16]
AUTOMATE = MODE_CODE[Mode.AUTOMATE]
# On a page that the customer opened, an offer annoys a tenth as often as a contact does.
ON_A_PAGE = 0.1
HEADS: tuple[str, ...] = ("base", "order", "returned", "complained", "unsubscribed", "satisfied", "wrong")
BASE_SIGNALS: tuple[str, ...] = ("one", "outbound", "asked", "cart", "need_top", "order_due")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Money of each candidate, (n,) each; `over_hold` is what counts, `sd` how unsure the learned part is.

    `parts` are the chances and the euros it was made of, for whoever asks why.
    """

    money: F64
    over_hold: F64
    sd: F64
    parts: Mapping[str, F64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """Expected margin of an order: the customer's own mean, shrunk to everyone's, more for an item that earns more.

    Attributes
    ----------
    usual
        Mean margin of an order over all customers.
    pseudo_orders
        Orders that `usual` counts for.
    share
        (5,) by mode: how much of the offered item's margin beyond that of their usual line ends up in the order.
    """

    usual: float
    pseudo_orders: float
    share: F64

    def margin(self, x: F64, mode: I16) -> F64:
        """Return (n,) expected margin if the customer orders."""
        own = self.own(x)
        item = np.nan_to_num(x[:, VALUE_COLUMN["item_margin"]]) * _units(x)
        known = np.isfinite(x[:, VALUE_COLUMN["item_margin"]])
        beyond = np.where(known, item - own / self.lines(x), 0.0)
        return np.asarray(np.maximum(own + self.share[mode] * beyond, 0.0), dtype=np.float64)

    def lines(self, x: F64) -> F64:
        """Return (n,) lines of the customer's usual order, at least 1."""
        return np.maximum(np.nan_to_num(x[:, VALUE_COLUMN["lines_mean"]], nan=1.0), 1.0)

    def own(self, x: F64) -> F64:
        """Return (n,) the customer's usual margin, shrunk."""
        orders = np.nan_to_num(x[:, VALUE_COLUMN["orders"]])
        mean = np.nan_to_num(x[:, VALUE_COLUMN["margin_mean"]], nan=self.usual)
        total = orders + self.pseudo_orders
        return np.asarray((orders * mean + self.pseudo_orders * self.usual) / total, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueModel:
    """The heads and the worth of what they foresee.

    Attributes
    ----------
    heads
        One `Head` for each name in `HEADS`.
    basket
        Expected margin of an order.
    worth
        What an outcome is worth, in money.
    base_rate
        Chance of an order within the window where nothing else is known: the offset of `base`.
    rates
        Base rates of `returned` (per order), `complained`, `unsubscribed` and `satisfied`.
    """

    heads: Mapping[str, Head]
    basket: Basket
    worth: Worth
    base_rate: float
    rates: Mapping[str, float]

    def values(self, candidates: Candidates, contact: NDArray[np.bool_]) -> Values:
        """Return the money of each candidate.

        Parameters
        ----------
        candidates
            n candidates, `hold` first.
        contact
            (n,) whether offering it is a contact, which may annoy.
        """
        return self.values_of(candidates.x, candidates.mode, contact, np.zeros(len(candidates), dtype=np.int64))

    def values_of(self, x: F64, mode: I16, contact: NDArray[np.bool_], hold: NDArray[np.int64]) -> Values:
        """Return the money of candidates of many moments at once.

        Parameters
        ----------
        x, mode, contact
            (n, F), (n,), (n,) the candidates.
        hold
            (n,) row of the `hold` candidate of the same moment.
        """
        design = pooled(x, mode)
        served = np.column_stack([base_design(x[hold]), design])
        p = self.heads["order"].probability(x, served, self.base_logit(x, hold))
        p_base = p[hold]
        basket = self.basket.margin(x, mode)
        returned = self._returned(x, mode, design)
        money = p * (self.worth.margin * basket - returned * self._line_loss(x))
        automatic = mode == AUTOMATE
        wrong = self._wrong(x, design)
        if automatic.any():
            money = np.where(automatic, self._placed(x, wrong, p_base, basket[hold]), money)
        annoys = np.where(contact, 1.0, ON_A_PAGE)
        complained = np.where(mode > 0, self._rare("complained", x, design) * annoys, 0.0)
        unsubscribed = np.where(mode > 0, self._rare("unsubscribed", x, design) * annoys, 0.0)
        satisfied = self._rare("satisfied", x, design)
        money = money - complained * self.worth.complaint - unsubscribed * self.worth.unsubscribe
        money = money + satisfied * self.worth.satisfied - contact * self.worth.contact
        lift = np.column_stack([np.zeros((len(x), len(BASE_SIGNALS))), design])
        sd = p * (1.0 - p) * basket * self.heads["order"].logit_sd(lift)
        parts = {
            "order": p, "order_anyway": p_base, "margin": basket, "returned": returned, "complained": complained,
            "unsubscribed": unsubscribed, "satisfied": satisfied, "wrong": np.where(automatic, wrong, 0.0),
        }  # fmt: skip
        return Values(money=money, over_hold=money - money[hold], sd=np.where(mode == 0, 0.0, sd), parts=parts)

    def base_logit(self, x: F64, hold: NDArray[np.int64]) -> F64:
        """Return (n,) logit of an order within the window if nobody acts, from the hold row of each moment."""
        rows, back = np.unique(hold, return_inverse=True)
        offset = np.full(rows.size, logit_of(np.array([self.base_rate]))[0])
        return self.heads["base"].logit(x[rows], base_design(x[rows]), offset)[back]

    def return_rate(self, x: F64, mode: I16) -> F64:
        """Return (n,) believed chance that something of the order comes back: all orders', moved by the item's own."""
        usual = self.rates["returned"]
        item = np.nan_to_num(x[:, VALUE_COLUMN["return_rate"]], nan=usual)
        return np.asarray(usual + self.basket.share[mode] * (item - usual))

    def _returned(self, x: F64, mode: I16, design: F64) -> F64:
        return self.heads["returned"].probability(x, design, logit_of(self.return_rate(x, mode)))

    def _line_loss(self, x: F64) -> F64:
        """Return (n,) money lost when a usual line of the customer comes back."""
        margin = self.basket.own(x) / self.basket.lines(x)
        return self.worth.margin * margin + self.worth.return_cost(margin / self.worth.margin_share)

    def _wrong(self, x: F64, design: F64) -> F64:
        certainty = np.nan_to_num(x[:, VALUE_COLUMN["certainty"]])
        return self.heads["wrong"].probability(x, design, logit_of(1.0 - certainty))

    def _rare(self, name: str, x: F64, design: F64) -> F64:
        offset = np.full(len(x), logit_of(np.array([self.rates[name]]))[0])
        return self.heads[name].probability(x, design, offset)

    def _placed(self, x: F64, wrong: F64, p_base: F64, hold_basket: F64) -> F64:
        """Return (n,) money of an order the shop places: right and kept, or wrong and paid for."""
        item = self.worth.margin * np.nan_to_num(x[:, VALUE_COLUMN["item_margin"]]) * _units(x)
        anyway = np.nan_to_num(x[:, VALUE_COLUMN["need_3"]]) * item
        others = p_base * self.worth.margin * hold_basket
        cost = self.worth.return_cost(np.nan_to_num(x[:, VALUE_COLUMN["item_price"]]) * _units(x))
        return np.asarray(others - anyway + (1.0 - wrong) * item - wrong * cost, dtype=np.float64)


def width_of(head: str) -> int:
    """Return how many coefficients a head has."""
    pooled_width = WIDTH * len(MODES)
    return {"base": len(BASE_SIGNALS), "order": len(BASE_SIGNALS) + pooled_width}.get(head, pooled_width)


def base_design(x: F64) -> F64:
    """Return (n, len(BASE_SIGNALS)) design of the base head."""
    phi = signals(x)
    need_top = np.clip(np.nan_to_num(x[:, VALUE_COLUMN["need_top"]]), 0.0, 1.0)
    due = np.clip(np.nan_to_num(x[:, VALUE_COLUMN["order_due"]]) - 1.0, -1.0, 1.0)
    asked = np.maximum(np.nan_to_num(x[:, VALUE_COLUMN["has_query"]]), np.nan_to_num(x[:, VALUE_COLUMN["has_item"]]))
    return np.column_stack([phi[:, 0], phi[:, 11], asked, phi[:, 12], need_top, due])


def _units(x: F64) -> F64:
    return np.nan_to_num(x[:, VALUE_COLUMN["quantity"]], nan=1.0)
