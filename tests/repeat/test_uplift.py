"""Uplift: learners recover effects that are known, and differences that are not there are seldom acted on."""

import numpy as np
import pytest

from cxreco.errors import BadInput
from cxreco.repeat.uplift import Trial
from cxreco.repeat.uplift_choice import Rules, choose
from cxreco.repeat.uplift_learners import DR, Boosted, Ridge, S, T, X, doubly_robust, learners

FEW = (S(base=Ridge()), X(base=Ridge()), DR(base=Ridge()), T(base=Ridge()))
STUMPS = Boosted(name="stumps", leaves=2, rounds=100)


def trial(n, seed, effect, shares=(1.0, 1.0, 1.0), noise=1.0):
    """A trial of three arms: arm 1 adds `effect(x)`, arm 2 a constant 0.3; the outcome has a trend of its own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    arm = rng.choice(3, n, p=np.array(shares) / np.sum(shares))
    lift = np.choose(arm, [np.zeros(n), effect(x), np.full(n, 0.3)])
    return Trial.dealt(x, arm, 0.7 * x[:, 0] + lift + noise * rng.normal(size=n), np.array(shares)), x


@pytest.mark.parametrize("learner", [*FEW, *(kind(base=STUMPS) for kind in (S, X, DR, T))], ids=lambda own: own.name)
def test_every_learner_finds_a_known_effect_in_every_arm(learner):
    data, _ = trial(6_000, 1, lambda x: 0.3 + 0.8 * x[:, 1])
    fresh = np.random.default_rng(2).normal(size=(2_000, 4))
    found = learner.fit(data, seed=3).effects(fresh)
    assert np.corrcoef(found[:, 0], 0.8 * fresh[:, 1])[0, 1] > 0.9
    # One shrunken regression draws mean effects towards 0 (Künzel et al.): `choose` puts the trial's own there.
    if learner.name != "S stumps":
        assert found.mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.15)
    np.testing.assert_array_equal(found, learner.fit(data, seed=3).effects(fresh))


def test_a_learner_over_trees_finds_an_effect_that_no_line_can():
    data, _ = trial(6_000, 4, lambda x: np.where(x[:, 1] * x[:, 2] > 0, 1.0, -1.0))
    fresh = np.random.default_rng(5).normal(size=(2_000, 4))
    truth = np.sign(fresh[:, 1] * fresh[:, 2])
    assert np.corrcoef(T(base=Boosted(leaves=8, rounds=150)).fit(data, 1).effects(fresh)[:, 0], truth)[0, 1] > 0.5
    assert abs(np.corrcoef(T(base=Ridge()).fit(data, 1).effects(fresh)[:, 0], truth)[0, 1]) < 0.2


def test_scores_are_right_on_average_however_unevenly_arms_were_dealt_and_values_are_missing():
    data, x = trial(20_000, 6, lambda x: 0.5 * x[:, 0] ** 2, shares=(5.0, 2.0, 1.0))
    holes = np.where(np.random.default_rng(0).random(x.shape) < 0.1, np.nan, x)
    data = Trial(x=holes, arm=data.arm, outcome=data.outcome, propensity=data.propensity)
    scores = doubly_robust(data, Ridge(), seed=1)
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(data))
    assert np.all(np.abs(scores.mean(axis=0) - [0.0, 0.5, 0.3]) < 4.0 * error)


def test_a_difference_that_is_there_is_found_calibrated_and_acted_on():
    data, _ = trial(4_000, 7, lambda x: 0.3 + 0.6 * x[:, 1])
    chosen = choose(data, candidates=FEW)
    assert chosen.evident[0, 1]
    assert chosen.evident[2, 1]
    assert not chosen.evident[0, 2]
    assert chosen.slope[0, 1] == pytest.approx(1.0, abs=0.2)
    fresh = np.random.default_rng(8).normal(size=(20_000, 4))
    truth = np.column_stack([np.zeros(20_000), 0.3 + 0.6 * fresh[:, 1], np.full(20_000, 0.3)])

    def value(arm):
        return truth[np.arange(20_000), arm].mean()

    assert value(chosen.choose(fresh)) > max(value(1), value(2)) + 0.15
    assert np.sqrt(((chosen.effects(fresh)[:, 0] - truth[:, 1]) ** 2).mean()) < 0.2
    # What an arm costs is weighed against what it adds: at a high enough price nothing is done.
    assert chosen.choose(fresh, costs=np.array([0.0, 9.0, 9.0])).max() == 0


def test_differences_that_are_not_there_are_acted_on_no_more_often_than_said():
    acted = 0
    for seed in range(100):
        data, _ = trial(400, 1_000 + seed, lambda x: np.full(len(x), 0.3))
        chosen = choose(data, candidates=(FEW[0], FEW[2]), seed=seed)
        acted += bool(chosen.evident.any())
        if not chosen.evident.any():
            assert np.unique(chosen.choose(data.x)).size == 1
    # 5 % of 100 are 5, four standard errors above are 13.
    assert acted <= 13


def test_the_best_single_arm_is_given_where_the_evidence_is_thin_and_nothing_where_all_do_harm():
    data, x = trial(600, 9, lambda x: np.full(len(x), 1.2))
    assert set(choose(data, candidates=FEW).choose(x)) == {1}
    bad = Trial(x=data.x, arm=data.arm, outcome=data.outcome - 2.0 * (data.arm > 0), propensity=data.propensity)
    assert set(choose(bad, candidates=FEW).choose(x)) == {0}


def test_a_modest_learner_is_preferred_until_a_better_one_is_evidently_better():
    straight, _ = trial(3_000, 10, lambda x: 0.3 + 0.3 * x[:, 1])
    crossed, _ = trial(6_000, 11, lambda x: np.where(x[:, 1] * x[:, 2] > 0, 1.5, -1.5))
    both = (S(base=Ridge()), T(base=Boosted(leaves=8, rounds=150)))
    assert choose(straight, candidates=both).learner == "S linear"
    assert choose(crossed, candidates=both).learner == "T trees"
    names = [own.name for own in learners()]
    assert len(set(names)) == len(names) == 12
    strict = choose(straight, candidates=both, rules=Rules(standard_errors=0.0))
    assert max(strict.standings, key=lambda own: own.gain).name == strict.learner


def test_a_trial_that_cannot_be_one_is_refused():
    x, arm, y = np.zeros((4, 1)), np.array([0, 1, 0, 1]), np.zeros(4)
    with pytest.raises(BadInput, match="chance above 0"):
        Trial(x=x, arm=arm, outcome=y, propensity=np.tile([1.0, 0.0], (4, 1)))
    with pytest.raises(BadInput, match="same customers"):
        Trial.dealt(x[:3], arm, y, np.ones(2))
    with pytest.raises(BadInput, match="outside 0 to 1"):
        Trial.dealt(x, arm + 1, y, np.ones(2))
    with pytest.raises(BadInput, match="finite"):
        Trial.dealt(x, arm, np.array([0.0, np.nan, 0.0, 0.0]), np.ones(2))
    with pytest.raises(BadInput, match="folds need"):
        choose(Trial.dealt(x, arm, y, np.ones(2)), candidates=FEW)
    with pytest.raises(BadInput, match="no learner"):
        choose(Trial.dealt(x, arm, y, np.ones(2)), candidates=())
