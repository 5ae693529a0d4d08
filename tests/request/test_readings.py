"""Readings of a state: the compiled ones agree with the plain ones, and unknown is never zero."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxreco.journey import DAY
from cxreco.recognise import reading
from cxreco.recognise.state import State
from cxreco.request.readings import READINGS, days_since, faded, readings

SECONDS = st.integers(1, 2**32 - 1)


@given(value=st.floats(0.0, 1e6), half_life=st.floats(1.0, 400.0), then=SECONDS, now=SECONDS)
def test_fading_is_the_same_compiled_and_plain(value: float, half_life: float, then: int, now: int) -> None:
    np.testing.assert_allclose(
        faded(value, half_life, then, now), reading.decayed(value, half_life, then, now), rtol=1e-12
    )


@given(then=st.integers(0, 2**32 - 1), ahead=st.integers(0, 2**30))
def test_days_since_is_the_same_compiled_and_plain(then: int, ahead: int) -> None:
    np.testing.assert_equal(days_since(then + ahead, then), reading.days_since(then, then + ahead))


def test_of_a_stranger_only_counts_are_known() -> None:
    known = readings(State.empty(), 100 * DAY)
    assert set(known) == set(READINGS)
    assert known["orders"] == known["views_7"] == known["complaints_open"] == 0.0
    for name in ("days_since_order", "order_due", "value_mean", "repeat_share", "rating_mean", "nps", "tenure_days"):
        assert np.isnan(known[name])


def test_a_customer_is_read_as_they_were(shop) -> None:
    for day in (10.0, 20.0, 40.0):
        shop.order(1, day, "i1", "i2")
    shop.note("survey_answered", 1, 41.0, instrument="nps", score=9)
    known = readings(shop.state(1, 50.0), 50 * DAY)
    assert known["orders"] == 3.0
    assert known["days_since_order"] == 10.0
    assert known["lines_mean"] == 2.0
    assert known["value_mean"] == 20.0
    assert known["nps"] == 9.0
    assert known["repeat_share"] == 1.0 - 2.0 / 6.0
    assert 15.0 < known["order_gap"] < 45.0
