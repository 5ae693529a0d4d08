"""The need model against a simulated process whose truth is known: calibrated, monotone, and on time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxreco.errors import BadSpec, StalePlaybook
from cxreco.journey import DAY
from cxreco.request.need import NeedModel, NeedRows, NeedSpec
from cxreco.request.need_features import NEED_FEATURES
from cxreco.request.renewal import gap_posterior, repeat_posterior

COLUMN = {name: i for i, name in enumerate(NEED_FEATURES)}
SPREAD = 0.3
WINDOW = 60.0


def renewals(n: int, seed: int, *, viewed_speeds: bool = True) -> NeedRows:
    """Return n customers' items at random instants: lognormal gaps, and a view that says the need is twice as near."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(8.0, 45.0, n)
    count = rng.integers(3, 9, n)
    variance = math.log1p(SPREAD**2)
    own = [rng.lognormal(math.log(m) - variance / 2, math.sqrt(variance), k) for m, k in zip(mean, count, strict=True)]
    gap = mean * rng.lognormal(-variance / 2, math.sqrt(variance), n)
    since = rng.uniform(0.0, 1.0, n) * gap
    left = gap - since
    viewed = rng.random(n) < 0.3
    if viewed_speeds:
        left = np.where(viewed, left / 2.0, left)
    x = np.full((n, len(NEED_FEATURES)), np.nan)
    for row in range(n):
        gaps = own[row]
        m2 = float(((gaps - gaps.mean()) ** 2).sum())
        posterior = gap_posterior(float(gaps.size), float(gaps.mean()), m2, 25.0, 15.0)
        x[row, COLUMN["gap"]], x[row, COLUMN["spread"]] = posterior
        x[row, COLUMN["repeat"]] = repeat_posterior(gaps.size + 1.0, 0.9)
        x[row, COLUMN["gap_mean"]] = gaps.mean()
    x[:, COLUMN["orders"]] = count + 1.0
    x[:, COLUMN["days_since"]] = since
    x[:, COLUMN["due"]] = since / x[:, COLUMN["gap"]]
    x[:, COLUMN["viewed_7"]] = viewed
    x[:, COLUMN["is_category"]] = 0.0
    at = rng.integers(0, 100 * DAY, n)
    return NeedRows(
        x=x, days=left, seen=np.full(n, WINDOW), at=at, customer=np.arange(n), code=np.zeros(n, dtype=np.int32)
    )


@pytest.fixture(scope="module")
def fitted() -> NeedModel:
    return NeedModel(spec=NeedSpec(lightgbm={"rounds": 60, "num_leaves": 8, "min_data_in_leaf": 60})).fit(
        renewals(5000, seed=1)
    )


@pytest.fixture(scope="module")
def later() -> NeedRows:
    return renewals(6000, seed=2)


def test_it_is_calibrated_at_each_horizon_and_in_each_tenth(fitted: NeedModel, later: NeedRows) -> None:
    horizons = fitted.spec.horizons
    p = fitted.grid(later.x)
    # Four standard errors of the mean over the rows, and as much again for those it was calibrated on.
    for column, horizon in enumerate(horizons):
        happened = later.days <= horizon
        assert abs(p[:, column].mean() - happened.mean()) < 8 * math.sqrt(0.25 / len(later)), horizon
    flat, label = p.ravel(), (later.days[:, None] <= np.array(horizons)).ravel()
    for tenth in np.array_split(np.argsort(flat), 10):
        share = label[tenth].mean()
        assert abs(flat[tenth].mean() - share) < 8 * math.sqrt(max(share * (1 - share), 0.02) / tenth.size)


def test_it_learns_what_the_closed_form_cannot_know(fitted: NeedModel, later: NeedRows) -> None:
    assert fitted.forest is not None
    label = later.days[:, None] <= np.array(fitted.spec.horizons)

    def surprise(p: NDArray[np.float64]) -> float:
        p = np.clip(p, 1e-6, 1 - 1e-6)
        return float(-np.where(label, np.log(p), np.log1p(-p)).mean())

    assert surprise(fitted.grid(later.x)) < 0.98 * surprise(NeedModel().grid(later.x))


def test_the_median_day_halves_what_happens(fitted: NeedModel, later: NeedRows) -> None:
    early = later.days <= fitted.days_until(later.x)
    assert abs(early.mean() - 0.5) < 8 * math.sqrt(0.25 / len(later))


@given(days=st.lists(st.floats(0.0, 400.0), min_size=2, max_size=6))
def test_probabilities_rise_with_the_horizon(fitted: NeedModel, later: NeedRows, days: list[float]) -> None:
    p = fitted.within(later.x[:40], sorted(days))
    assert np.all((p >= 0.0) & (p <= 1.0))
    assert np.all(np.diff(p, axis=1) >= -1e-12)


def test_the_grid_is_hit_exactly(fitted: NeedModel, later: NeedRows) -> None:
    np.testing.assert_allclose(fitted.within(later.x, fitted.spec.horizons), fitted.grid(later.x), atol=1e-9)


def test_with_little_to_learn_from_the_closed_form_stands(later: NeedRows) -> None:
    few = NeedModel().fit(later.take(np.arange(30)))
    none = NeedModel().fit(later.take(np.arange(0)))
    assert few.forest is None
    assert none == NeedModel()
    assert np.array_equal(none.grid(later.x), NeedModel().grid(later.x))


def test_what_was_never_bought_is_unknown(fitted: NeedModel, later: NeedRows) -> None:
    x = later.x[:3].copy()
    x[1, COLUMN["orders"]] = 0.0
    assert np.isnan(fitted.grid(x)).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(fitted.days_until(x)).tolist() == [False, True, False]


def test_it_is_read_back_to_the_bit(fitted: NeedModel, later: NeedRows) -> None:
    read = NeedModel.from_files(fitted.to_files())
    assert np.array_equal(read.grid(later.x), fitted.grid(later.x))
    files = fitted.to_files()
    files["need.json"] = files["need.json"].replace(b"days_since", b"days_until")
    with pytest.raises(StalePlaybook):
        NeedModel.from_files(files)


def test_fitting_twice_gives_the_same_bytes(later: NeedRows) -> None:
    rows = later.take(np.arange(1500))
    assert NeedModel().fit(rows).to_files() == NeedModel().fit(rows).to_files()


@pytest.mark.parametrize("spec", [{"horizons": []}, {"horizons": [3, 1]}, {"later_share": 0.0}, {"luck": 1}])
def test_a_wrong_spec_is_named(spec: dict[str, object]) -> None:
    with pytest.raises(BadSpec) as error:
        NeedModel.from_spec(spec)
    assert next(iter(spec)) in error.value.where
