"""Logs without dates: read from everybody's latest place, each customer's own order untouched."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.journey import DAY, MICROS
from cxreco.recognise.layout import TICK
from cxreco.recognise.replay import sort_ticks
from cxreco.recognise.undated import PLACE, aligned


def ticks_of(rows):
    """rows: (customer, place)"""
    ticks = np.zeros(len(rows), TICK)
    for number, (customer, place) in enumerate(rows):
        ticks[number]["customer"], ticks[number]["at"], ticks[number]["seq"] = customer, place * DAY or MICROS, number
    return sort_ticks(ticks)


ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_the_order_stays_and_everybody_ends_at_once(rows):
    ticks = ticks_of(rows)
    found, now = aligned(ticks)
    assert np.array_equal(found[["customer", "seq"]], ticks[["customer", "seq"]])
    assert np.array_equal(sort_ticks(found), found)
    ends = {int(c): int(found["at"][found["customer"] == c].max()) for c in np.unique(found["customer"])}
    assert len(set(ends.values())) == 1
    assert found["at"].min() > 0 and now == next(iter(ends.values())) + PLACE - MICROS
    for c in ends:
        own = ticks["customer"] == c
        assert np.array_equal(np.diff(found["at"][own]), np.diff(ticks["at"][own] // DAY) * PLACE)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS, later=st.integers(1, 100))
def test_where_a_customer_begins_to_count_says_nothing(rows, later):
    moved = [(customer, place + later * (customer == 0)) for customer, place in rows]
    (one, now), (other, same) = aligned(ticks_of(rows)), aligned(ticks_of(moved))
    assert now == same and np.array_equal(one["at"], other["at"])


def test_an_empty_log_stays_empty():
    found, now = aligned(np.zeros(0, TICK))
    assert found.size == now == 0
