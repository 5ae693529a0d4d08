"""What a customer is still worth at the moment of a decision: what an unsubscribe or a complaint may be priced by.

BG/NBD with Gamma-Gamma (see `repeat/lifetime.py`, which learns them) over a declared horizon, compiled, from what the
value heads see of the customer: orders, days since the last, days since they were first seen, and their mean margin.
Nothing of it lies after the moment. The number is kept with the decision, so that rewards take the very same.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.request.candidates import VALUE_COLUMN

F64 = NDArray[np.float64]
ORDERS, SINCE, TENURE, MARGIN = (
    VALUE_COLUMN[name] for name in ("orders", "days_since_order", "tenure_days", "margin_mean")
)
# Below a day of exposure the series takes too long, and nothing is known of a rate that fast.
LEAST_EXPOSURE = 1.0
MOST_TERMS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StillWorth:
    """Parameters in days and margin; of a shop of which nothing could be learned r is 0, and nobody is worth anything.

    Attributes
    ----------
    r, alpha, a, b
        BG/NBD: how often customers order, and whether they still do.
    p, q, gamma
        Gamma-Gamma: what an order brings.
    usual
        Mean margin of an order of those of whom none was seen.
    days
        Horizon.
    """

    r: float = 0.0
    alpha: float = 1.0
    a: float = 1.0
    b: float = 1.0
    p: float = 1.0
    q: float = 2.0
    gamma: float = 1.0
    usual: float = 0.0
    days: float = 365.0

    def __post_init__(self) -> None:
        numbers = self.numbers
        if not (np.isfinite(numbers).all() and numbers.min() >= 0.0 and min(self.alpha, self.a, self.b, self.days) > 0):
            raise ValueError(f"parameters of a lifetime must be finite and above zero, got {self}")

    @property
    def numbers(self) -> F64:
        """(9,) as `still_worth` takes them."""
        return np.array([self.r, self.alpha, self.a, self.b, self.p, self.q, self.gamma, self.usual, self.days])

    def of(self, x: F64) -> F64:
        """Return (n,) margin to be expected of each row's customer within the horizon, from (n, features)."""
        return _of(np.ascontiguousarray(x), self.numbers)


@compiled
def _of(x: F64, n: F64) -> F64:
    out = np.empty(x.shape[0])
    for row in range(x.shape[0]):
        out[row] = still_worth(x[row], n)
    return out


@compiled_inner
def still_worth(x: F64, n: F64) -> float:
    """Return the margin to be expected of a customer within the horizon, from one row of what the value heads see.

    Of who never ordered what is expected of anybody who is new.
    """
    r, alpha, a, b, p, q, gamma, usual, days = n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]
    if r <= 0.0:
        return 0.0
    orders, since, margin = x[ORDERS], x[SINCE], x[MARGIN]
    if not (math.isfinite(orders) and orders >= 1.0 and math.isfinite(since)):
        return float(usual * expected_orders(0.0, 0.0, 0.0, r, alpha, a, b, days))
    age = max(x[TENURE], since) if math.isfinite(x[TENURE]) else since
    value = float(usual)
    if math.isfinite(margin) and margin > 0.0:
        weight = p * orders + q - 1.0
        value = float((p * gamma + p * orders * margin) / weight if weight > 1e-9 else margin)
    return value * expected_orders(orders - 1.0, age - since, age, r, alpha, a, b, days)


@compiled_inner
def expected_orders(
    repeats: float, last: float, age: float, r: float, alpha: float, a: float, b: float, days: float
) -> float:
    """Return the orders to be expected within so many days: `repeat.lifetime.Activity.orders`, for one customer."""
    begun, shape = max(alpha + age, LEAST_EXPOSURE), r + repeats
    # The formula is 0/0 at a = 1, and continuous there.
    if abs(a - 1.0) <= 1e-6:
        a = 1.0 + 1e-6
    alive = 1.0
    if repeats > 0.0:
        tail = shape * math.log(begun / max(alpha + last, LEAST_EXPOSURE))
        alive = 1.0 / (1.0 + math.exp(min(tail, 700.0)) * a / (b + repeats - 1.0))
    c, z = a + b + repeats - 1.0, days / (begun + days)
    # Two forms of one number (Euler's transformation): each stays in range where the other overflows.
    if a - 1.0 <= shape:
        left = math.exp((a - 1.0) * math.log1p(-z)) * _hypergeometric(c - shape, a - 1.0, c, z)
    else:
        left = math.exp(shape * math.log1p(-z)) * _hypergeometric(shape, b + repeats, c, z)
    left = left if math.isfinite(left) else 0.0
    return max(c / (a - 1.0) * (1.0 - left) * alive, 0.0)


@compiled_inner
def _hypergeometric(a: float, b: float, c: float, z: float) -> float:
    """Return Gauss's series 2F1(a, b; c; z) for z in [0, 1)."""
    total = term = 1.0
    for k in range(MOST_TERMS):
        term *= (a + k) * (b + k) / ((c + k) * (k + 1.0)) * z
        total += term
        if abs(term) <= 1e-15 * abs(total):
            break
    return total
