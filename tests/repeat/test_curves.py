import numpy as np
import pytest

from cxreco.errors import BadInput
from cxreco.repeat.curves import Values, individual_curve, population_curve


def test_the_lift_grows_with_what_is_known_and_is_paired():
    rng = np.random.default_rng(0)
    n = 12_000
    customers, interactions = np.arange(n) // 4, rng.integers(0, 70, n)
    luck = rng.normal(0.0, 5.0, n)
    truth = 0.2 * np.log2(1.0 + interactions)
    curve = individual_curve(luck + truth + rng.normal(0.0, 0.3, n), luck, interactions, customers).set_index("bin")
    assert list(curve.index) == ["0", "1", "2-3", "4-7", "8-15", "16-31", "32-63", "64+", "all"]
    assert (np.diff(curve["lift"].to_numpy()[:-1]) > 0).all()
    assert curve["n"].iloc[:-1].sum() == curve.loc["all", "n"] == n
    assert abs(curve.loc["all", "lift"] - truth.mean()) < 4 * curve.loc["all", "stderr"]
    assert curve.loc["all", "high"] - curve.loc["all", "low"] < 0.05


def test_bins_without_decisions_are_left_out():
    curve = individual_curve(np.ones(6), np.zeros(6), np.full(6, 5), np.arange(6))
    assert list(curve["bin"]) == ["4-7", "all"]
    with pytest.raises(BadInput, match="no decisions"):
        individual_curve(np.ones(0), np.ones(0), np.ones(0, dtype=int), np.ones(0))
    with pytest.raises(BadInput, match="length"):
        individual_curve(np.ones(2), np.ones(1), np.ones(2, dtype=int), np.ones(2))


def test_the_population_curve_pairs_the_same_decisions_and_tells_independent_ones_apart():
    rng = np.random.default_rng(0)
    luck, customers = rng.normal(0.0, 3.0, 2_000), np.arange(2_000)
    same = {size: Values(terms=luck + 0.1 * i, customers=customers) for i, size in enumerate((100, 1_000, 10_000))}
    curve = population_curve(same)
    assert list(curve["size"]) == [100, 1_000, 10_000]
    np.testing.assert_allclose(curve["gain"], [0.0, 0.1, 0.2])
    np.testing.assert_allclose(curve["gain_low"], curve["gain"])
    apart = {1: Values(terms=luck, customers=customers), 2: Values(terms=luck[:900] + 1.0, customers=customers[:900])}
    row = population_curve(apart).iloc[1]
    assert row["gain_high"] - row["gain_low"] > 0.3
    assert row["gain_low"] < 1.0 < row["gain_high"]


def test_values_must_be_finite_and_sizes_given():
    with pytest.raises(BadInput, match="finite"):
        Values(terms=np.array([np.nan]), customers=np.array([1]))
    with pytest.raises(BadInput, match="no sizes"):
        population_curve({})
