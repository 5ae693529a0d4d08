"""A calibrated score is a probability that holds, and keeps its order."""

import numpy as np
import pytest

from cxreco.errors import StalePlaybook
from cxreco.request.calibration import Calibrator, fit_calibrator


def test_it_recovers_a_known_distortion() -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.02, 0.9, 40_000)
    label = (rng.random(truth.size) < truth).astype(np.float64)
    fitted = fit_calibrator(truth**3, label)
    assert fitted is not None
    for low in (0.1, 0.3, 0.5, 0.7):
        near = (truth > low) & (truth < low + 0.1)
        error = 4 * np.sqrt(0.25 / near.sum())
        assert abs(fitted.apply(truth[near] ** 3).mean() - truth[near].mean()) < error


def test_it_never_turns_an_order_round_and_is_never_certain() -> None:
    rng = np.random.default_rng(6)
    score = rng.normal(size=500)
    fitted = fit_calibrator(score, (rng.random(500) < 0.4).astype(np.float64))
    assert fitted is not None
    out = fitted.apply(np.linspace(-9.0, 9.0, 400))
    assert np.all(np.diff(out) >= 0.0)
    assert 0.0 < out.min() <= out.max() < 1.0


def test_it_is_read_back_to_the_bit() -> None:
    rng = np.random.default_rng(7)
    fitted = fit_calibrator(rng.normal(size=300), (rng.random(300) < 0.5).astype(np.float64))
    assert fitted is not None
    score = rng.normal(size=100)
    assert np.array_equal(Calibrator.from_json(fitted.to_json()).apply(score), fitted.apply(score))


def test_too_few_of_either_outcome_say_nothing() -> None:
    assert fit_calibrator(np.arange(100.0), np.zeros(100)) is None
    assert fit_calibrator(np.arange(100.0), np.ones(100)) is None


def test_a_map_that_falls_is_refused() -> None:
    with pytest.raises(StalePlaybook):
        Calibrator.from_json(b'{"score": [0, 1], "probability": [0.9, 0.1]}')
