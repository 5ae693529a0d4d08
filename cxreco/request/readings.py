"""What is read off a customer's state at an instant: one vector, named, shared by features, rules and value heads."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.renewal import gap_posterior

F64 = NDArray[np.float64]

# In the order that `_read` fills. Days, units and money; NaN: not known.
READINGS: tuple[str, ...] = (
    "orders", "days_since_order", "order_gap", "order_due", "orders_30", "orders_180", "spend_30", "spend_180",
    "value_mean", "margin_mean", "lines_mean", "price_mean", "visits_30", "days_since_visit", "views_7",
    "searches_7", "adds_7", "repeat_share", "tenure_days", "complaints_open", "complaints_180", "rating_mean",
    "nps", "returned_share", "items_known", "auto_right", "auto_wrong", "referrals",
)  # fmt: skip
READING: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(READINGS)})
DAY_S = 86_400.0


@compiled
def faded(value: float, half_life_days: float, from_s: int, at_s: int) -> float:
    """Return a decayed sum brought forward, for compiled callers: `recognise.reading.decayed`."""
    return value * float(np.exp2(-max(float(at_s) - float(from_s), 0.0) / DAY_S / half_life_days))


@compiled
def days_since(at_s: int, then_s: int) -> float:
    """Return days from `then_s` to `at_s` (seconds), never below 0; NaN where it never happened."""
    if then_s == 0:
        return np.nan
    return max(float(at_s) - float(then_s), 0.0) / DAY_S


@compiled_inner
def _orders(out: F64, head: NDArray[np.void], at_s: int) -> None:
    h = head[0]
    out[0] = h.orders
    out[1] = days_since(at_s, h.last_order_at)
    out[2] = np.nan
    out[3] = np.nan
    if h.orders > 0:
        mean, _ = gap_posterior(h.orders - 1.0, h.gap_mean, h.gap_m2, np.nan, np.nan)
        out[2] = mean
        out[3] = out[1] / mean
    out[4] = faded(h.orders_30, 30.0, h.decayed_at, at_s)
    out[5] = faded(h.orders_180, 180.0, h.decayed_at, at_s)
    out[6] = faded(h.spend_30, 30.0, h.decayed_at, at_s)
    out[7] = faded(h.spend_180, 180.0, h.decayed_at, at_s)
    means = (h.value_mean, h.margin_mean, h.lines_mean, h.price_mean)
    for i in range(4):
        out[8 + i] = means[i] if h.orders > 0 else np.nan


@compiled_inner
def _rest(out: F64, head: NDArray[np.void], items: NDArray[np.void], at_s: int) -> None:
    h = head[0]
    out[12] = faded(h.visits_30, 30.0, h.decayed_at, at_s)
    out[13] = days_since(at_s, h.last_visit_at)
    out[14] = faded(h.views_7, 7.0, h.decayed_at, at_s)
    out[15] = faded(h.searches_7, 7.0, h.decayed_at, at_s)
    out[16] = faded(h.adds_7, 7.0, h.decayed_at, at_s)
    bought = 0.0
    distinct = 0.0
    for i in range(items.size):
        if items[i].orders > 0:
            bought += items[i].orders
            distinct += 1.0
    out[17] = 1.0 - distinct / bought if bought > 0.0 else np.nan
    out[18] = days_since(at_s, h.first_at)
    out[19] = h.complaints_open
    out[20] = faded(h.complaints_180, 180.0, h.decayed_at, at_s)
    out[21] = h.rating_mean if h.ratings > 0 else np.nan
    out[22] = h.survey[0] if h.survey_at[0] > 0 else np.nan
    lines = out[5] * out[10]
    out[23] = np.nan
    if lines > 0.0:
        out[23] = min(faded(h.returned_180, 180.0, h.decayed_at, at_s) / lines, 1.0)
    out[24] = distinct
    out[25] = h.auto_right
    out[26] = h.auto_wrong
    out[27] = h.referrals


@compiled
def read(head: NDArray[np.void], items: NDArray[np.void], at_s: int) -> F64:
    """Return (len(READINGS),) what is known of a customer at an instant (seconds), from the records of the state."""
    out = np.empty(len(READINGS))
    _orders(out, head, at_s)
    _rest(out, head, items, at_s)
    return out


def readings_of(state: State, at: int) -> F64:
    """Return (len(READINGS),) what is known of the customer at `at` (microseconds, not before the state)."""
    return read(state.head, state.item_slots, seconds(at))


def readings(state: State, at: int) -> dict[str, float]:
    """Return the same as a mapping, for rules and explanations."""
    return dict(zip(READINGS, readings_of(state, at).tolist(), strict=True))
