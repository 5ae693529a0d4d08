"""What the need model sees of an item or a category that the customer has bought: own rhythm, and the population's."""

import math

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.recognise.market import Columns, Market
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.readings import READING, readings_of
from cxreco.request.renewal import gap_posterior, renewal_within, repeat_posterior
from cxreco.request.slot_features import places, write_slot

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# `gap`, `spread` and `repeat` are the posteriors of `renewal`; the rest is what it does not use.
NEED_FEATURES: tuple[str, ...] = (
    "orders", "days_since", "gap_mean", "gap_sd", "due", "share", "bought_30", "bought_180",
    "viewed_7", "days_since_view", "cart", "returned", "accepted", "dismissed",
    "gap", "spread", "repeat", "pop_gap", "pop_repeat", "quantity_ratio", "category_days_since", "is_category",
    "customer_orders", "customer_days_since", "customer_due", "customer_orders_30", "days_since_visit",
)  # fmt: skip
EXPANDED_FEATURES: tuple[str, ...] = (*NEED_FEATURES, "horizon", "renewal")
_WIDTH = len(NEED_FEATURES)
_CUSTOMER = tuple(
    READING[name] for name in ("orders", "days_since_order", "order_due", "orders_30", "days_since_visit")
)
_SINCE, _GAP, _SPREAD, _REPEAT = (NEED_FEATURES.index(name) for name in ("days_since", "gap", "spread", "repeat"))


@compiled_inner
def _write(out: F64, slots: NDArray[np.void], place: I32, rhythm: F64, readings: F64, at_s: int) -> None:
    for row in range(place.size):
        # The columns of `rhythm`: the population's gap, its spread, its repeat share; days since the category.
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
def expanded(features: F64, horizons: F64) -> tuple[F64, F64]:
    """Return `expand`, for compiled callers."""
    n, width, steps = features.shape[0], features.shape[1], horizons.size
    x = np.empty((n * steps, width + 2))
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
            offset[at] = math.log(p / (1.0 - p))
    return x, offset


@compiled
def expand_known(features: F64, horizons: F64) -> tuple[NDArray[np.int64], F64, F64]:
    """Return the rows that were ever bought, and what `expand` gives of them."""
    rows = np.flatnonzero(features[:, 0] >= 1.0)
    known = np.empty((rows.size, features.shape[1]))
    for i in range(rows.size):
        known[i] = features[rows[i]]
    x, offset = expanded(known, horizons)
    return rows, x, offset


def expand(features: F64, horizons: F64) -> tuple[F64, F64]:
    """Return a row for each row and horizon, in that order.

    Returns
    -------
    x
        (n * len(horizons), len(EXPANDED_FEATURES)).
    offset
        (n * len(horizons),) log-odds of the closed form, that the learned model starts from.
    """
    return expanded(features, horizons)


def item_need_features(state: State, market: Market, codes: I32, at: int, readings: F64 | None = None) -> F64:
    """Return (n, len(NEED_FEATURES)) of items by code, as of `at` (microseconds)."""
    known = readings_of(state, at) if readings is None else readings
    return need_rows((state.item_slots, state.category_slots, known), codes, seconds(at), market.columns)


@compiled
def need_rows(customer: tuple[NDArray[np.void], NDArray[np.void], F64], codes: I32, at_s: int, m: Columns) -> F64:
    """Return `item_need_features`, for compiled callers; `customer` is item slots, category slots, readings."""
    items, categories, known = customer
    out = np.empty((codes.size, _WIDTH))
    _write(out, items, places(items, codes), _item_rhythms(codes, categories, at_s, m), known, at_s)
    return out


@compiled
def _item_rhythms(codes: I32, categories: NDArray[np.void], at_s: int, m: Columns) -> F64:
    """Return the columns that `_write` reads of each item; of a gap nobody has, its category's."""
    category = np.empty(codes.size, np.int32)
    for row in range(codes.size):
        category[row] = m.category[codes[row]]
    place = places(categories, category)
    out = np.zeros((codes.size, 5))
    for row in range(codes.size):
        code, gap = codes[row], m.gap_mean[codes[row]]
        out[row, 0] = gap if gap == gap else m.category_gap_mean[category[row]]
        out[row, 1] = m.gap_sd[code]
        out[row, 2] = m.repeat_share[code]
        last = categories[place[row]].last_at if place[row] >= 0 else 0
        out[row, 3] = (at_s - np.int64(last)) / 86_400.0 if last > 0 else np.nan
    return out


def category_need_features(state: State, market: Market, codes: I32, at: int, readings: F64 | None = None) -> F64:
    """Return (n, len(NEED_FEATURES)) of categories by code, as of `at` (microseconds)."""
    population = market.population
    rhythm = np.full((codes.size, 5), np.nan)
    rhythm[:, 0] = population.category_gap_mean[codes]
    rhythm[:, 2] = population.category_repeat_share[codes]
    rhythm[:, 4] = 1.0
    out = np.empty((codes.size, _WIDTH))
    known = readings_of(state, at) if readings is None else readings
    _write(out, state.category_slots, places(state.category_slots, codes), rhythm, known, seconds(at))
    return out
