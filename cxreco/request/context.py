"""Everything the four sources share about one moment: recalled once, scored once, read by all."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import Moment
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.moment_codes import MomentCodes
from cxreco.request.need import NeedModel
from cxreco.request.reasons import Preference

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Proposal(NamedTuple):
    """One candidate on its way into the columns.

    Attributes
    ----------
    action
        Index into `Actions.names`.
    slate
        Positions in the context's columns, the item that it is about first.
    reasons
        Kinds of reason in order of preference (`reasons.preference`); the first that holds of an item is said of it.
    quantity
        Units of the first item; NaN where it does not apply.
    certainty
        Probability that the customer would have bought the first item unprompted; NaN where it does not apply.
    """

    action: int
    slate: I64
    reasons: Preference
    quantity: float = float("nan")
    certainty: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A moment as columns over the (n,) recalled items.

    Attributes
    ----------
    readings
        Of the customer (`readings.READINGS`).
    codes, category
        The items and their categories.
    x
        (n, len(RANKER_FEATURES)).
    score, buy
        The ranker's score and the calibrated probability that the item is bought soon.
    grid
        (n, horizons) calibrated P(needed again within h days); NaN for what was never bought.
    need, need_3
        The same within 7 and 3 days; 0 for what was never bought.
    units
        What the customer takes of it on average, whole units, at least 1.
    offerable
        What may be offered as the shop's own idea: available, priced, not in the cart and not just bought.
    buyable
        What may be bought at all: available and priced.
    ranked
        (n,) positions by score, best first; the smaller code first among equals.
    """

    state: State
    moment: Moment
    mc: MomentCodes
    market: Market
    model: NeedModel
    readings: F64
    codes: I32
    category: I32
    x: F64
    score: F64
    buy: F64
    grid: F64
    need: F64
    need_3: F64
    units: F64
    offerable: Bool
    buyable: Bool
    ranked: I64

    def column(self, name: str) -> F64:
        """Return (n,) one of the ranker's features."""
        return self.x[:, RANKER_COLUMN[name]]

    def need_within(self, days: float) -> F64:
        """Return (n,) calibrated P(needed again within `days`); 0 for what was never bought."""
        within = self.model.read(self.grid, (days,))[:, 0]
        return np.where(np.isnan(within), 0.0, within)

    def best(self, where: Bool, most: int) -> I64:
        """Return up to `most` positions where `where` holds, best score first."""
        return _best(self.ranked, where, most)

    def most(self, values: F64, where: Bool, most: int) -> I64:
        """Return up to `most` positions where `where` holds, by value descending, then by score."""
        return _most(self.ranked, np.ascontiguousarray(values), where, most)

    def quantity(self, position: int) -> float:
        """Return the units to order of an item: what the customer takes on average, at least 1."""
        return float(self.units[position])

    def spread(self, order: I64, most: int, share: float) -> I64:
        """Return the first `most` of `order` with no category above `share` of them; what is left over fills up.

        One category may always have two items, and a slate of one category stays what it is.
        """
        cap = max(math.ceil(share * most), 2)
        return _spread(order, self.category, most, cap)


@compiled
def _best(ranked: I64, where: Bool, most: int) -> I64:
    out = np.empty(min(ranked.size, most), np.int64)
    n = 0
    for position in ranked:
        if n == out.size:
            break
        if where[position]:
            out[n] = position
            n += 1
    return out[:n]


@compiled
def _most(ranked: I64, values: F64, where: Bool, most: int) -> I64:
    chosen = _best(ranked, where, ranked.size)
    # In descending order, ties in the order they came.
    order = np.argsort(-values[chosen], kind="mergesort")
    return chosen[order[:most]]


@compiled
def _spread(order: I64, category: I32, most: int, cap: int) -> I64:
    out = np.empty(min(order.size, most), np.int64)
    late = np.empty(order.size, np.int64)
    seen = np.zeros(category.max() + 1 if category.size else 1, np.int64)
    n = left = 0
    for position in order:
        if n == out.size:
            break
        seen[category[position]] += 1
        if seen[category[position]] <= cap:
            out[n] = position
            n += 1
        else:
            late[left] = position
            left += 1
    for i in range(min(left, out.size - n)):
        out[n + i] = late[i]
    return out
