"""What a slot of the state (the customer and one item, or one category) says at an instant; compiled, row by row."""

import math

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.request.readings import days_since, faded
from cxreco.request.renewal import gap_posterior

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# What `write_slot` writes, in this order; a slot that is not there is all zeros and NaN.
SLOT_FEATURES: tuple[str, ...] = (
    "orders", "days_since", "gap_mean", "gap_sd", "due", "share", "bought_30", "bought_180",
    "viewed_7", "days_since_view", "cart", "returned", "accepted", "dismissed",
)  # fmt: skip
# Columns of those that are counts: zero, not unknown, where the customer has no slot.
_COUNTS = (0, 5, 6, 7, 8, 10, 11, 12, 13)


@compiled
def places(slots: NDArray[np.void], codes: I32) -> I32:
    """Return (n,) where each code is among `slots`, -1 where it is not. Codes below 0 are never found.

    A hash table of twice the slots, open addressing: one pass over each, whatever the order.
    """
    size = 8
    while size < 2 * slots.size:
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    mask = size - 1
    for i in range(slots.size):
        at = (np.int64(slots[i].key) * 2654435761) & mask
        while table[at] >= 0:
            at = (at + 1) & mask
        table[at] = i
    out = np.full(codes.size, -1, dtype=np.int32)
    for row in range(codes.size):
        code = codes[row]
        if code < 0:
            continue
        at = (np.int64(code) * 2654435761) & mask
        while table[at] >= 0:
            if slots[table[at]].key == code:
                out[row] = table[at]
                break
            at = (at + 1) & mask
    return out


@compiled_inner
def write_slot(
    out: F64, slots: NDArray[np.void], place: int, at_s: int, pop_mean: float, pop_sd: float, orders: float
) -> None:
    """Write `SLOT_FEATURES` of slot `place` (-1: none) into the first columns of `out`.

    Parameters
    ----------
    at_s
        The instant, seconds.
    pop_mean, pop_sd
        The population's gap for it, days; NaN where unknown.
    orders
        Of the customer, all in all.
    """
    if place < 0:
        for column in range(14):
            out[column] = np.nan
        for column in _COUNTS:
            out[column] = 0.0
        return
    s = slots[place]
    gaps = max(s.orders - 1.0, 0.0)
    out[0] = s.orders
    out[1] = days_since(at_s, s.last_at)
    out[2] = s.gap_mean if gaps > 0.0 else np.nan
    out[3] = math.sqrt(max(s.gap_m2, 0.0) / (gaps - 1.0)) if gaps > 1.0 else np.nan
    out[4] = np.nan
    if s.orders > 0:
        mean, _ = gap_posterior(gaps, s.gap_mean, s.gap_m2, pop_mean, pop_sd)
        out[4] = out[1] / mean
    out[5] = s.orders / orders if orders > 0.0 else 0.0
    out[6] = faded(s.bought_30, 30.0, s.decayed_at, at_s)
    out[7] = faded(s.bought_180, 180.0, s.decayed_at, at_s)
    out[8] = faded(s.viewed_7, 7.0, s.decayed_at, at_s)
    out[9] = days_since(at_s, s.viewed_at)
    out[10] = s.cart
    out[11] = s.returned
    out[12] = faded(s.accepted_60, 60.0, s.decayed_at, at_s)
    out[13] = faded(s.dismissed_60, 60.0, s.decayed_at, at_s)
