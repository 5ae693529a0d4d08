"""What a candidate is worth, in money: the chance of each outcome times its worth, compared with `hold`.

What the customer would do anyway earns no credit. `base` and `soon` learn it from moments at which nobody acted: an
order within the window that decisions are judged by, and one soon (on a page within the visit, after a message within
the day). `order` is what a candidate does to the order that comes soon. An answer that shows at once is drowned in what
else is bought within days, so lifts are learned where they show; the share of them that is not merely an order made
earlier is carried over to the window (a surrogate, as in Athey, Chetty, Imbens and Kang 2019). An order won brings the
item that was offered. An order the shop places itself has its own arithmetic: the margin if it was right, the cost if
it was wrong, less what the customer would have bought of it unprompted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxreco.compiled import compiled
from cxreco.frozen import quick
from cxreco.journey import AUTOMATE, MODES
from cxreco.request.candidates import VALUE_COLUMN, Candidates
from cxreco.request.forests import Forests, Together, scored
from cxreco.respond import kernels
from cxreco.respond.design import WIDTH, pooled, signals
from cxreco.respond.head import Head, logit_of
from cxreco.respond.lift import Lift
from cxreco.respond.still_worth import StillWorth
from cxreco.respond.worth import Worth

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I16 = NDArray[np.int16]
# On a page that the customer opened, an offer annoys a tenth as often as a contact does.
ON_A_PAGE = 0.1
# What customers do if nobody acts, within the window and soon; what a candidate does to the latter; what else follows.
ANYWAY: tuple[str, ...] = ("base", "soon")
HEADS: tuple[str, ...] = (*ANYWAY, "order", "returned", "complained", "unsubscribed", "satisfied", "wrong")
# How far the customer's own returns move the odds that something comes back: a weight among the model's rates.
OWN_RETURNS = "own_returns"
# Orders that everybody's returns count for beside the customer's own.
USUAL_ORDERS = 4.0
# What follows `hold` too: a candidate is charged or credited with what it adds to that, and no more.
GROUNDED: tuple[str, ...] = ("order", "complained", "unsubscribed", "satisfied")
BASE_SIGNALS: tuple[str, ...] = (
    "one", "outbound", "asked", "cart", "need_top", "order_due", "search", "item_page", "knows", "match", "orders_30",
    "needs_due",
)  # fmt: skip


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Money of each candidate, (n,) each; `over_hold` is what counts.

    `parts` are the chances and the euros it was made of, for whoever asks why.
    """

    money: F64
    over_hold: F64
    parts: Mapping[str, F64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """Expected margin of an order: the customer's own mean, shrunk to everyone's.

    Attributes
    ----------
    usual
        Mean margin of an order over all customers.
    pseudo_orders
        Orders that `usual` counts for.
    """

    usual: float
    pseudo_orders: float

    def won(self, x: F64) -> F64:
        """Return (n,) expected margin of an order that the offer won: the offered item in place of a usual line."""
        own = self.own(x)
        item = x[:, VALUE_COLUMN["item_margin"]] * _units(x)
        return np.maximum(own + np.nan_to_num(item - own / self.lines(x)), 0.0)

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
    carried
        Share of an order that came soon because of an offer that is not missing later in the window: on a page, and
        after a message.
    stopped
        Share of the wrong orders that the customer stops where they are announced: they cost their handling, not a
        return.
    disputed
        Share of the wrong orders that are not stopped which draw a complaint.
    worth
        What an outcome is worth, in money.
    rates
        By head, what is expected where nothing else is known: of `base` and `soon` an order, of `returned` something
        of an order coming back, of the others what their name says. And `own_returns`, see there; 0 where it is absent.
    lift
        What messages add beyond the `order` head, where the log carried it.
    still_worth
        What customers are still worth: what a complaint and an unsubscribe may be priced by.
    """

    heads: Mapping[str, Head]
    basket: Basket
    carried: tuple[float, float]
    stopped: float
    disputed: float
    worth: Worth
    rates: Mapping[str, float]
    lift: Lift = field(default_factory=Lift)
    still_worth: StillWorth = field(default_factory=StillWorth)
    packed: kernels.Packed = field(init=False, repr=False, compare=False)
    trees: Forests = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        worth = self.worth
        packed = kernels.packed(
            {name: (head.theta, head.intercept, head.slope) for name, head in self.heads.items()},
            self.rates,
            (
                worth.margin, worth.return_handling, worth.return_price_share, worth.complaint, worth.unsubscribe,
                worth.satisfied, worth.contact, worth.margin_share, worth.cancel_handling, worth.complaint_share,
                worth.unsubscribe_share,
            ),
            (self.basket.usual, self.basket.pseudo_orders),
            carried=self.carried,
            wrong=(self.stopped, self.disputed),
            on_a_page=ON_A_PAGE,
            own_returns=(self.rates.get(OWN_RETURNS, 0.0), USUAL_ORDERS),
        )._replace(lifetime=self.still_worth.numbers)  # fmt: skip
        object.__setattr__(self, "packed", packed)
        object.__setattr__(self, "trees", Forests(parts=[self.heads[name].trees for name in HEADS]))

    def values(self, candidates: Candidates, contact: NDArray[np.bool_]) -> Values:
        """Return the money of each candidate: `values_of` for one moment, compiled (a test holds the two together).

        Parameters
        ----------
        candidates
            n candidates, `hold` first.
        contact
            (n,) whether offering it is a contact, which may annoy.
        """
        x, mode, trees = candidates.x, candidates.mode, self.trees
        extra = self.lift.extra(x, mode)
        if trees.alone:
            money, parts = _money(x, mode, contact, (trees.scores(x[0]), extra), self.packed)
        else:
            money, parts = _money_by(x, mode, contact, (trees.together, extra), self.packed)
        return Values(money=money, over_hold=money - money[0], parts=dict(zip(kernels.PARTS, parts, strict=True)))

    def values_of(self, x: F64, mode: I16, contact: NDArray[np.bool_], hold: I64) -> Values:
        """Return the money of candidates of many moments at once.

        Parameters
        ----------
        x, mode, contact
            (n, F), (n,), (n,) the candidates.
        hold
            (n,) row of the `hold` candidate of the same moment.
        """
        rows, of = np.unique(hold, return_inverse=True)
        moment = x[rows]
        design = pooled(signals(x, self.basket.usual), mode)
        anyway = expit(self.anyway("base", moment))[of]
        served = np.column_stack([base_design(moment)[of], design])
        soon = self.heads["order"].probability(moment, served, self.anyway("soon", moment)[of], of)
        soon = np.clip(soon + self.lift.extra(x, mode), 0.0, 1.0)
        page, message = self.carried
        won = np.where(moment[:, VALUE_COLUMN["on_outbound"]] > 0.0, message, page)[of] * (soon - soon[hold])
        own, brought = self.basket.own(x), self.basket.won(x)
        returned = self.heads["returned"].probability(moment, design, logit_of(self.return_rate(x, mode)), of)
        loss = returned * self._line_loss(x)
        at_risk = anyway * (self.worth.margin * own - loss)[hold]
        money = at_risk + won * (self.worth.margin * brought - loss)
        automatic = mode == AUTOMATE
        wrong = self._wrong(x, moment, design, of)
        if automatic.any():
            money = np.where(automatic, self._placed(x, wrong, at_risk), money)
        complained, unsubscribed, satisfied = (
            self.heads[name].probability(moment, served, self.rare(name, contact), of) for name in GROUNDED[1:]
        )
        still = (self.worth.margin * self.still_worth.of(moment))[of]
        # The head knows of complaints about anything but an order of the shop's.
        disputed = np.where(automatic, wrong * (1.0 - self._stopped(x)) * self.disputed, 0.0)
        complained = complained + (1.0 - complained) * disputed
        money = money + self.worth.money(
            complained=complained, unsubscribed=unsubscribed, satisfied=satisfied, still_worth=still
        )
        money = money - contact * self.worth.contact
        parts = {
            "order": np.clip(anyway + won, 0.0, 1.0), "order_anyway": anyway, "order_soon": soon, "margin": brought,
            "returned": returned, "complained": complained, "unsubscribed": unsubscribed, "satisfied": satisfied,
            "wrong": np.where(automatic, wrong, 0.0), "still_worth": still,
        }  # fmt: skip
        return Values(money=money, over_hold=money - money[hold], parts=parts)

    def anyway(self, head: str, moment: F64) -> F64:
        """Return (m,) logits of an order if nobody acts: `base` within the window, `soon` soon; from `hold` rows."""
        offset = np.full(len(moment), logit_of(np.array([self.rates[head]]))[0])
        return self.heads[head].logit(moment, base_design(moment), offset)

    def rare(self, head: str, contact: NDArray[np.bool_]) -> F64:
        """Return (n,) logits of a complaint, an unsubscribe or a pleased answer, where nothing else is known."""
        annoys = np.where(contact | (head == "satisfied"), 1.0, ON_A_PAGE)
        return logit_of(self.rates[head] * annoys)

    def return_rate(self, x: F64, mode: I16) -> F64:
        """Return (n,) believed chance that something of the order comes back.

        The item's own, for one of the order's lines; and the customer's own returns, as far as history says they count.
        """
        usual = self.rates["returned"]
        item = np.nan_to_num(x[:, VALUE_COLUMN["return_rate"]], nan=usual)
        by_item = np.where(mode > 0, usual + (item - usual) / self.basket.lines(x), usual)
        orders, share, lines = (x[:, VALUE_COLUMN[name]] for name in ("orders", "returned_share", "lines_mean"))
        weight = self.rates.get(OWN_RETURNS, 0.0)
        return expit(logit_of(by_item) + weight * own_returns(orders, share, lines, usual))

    def _line_loss(self, x: F64) -> F64:
        """Return (n,) money lost when a usual line of the customer comes back."""
        margin = self.basket.own(x) / self.basket.lines(x)
        return self.worth.margin * margin + self.worth.return_cost(margin / self.worth.margin_share)

    def _wrong(self, x: F64, moment: F64, design: F64, of: I64) -> F64:
        certainty = np.nan_to_num(x[:, VALUE_COLUMN["certainty"]])
        return self.heads["wrong"].probability(moment, design, logit_of(1.0 - certainty), of)

    def _stopped(self, x: F64) -> F64:
        """Return (n,) the share of wrong orders like this that are stopped in time: none where there is no notice."""
        return np.where(x[:, VALUE_COLUMN["announced"]] == 0.0, 0.0, self.stopped)

    def _placed(self, x: F64, wrong: F64, others: F64) -> F64:
        """Return (n,) money of an order the shop places: right and kept, or wrong and paid for."""
        item = self.worth.margin * np.nan_to_num(x[:, VALUE_COLUMN["item_margin"]]) * _units(x)
        unprompted = np.nan_to_num(x[:, VALUE_COLUMN["need_3"]]) * item
        sent_back = self.worth.return_cost(np.nan_to_num(x[:, VALUE_COLUMN["item_price"]]) * _units(x))
        stopped = self._stopped(x)
        cost = stopped * self.worth.cancel_handling + (1.0 - stopped) * sent_back
        return np.asarray(others - unprompted + (1.0 - wrong) * item - wrong * cost, dtype=np.float64)


@compiled
def _money(
    x: F64, mode: I16, contact: NDArray[np.bool_], learned: tuple[F64, F64], p: kernels.Packed
) -> tuple[F64, F64]:
    """Return `kernels.money` of one moment; `learned` is (8,) what each head's trees say of it, and its lifts."""
    hold = np.zeros(mode.size, np.int64)
    return kernels.money(x, mode, contact, hold, (hold[:1], hold), (learned[0].reshape(-1, 1), learned[1]), p)


@compiled
def _money_by(
    x: F64, mode: I16, contact: NDArray[np.bool_], learned: tuple[Together, F64], p: kernels.Packed
) -> tuple[F64, F64]:
    return _money(x, mode, contact, (scored(x[0], learned[0]), learned[1]), p)


def own_returns(orders: F64, share: F64, lines: F64, usual: float) -> F64:
    """Return (n,) log of a customer's returns an order over the usual ones, shrunk to none apart.

    Parameters
    ----------
    orders, share, lines
        (n,) orders, share of the bought lines that came back, and lines of an order; NaN where not known.
    usual
        Share of all orders of which something came back.
    """
    known = np.nan_to_num(orders)
    returned = known * np.nan_to_num(share) * np.maximum(np.nan_to_num(lines, nan=1.0), 1.0)
    return np.asarray(np.log((returned + USUAL_ORDERS * usual) / ((known + USUAL_ORDERS) * usual)), dtype=np.float64)


def width_of(head: str) -> int:
    """Return how many coefficients a head has."""
    moment, candidate = len(BASE_SIGNALS), WIDTH * len(MODES)
    return moment if head in ANYWAY else moment + candidate if head in GROUNDED else candidate


def base_design(moment: F64) -> F64:
    """Return (m, len(BASE_SIGNALS)) design of what is told by the moment alone, from `hold` rows."""

    def known(name: str) -> F64:
        return np.nan_to_num(moment[:, VALUE_COLUMN[name]])

    return np.column_stack(
        [
            np.ones(len(moment)),
            known("on_outbound"),
            np.maximum(known("has_query"), known("has_item")),
            np.minimum(known("cart_size"), 1.0),
            np.clip(known("need_top"), 0.0, 1.0),
            np.clip(known("order_due") - 1.0, -1.0, 1.0),
            known("on_search"),
            known("on_product"),
            np.clip(known("repeat_share"), 0.0, 1.0),
            np.clip(known("query_match_top"), 0.0, 1.0),
            np.log1p(np.maximum(known("orders_30"), 0.0)),
            np.clip(known("needs_due"), 0.0, 3.0),
        ]
    )


def _units(x: F64) -> F64:
    return np.nan_to_num(x[:, VALUE_COLUMN["quantity"]], nan=1.0)
