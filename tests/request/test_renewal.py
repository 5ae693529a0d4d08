"""The closed form: it rises with the horizon, is what a simulated process does, and listens to the own gaps."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxreco.request.renewal import gap_posterior, renewal_within, repeat_posterior

DAYS = st.floats(0.1, 400.0)
SPREADS = st.floats(0.1, 2.0)
SHARES = st.floats(0.02, 1.0)


@given(mean=DAYS, spread=SPREADS, repeat=SHARES, since=st.floats(0.0, 1000.0), one=DAYS, other=DAYS)
def test_it_is_a_probability_that_rises_with_the_horizon(
    mean: float, spread: float, repeat: float, since: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    near, far = (renewal_within(mean, spread, repeat, since, h) for h in (low, high))
    assert 0.0 <= near <= far <= 1.0


def test_it_is_what_a_simulated_renewal_process_does() -> None:
    rng = np.random.default_rng(3)
    mean, spread, repeat, since, horizon = 20.0, 0.5, 0.8, 15.0, 7.0
    variance = math.log1p(spread**2)
    gaps = rng.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), 200_000)
    gaps[rng.random(gaps.size) > repeat] = np.inf
    silent = gaps[gaps > since]
    truth = float((silent <= since + horizon).mean())
    assert abs(renewal_within(mean, spread, repeat, since, horizon) - truth) < 4 * math.sqrt(truth / silent.size)


@given(own=DAYS, population=DAYS, gaps=st.integers(1, 200))
def test_the_mean_gap_lies_between_the_own_and_the_populations(own: float, population: float, gaps: int) -> None:
    mean, _ = gap_posterior(float(gaps), own, 0.0, population, math.nan)
    assert min(own, population) - 1e-9 <= mean <= max(own, population) + 1e-9


def test_own_gaps_win_in_the_end() -> None:
    few, _ = gap_posterior(1.0, 10.0, 0.0, 40.0, 10.0)
    many, _ = gap_posterior(100.0, 10.0, 0.0, 40.0, 10.0)
    assert abs(many - 10.0) < 0.5 < abs(few - 10.0)


def test_who_came_back_often_will_come_back() -> None:
    assert repeat_posterior(1.0, 0.3) == 0.3
    assert repeat_posterior(10.0, 0.3) > 0.85
    assert 0.0 < repeat_posterior(1.0, math.nan) < 1.0
