"""What messages bring about, learned beside what comes anyway."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.respond.head import Prior
from cxreco.respond.prompting import fit_prompted

TRUE = np.array([-2.0, 0.8])
WIDE = Prior(mean=np.zeros(2), sd=np.full(2, 3.0))


def letters(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return design, offset, chance without a letter, and who ordered."""
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(n), rng.random(n)])
    offset, alone = 0.3 * rng.normal(size=n), 0.2 * rng.random(n)
    chance = 1.0 - (1.0 - alone) * np.exp(-np.exp(offset + design @ TRUE))
    return design, offset, alone, (rng.random(n) < chance).astype(np.float64)


def test_many_letters_tell_the_hazard_and_how_sure_it_is() -> None:
    """Of 60 logs the 95 % intervals by Laplace hold the truth about as often as they say."""
    inside = []
    for seed in range(60):
        head = fit_prompted(*letters(seed, 4_000), WIDE)
        inside.append(np.abs(head.theta - TRUE) < 1.96 * np.sqrt(np.diag(head.covariance)))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.06)


def test_without_letters_it_is_the_belief() -> None:
    design, offset, alone, y = letters(0, 0)
    head = fit_prompted(design, offset, alone, y, Prior(mean=TRUE, sd=np.ones(2)))
    assert head.rows == 0 and np.array_equal(head.theta, TRUE)


@given(seed=st.integers(0, 1_000), firm=st.floats(0.001, 0.01))
@settings(max_examples=20, deadline=None)
def test_a_firm_belief_is_hardly_moved(seed: int, firm: float) -> None:
    believed = np.array([-1.0, -1.0])
    head = fit_prompted(*letters(seed, 50), Prior(mean=believed, sd=np.full(2, firm)))
    assert np.all(np.abs(head.theta - believed) < 0.05)


@given(seed=st.integers(0, 1_000))
@settings(max_examples=20, deadline=None)
def test_it_is_where_the_posterior_is_highest(seed: int) -> None:
    design, offset, alone, y = letters(seed, 300)

    def posterior(theta: np.ndarray) -> float:
        some = 1.0 - (1.0 - alone) * np.exp(-np.exp(offset + design @ theta))
        return float(np.sum(np.log(np.where(y > 0.0, some, 1.0 - some))) - 0.5 * np.sum((theta / WIDE.sd) ** 2))

    best = fit_prompted(design, offset, alone, y, WIDE).theta
    for step in 0.05 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1]]):
        assert posterior(best) >= posterior(best + step)
