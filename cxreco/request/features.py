"""What the ranker sees of an item at a moment: one compiled row an item, the same in training and in serving."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.journey import DAY
from cxreco.recognise.market import COMMON, Columns, Market
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.cupboard import cupboard_of
from cxreco.request.cupboard_tables import CUPBOARD, Tables
from cxreco.request.moment_codes import MomentCodes
from cxreco.request.readings import READING, readings_of
from cxreco.request.recalls import RECALLS
from cxreco.request.renewal import gap_posterior, renewal_within, repeat_posterior
from cxreco.request.slot_features import SLOT_FEATURES, places, write_slot

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

_SLOTS = len(SLOT_FEATURES)
_CUSTOMER: tuple[str, ...] = ("orders", "days_since_order", "order_due", "orders_30", "lines_mean", "repeat_share")
_MOMENT: tuple[str, ...] = ("surface", "hour", "is_sought", "in_cart", "cart_size")

RANKER_FEATURES: tuple[str, ...] = (
    *(f"item_{name}" for name in SLOT_FEATURES),
    "item_last_quantity",
    "item_renewal_7",
    "item_share_30",
    "item_share_180",
    "item_orders_since",
    *(f"category_{name}" for name in SLOT_FEATURES),
    *CUPBOARD,
    *COMMON,
    "customer_orders", "customer_days_since", "customer_due", "customer_orders_30", "customer_lines",
    "customer_repeat_share",
    *_MOMENT,
    *(f"recall_{name}" for name in RECALLS),
)  # fmt: skip
RANKER_COLUMN: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(RANKER_FEATURES)})

_WIDTH = len(RANKER_FEATURES)
_LAST_QUANTITY = RANKER_COLUMN["item_last_quantity"]
_CATEGORY = RANKER_COLUMN["category_orders"]
_OF_CATEGORY = _SLOTS + len(CUPBOARD)
_AT_COMMON = RANKER_COLUMN["popularity"]
_DUE, _PRICE, _PRICE_RATIO, _PRICE_CHANGE, _AGE, _SINCE_SOLD = (
    RANKER_COLUMN[name] for name in ("pop_due", "price", "price_ratio", "price_change", "age_days", "days_since_sold")
)
_SOUGHT, _IN_CART = RANKER_COLUMN["is_sought"], RANKER_COLUMN["in_cart"]
_AT_CUSTOMER = RANKER_COLUMN["customer_orders"]
_AT_MOMENT = RANKER_COLUMN["surface"]
_AT_RECALLS = _AT_MOMENT + len(_MOMENT)
_READINGS = tuple(READING[name] for name in _CUSTOMER)
_PRICE_MEAN = READING["price_mean"]
_ORDERS_30, _ORDERS_180 = READING["orders_30"], READING["orders_180"]
_DAYS_SINCE, _GAP = READING["days_since_order"], READING["order_gap"]
_BOUGHT_30, _BOUGHT_180 = RANKER_COLUMN["item_bought_30"], RANKER_COLUMN["item_bought_180"]
_DAY = float(DAY)


@compiled_inner
def _own(out: F64, slots: NDArray[np.void], place: int, code: int, prior: float, m: Columns) -> None:
    """Write what the customer's own purchases of an item say of it; what is common to all stands there already."""
    out[_LAST_QUANTITY] = np.nan
    out[_LAST_QUANTITY + 1] = np.nan
    if place < 0 or slots[place].orders == 0:
        return
    s, since = slots[place], out[1]
    mean, spread = gap_posterior(s.orders - 1.0, s.gap_mean, s.gap_m2, prior, m.gap_sd[code])
    repeat = repeat_posterior(s.orders, m.repeat_share[code])
    out[_LAST_QUANTITY] = s.last_quantity
    out[_LAST_QUANTITY + 1] = renewal_within(mean, spread, repeat, since, 7.0)
    if prior > 0.0:
        out[_DUE] = since / prior
    if s.last_price > 0.0:
        out[_PRICE_CHANGE] = m.price[code] / s.last_price - 1.0


@compiled_inner
def _own_share(out: F64, known: F64) -> None:
    """Write how much of what they order it is of late, and about how many orders they made without it since.

    Shares and orders are of the customer's own clock: what is rare for one who orders weekly is often for another.
    """
    for column in (2, 3):
        orders = known[_ORDERS_30 if column == 2 else _ORDERS_180]
        out[_LAST_QUANTITY + column] = out[_BOUGHT_30 if column == 2 else _BOUGHT_180] / orders if orders > 0.0 else 0.0
    out[_LAST_QUANTITY + 4] = np.nan
    if out[0] > 0.0:
        out[_LAST_QUANTITY + 4] = max(out[1] - known[_DAYS_SINCE], 0.0) / known[_GAP]


@compiled_inner
def _stranger(out: F64, customer: tuple[NDArray[np.void], F64], moment: tuple[int, I32, int, int, int, int]) -> None:
    """Write what holds of every item that the customer never bought or saw; the columns of the item are left."""
    items, known = customer
    write_slot(out, items, -1, moment[5], np.nan, np.nan, known[0])
    out[_LAST_QUANTITY] = np.nan
    out[_LAST_QUANTITY + 1] = np.nan
    _own_share(out, known)
    for i in range(6):
        out[_AT_CUSTOMER + i] = known[_READINGS[i]]
    out[_AT_MOMENT] = moment[2]
    out[_AT_MOMENT + 1] = moment[3]
    out[_SOUGHT] = 0.0
    out[_IN_CART] = 0.0
    out[_AT_MOMENT + 4] = moment[1].size


@compiled
def ranker_rows(
    customer: tuple[NDArray[np.void], NDArray[np.void], F64, F64],
    moment: tuple[int, I32, int, int, int, int],
    codes: I32,
    recall_scores: F64,
    m: Columns,
) -> F64:
    """Return `item_features`, for compiled callers.

    Parameters
    ----------
    customer
        Item slots, category slots, readings, and what `cupboard_rows` infers.
    moment
        Code of the item looked at, the cart, the surface, the hour, the instant in microseconds and in seconds.
    """
    items, categories, known, inferred = customer
    at_s = moment[5]
    out = np.empty((codes.size, _WIDTH))
    stranger = np.empty(_WIDTH)
    _stranger(stranger, (items, known), moment)
    category = np.empty(codes.size, np.int32)
    for row in range(codes.size):
        category[row] = m.category[codes[row]]
    item_place, category_place = places(items, codes), places(categories, category)
    # Many items share a category: each is written once, the last row is that of categories never bought or seen.
    of_category = np.empty((categories.size + 1, _OF_CATEGORY))
    for place in range(categories.size + 1):
        at_place = place if place < categories.size else -1
        # A category that was coded after the market was made is nobody's here.
        known_here = at_place >= 0 and 0 <= categories[place].key < m.category_gap_mean.size
        gap = m.category_gap_mean[categories[place].key] if known_here else np.nan
        write_slot(of_category[place], categories, at_place, at_s, gap, np.nan, known[0])
        of_category[place, _SLOTS:] = inferred[place]
    of_row = (category, category_place, item_place)
    _write_rows(out, (stranger, of_category, recall_scores), of_row, (items, known), moment, codes, m)
    return out


@compiled_inner
def _write_rows(
    out: F64,
    parts: tuple[F64, F64, F64],
    of_row: tuple[I32, I32, I32],
    customer: tuple[NDArray[np.void], F64],
    moment: tuple[int, I32, int, int, int, int],
    codes: I32,
    m: Columns,
) -> None:
    """Write the rows of `ranker_rows`: the parts that rows share are copied, the rest is computed."""
    (stranger, of_category, recall_scores), (category, category_place, place) = parts, of_row
    items, known = customer
    looked_at, cart, at = moment[0], moment[1], moment[4]
    for row in range(codes.size):
        code, x = codes[row], out[row]
        for i in range(_WIDTH):
            x[i] = stranger[i]
        for i in range(_OF_CATEGORY):
            x[_CATEGORY + i] = of_category[category_place[row], i]
        for i in range(len(COMMON)):
            x[_AT_COMMON + i] = m.common[code, i]
        x[_PRICE_RATIO] = x[_PRICE] / known[_PRICE_MEAN]
        x[_AGE] = (at - x[_AGE]) / _DAY
        x[_SINCE_SOLD] = (at - x[_SINCE_SOLD]) / _DAY
        if place[row] >= 0:
            prior = m.gap_mean[code] if m.gap_mean[code] == m.gap_mean[code] else m.category_gap_mean[category[row]]
            write_slot(x, items, place[row], moment[5], prior, m.gap_sd[code], known[0])
            _own(x, items, place[row], code, prior, m)
            _own_share(x, known)
        if code == looked_at:
            x[_SOUGHT] = 1.0
        for other in cart:
            if other == code:
                x[_IN_CART] = 1.0
        for i in range(recall_scores.shape[1]):
            x[_AT_RECALLS + i] = recall_scores[row, i]


def item_features(
    state: State,
    mc: MomentCodes,
    market: Market,
    codes: I32,
    recall_scores: F64,
    cupboard: Tables,
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
    cupboard
        What the category's need is inferred by.

    Returns
    -------
    (n, len(RANKER_FEATURES)); NaN where not known.
    """
    inferred = cupboard_of(state.category_slots, mc.at, cupboard)
    customer = (state.item_slots, state.category_slots, readings_of(state, mc.at), inferred)
    moment = (mc.item, mc.cart, mc.surface, mc.hour, mc.at, seconds(mc.at))
    return ranker_rows(customer, moment, codes, recall_scores, market.columns)
