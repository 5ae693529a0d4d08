"""The gate as a statistician would test it: the worse rarely pass, the better do once the announced N is logged."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxreco.repeat.estimators import estimates
from cxreco.repeat.evaluation import Report
from cxreco.repeat.promotion import PromotionRules, judge
from cxreco.repeat.support import Logged, SupportRules, support_of

K, SIMS, PER = 6, 100, 6
RULES = PromotionRules()


def softmax(utility, temperature):
    exp = np.exp((utility - utility.max(axis=1, keepdims=True)) / temperature)
    return exp / exp.sum(axis=1, keepdims=True)


def shop(rng, customers):
    """Customers who differ, the chance that each of six actions sells, and three policies: logged, best, worst."""
    customer = np.repeat(np.arange(customers), rng.geometric(1.0 / PER, customers))
    n = customer.size
    utility = 0.5 * rng.normal(size=(n, K)) + np.linspace(0.0, 1.0, K)
    sells = 1.0 / (1.0 + np.exp(2.2 - utility - 0.5 * rng.normal(size=customers)[customer][:, None]))
    logged = 0.9 * softmax(utility + 0.5 * rng.normal(size=(n, K)), 0.7) + 0.1 / K
    return customer, sells, logged, softmax(utility, 0.1), softmax(-utility, 0.1)


@functools.cache
def mixture(gain):
    """Share of the best (or the worst) policy that makes the logged one earn this much more (or less)."""
    _, sells, *policies = shop(np.random.default_rng(1), 20_000)
    logged, best, worst = ((policy * sells).sum(axis=1).mean() for policy in policies)
    return gain * logged / (best - logged) if gain > 0 else -gain * logged / (logged - worst)


def reports(rng, customers, gain):
    customer, sells, logged, best, worst = shop(rng, customers)
    n, row = customer.size, np.arange(customer.size)
    action = np.minimum((rng.random((n, 1)) > logged.cumsum(axis=1)).sum(axis=1), K - 1)
    earned = np.where(rng.random(n) < 0.08, -15.0, rng.lognormal(np.log(10.0) - 0.32, 0.8, n))
    reward = (rng.random(n) < sells[row, action]) * earned
    harms = {name: (rng.random(n) < 0.02) * 1.0 for name in ("returned", "complained", "unsubscribed")}
    mix = mixture(gain) if gain else 0.05
    challenger = (1.0 - mix) * logged + mix * (best if gain > 0 else worst if gain < 0 else logged[:, ::-1])
    q = 0.7 * 8.0 * sells

    def report(name, policy):
        money = Logged(
            reward=reward,
            propensity=logged[row, action],
            target=policy[row, action],
            clusters=customer,
            q=q[row, action],
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
            harms={harm: replace(plain, reward=column) for harm, column in harms.items()},
            contact=np.full(n, 0.1),
            exposure=np.empty((n, 0)),
            groups=(),
            decision_id=row,
        )

    return report("champion", logged), report("challenger", challenger)


@pytest.mark.parametrize("kind", ["change", "refresh"])
def test_one_that_earns_five_percent_less_is_promoted_in_under_five_percent(kind):
    promoted = sum(
        judge(*reports(np.random.default_rng(seed), 150, -0.05), RULES, kind=kind).promote for seed in range(SIMS)
    )
    assert promoted < 0.05 * SIMS


def test_one_that_earns_ten_percent_more_is_promoted_once_the_announced_number_is_logged():
    promoted = 0
    for seed in range(SIMS):
        rng = np.random.default_rng(1_000 + seed)
        first = reports(rng, 150, 0.10)
        verdict = judge(*first, RULES, kind="change")
        if not verdict.promote and verdict.needed is not None:
            total = first[0].support.n + verdict.needed
            verdict = judge(*reports(rng, round(total / PER), 0.10), RULES, kind="change", attempt=2)
        promoted += verdict.promote
    assert promoted > 0.80 * SIMS
