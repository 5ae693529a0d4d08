"""A head is its prior without rows, recovers the truth with many, and boosts only where that pays."""

import numpy as np
import pytest

from cxreco.respond.head import Prior
from cxreco.respond.head_fitting import Rows, Trees, fit_head

PRIOR = Prior(mean=np.array([0.0, 0.5]), sd=np.array([0.5, 0.5]))


def rows(n, seed, curve=lambda x: 0.0 * x[:, 0]):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    design = np.column_stack([np.ones(n), x[:, 0]])
    offset = rng.normal(-1.0, 0.5, n)
    truth = offset + design @ np.array([0.4, -0.3]) + curve(x)
    y = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(float)
    return Rows(x=x, design=design, offset=offset, y=y, at=np.arange(n)), truth


def test_without_rows_it_is_its_prior():
    empty = Rows(
        x=np.empty((0, 5)), design=np.empty((0, 2)), offset=np.empty(0), y=np.empty(0), at=np.empty(0, np.int64)
    )
    head = fit_head(empty, PRIOR, Trees())
    assert head.rows == 0
    assert np.array_equal(head.theta, PRIOR.mean)
    assert np.allclose(head.covariance, np.diag(PRIOR.sd**2))


def test_few_rows_move_it_little_and_many_to_the_truth():
    few = fit_head(rows(20, 1)[0], PRIOR, Trees())
    many = fit_head(rows(20_000, 2)[0], PRIOR, Trees())
    truth = np.array([0.4, -0.3])
    sd = np.sqrt(np.diag(many.covariance))
    assert np.all(np.abs(many.theta - truth) < 4 * sd)
    assert np.linalg.norm(few.theta - PRIOR.mean) < np.linalg.norm(truth - PRIOR.mean)
    assert np.all(np.sqrt(np.diag(few.covariance)) > sd)


def test_trees_stay_out_where_there_is_nothing_to_find_and_come_in_where_there_is():
    plain = fit_head(rows(4_000, 3)[0], PRIOR, Trees())
    curved = fit_head(rows(4_000, 4, lambda x: 2.0 * np.sin(3 * x[:, 1]) * np.sign(x[:, 2]))[0], PRIOR, Trees())
    assert plain.trees is None
    assert curved.trees is not None
    assert curved.report["later_gain"] > 0


def test_it_is_calibrated_on_rows_it_never_saw():
    head = fit_head(rows(6_000, 5)[0], PRIOR, Trees())
    fresh, truth = rows(20_000, 6)
    got = head.probability(fresh.x, fresh.design, fresh.offset)
    for part in np.array_split(np.argsort(got), 5):
        expected = got[part].mean()
        assert fresh.y[part].mean() == pytest.approx(expected, abs=0.02 + 4 * np.sqrt(0.25 / part.size))
    assert np.corrcoef(got, truth)[0, 1] > 0.95


def test_rows_out_of_order_are_refused():
    with pytest.raises(ValueError, match="time order"):
        Rows(x=np.zeros((2, 1)), design=np.zeros((2, 0)), offset=np.zeros(2), y=np.zeros(2), at=np.array([2, 1]))


def test_trees_speak_of_the_moment_and_rows_of_one_moment_share_their_word():
    head = fit_head(rows(4_000, 4, lambda x: 2.0 * np.sin(3 * x[:, 1]) * np.sign(x[:, 2]))[0], PRIOR, Trees())
    fresh, _ = rows(3, 7)
    of = np.array([0, 0, 1, 2, 2])
    design, offset = np.zeros((5, 2)), np.zeros(5)
    spread = head.logit(fresh.x, design, offset, of)
    assert np.array_equal(spread, head.logit(fresh.x[of], design, offset))
    assert spread[0] == spread[1] and len({*spread.tolist()}) == 3
