"""What the need model sees of an item or a category that the customer has bought: own rhythm, and the population's."""

import math

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.recognise.market import Columns, Market
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.cupboard import category_share, cupboard_of, within
from cxreco.request.cupboard_tables import CUPBOARD, Tables
from cxreco.request.readings import READING, readings_of
from cxreco.request.renewal import gap_posterior, renewal_within, repeat_posterior
from cxreco.request.slot_features import places, write_slot

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# `gap`, `spread` and `repeat` are the posteriors of `renewal`; the last ones are what `cupboard` infers of the
# category, and the share of its orders that the item has; the rest is what neither uses.
NEED_FEATURES: tuple[str, ...] = (
    "orders", "days_since", "gap_mean", "gap_sd", "due", "share", "bought_30", "bought_180",
    "viewed_7", "days_since_view", "cart", "returned", "accepted", "dismissed",
    "gap", "spread", "repeat", "pop_gap", "pop_repeat", "quantity_ratio", "category_days_since", "is_category",
    "customer_orders", "customer_days_since", "customer_due", "customer_orders_30", "days_since_visit",
    *CUPBOARD, "category_share",
)  # fmt: skip
EXPANDED_FEATURES: tuple[str, ...] = (*NEED_FEATURES, "horizon", "renewal", "cupboard")
_WIDTH = len(NEED_FEATURES)
_CUSTOMER = tuple(
    READING[name] for name in ("orders", "days_since_order", "order_due", "orders_30", "days_since_visit")
)
_CUPBOARD = NEED_FEATURES.index(CUPBOARD[0])
_IS_CATEGORY = NEED_FEATURES.index("is_category")
_SHARE = NEED_FEATURES.index("category_share")
_SINCE, _GAP, _SPREAD, _REPEAT = (NEED_FEATURES.index(name) for name in ("days_since", "gap", "spread", "repeat"))


@compiled_inner
def _write(out: F64, slots: NDArray[np.void], place: I32, rhythm: F64, readings: F64, at_s: int) -> None:
    for row in range(place.size):
        # The columns of `rhythm`: the population's gap, its spread, its repeat share; days since the category; whether
        # it is one; the category's orders; and what is inferred of its cupboard.
        pop_gap, pop_sd, pop_repeat = rhythm[row, 0], rhythm[row, 1], rhythm[row, 2]
        write_slot(out[row], slots, place[row], at_s, pop_gap, pop_sd, readings[0])
        orders = out[row, 0]
        own_mean, own_m2, ratio = 0.0, 0.0, np.nan
        if orders > 0.0:
            s = slots[place[row]]
            own_mean, own_m2 = float(s.gap_mean), float(s.gap_m2)
            if s.quantity_mean > 0.0:
                ratio = s.last_quantity / s.quantity_mean
        mean, spread = gap_posterior(max(orders - 1.0, 0.0), own_mean, own_m2, pop_gap, pop_sd)
        out[row, 14] = mean
        out[row, 15] = spread
        out[row, 16] = repeat_posterior(orders, pop_repeat)
        out[row, 17] = pop_gap
        out[row, 18] = pop_repeat
        out[row, 19] = ratio
        out[row, 20] = rhythm[row, 3]
        out[row, 21] = rhythm[row, 4]
        for i in range(5):
            out[row, 22 + i] = readings[_CUSTOMER[i]]
        for i in range(len(CUPBOARD)):
            out[row, _CUPBOARD + i] = rhythm[row, 6 + i]
        out[row, _SHARE] = category_share(orders, rhythm[row, 5]) if rhythm[row, 4] == 0.0 else 1.0


@compiled
def _renewal(features: F64, horizon: float) -> F64:
    out = np.empty(features.shape[0])
    for row in range(out.size):
        f = features[row]
        out[row] = renewal_within(f[_GAP], f[_SPREAD], f[_REPEAT], f[_SINCE], horizon)
    return out


def renewal(features: F64, horizon: float) -> F64:
    """Return the closed-form P(next purchase within `horizon` days), (n,); NaN for what was never bought."""
    return np.asarray(_renewal(features, horizon))


@compiled
def expanded(features: F64, horizons: F64, by_cupboard: F64) -> tuple[F64, F64]:
    """Return `expand`, for compiled callers."""
    n, width, steps = features.shape[0], features.shape[1], horizons.size
    x = np.empty((n * steps, width + 3))
    offset = np.empty(n * steps)
    for row in range(n):
        f = features[row]
        for step in range(steps):
            p = renewal_within(f[_GAP], f[_SPREAD], f[_REPEAT], f[_SINCE], horizons[step])
            p = min(max(p, 1e-4), 1.0 - 1e-4)
            at = row * steps + step
            x[at, :width] = f
            x[at, width] = horizons[step]
            x[at, width + 1] = p
            q = within(f[_CUPBOARD + 1 :], horizons[step])
            x[at, width + 2] = q
            if q == q:
                part = by_cupboard[int(f[_IS_CATEGORY])]
                p = (1.0 - part) * p + part * min(max(q * f[_SHARE], 1e-4), 1.0 - 1e-4)
            offset[at] = math.log(p / (1.0 - p))
    return x, offset


@compiled
def expand_known(features: F64, horizons: F64, by_cupboard: F64) -> tuple[NDArray[np.int64], F64, F64]:
    """Return the rows that were ever bought, and what `expand` gives of them."""
    rows = np.flatnonzero(features[:, 0] >= 1.0)
    known = np.empty((rows.size, features.shape[1]))
    for i in range(rows.size):
        known[i] = features[rows[i]]
    x, offset = expanded(known, horizons, by_cupboard)
    return rows, x, offset


def expand(features: F64, horizons: F64, by_cupboard: F64) -> tuple[F64, F64]:
    """Return a row for each row and horizon, in that order.

    Parameters
    ----------
    by_cupboard
        (2,) how far the cupboard is asked of an item, and of a category, 0 to 1; the rest is the closed form's.

    Returns
    -------
    x
        (n * len(horizons), len(EXPANDED_FEATURES)).
    offset
        (n * len(horizons),) log-odds that the learned model starts from: the closed form, mixed with what the cupboard
        says of the category times the item's share of it, where one is inferred.
    """
    return expanded(features, horizons, by_cupboard)


def item_need_features(state: State, market: Market, codes: I32, at: int, cupboard: Tables) -> F64:
    """Return (n, len(NEED_FEATURES)) of items by code, as of `at` (microseconds)."""
    known = (state.item_slots, state.category_slots, readings_of(state, at))
    inferred = cupboard_of(state.category_slots, at, cupboard)
    return need_rows((*known, inferred), codes, seconds(at), market.columns)


@compiled
def need_rows(customer: tuple[NDArray[np.void], NDArray[np.void], F64, F64], codes: I32, at_s: int, m: Columns) -> F64:
    """Return `item_need_features`, for compiled callers.

    `customer` is item slots, category slots, readings, and what `cupboard_rows` infers.
    """
    items, categories, known, inferred = customer
    out = np.empty((codes.size, _WIDTH))
    _write(out, items, places(items, codes), _item_rhythms(codes, (categories, inferred), at_s, m), known, at_s)
    return out


@compiled
def _item_rhythms(codes: I32, known: tuple[NDArray[np.void], F64], at_s: int, m: Columns) -> F64:
    """Return the columns that `_write` reads of each item; of a gap nobody has, its category's."""
    categories, inferred = known
    category = np.empty(codes.size, np.int32)
    for row in range(codes.size):
        category[row] = m.category[codes[row]]
    place = places(categories, category)
    out = np.zeros((codes.size, 6 + len(CUPBOARD)))
    for row in range(codes.size):
        code, gap = codes[row], m.gap_mean[codes[row]]
        out[row, 0] = gap if gap == gap else m.category_gap_mean[category[row]]
        out[row, 1] = m.gap_sd[code]
        out[row, 2] = m.repeat_share[code]
        last = categories[place[row]].last_at if place[row] >= 0 else 0
        out[row, 3] = (at_s - np.int64(last)) / 86_400.0 if last > 0 else np.nan
        out[row, 5] = categories[place[row]].orders if place[row] >= 0 else 0.0
        out[row, 6:] = inferred[place[row]]
    return out


def category_need_features(state: State, market: Market, codes: I32, at: int, cupboard: Tables) -> F64:
    """Return (n, len(NEED_FEATURES)) of categories by code, as of `at` (microseconds)."""
    population = market.population
    place = places(state.category_slots, codes)
    rhythm = np.full((codes.size, 6 + len(CUPBOARD)), np.nan)
    rhythm[:, 0] = population.category_gap_mean[codes]
    rhythm[:, 2] = population.category_repeat_share[codes]
    rhythm[:, 4] = 1.0
    rhythm[:, 6:] = cupboard_of(state.category_slots, at, cupboard)[place]
    out = np.empty((codes.size, _WIDTH))
    _write(out, state.category_slots, place, rhythm, readings_of(state, at), seconds(at))
    return out
