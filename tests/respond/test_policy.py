"""Laws of every distribution: it sums to one, factors into mode and action, and keeps its floors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cxreco.errors import BadSpec
from cxreco.journey import MODE_CODE, MODES, Mode
from cxreco.respond.policy import AUTOMATE, Policy, certain, gap_weights, pick, uniform

VALUES = hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-50, 50))
EVERY = [
    ("policy", lambda values, mode: Policy(scale=3.0).distribution(values, mode)),
    ("steep", lambda values, mode: Policy(gamma=1500.0).distribution(values, mode)),
    ("uniform", lambda values, mode: uniform(mode)),
    ("certain", lambda values, mode: certain(len(values) - 1, mode)),
]


def modes_for(values: np.ndarray, seed: int) -> np.ndarray:
    mode = np.sort(np.random.default_rng(seed).integers(0, 5, values.size)).astype(np.int16)
    mode[0] = 0
    return mode


@pytest.mark.parametrize("answer", [f for _, f in EVERY], ids=[name for name, _ in EVERY])
@given(values=VALUES, seed=st.integers(0, 100))
def test_is_a_distribution_that_factors(answer, values, seed):
    mode = modes_for(values, seed)
    got = answer(values, mode)
    assert np.all(got.joint >= 0)
    assert got.joint.sum() == pytest.approx(1.0, abs=1e-12)
    assert got.mode.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.allclose(got.joint, got.mode[mode] * got.action)
    for code in np.unique(mode):
        if got.mode[code] > 0:
            assert got.action[mode == code].sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("answer", [f for _, f in EVERY], ids=[name for name, _ in EVERY])
@given(values=VALUES, seed=st.integers(0, 100), n=st.integers(60, 90))
def test_the_share_of_draws_is_the_probability(answer, values, seed, n):
    mode = modes_for(values, seed)
    got = answer(values, mode)
    at = (np.arange(n) + 0.5) / n
    drawn = [pick(got.mode, got.action, mode, a, b) for a in at for b in at[seed % 3 :: 3]]
    share = np.bincount(drawn, minlength=values.size) / len(drawn)
    # A grid point more or less at each of two edges, of the mode and of the action.
    assert np.abs(share - got.joint).max() <= 2.0 / n + 6.0 / n
    assert not share[got.joint == 0.0].any()


def test_nothing_is_drawn_where_nothing_is_possible():
    nothing = np.zeros(3)
    assert pick(np.zeros(5), nothing, np.zeros(3, dtype=np.int16), 0.5, 0.5) == -1


@given(values=VALUES, seed=st.integers(0, 100))
def test_floor_holds_for_every_admitted_mode_but_the_automatic_one(values, seed):
    mode = modes_for(values, seed)
    policy = Policy(floor=0.01)
    got = policy.distribution(values, mode)
    for code in set(mode.tolist()) - {AUTOMATE}:
        assert got.mode[code] >= 0.01 - 1e-12


@given(values=VALUES, seed=st.integers(0, 100))
def test_an_order_that_does_not_pay_is_never_placed(values, seed):
    mode = modes_for(values, seed)
    values = np.where(mode == AUTOMATE, -np.abs(values), values)
    values[0] = 0.0
    assert Policy().distribution(values, mode).joint[mode == AUTOMATE].sum() == 0.0


@given(values=VALUES)
def test_a_better_option_is_never_less_likely(values):
    weights = gap_weights(values, 20.0)
    better = values[:, None] > values[None, :]
    assert np.all((weights[:, None] >= weights[None, :] - 1e-12)[better])


def test_knowing_more_it_explores_less():
    values, mode = np.array([0.0, 1.0, 0.5]), np.array([0, 1, 2], np.int16)
    best = [Policy(gamma=60.0).after(rows, 1.0).distribution(values, mode).joint[1] for rows in (0, 1_000, 100_000)]
    assert best[0] < best[1] < best[2]


def test_unknown_key_is_named():
    with pytest.raises(BadSpec, match="gama"):
        Policy.from_spec({"gama": 3})


def test_codes_of_modes_are_fixed():
    assert [MODE_CODE[m] for m in MODES] == [0, 1, 2, 3, 4]
    assert MODES[AUTOMATE] is Mode.AUTOMATE
