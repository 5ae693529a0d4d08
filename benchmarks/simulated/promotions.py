"""Promotions whose truth is known: a shop of six actions, policies that earn a given share more or less, and their log.

One shop serves the test of the gate and `cxreco bench gate`: customers who differ and come several times, money that is
mostly nothing and sometimes much, and goods that come back.
"""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxreco.repeat.estimators import estimates
from cxreco.repeat.evaluation import Report
from cxreco.repeat.support import Logged, SupportRules, support_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

K, PER = 6, 6
MARGIN, SPREAD, BACK, LOSS = 10.0, 0.8, 0.08, 15.0
HARM, HARMS = 0.02, ("returned", "complained", "unsubscribed")
KNOWN = np.linspace(0.0, 1.0, K)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shop:
    """Moments: who, (n,), what can be known of each action there, and the chance that it sells, (n, K)."""

    customer: I64
    known: F64
    sells: F64
    logged: F64

    def takes(self, policy: F64) -> float:
        """Return the true chance of a sale a decision; money is in proportion to it."""
        return float((policy * self.sells).sum(axis=1).mean())

    def take(self, n: int) -> "Shop":
        """Return the first n moments."""
        return Shop(**{name: getattr(self, name)[:n] for name in Shop.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """What was done and what it brought, (n,)."""

    propensity: F64
    action: I64
    reward: F64
    harms: dict[str, F64]

    def take(self, n: int) -> "Drawn":
        """Return the first n decisions."""
        return Drawn(
            propensity=self.propensity[:n],
            action=self.action[:n],
            reward=self.reward[:n],
            harms={name: column[:n] for name, column in self.harms.items()},
        )


def softmax(utility: F64, temperature: float) -> F64:
    """Return probabilities, (n, K)."""
    exp = np.exp((utility - utility.max(axis=1, keepdims=True)) / temperature)
    whole: F64 = exp / exp.sum(axis=1, keepdims=True)
    return whole


def shop_of(rng: np.random.Generator, customers: int) -> Shop:
    """Draw moments, and a logging policy that is half right and explores."""
    customer = np.repeat(np.arange(customers), rng.geometric(1.0 / PER, customers))
    n = customer.size
    known = 0.5 * rng.normal(size=(n, K)) + KNOWN
    sells = 1.0 / (1.0 + np.exp(2.2 - known - 0.5 * rng.normal(size=customers)[customer][:, None]))
    logged = 0.9 * softmax(known + 0.5 * rng.normal(size=(n, K)), 0.7) + 0.1 / K
    return Shop(customer=customer, known=known, sells=sells, logged=logged)


def best_of(shop: Shop) -> F64:
    """Return the policy that goes by all that can be known."""
    return softmax(shop.known, 0.1)


def worst_of(shop: Shop) -> F64:
    """Return the policy that does the opposite."""
    return softmax(-shop.known, 0.1)


@functools.cache
def _levels() -> tuple[float, float, float]:
    shop = shop_of(np.random.default_rng(1), 20_000)
    return shop.takes(shop.logged), shop.takes(best_of(shop)), shop.takes(worst_of(shop))


def off_by(shop: Shop, gain: float) -> F64:
    """Return a policy that truly earns this share more (or less) than the logged one; 0: as much, by other choices."""
    logged, best, worst = _levels()
    if gain == 0.0:
        # As much is won by going with what is known as is lost by going against it.
        up, down = 0.05, 0.05 * (best - logged) / (logged - worst)
        return (1.0 - up - down) * shop.logged + up * best_of(shop) + down * worst_of(shop)
    mix = gain * logged / (best - logged) if gain > 0.0 else -gain * logged / (logged - worst)
    return (1.0 - mix) * shop.logged + mix * (best_of(shop) if gain > 0.0 else worst_of(shop))


def drawn_by(rng: np.random.Generator, shop: Shop, policy: F64) -> Drawn:
    """Let a policy act, and see what it brings."""
    n, row = shop.customer.size, np.arange(shop.customer.size)
    action = np.minimum((rng.random((n, 1)) > policy.cumsum(axis=1)).sum(axis=1), K - 1).astype(np.int64)
    earned = np.where(rng.random(n) < BACK, -LOSS, MARGIN * rng.lognormal(-0.5 * SPREAD**2, SPREAD, n))
    reward = (rng.random(n) < shop.sells[row, action]) * earned
    harms = {name: (rng.random(n) < HARM).astype(np.float64) for name in HARMS}
    return Drawn(propensity=policy[row, action], action=action, reward=reward, harms=harms)


def report_of(name: str, shop: Shop, drawn: Drawn, policy: F64) -> Report:
    """Return what a policy would have done with the logged moments, as the gate is given it."""
    row, q = np.arange(shop.customer.size), 0.7 * 0.8 * MARGIN * shop.sells
    money = Logged(
        reward=drawn.reward,
        propensity=drawn.propensity,
        target=policy[row, drawn.action],
        clusters=shop.customer,
        q=q[row, drawn.action],
        q_target=(policy * q).sum(axis=1),
    )
    support = support_of(money, SupportRules())
    plain = replace(money, q=None, q_target=None)
    return Report(
        name=name,
        support=support,
        estimates=() if support.reasons else estimates(money),
        rows=pd.DataFrame(),
        money=money,
        harms={harm: replace(plain, reward=column) for harm, column in drawn.harms.items()},
        contact=np.full(row.size, 0.1),
        exposure=np.empty((row.size, 0)),
        groups=(),
        decision_id=row,
    )


def pair(rng: np.random.Generator, customers: int, gain: float) -> tuple[Report, Report]:
    """Return champion and challenger on one log of the champion's, the challenger truly off by this share."""
    shop = shop_of(rng, customers)
    drawn = drawn_by(rng, shop, shop.logged)
    challenger = off_by(shop, gain)
    return report_of("champion", shop, drawn, shop.logged), report_of("challenger", shop, drawn, challenger)
