"""The pooled design: hold is the ground, unknown is neutral, and a mode's block is its own."""

import numpy as np
import pytest

from cxreco.errors import BadSpec
from cxreco.journey import MODES, Mode
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.design import SIGNALS, WIDTH, Beliefs, pooled, signals


def rows(n=50, seed=0):
    x = np.random.default_rng(seed).normal(0.0, 20.0, (n, len(VALUE_FEATURES)))
    x[np.random.default_rng(seed + 1).random(x.shape) < 0.3] = np.nan
    return x


def test_signals_are_finite_whatever_comes_in():
    for x in (rows(), np.full((2, len(VALUE_FEATURES)), np.nan), np.full((2, len(VALUE_FEATURES)), np.inf)):
        found = signals(x, 5.0)
        assert found.shape == (len(x), WIDTH) and np.isfinite(found).all()


def test_hold_is_zero_and_a_mode_has_the_shared_block_and_its_own():
    x, mode = rows(), np.arange(50, dtype=np.int16) % len(MODES)
    design = pooled(signals(x, 5.0), mode).reshape(50, len(MODES), WIDTH)
    assert not design[mode == 0].any()
    for row in np.flatnonzero(mode):
        assert np.array_equal(design[row, 0], design[row, mode[row]])
        others = [block for block in range(1, len(MODES)) if block != mode[row]]
        assert not design[row, others].any()


def test_a_row_does_not_depend_on_its_neighbours():
    x, mode = rows(), np.arange(50, dtype=np.int16) % len(MODES)
    order = np.random.default_rng(3).permutation(50)
    whole = pooled(signals(x, 5.0), mode)
    assert np.array_equal(pooled(signals(x[order], 5.0), mode[order]), whole[order])


def test_a_wish_that_names_one_item_and_one_that_names_a_shelf_are_told_apart():
    x = np.full((3, len(VALUE_FEATURES)), np.nan)
    x[:, VALUE_COLUMN["has_query"]] = [1.0, 1.0, 0.0]
    x[:, VALUE_COLUMN["asked_rivals"]] = [1.0, 12.0, np.nan]
    x[:, VALUE_COLUMN["query_match"]] = 0.9
    x[:, VALUE_COLUMN["topic_share"]] = 1.0
    named, sought, topic = (signals(x, 5.0)[:, SIGNALS.index(name)] for name in ("named", "sought_named", "topic_open"))
    assert named.tolist() == pytest.approx([1.0, 1.0 / 12.0, 0.0])
    assert sought.tolist() == pytest.approx([0.9, 0.9 / 12.0, 0.0])
    assert topic.tolist() == pytest.approx([0.0, 11.0 / 12.0, 0.0])


def test_beliefs_land_where_they_are_named():
    prior = Beliefs(by_mode={"shared": {"one": 0.3}, Mode.COACH: {"fatigue": -1.0}}, sd_mode=0.2).prior()
    assert prior.mean.size == WIDTH * len(MODES) and np.count_nonzero(prior.mean) == 2
    assert prior.mean[0] == 0.3
    assert prior.mean[MODES.index(Mode.COACH) * WIDTH + SIGNALS.index("fatigue")] == -1.0
    assert {*prior.sd[WIDTH:]} == {0.2}
    with pytest.raises(BadSpec, match="unknown signals"):
        Beliefs(by_mode={Mode.COACH: {"fatige": 1.0}})
    with pytest.raises(BadSpec, match="unknown mode"):
        Beliefs(by_mode={Mode.HOLD: {"one": 1.0}})


def test_a_belief_may_be_held_less_firmly_than_the_others():
    prior = Beliefs(by_mode={Mode.COACH: {"need": {"mean": 0.3, "sd": 1.5}, "cart": {"mean": -0.3}}}).prior()
    need, cart = (MODES.index(Mode.COACH) * WIDTH + SIGNALS.index(name) for name in ("need", "cart"))
    assert (prior.mean[need], prior.sd[need]) == (0.3, 1.5)
    assert (prior.mean[cart], prior.sd[cart]) == (-0.3, 0.5)
    assert {*np.delete(prior.sd, need)} == {0.5}


@pytest.mark.parametrize(
    ("belief", "said"),
    [
        ({"sd": 0.2}, r"value.order.coach_behavior.need: must be a number, or .*, has \['sd'\]"),
        ({"mean": 0.1, "var": 0.2}, r"or { mean = 0.5, sd = 0.2 }, has \['mean', 'var'\]"),
        ({"mean": 0.1, "sd": 0.0}, "above 0"),
        ({"mean": float("nan")}, "got nan"),
        ("a lot", "must be a number"),
    ],
)
def test_a_belief_that_is_none_is_refused_and_named(belief, said):
    with pytest.raises(BadSpec, match=said):
        Beliefs(by_mode={Mode.COACH: {"need": belief}}, where="value.order")
