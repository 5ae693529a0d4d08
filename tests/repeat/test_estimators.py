"""Laws of the estimators and refusals; coverage over many logs is in tests/truth."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.errors import BadInput, NoSupport
from cxreco.repeat.estimators import (
    choose_threshold,
    dr_terms,
    estimate_frame,
    estimates,
    ips_terms,
    paired_difference,
    snips_terms,
    switch_dr_terms,
    terms_of,
)
from cxreco.repeat.support import Logged, SupportRules, support_of


def bandit(n=2_000, seed=0, k=4, sharp=1.0, per=1):
    """A context-free bandit with a known value of the target; `q` is a biased model."""
    rng = np.random.default_rng(seed)
    mu = np.exp(-0.5 * np.arange(k))
    mu /= mu.sum()
    pi = np.exp(sharp * np.arange(k))
    pi /= pi.sum()
    mean = 0.1 + 0.1 * np.arange(k)
    action = rng.choice(k, size=n, p=mu)
    reward = rng.exponential(1.0, n) * (rng.random(n) < mean[action])
    q = mean * 0.8
    log = Logged(
        reward=reward,
        propensity=mu[action],
        target=pi[action],
        clusters=np.arange(n) // per,
        q=q[action],
        q_target=np.full(n, float(pi @ q)),
    )
    return log, float(pi @ mean)


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "switch_dr"])
def test_the_truth_is_within_four_standard_errors(name):
    log, truth = bandit(n=40_000, per=4)
    got = {estimate.name: estimate for estimate in estimates(log)}[name]
    assert abs(got.value - truth) < 4 * got.stderr
    assert got.low < truth < got.high


def test_the_direct_method_is_sure_and_wrong_and_says_that_it_is_not_consistent():
    log, truth = bandit(n=5_000)
    dm = next(estimate for estimate in estimates(log) if estimate.name == "dm")
    assert not dm.consistent
    assert dm.high < truth


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_on_its_own_policy_every_estimator_gives_the_mean_reward(seed):
    log, _ = bandit(n=60, seed=seed)
    own = Logged(reward=log.reward, propensity=log.propensity, target=log.propensity)
    np.testing.assert_allclose([terms.values.mean() for terms in terms_of(own)], log.reward.mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-50.0, 50.0))
def test_self_normalised_and_doubly_robust_move_with_the_reward(seed, shift):
    log, _ = bandit(n=80, seed=seed)
    triple = (log.target, log.propensity)
    moved = snips_terms(log.reward + shift, *triple).mean()
    assert moved == pytest.approx(snips_terms(log.reward, *triple).mean() + shift, abs=1e-9)
    before = dr_terms(log.reward, *triple, log.q, log.q_target).mean()
    after = dr_terms(log.reward + shift, *triple, log.q + shift, log.q_target + shift).mean()
    assert after == pytest.approx(before + shift, abs=1e-9)


def test_doubly_robust_without_a_model_is_ips_and_switch_with_no_limit_is_doubly_robust():
    log, _ = bandit(n=100)
    zero = np.zeros(100)
    triple = (log.reward, log.target, log.propensity)
    np.testing.assert_array_equal(dr_terms(*triple, zero, zero), ips_terms(*triple))
    np.testing.assert_allclose(
        switch_dr_terms(*triple, log.q, log.q_target, threshold=np.inf), dr_terms(*triple, log.q, log.q_target)
    )
    np.testing.assert_array_equal(switch_dr_terms(*triple, log.q, log.q_target, threshold=0.0), log.q_target)


def test_switching_drops_heavy_weights_where_that_pays_and_bounds_the_bias_it_accepts():
    rng = np.random.default_rng(0)
    n = 2_000
    rare = rng.random(n) < 0.004
    log = Logged(
        reward=rng.normal(1.0, 1.0, n),
        propensity=np.where(rare, 0.004, 0.9),
        target=np.where(rare, 0.2, 0.8),
        q=np.ones(n),
        q_target=np.ones(n),
    )
    threshold, bias = choose_threshold(log)
    assert threshold < 50.0
    assert 0.0 < bias < 0.3
    rules = SupportRules(min_ess=1, thin_ess=1, max_miscalibration=np.inf)
    found = {estimate.name: estimate for estimate in estimates(log, rules=rules)}
    assert found["switch_dr"].stderr < 0.5 * found["dr"].stderr
    assert found["switch_dr"].high - found["switch_dr"].value > bias
    assert not found["switch_dr"].consistent


def test_clustering_by_customer_widens_what_repeated_customers_say():
    log, _ = bandit(n=2_000)
    customer = np.arange(2_000) // 20
    luck = np.random.default_rng(1).normal(0, 1, 100)[customer]
    columns = {"reward": log.reward + luck, "propensity": log.propensity, "target": log.propensity}
    alone = estimates(Logged(**columns))[0]
    together = estimates(Logged(**columns, clusters=customer))[0]
    assert together.stderr > 2.5 * alone.stderr
    assert together.customers == 100


@pytest.mark.parametrize("bad", [np.nan, 0.0, -0.1, 1.5])
def test_a_propensity_that_is_missing_or_impossible_is_refused(bad):
    log, _ = bandit(n=50)
    propensity = log.propensity.copy()
    propensity[7] = bad
    with pytest.raises(NoSupport, match="1 of 50"):
        Logged(reward=log.reward, propensity=propensity, target=log.target)


def test_thin_support_is_refused_with_every_reason():
    log, _ = bandit(n=12, sharp=3.0)
    log = Logged(reward=log.reward, propensity=log.propensity, target=log.target, clusters=np.zeros(12),
                 unsupported=np.full(12, 0.2))  # fmt: skip
    with pytest.raises(NoSupport) as caught:
        estimates(log)
    for said in ("effective sample size", "1 customers", "20.0% of the target's choices"):
        assert said in str(caught.value)


def test_propensities_that_are_not_those_of_the_log_are_noticed():
    log, _ = bandit(n=5_000, sharp=0.5)
    wrong = Logged(reward=log.reward, propensity=np.full(5_000, 0.25), target=log.target)
    with pytest.raises(NoSupport, match="weights average"):
        estimates(wrong)


def test_a_thin_log_gets_a_wider_interval_of_another_kind():
    log, _ = bandit(n=90, sharp=0.5, seed=2)
    rules = SupportRules(thin_ess=60)
    assert 12 < support_of(log, rules).ess < 60
    plain = {estimate.name: estimate for estimate in estimates(log)}
    for estimate in estimates(log, rules=rules):
        narrow = plain[estimate.name]
        assert estimate.low <= narrow.low
        assert estimate.high >= narrow.high
        assert estimate.method == ("t" if estimate.name == "dm" else "betting")


def test_unsupported_probability_widens_the_interval():
    log, _ = bandit(n=3_000)
    some = Logged(reward=log.reward, propensity=log.propensity, target=log.target * 0.97,
                  unsupported=np.full(3_000, 0.03))  # fmt: skip
    all_of_it = Logged(reward=log.reward, propensity=log.propensity, target=log.target * 0.97)
    wide, narrow = estimates(some)[0], estimates(all_of_it, rules=SupportRules(max_miscalibration=np.inf))[0]
    assert wide.value == narrow.value
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low + 2 * 0.03 * log.reward.std())


def test_pairing_sees_a_difference_that_two_intervals_would_hide():
    log, _ = bandit(n=4_000, sharp=0.4)
    target = log.target * np.where(log.target > 0.3, 1.05, 1.0)
    near = Logged(reward=log.reward, propensity=log.propensity, target=target / np.mean(target / log.propensity))
    base = Logged(reward=log.reward, propensity=log.propensity, target=log.target)
    apart = paired_difference(near, base)
    alone = [next(e for e in estimates(one) if e.name == "snips") for one in (near, base)]
    assert apart.value == pytest.approx(alone[0].value - alone[1].value)
    assert apart.high - apart.low < 0.3 * (alone[0].high - alone[0].low)
    assert paired_difference(base, base).low == paired_difference(base, base).high == 0.0


def test_pairing_needs_the_same_decisions_and_support_on_both_sides():
    log, _ = bandit(n=100)
    other, _ = bandit(n=100, seed=9)
    with pytest.raises(BadInput, match="same decisions"):
        paired_difference(log, other)
    thin = Logged(reward=log.reward, propensity=log.propensity, target=np.where(np.arange(100) == 0, 1.0, 0.0))
    plain = Logged(reward=log.reward, propensity=log.propensity, target=log.target)
    with pytest.raises(NoSupport, match="second policy"):
        paired_difference(plain, thin)


def frame_of(log):
    return pd.DataFrame({"reward": log.reward, "propensity": log.propensity, "target_propensity": log.target})


def test_a_plain_frame_is_enough():
    log, truth = bandit(n=5_000)
    got = estimate_frame(frame_of(log)).set_index("name")
    assert list(got.index) == ["ips", "snips"]
    assert (got["low"] < truth).all()
    assert (got["high"] > truth).all()


def test_a_frame_with_a_model_customers_and_modes_gives_every_estimator_at_both_levels():
    log, _ = bandit(n=5_000)
    frame = frame_of(log).assign(q=log.q, q_target=log.q_target, customer_id=[f"c{i % 50}" for i in range(5_000)],
                                 propensity_mode=log.propensity, target_propensity_mode=log.target)  # fmt: skip
    got = estimate_frame(frame)
    assert list(got["name"]) == ["ips", "snips", "dm", "dr", "switch_dr", "ips", "snips"]
    assert list(got["level"]) == ["action"] * 5 + ["mode"] * 2
    assert set(got["customers"]) == {50}


def test_a_frame_that_lacks_something_is_refused_by_name():
    log, _ = bandit(n=50)
    frame = frame_of(log)
    with pytest.raises(BadInput, match="columns missing: propensity"):
        estimate_frame(frame.drop(columns="propensity"))
    with pytest.raises(BadInput, match="both propensity_mode"):
        estimate_frame(frame.assign(propensity_mode=0.5))
    with pytest.raises(BadInput, match="both q and q_target"):
        estimate_frame(frame.assign(q=0.5))
    with pytest.raises(BadInput, match=r"log\.reward: must be finite"):
        estimate_frame(frame.assign(reward=np.nan))
    with pytest.raises(NoSupport, match="empty"):
        estimate_frame(frame.iloc[:0])
