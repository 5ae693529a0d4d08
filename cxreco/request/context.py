"""Everything the four sources share about one moment: recalled once, scored once, read by all, in compiled code."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import Moment
from cxreco.recognise.market import Market
from cxreco.recognise.state import State
from cxreco.request.features import RANKER_COLUMN

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
# Columns of the ranker's features that the sources read.
MATCH, TOGETHER, LIKED, FRESH, IN_CART, ORDERS, CART, SINCE, SINCE_VIEW = (
    RANKER_COLUMN[name]
    for name in (
        "recall_query", "recall_copurchase", "recall_cf", "recall_new", "in_cart", "item_orders", "item_cart",
        "item_days_since", "item_days_since_view",
    )
)  # fmt: skip


class Sight(NamedTuple):
    """A moment as compiled code sees it: columns over the (n,) recalled items, and what was asked.

    Attributes
    ----------
    codes, category
        The items and their categories.
    x
        (n, len(RANKER_FEATURES)).
    score, buy
        The ranker's score and the calibrated probability that the item is bought soon.
    grid, days
        (n, horizons) calibrated P(needed again within h days), NaN for what was never bought; 0 and the horizons.
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
    readings
        Of the customer (`readings.READINGS`).
    at, item, query, most
        The instant (us), the code of the item looked at (-1: none), whether something was searched for, and the items
        that a slate may have.
    """

    codes: I32
    category: I32
    x: F64
    score: F64
    buy: F64
    grid: F64
    days: F64
    need: F64
    need_3: F64
    units: F64
    offerable: Bool
    buyable: Bool
    ranked: I64
    readings: F64
    at: int
    item: int
    query: bool
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A moment with what its columns are about."""

    state: State
    moment: Moment
    market: Market
    sight: Sight


@compiled
def best(s: Sight, where: Bool, most: int) -> I64:
    """Return up to `most` positions where `where` holds, best score first."""
    out = np.empty(min(s.ranked.size, max(most, 0)), np.int64)
    n = 0
    for position in s.ranked:
        if n == out.size:
            break
        if where[position]:
            out[n] = position
            n += 1
    return out[:n]


@compiled
def greatest(s: Sight, values: F64, where: Bool, most: int) -> I64:
    """Return up to `most` positions where `where` holds, by value descending, then by score."""
    out = np.empty(min(s.ranked.size, max(most, 0)), np.int64)
    n = 0
    for position in s.ranked:
        if not where[position] or out.size == 0:
            continue
        if n == out.size and not values[position] > values[out[n - 1]]:
            continue
        at = n if n < out.size else n - 1
        while at > 0 and values[out[at - 1]] < values[position]:
            out[at] = out[at - 1]
            at -= 1
        out[at] = position
        n = min(n + 1, out.size)
    return out[:n]


@compiled
def needed(s: Sight, least: float, among: Bool) -> Bool:
    """Return (n,) which of `among` are needed within a week with at least this probability."""
    where = np.empty(s.need.size, np.bool_)
    for i in range(where.size):
        where[i] = among[i] and s.need[i] >= least
    return where
