import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cxreco.repeat.intervals import (
    always_p,
    clustered,
    degrees_of_freedom,
    lower_bound,
    needed,
    sample_ratio,
    sequence_radius,
    spent,
    standard_error,
    t_interval,
)


def test_on_independent_normal_terms_it_is_the_t_interval_of_the_textbook():
    x = np.random.default_rng(0).normal(3.0, 2.0, 4_000)
    data = clustered(x)
    assert standard_error(data) == pytest.approx(x.std(ddof=1) / np.sqrt(x.size), rel=1e-3)
    low, high = t_interval(data, 0.95)
    expected = stats.t.interval(0.95, x.size - 1, x.mean(), x.std(ddof=1) / np.sqrt(x.size))
    np.testing.assert_allclose([low, high], expected, rtol=5e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-100, 100), st.floats(0.01, 100))
def test_intervals_move_and_stretch_with_the_terms(seed, shift, scale):
    rng = np.random.default_rng(seed)
    x, customer = rng.exponential(1.0, 40), rng.integers(0, 15, 40)
    plain = np.array(t_interval(clustered(x, customer), 0.9))
    moved = np.array(t_interval(clustered(x * scale + shift, customer), 0.9))
    np.testing.assert_allclose(moved, plain * scale + shift, rtol=1e-6, atol=1e-6)


def test_skewed_terms_reach_further_up_and_heavy_tails_leave_few_degrees_of_freedom():
    x = np.random.default_rng(1).pareto(2.5, 200)
    data = clustered(x)
    low, high = t_interval(data, 0.95)
    assert high - data.mean > 1.1 * (data.mean - low)
    assert degrees_of_freedom(data) < 100
    assert degrees_of_freedom(clustered(np.tile([-1.0, 1.0], 100))) == 199


def test_one_cluster_says_nothing():
    assert t_interval(clustered(np.ones(5), np.zeros(5)), 0.95) == (-np.inf, np.inf)


def test_the_betting_bound_holds_where_the_t_bound_fails():
    """A mean of 1 made of rare large values: one in 200 is 200."""
    alpha, wrong, failed = 0.05, 0, 0
    for seed in range(300):
        x = 200.0 * (np.random.default_rng(seed).random(100) < 1 / 200)
        wrong += lower_bound(clustered(x), alpha) > 1.0
        failed += t_interval(clustered(x), 0.9)[1] < 1.0
    assert wrong <= 300 * alpha
    assert failed > 300 * alpha


def test_the_betting_bound_closes_in_on_the_mean():
    x = np.random.default_rng(0).exponential(1.0, 20_000)
    assert 0.95 < lower_bound(clustered(x), 0.05) < 1.02
    assert lower_bound(clustered(np.zeros(10)), 0.05) == 0.0


def test_looking_every_time_keeps_the_error():
    """Random walks with a persistent part, as customers have; the sequence must hold at every look at once."""
    rng, alpha, looks, sims = np.random.default_rng(0), 0.05, 60, 2_000
    t = np.arange(1, looks + 1)
    spread = np.sqrt(0.3 + 0.7 * looks / t)
    path = (
        np.sqrt(0.3) * rng.normal(size=(sims, 1)) + np.sqrt(0.7 * looks) * rng.normal(size=(sims, looks)).cumsum(1) / t
    )
    radius = np.array([sequence_radius(s, alpha=alpha, planned=float(spread[-1])) for s in spread])
    ever = (np.abs(path) > radius).any(axis=1).mean()
    fixed = (np.abs(path) > 1.96 * spread).any(axis=1).mean()
    assert ever <= alpha
    assert fixed > 2 * alpha


@settings(max_examples=50, deadline=None)
@given(st.floats(-5, 5), st.floats(0.05, 2.0), st.floats(0.05, 2.0))
def test_the_anytime_p_value_and_interval_agree(value, stderr, planned):
    radius = sequence_radius(stderr, alpha=0.05, planned=planned)
    p = always_p(value, stderr, planned=planned)
    if abs(abs(value) - radius) > 1e-6:
        assert (p < 0.05) == (abs(value) > radius)


def test_degenerate_sequences():
    assert sequence_radius(0.0, alpha=0.05, planned=1.0) == 0.0
    assert sequence_radius(np.inf, alpha=0.05, planned=1.0) == np.inf
    assert always_p(1.0, 0.0, planned=1.0) == 1.0


def test_the_sample_ratio_check_notices_a_broken_split():
    shares = {"champion": 0.8, "holdout": 0.2, "random": 0.0}
    assert sample_ratio({"champion": 8_020, "holdout": 1_980}, shares) > 0.1
    assert sample_ratio({"champion": 8_400, "holdout": 1_600}, shares) < 1e-6
    assert sample_ratio({"champion": 8_000, "holdout": 2_000, "random": 1}, shares) == 0.0
    assert sample_ratio({"champion": 10}, {"champion": 1.0}) == 1.0


def test_the_announced_number_has_the_announced_power():
    n, sd, effect = 500, 2.0, 0.15
    total = needed(sd / np.sqrt(n), n, effect=effect, alpha=0.05, power=0.8)
    z = effect / (sd / np.sqrt(total))
    assert stats.norm.cdf(z - stats.norm.ppf(0.95)) == pytest.approx(0.8, abs=0.01)
    assert needed(np.inf, n, effect=effect, alpha=0.05) is None
    assert needed(1.0, n, effect=0.0, alpha=0.05) is None


def test_all_attempts_together_spend_the_error():
    assert sum(spent(0.05, k) for k in range(1, 20_000)) == pytest.approx(0.05, abs=1e-5)
    with pytest.raises(ValueError, match="from 1"):
        spent(0.05, 0)
