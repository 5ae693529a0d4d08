"""What sells of a log: units a day with old sales fading, their trend, the latest orders, and when orders come."""

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import DAY, HOUR

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

HALF_LIFE_DAYS = 30.0
# Pseudo-counts: units of a trend, orders of a clock.
TREND_STRENGTH = 2.0
ORDER_STRENGTH = 24.0


def counted(codes: I64, n: int, weights: F64 | NDArray[np.bool_] | None = None) -> F64:
    """Return (n,) how often each code occurs, or the sum of its weights."""
    return np.bincount(codes, weights=weights, minlength=n).astype(np.float64)


def exposure(days: F64 | float) -> F64:
    """Return what one unit a day comes to in decayed units, after so many days."""
    return np.asarray(HALF_LIFE_DAYS / np.log(2.0) * -np.expm1(-np.log(2.0) * np.asarray(days) / HALF_LIFE_DAYS))


def sales(lines: NDArray[np.void], as_of: int, n: int, known_days: float) -> tuple[F64, F64]:
    """Return popularity and trend, see `Population`, of a log that has lasted so many days."""
    item, age = lines["item"], (as_of - lines["at"]) / DAY
    units = np.log2(1.0 + np.maximum(np.nan_to_num(lines["quantity"].astype(np.float64), nan=1.0), 0.0))
    week, month = min(known_days, 7.0), min(known_days, 30.0)
    in_week = counted(item, n, units * (age <= week))
    in_month = counted(item, n, units * (age <= month))
    popularity = counted(item, n, units * np.exp2(-age / HALF_LIFE_DAYS)) / exposure(known_days)
    return popularity, (in_week + TREND_STRENGTH) / (in_month * week / month + TREND_STRENGTH)


def latest(lines: NDArray[np.void], customer: I64, as_of: int, n: int) -> F64:
    """Return (n,) share of the customers' latest orders that held each item, a later one counting more."""
    last = np.zeros(int(customer.max()) + 1 if customer.size else 0, dtype=np.int64)
    np.maximum.at(last, customer, lines["at"])
    weight = np.where(last > 0, np.exp2(-(as_of - last) / (DAY * HALF_LIFE_DAYS)), 0.0)
    in_latest = lines["at"] == last[customer]
    held = np.unique(customer[in_latest] * max(n, 1) + lines["item"][in_latest])
    return counted(held % max(n, 1), n, weight[held // max(n, 1)]) / max(float(weight.sum()), 1e-9)


def clock(at: I64, customer: I64) -> tuple[F64, F64]:
    """Return when orders come; the lines of a customer in an hour are one."""
    span = int(customer.max()) + 1 if customer.size else 1
    orders = np.unique(at // HOUR * span + customer) // span
    hours = np.bincount(orders % 24, minlength=24) + ORDER_STRENGTH / 24
    # 1970 began on a Thursday.
    weekdays = np.bincount((orders // 24 + 3) % 7, minlength=7) + ORDER_STRENGTH / 7
    return hours / hours.sum(), weekdays / weekdays.sum()
