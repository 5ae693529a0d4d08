"""The arithmetic of `value`, compiled: a row a candidate, no array for each step.

`money` is what `ValueModel.values_of` computes, to within rounding (a test holds them together). Terms are summed in
one fixed order, so that a decision is replayed to the bit, alone or among others.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.journey import AUTOMATE, MODES
from cxreco.request.candidates import VALUE_COLUMN
from cxreco.respond.signal_rows import BASE_SIGNALS, SIGNALS, clipped, known, write_base_signals, write_signals
from cxreco.respond.still_worth import still_worth

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I16 = NDArray[np.int16]
Bool = NDArray[np.bool_]

PARTS: tuple[str, ...] = (
    "order", "order_anyway", "order_soon", "margin", "returned", "complained", "unsubscribed", "satisfied", "wrong",
    "still_worth",
)  # fmt: skip
# The heads in the order of `Packed`.
BASE, SOON, ORDER, RETURNED, COMPLAINED, UNSUBSCRIBED, SATISFIED, WRONG = range(8)
HEADS: tuple[str, ...] = (
    "base", "soon", "order", "returned", "complained", "unsubscribed", "satisfied", "wrong",
)  # fmt: skip
# Those that see the moment alone, and those that see the candidate too; the others see the candidate alone.
ALONE, GROUNDED = (BASE, SOON), (ORDER, COMPLAINED, UNSUBSCRIBED, SATISFIED)
SMALLEST = 1e-4
_MODES = len(MODES)

_ORDERS, _MARGIN_MEAN, _LINES, _ITEM_MARGIN, _PRICE, _UNITS, _RETURN_RATE, _CERTAINTY, _RETURNED_SHARE = (
    VALUE_COLUMN[name]
    for name in (
        "orders", "margin_mean", "lines_mean", "item_margin", "item_price", "quantity", "return_rate", "certainty",
        "returned_share",
    )
)  # fmt: skip
_NEED_3, _OUTBOUND, _ANNOUNCED = (VALUE_COLUMN[name] for name in ("need_3", "on_outbound", "announced"))


class Packed(NamedTuple):
    """A value model as compiled code reads it; make it once, when the model is made.

    Attributes
    ----------
    moment
        (8, BASE_SIGNALS) coefficients of what the moment tells; zero for `returned` and `wrong`.
    candidate
        (8, modes * SIGNALS) coefficients of the pooled design; zero for `base` and `soon`.
    bend
        (8, 2) intercept and slope of each head.
    rates
        (8,) what is expected where nothing else is known; of `order` and `wrong` not read.
    money
        Of a unit of margin, of a return's handling and its share of the price, of a complaint, an unsubscribe, a
        pleased answer and a contact; then the share of the price that is margin, of handling a stopped order, and the
        shares of what the customer is still worth that a complaint and an unsubscribe cost besides.
    usual, pseudo_orders, on_a_page, stopped, disputed
        See `value`.
    carried
        (2,) on a page, and after a message.
    own_returns
        (2,) weight of the customer's own returns, and the orders that everybody's count for beside them.
    lifetime
        As `StillWorth.numbers`.
    """

    moment: F64
    candidate: F64
    bend: F64
    rates: F64
    money: F64
    usual: float
    pseudo_orders: float
    carried: F64
    on_a_page: float
    stopped: float
    disputed: float
    own_returns: F64
    lifetime: F64


(
    MARGIN, HANDLING, PRICE_SHARE, COMPLAINT, UNSUBSCRIBE, PLEASED, CONTACT, MARGIN_SHARE, STOPPED, COMPLAINT_OF_WORTH,
    UNSUBSCRIBE_OF_WORTH,
) = range(11)  # fmt: skip


def packed(
    heads: Mapping[str, tuple[F64, float, float]],
    rates: Mapping[str, float],
    money: tuple[float, ...],
    basket: tuple[float, float],
    *,
    carried: tuple[float, float],
    on_a_page: float,
    wrong: tuple[float, float],
    own_returns: tuple[float, float],
) -> Packed:
    """Return a value model's numbers, packed; nobody is still worth anything.

    Parameters
    ----------
    heads, rates
        By name of the head: coefficients, intercept, slope; and the rate.
    basket
        `usual` and `pseudo_orders`.
    wrong
        `stopped` and `disputed`.
    money, own_returns
        As in `Packed`; `money` is eleven numbers.
    """
    moment, candidate = np.zeros((len(HEADS), BASE_SIGNALS)), np.zeros((len(HEADS), _MODES * SIGNALS))
    for row, name in enumerate(HEADS):
        theta = heads[name][0]
        if row in ALONE + GROUNDED:
            moment[row] = theta[:BASE_SIGNALS]
        if row not in ALONE:
            candidate[row] = theta[-_MODES * SIGNALS :]
    return Packed(
        moment=moment,
        candidate=candidate,
        bend=np.array([[heads[name][1], heads[name][2]] for name in HEADS]),
        rates=np.array([rates.get(name, 0.5) for name in HEADS]),
        money=np.array(money),
        usual=float(basket[0]),
        pseudo_orders=float(basket[1]),
        carried=np.array(carried, dtype=np.float64),
        on_a_page=float(on_a_page),
        stopped=float(wrong[0]),
        disputed=float(wrong[1]),
        own_returns=np.array(own_returns, dtype=np.float64),
        lifetime=np.zeros(9),
    )


@compiled_inner
def _expit(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


@compiled_inner
def _logit(probability: float) -> float:
    p = clipped(probability, SMALLEST, 1.0 - SMALLEST)
    return math.log(p / (1.0 - p))


@compiled_inner
def _dot(theta: F64, values: F64) -> float:
    total = 0.0
    for i in range(values.size):
        total += theta[i] * values[i]
    return total


@compiled_inner
def _pooled(theta: F64, phi: F64, mode: int) -> float:
    """Return the product with the pooled design: the shared block and that of the mode; 0 for `hold`."""
    if mode == 0:
        return 0.0
    return _dot(theta[:SIGNALS], phi) + _dot(theta[mode * SIGNALS : (mode + 1) * SIGNALS], phi)


@compiled_inner
def _probability(head: int, phi: F64, mode: int, offset: float, ground: float, p: Packed) -> float:
    """Return a head's answer; `ground` is what its trees and its coefficients make of the moment."""
    raw = offset + _pooled(p.candidate[head], phi, mode) + ground
    return _expit(p.bend[head, 0] + p.bend[head, 1] * raw)


@compiled_inner
def _own(x: F64, p: Packed) -> float:
    """Return the customer's usual margin of an order, shrunk to everyone's."""
    orders = known(x[_ORDERS], 0.0)
    return (orders * known(x[_MARGIN_MEAN], p.usual) + p.pseudo_orders * p.usual) / (orders + p.pseudo_orders)


@compiled_inner
def _lines(x: F64) -> float:
    return max(known(x[_LINES], 1.0), 1.0)


@compiled_inner
def _own_returns(x: F64, p: Packed) -> float:
    """Return the log of the customer's returns an order over the usual ones: `value.own_returns`."""
    orders, usual, others = known(x[_ORDERS], 0.0), p.rates[RETURNED], p.own_returns[1]
    returned = orders * known(x[_RETURNED_SHARE], 0.0) * _lines(x)
    return math.log((returned + others * usual) / ((orders + others) * usual))


@compiled_inner
def _returned(x: F64, phi: F64, mode: int, trees: float, p: Packed) -> float:
    """Return the chance that something comes back."""
    rate = p.rates[RETURNED]
    if mode > 0:
        rate += (known(x[_RETURN_RATE], p.rates[RETURNED]) - p.rates[RETURNED]) / _lines(x)
    offset = _logit(rate)
    if p.own_returns[0] != 0.0:
        # Kept away from certainty once more, as `value.return_rate` is.
        offset = _logit(_expit(offset + p.own_returns[0] * _own_returns(x, p)))
    return _probability(RETURNED, phi, mode, offset, trees, p)


@compiled_inner
def _lost(x: F64, p: Packed) -> float:
    """Return the money lost where something comes back."""
    margin = _own(x, p) / _lines(x)
    cost = p.money[PRICE_SHARE] * margin / p.money[MARGIN_SHARE] + p.money[HANDLING]
    return float(p.money[MARGIN] * margin + cost)


@compiled_inner
def _stopped(x: F64, p: Packed) -> float:
    """Return the share of wrong orders like this that are stopped in time: none where there is no notice."""
    return 0.0 if x[_ANNOUNCED] == 0.0 else p.stopped


@compiled_inner
def _placed(x: F64, wrong: float, p: Packed) -> float:
    """Return the money of an order the shop places, beside what is ordered anyway."""
    units = known(x[_UNITS], 1.0)
    item = p.money[MARGIN] * known(x[_ITEM_MARGIN], 0.0) * units
    sent_back = p.money[PRICE_SHARE] * known(x[_PRICE], 0.0) * units + p.money[HANDLING]
    stopped = _stopped(x, p)
    cost = stopped * p.money[STOPPED] + (1.0 - stopped) * sent_back
    return float((1.0 - wrong) * item - wrong * cost - known(x[_NEED_3], 0.0) * item)


@compiled_inner
def _brought(x: F64, own: float) -> float:
    """Return the margin of an order that the offer won: the offered item in place of a usual line."""
    more = x[_ITEM_MARGIN] * known(x[_UNITS], 1.0) - own / _lines(x)
    return max(own + known(more, 0.0), 0.0)


@compiled
def money(
    x: F64, mode: I16, contact: Bool, hold: I64, moments: tuple[I64, I64], learned: tuple[F64, F64], p: Packed
) -> tuple[F64, F64]:
    """Return (n,) the money of candidates of one or many moments, and (len(PARTS), n) what it is made of.

    Parameters
    ----------
    x, mode, contact
        (n, features), (n,), (n,) the candidates.
    hold
        (n,) row of the `hold` candidate of the same moment.
    moments
        (m,) rows of the `hold` candidates, and (n,) which of them each row belongs to.
    learned
        (8, m) scores of each head's trees at each moment, 0 where it has none; and (n,) what messages add to the chance
        of an order soon beyond the pooled head.
    """
    (rows, of), (trees, extra) = moments, learned
    facts, ground = np.empty((rows.size, 5)), np.empty((rows.size, len(HEADS)))
    phi, out, parts = np.zeros(SIGNALS), np.empty(mode.size), np.zeros((len(PARTS), mode.size))
    for k in range(rows.size):
        _write_facts(x[rows[k]], trees[:, k], phi, p, (np.empty(BASE_SIGNALS), facts[k], ground[k]))
    _write_money((x, mode, contact), (of, x[rows, _OUTBOUND], facts, ground), (trees, extra), phi, p, (out, parts))
    return out, parts


@compiled_inner
def _write_facts(row: F64, trees: F64, hold: F64, p: Packed, into: tuple[F64, F64, F64]) -> None:
    """Write what holds of a moment, and what the heads make of it, from its `hold` row; `hold` is no signals."""
    base, facts, ground = into
    write_base_signals(base, row)
    for head in range(2):
        raw = _logit(p.rates[head]) + _dot(p.moment[head], base) + trees[head]
        facts[head] = p.bend[head, 0] + p.bend[head, 1] * raw
    for head in GROUNDED:
        ground[head] = _dot(p.moment[head], base) + trees[head]
    facts[BASE] = _expit(facts[BASE])
    facts[2] = _probability(ORDER, hold, 0, facts[SOON], ground[ORDER], p)
    loss = _returned(row, hold, 0, trees[RETURNED], p) * _lost(row, p)
    facts[3] = facts[BASE] * (p.money[MARGIN] * _own(row, p) - loss)
    facts[4] = p.money[MARGIN] * still_worth(row, p.lifetime)


@compiled_inner
def _write_money(
    offers: tuple[F64, I16, Bool],
    moments: tuple[I64, F64, F64, F64],
    learned: tuple[F64, F64],
    phi: F64,
    p: Packed,
    into: tuple[F64, F64],
) -> None:
    """Write what `money` returns; `moments` are which, whether each is on outbound, and what `_write_facts` wrote."""
    (x, mode, contact), (of, outbound, facts, ground), (trees, extra), (out, parts) = offers, moments, learned, into
    for i in range(mode.size):
        k, row = of[i], x[i]
        write_signals(phi, row, p.usual)
        annoys, own = 1.0 if contact[i] else p.on_a_page, _own(row, p)
        soon = _probability(ORDER, phi, mode[i], facts[k, 1], ground[k, ORDER], p)
        soon = clipped(soon + extra[i], 0.0, 1.0)
        message = 1 if outbound[k] > 0.0 else 0
        won = p.carried[message] * (soon - facts[k, 2])
        returned = _returned(row, phi, mode[i], trees[RETURNED, k], p)
        loss = returned * _lost(row, p)
        brought = _brought(row, own)
        total = facts[k, 3] + won * (p.money[MARGIN] * brought - loss)
        if mode[i] == AUTOMATE:
            certainty = known(row[_CERTAINTY], 0.0)
            parts[8, i] = _probability(WRONG, phi, mode[i], _logit(1.0 - certainty), trees[WRONG, k], p)
            total = facts[k, 3] + _placed(row, parts[8, i], p)
        for head in (COMPLAINED, UNSUBSCRIBED, SATISFIED):
            offset = _logit(p.rates[head] * (1.0 if head == SATISFIED else annoys))
            parts[head + 1, i] = _probability(head, phi, mode[i], offset, ground[k, head], p)
        if mode[i] == AUTOMATE:
            # The head knows of complaints about anything else.
            parts[5, i] += (1.0 - parts[5, i]) * parts[8, i] * (1.0 - _stopped(row, p)) * p.disputed
        complaint = p.money[COMPLAINT] + p.money[COMPLAINT_OF_WORTH] * facts[k, 4]
        unsubscribe = p.money[UNSUBSCRIBE] + p.money[UNSUBSCRIBE_OF_WORTH] * facts[k, 4]
        total -= parts[5, i] * complaint + parts[6, i] * unsubscribe
        out[i] = total + parts[7, i] * p.money[PLEASED] - (p.money[CONTACT] if contact[i] else 0.0)
        parts[0, i] = clipped(facts[k, 0] + won, 0.0, 1.0)
        parts[1, i], parts[2, i], parts[3, i], parts[4, i] = facts[k, 0], soon, brought, returned
        parts[9, i] = facts[k, 4]
