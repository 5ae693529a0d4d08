"""What the ranker sees of an item at a moment: one compiled row an item, the same in training and in serving."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import DAY
from cxreco.recognise.market import Market
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.moment_codes import MomentCodes
from cxreco.request.readings import READING, readings_of
from cxreco.request.recalls import RECALLS
from cxreco.request.renewal import gap_posterior, renewal_within, repeat_posterior
from cxreco.request.slot_features import SLOT_FEATURES, places, write_slot

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

_SLOTS = len(SLOT_FEATURES)
_SHELF: tuple[str, ...] = (
    "popularity", "popularity_share", "trend", "repeat_share", "pop_gap", "pop_due", "return_rate",
    "price", "price_ratio", "price_change", "margin_share", "age_days", "days_since_sold", "category_popularity",
)  # fmt: skip
_CUSTOMER: tuple[str, ...] = ("orders", "days_since_order", "order_due", "orders_30", "lines_mean", "repeat_share")
_MOMENT: tuple[str, ...] = ("surface", "hour", "is_sought", "in_cart", "cart_size")

RANKER_FEATURES: tuple[str, ...] = (
    *(f"item_{name}" for name in SLOT_FEATURES),
    "item_last_quantity",
    "item_renewal_7",
    *(f"category_{name}" for name in SLOT_FEATURES),
    *_SHELF,
    "customer_orders", "customer_days_since", "customer_due", "customer_orders_30", "customer_lines",
    "customer_repeat_share",
    *_MOMENT,
    *(f"recall_{name}" for name in RECALLS),
)  # fmt: skip
RANKER_COLUMN: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(RANKER_FEATURES)})

_LAST_QUANTITY = RANKER_COLUMN["item_last_quantity"]
_CATEGORY = RANKER_COLUMN["category_orders"]
_AT_SHELF = RANKER_COLUMN["popularity"]
_AT_CUSTOMER = RANKER_COLUMN["customer_orders"]
_AT_MOMENT = RANKER_COLUMN["surface"]
_AT_RECALLS = _AT_MOMENT + len(_MOMENT)
_READINGS = np.array([READING[name] for name in _CUSTOMER])
_PRICE_MEAN = READING["price_mean"]
# Columns of what is gathered of each item for `_own`.
_GAP, _SD, _REPEAT, _PRICE, _CATEGORY_GAP = range(5)


@compiled
def _own(
    out: F64,
    items: NDArray[np.void],
    item: I32,
    categories: NDArray[np.void],
    category: I32,
    facts: F64,
    orders: float,
    at_s: int,
) -> None:
    for row in range(item.size):
        gap, sd, category_gap = facts[row, _GAP], facts[row, _SD], facts[row, _CATEGORY_GAP]
        prior = gap if gap == gap else category_gap
        write_slot(out[row], items, item[row], at_s, prior, sd, orders)
        write_slot(out[row, _CATEGORY:], categories, category[row], at_s, category_gap, np.nan, orders)
        out[row, _LAST_QUANTITY] = np.nan
        out[row, _LAST_QUANTITY + 1] = np.nan
        out[row, _AT_SHELF + 5] = np.nan
        out[row, _AT_SHELF + 9] = np.nan
        if item[row] < 0 or items[item[row]].orders == 0:
            continue
        s = items[item[row]]
        since = out[row, 1]
        mean, spread = gap_posterior(s.orders - 1.0, s.gap_mean, s.gap_m2, prior, sd)
        repeat = repeat_posterior(s.orders, facts[row, _REPEAT])
        out[row, _LAST_QUANTITY] = s.last_quantity
        out[row, _LAST_QUANTITY + 1] = renewal_within(mean, spread, repeat, since, 7.0)
        if prior > 0.0:
            out[row, _AT_SHELF + 5] = since / prior
        if s.last_price > 0.0:
            out[row, _AT_SHELF + 9] = facts[row, _PRICE] / s.last_price - 1.0


def item_features(
    state: State,
    mc: MomentCodes,
    market: Market,
    codes: I32,
    recall_scores: F64,
    readings: F64 | None = None,
) -> F64:
    """Return what the ranker sees of items at a moment.

    Parameters
    ----------
    state
        Of the customer, as of the moment.
    mc
        The moment, in codes.
    market
        What was published before the moment.
    codes
        (n,) items.
    recall_scores
        (n, len(RECALLS)) as `recall_all` gives them.
    readings
        `readings_of(state, mc.at)` where the caller has them already.

    Returns
    -------
    (n, len(RANKER_FEATURES)); NaN where not known.
    """
    known = readings_of(state, mc.at) if readings is None else readings
    out = np.empty((codes.size, len(RANKER_FEATURES)))
    category = market.shelf.category[codes]
    population = market.population
    facts = np.empty((codes.size, 5))
    facts[:, _GAP] = population.gap_mean[codes]
    facts[:, _SD] = population.gap_sd[codes]
    facts[:, _REPEAT] = population.repeat_share[codes]
    facts[:, _PRICE] = market.shelf.price[codes]
    facts[:, _CATEGORY_GAP] = population.category_gap_mean[category]
    _own(
        out, state.item_slots, places(state.item_slots, codes), state.category_slots,
        places(state.category_slots, category), facts, known[0], seconds(mc.at),
    )  # fmt: skip
    _shelf(out, market, codes, category, facts, known[_PRICE_MEAN], mc.at)
    out[:, _AT_CUSTOMER:_AT_MOMENT] = known[_READINGS]
    _moment(out, mc, codes)
    out[:, _AT_RECALLS:] = recall_scores
    return out


def _shelf(out: F64, market: Market, codes: I32, category: I32, facts: F64, price_mean: float, at: int) -> None:
    population, shelf = market.population, market.shelf
    popularity = population.popularity[codes]
    price = facts[:, _PRICE]
    born, sold = shelf.born_at[codes], population.last_sold_at[codes]
    own = out[:, _AT_SHELF : _AT_SHELF + len(_SHELF)]
    own[:, 0] = popularity
    own[:, 1] = popularity / market_top(market)
    own[:, 2] = population.trend[codes]
    own[:, 3] = facts[:, _REPEAT]
    own[:, 4] = facts[:, _GAP]
    own[:, 6] = population.return_rate[codes]
    own[:, 7] = price
    own[:, 8] = price / price_mean
    own[:, 10] = shelf.margin[codes] / np.where(price > 0.0, price, np.nan)
    own[:, 11] = np.where(born > 0, (at - born) / DAY, np.nan)
    own[:, 12] = np.where(sold > 0, (at - sold) / DAY, np.nan)
    own[:, 13] = population.category_popularity[category]


def _moment(out: F64, mc: MomentCodes, codes: I32) -> None:
    own = out[:, _AT_MOMENT:_AT_RECALLS]
    own[:, 0] = mc.surface
    own[:, 1] = mc.hour
    own[:, 2] = codes == mc.item if mc.item >= 0 else 0.0
    own[:, 3] = np.isin(codes, mc.cart) if mc.cart.size else 0.0
    own[:, 4] = mc.cart.size


def market_top(market: Market) -> float:
    """Return the popularity of the best seller; 1 where nothing has been sold, so that shares of it are 0."""
    top = market.population.top
    best = float(market.population.popularity[top[0]]) if len(top) else 0.0
    return best if best > 0.0 else 1.0
