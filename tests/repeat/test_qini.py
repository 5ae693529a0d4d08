"""Qini and uplift curves: numbers of scikit-uplift, laws of rankings, and intervals that hold their value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.errors import BadInput
from cxreco.repeat import qini

ROW = np.arange(200)
TREATED = (ROW * 7 % 5 < 2).astype(int)
VISITED = ((ROW * 13 + ROW * ROW) % 7 < 2 + TREATED).astype(int)
OTHER = ((ROW * 11) % 3 < 2).astype(int)
SCORE = np.round(np.sin(ROW * 1.7), 1)


def test_scores_are_those_that_scikit_uplift_gives_on_the_same_rows_ties_included():
    # scikit-uplift 0.5.1, qini_auc_score and uplift_auc_score.
    assert qini.qini_score(VISITED, SCORE, TREATED) == pytest.approx(0.03168474181983536)
    assert qini.uplift_score(VISITED, SCORE, TREATED) == pytest.approx(0.045794460011387504)
    assert qini.qini_score(VISITED, -SCORE, TREATED) == pytest.approx(-0.03508790000509691)
    assert qini.uplift_score(VISITED, -SCORE, TREATED) == pytest.approx(-0.04525250532949139)
    assert qini.qini_score(OTHER, SCORE, TREATED) == pytest.approx(0.027480800498703828)
    assert qini.uplift_score(OTHER, SCORE, TREATED) == pytest.approx(0.04477244576721016)


def test_curves_are_those_of_scikit_uplift():
    found, scaled = (of(VISITED, SCORE, TREATED) for of in (qini.qini_curve, qini.uplift_curve))
    np.testing.assert_allclose(found.targeted[:5], [0, 19, 36, 48, 55])
    np.testing.assert_allclose(
        found.gained[:5], [0, -2.5, -1.7272727272727275, -3.1724137931034484, -1.647058823529413]
    )
    np.testing.assert_allclose(scaled.gained[:3], [0.0, -5.277777777777778, -4.441558441558443])
    assert (found.targeted[-1], found.gained[-1]) == (200, pytest.approx(22.666666666666668))
    assert scaled.gained[-1] == pytest.approx(56.66666666666666)


@given(st.integers(0, 1_000_000))
def test_only_the_order_counts_a_constant_gains_nothing_and_perfect_is_one(seed):
    rng = np.random.default_rng(seed)
    treated, visited = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
    treated[:2], visited[:4], treated[2:4] = (0, 1), (0, 1, 0, 1), (0, 1)
    score = rng.integers(0, 9, 60).astype(float)
    assert qini.gain(visited, np.exp(score), treated) == pytest.approx(qini.gain(visited, score, treated))
    assert qini.gain(visited, np.zeros(60), treated) == pytest.approx(0.0, abs=1e-12)
    assert qini.qini_score(visited, visited * (2 * treated - 1), treated) == pytest.approx(1.0)
    assert qini.gain(3.0 * visited, score, treated) == pytest.approx(3.0 * qini.gain(visited, score, treated))


@given(st.integers(0, 1_000_000))
def test_a_weight_is_a_number_of_copies_and_resamples_come_out_alike_at_once(seed):
    rng = np.random.default_rng(seed)
    treated, visited, score = rng.integers(0, 2, 50), rng.integers(0, 2, 50), rng.integers(0, 9, 50).astype(float)
    weight = rng.integers(0, 3, 50)
    treated[:4], visited[:4], weight[:4] = (0, 1, 0, 1), (0, 0, 1, 1), 1
    copies = np.repeat(np.arange(50), weight)
    again = [of[copies] for of in (visited, score, treated)]
    for measure in (qini.gain, qini.qini_score, qini.uplift_score):
        assert measure(visited, score, treated, weight) == pytest.approx(measure(*again), abs=1e-12)
    many = qini.gains(visited, score, treated, np.stack([weight, np.ones(50)]).astype(float))
    np.testing.assert_allclose(
        many, [qini.gain(visited, score, treated, weight), qini.gain(visited, score, treated)], atol=1e-12
    )


def test_the_interval_holds_the_value_that_many_more_customers_give():
    def trial(n, rng):
        score, treated = rng.random(n), rng.integers(0, 2, n)
        return (rng.random(n) < 0.1 + 0.3 * treated * score).astype(int), score, treated

    truth = qini.qini_score(*trial(400_000, np.random.default_rng(0)))
    rng = np.random.default_rng(1)
    held = [found.low <= truth <= found.high
            for found in (qini.qini_interval(*trial(300, rng), seed=k) for k in range(40))]  # fmt: skip
    # 95 % of 40 are 38; four standard errors below are 32.
    assert sum(held) >= 32
    money = qini.gain_interval(*trial(400, rng), seed=3)
    assert money.low < money.value < money.high


def test_what_cannot_be_scored_is_said():
    with pytest.raises(BadInput, match="0 or 1"):
        qini.qini_score(np.array([0.0, 2.5]), np.zeros(2), np.array([0, 1]))
    with pytest.raises(BadInput, match="both of them"):
        qini.gain(np.zeros(3), np.zeros(3), np.ones(3))
    with pytest.raises(BadInput, match="differ in length"):
        qini.gain(np.zeros(3), np.zeros(2), np.array([0, 1, 1]))
    with pytest.raises(BadInput, match="finite"):
        qini.gain(np.zeros(2), np.array([np.nan, 1.0]), np.array([0, 1]))
