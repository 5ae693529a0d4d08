"""Do the intervals hold what they promise? Seeded logs with a known truth, small ones and poor overlap included.

At 95 % an interval must hold the truth in at least 93 % of the logs for which an estimate is given; where it would not,
the estimator must refuse. Rewards are a shop's: mostly nothing, skewed margins, now and then a costly return, and
customers who differ.
"""

import functools

import numpy as np
import pytest

from cxreco.errors import NoSupport
from cxreco.repeat.estimators import estimates, paired_difference
from cxreco.repeat.support import Logged, SupportRules

SIMS = 300
PER = 3
K = 6
MARGIN, LOSS, BACK = 10.0, 15.0, 0.08
WORTH = MARGIN * (1.0 - BACK) - LOSS * BACK

# customers, temperature of the logging policy, of the target; the last two overlap poorly.
WORLDS = {
    "usual": (200, 1.0, 0.6),
    "small": (40, 1.0, 0.5),
    "skewed": (120, 0.5, 0.3),
    "poor overlap": (120, 0.25, 0.15),
    "poor overlap, small": (40, 0.25, 0.15),
}


def softmax(utility, temperature):
    exp = np.exp((utility - utility.max(axis=1, keepdims=True)) / temperature)
    return exp / exp.sum(axis=1, keepdims=True)


def contexts(rng, customers, logging, target):
    customer = np.repeat(np.arange(customers), rng.geometric(1.0 / PER, customers))
    n = customer.size
    utility = 0.5 * rng.normal(size=(n, K)) + np.linspace(0.0, 1.0, K)
    logged = 0.95 * softmax(0.3 * utility + 0.5 * rng.normal(size=(n, K)), logging) + 0.05 / K
    chance = 1.0 / (1.0 + np.exp(2.2 - utility - 0.5 * rng.normal(size=customers)[customer][:, None]))
    return customer, logged, softmax(utility, target), chance


@functools.cache
def truth(name):
    _, logging, target = WORLDS[name]
    _, _, wanted, chance = contexts(np.random.default_rng(12_345), 60_000, logging, target)
    return float((wanted * chance).sum() / len(chance)) * WORTH


def logs(name, seed):
    """One simulated log, seen by the target policy and by a second one near it."""
    rng = np.random.default_rng(seed)
    customer, logged, wanted, chance = contexts(rng, *WORLDS[name])
    n = customer.size
    action = np.minimum((rng.random((n, 1)) > logged.cumsum(axis=1)).sum(axis=1), K - 1)
    row = np.arange(n)
    margin = rng.lognormal(np.log(MARGIN) - 0.32, 0.8, n)
    outcome = np.where(rng.random(n) < BACK, -LOSS, margin)
    reward = (rng.random(n) < chance[row, action]) * outcome
    q = 0.7 * chance * WORTH
    near = 0.8 * wanted + 0.2 * logged

    def seen_by(policy):
        return Logged(
            reward=reward,
            propensity=logged[row, action],
            target=policy[row, action],
            clusters=customer,
            q=q[row, action],
            q_target=(policy * q).sum(axis=1),
        )

    return seen_by(wanted), seen_by(near)


@pytest.mark.parametrize("name", list(WORLDS))
def test_the_intervals_of_the_consistent_estimators_cover(name):
    covered, refused = {"ips": [], "snips": [], "dr": []}, 0
    for seed in range(SIMS):
        try:
            found = estimates(logs(name, seed)[0])
        except NoSupport:
            refused += 1
            continue
        for estimate in found:
            if estimate.consistent:
                covered[estimate.name].append(estimate.low <= truth(name) <= estimate.high)
    given = SIMS - refused
    for estimator, hits in covered.items():
        share = np.mean(hits) if hits else 1.0
        # One standard error of the simulation below the promise.
        assert share >= 0.93 - np.sqrt(0.93 * 0.07 / max(given, 1)), (name, estimator, share, refused)
    if name in ("usual", "small"):
        assert refused <= 0.02 * SIMS
    if name == "poor overlap, small":
        assert refused > SIMS / 4


def test_the_direct_method_does_not_cover_and_is_not_said_to():
    found = [e for seed in range(60) for e in estimates(logs("usual", seed)[0]) if e.name == "dm"]
    assert not any(estimate.consistent for estimate in found)
    assert np.mean([e.low <= truth("usual") <= e.high for e in found]) < 0.5


def test_the_paired_difference_covers():
    _, logging, target = WORLDS["usual"]
    _, logged, wanted, chance = contexts(np.random.default_rng(12_345), 60_000, logging, target)
    apart = float((0.2 * (wanted - logged) * chance).sum() / len(chance)) * WORTH
    hits = []
    for seed in range(SIMS):
        got = paired_difference(*logs("usual", seed), rules=SupportRules())
        hits.append(got.low <= apart <= got.high)
    assert np.mean(hits) >= 0.93 - np.sqrt(0.93 * 0.07 / SIMS)
