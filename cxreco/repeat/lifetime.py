"""What a customer is still worth: how often they will order, whether they still do, and what an order brings.

BG/NBD (Fader, Hardie & Lee, Marketing Science 2005): while active a customer orders by a Poisson process of their own
rate, gamma over customers with shape r and rate alpha; after each repeat order they leave with a chance of their own,
beta over customers with a and b. Gamma-Gamma (Fader & Hardie 2013): the value of an order varies around a customer's
mean, which varies over customers, whatever their rate. Both by maximum likelihood, in closed form.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1, logsumexp

from cxreco.errors import BadInput

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
# Below and above this no parameter is told apart from a limit: nobody leaves, or everybody is alike.
BOUNDS = (-9.0, 9.0)
LEAST_REPEATING = 20
# Of central differences of the likelihood, in logarithms of parameters.
STEP = 1e-5
YEAR = 365.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """What each customer bought so far, (n,); orders of one day are one.

    Attributes
    ----------
    repeats
        Orders after the first.
    last
        Days from the first order to the last.
    age
        Days from the first order to now.
    """

    repeats: F64
    last: F64
    age: F64

    def __post_init__(self) -> None:
        if not self.repeats.shape == self.last.shape == self.age.shape:
            raise BadInput("repeats, last and age are not of the same customers", where="purchases")
        if (
            np.any(self.last > self.age)
            or np.any(self.repeats < 0.0)
            or np.any((self.repeats > 0.0) != (self.last > 0.0))
        ):
            raise BadInput("needs 0 <= last <= age, and a last day above 0 just where there are repeats",
                           where="purchases")  # fmt: skip

    def __len__(self) -> int:
        return int(self.repeats.size)

    @classmethod
    def of(cls, customer: I64, day: I64, now: float) -> tuple["Purchases", I64]:
        """Return the purchases of a log of order days, (m,) each, and whose they are.

        Parameters
        ----------
        now
            The day up to which orders would have been seen.
        """
        pairs = np.unique(np.stack([customer, day], axis=1), axis=0)
        who, first, orders = np.unique(pairs[:, 0], return_index=True, return_counts=True)
        began, ended = pairs[first, 1], pairs[first + orders - 1, 1]
        found = cls(
            repeats=(orders - 1).astype(np.float64), last=(ended - began).astype(np.float64),
            age=np.maximum(now - began, ended - began).astype(np.float64),
        )  # fmt: skip
        return found, who


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """BG/NBD: parameters in days, and the standard errors of their logarithms (NaN at a bound)."""

    r: float
    alpha: float
    a: float
    b: float
    errors: tuple[float, ...] = (np.nan,) * 4

    def alive(self, of: Purchases) -> F64:
        """Return (n,) chance that each customer is still active."""
        x, tail = of.repeats, (self.r + of.repeats) * np.log((self.alpha + of.age) / (self.alpha + of.last))
        against = np.where(x > 0.0, np.exp(np.minimum(tail, 700.0)) * self.a / (self.b + np.maximum(x, 1.0) - 1.0), 0.0)
        return np.asarray(1.0 / (1.0 + against), dtype=np.float64)

    def within(self, of: Purchases, days: float) -> F64:
        """Return (n,) chance of at least one order in the next so many days."""
        none = (self.r + of.repeats) * np.log((self.alpha + of.age) / (self.alpha + of.age + days))
        return np.asarray(self.alive(of) * -np.expm1(none), dtype=np.float64)

    def median_within(self, of: Purchases, days: float) -> F64:
        """Return (n,) median days to the next order, given that it comes in the next so many days."""
        begun, shape = self.alpha + of.age, self.r + of.repeats
        half = -0.5 * np.expm1(shape * np.log(begun / (begun + days)))
        return np.asarray(begun * np.expm1(-np.log1p(-half) / shape), dtype=np.float64)

    def orders(self, of: Purchases, days: float) -> F64:
        """Return (n,) orders to be expected in the next so many days (equation 10 of the source)."""
        x, t, begun = of.repeats, days, self.alpha + of.age
        # The formula is 0/0 at a = 1, and continuous there.
        a = self.a if abs(self.a - 1.0) > 1e-6 else 1.0 + 1e-6
        power = (self.r + x) * np.log(begun / (begun + t))
        series = hyp2f1(self.r + x, self.b + x, a + self.b + x - 1.0, t / (begun + t))
        return np.asarray((a + self.b + x - 1.0) / (a - 1.0) * (1.0 - np.exp(power) * series) * self.alive(of))

    def log_likelihood(self, of: Purchases) -> F64:
        """Return (n,) log-likelihood of each customer's purchases."""
        x = of.repeats
        counted = gammaln(self.r + x) - gammaln(self.r) + self.r * np.log(self.alpha)
        stayed = betaln(self.a, self.b + x) - betaln(self.a, self.b) - (self.r + x) * np.log(self.alpha + of.age)
        left = betaln(self.a + 1.0, self.b + np.maximum(x, 1.0) - 1.0) - betaln(self.a, self.b)
        left = np.where(x > 0.0, left - (self.r + x) * np.log(self.alpha + of.last), -np.inf)
        return np.asarray(counted + logsumexp(np.stack([stayed, left]), axis=0), dtype=np.float64)


def fit_activity(of: Purchases) -> Activity:
    """Return the BG/NBD of greatest likelihood.

    Raises
    ------
    BadInput
        If fewer than 20 customers ever came back: there is nothing to learn a rate from.
    """
    if int((of.repeats > 0.0).sum()) < LEAST_REPEATING:
        raise BadInput(f"fewer than {LEAST_REPEATING} customers ordered on two days: no lifetime can be told",
                       where="purchases")  # fmt: skip
    rows, count = np.unique(np.stack([of.repeats, of.last, of.age], axis=1), axis=0, return_counts=True)
    each = Purchases(repeats=rows[:, 0], last=rows[:, 1], age=rows[:, 2])
    start = np.log([1.0, max(float(of.age.mean()) / (float(of.repeats.mean()) + 0.5), 1e-3), 1.0, 3.0])
    best, errors = _most_likely(lambda p: float(count @ _activity(p).log_likelihood(each)), start)
    found = _activity(best)
    return Activity(r=found.r, alpha=found.alpha, a=found.a, b=found.b, errors=errors)


def _activity(logs: F64) -> Activity:
    r, alpha, a, b = np.exp(logs).tolist()
    return Activity(r=r, alpha=alpha, a=a, b=b)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderValue:
    """Gamma-Gamma: the mean value of a customer's orders, and the standard errors of the parameters' logarithms."""

    p: float
    q: float
    gamma: float
    errors: tuple[float, ...] = (np.nan,) * 3

    def mean(self, orders: F64, seen: F64) -> F64:
        """Return (n,) expected value of an order, from the number and the mean value of those seen (equation 5).

        Customers of whom none was seen get the mean over customers; that of customers is infinite where q <= 1.
        """
        weight = self.p * orders
        usual = self.p * self.gamma / (self.q - 1.0) if self.q > 1.0 else np.inf
        known = (self.p * self.gamma + weight * seen) / np.maximum(weight + self.q - 1.0, 1e-12)
        return np.where(orders > 0.0, known, usual)

    def log_likelihood(self, orders: F64, seen: F64) -> F64:
        """Return (n,) log-likelihood of mean values seen, each of so many orders (equation 1a)."""
        shape = self.p * orders
        return np.asarray(
            -betaln(shape, self.q) + self.q * np.log(self.gamma) + (shape - 1.0) * np.log(seen)
            + shape * np.log(orders) - (shape + self.q) * np.log(self.gamma + orders * seen)
        )  # fmt: skip


def fit_order_value(orders: F64, seen: F64) -> OrderValue:
    """Return the Gamma-Gamma of greatest likelihood.

    Parameters
    ----------
    orders, seen
        (n,) number of orders of each customer and their mean value; those without an order or of no worth are left out.

    Raises
    ------
    BadInput
        If fewer than 20 customers have two orders of some worth: what varies within customers cannot be told.
    """
    keep = (orders > 0.0) & (seen > 0.0)
    if int((orders[keep] > 1.0).sum()) < LEAST_REPEATING:
        raise BadInput(f"fewer than {LEAST_REPEATING} customers have two orders of some worth", where="orders")
    m, z = orders[keep], seen[keep]
    start = np.log([2.0, 3.0, max(float(np.median(z)), 1e-6)])
    best, errors = _most_likely(lambda p: float(_order_value(p).log_likelihood(m, z).sum()), start)
    found = _order_value(best)
    return OrderValue(p=found.p, q=found.q, gamma=found.gamma, errors=errors)


def _order_value(logs: F64) -> OrderValue:
    p, q, gamma = np.exp(logs).tolist()
    return OrderValue(p=p, q=q, gamma=gamma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """What each customer is still worth, (n,) each.

    Attributes
    ----------
    customer
        Codes.
    alive
        Chance of being active still.
    orders
        Orders expected within the horizon.
    order_value
        What one of them brings.
    value
        Present value of those orders.
    """

    customer: I64
    alive: F64
    orders: F64
    order_value: F64
    value: F64


def lifetimes(
    activity: Activity, order_value: OrderValue, of: Purchases, seen: F64, customer: I64, *, days: float = YEAR,
    discount: float = 0.10,
) -> Lifetimes:  # fmt: skip
    """Return what customers are still worth over the next so many days.

    Parameters
    ----------
    seen
        (n,) mean value of the orders of each customer so far.
    discount
        A year, taken month by month.
    """
    ends = np.linspace(0.0, days, max(round(days / 30.4), 1) + 1)
    orders = np.stack([np.zeros(len(of)), *(activity.orders(of, float(end)) for end in ends[1:])])
    middle = 0.5 * (ends[1:] + ends[:-1]) / YEAR
    mean = order_value.mean(np.where(seen > 0.0, of.repeats + 1.0, 0.0), seen)
    present = ((1.0 + discount) ** -middle) @ np.diff(orders, axis=0)
    return Lifetimes(
        customer=customer, alive=activity.alive(of), orders=orders[-1], order_value=mean, value=present * mean
    )


def _most_likely(likelihood: Callable[[F64], float], start: F64) -> tuple[F64, tuple[float, ...]]:
    """Return the logarithms of the parameters of greatest likelihood, and their standard errors."""

    def lost(p: F64) -> tuple[float, F64]:
        slopes = [likelihood(p + move) - likelihood(p - move) for move in np.eye(p.size) * STEP]
        return -likelihood(p), -np.array(slopes) / (2.0 * STEP)

    bounds = [BOUNDS] * start.size
    best = minimize(lost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-12})
    found = np.asarray(best.x, dtype=np.float64)
    if not np.isfinite(best.fun):
        raise BadInput("no parameters fit what was bought: look for values out of all proportion", where="purchases")
    return found, _errors(likelihood, found)


def _errors(likelihood: Callable[[F64], float], at: F64, step: float = 1e-3) -> tuple[float, ...]:
    """Return standard errors from the curvature by central differences; NaN for parameters at a bound."""
    free = np.flatnonzero((at > BOUNDS[0] + 0.1) & (at < BOUNDS[1] - 0.1))
    moves = np.eye(at.size)[free] * step
    curvature = np.array(
        [
            [
                sum(s * u * likelihood(at + s * one + u * two) for s in (1, -1) for u in (1, -1)) / (4.0 * step**2)
                for two in moves
            ]
            for one in moves
        ]
    )
    out = np.full(at.size, np.nan)
    try:
        variance = np.diag(np.linalg.inv(-curvature))
    except np.linalg.LinAlgError:
        return tuple(out.tolist())
    out[free] = np.sqrt(np.where(variance > 0.0, variance, np.nan))
    return tuple(out.tolist())
