"""Return risk by history: a customer's own returns count as far as they foretold, and nothing later is read."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.journey import DAY
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.replay import sort_ticks
from cxreco.repeat.return_risk import (
    LEAST_RETURNED,
    PastOrders,
    past_orders,
    returns_of,
    returns_show,
    usual_returns,
    weight_of_own_returns,
)
from cxreco.respond.value import OWN_RETURNS, USUAL_ORDERS, own_returns
from cxreco.respond.worth import Worth

USUAL = 0.1


def orders_of(rng: np.random.Generator, n: int, by_customer: float) -> PastOrders:
    """Draw orders of people who differ in what they send back by `by_customer` (sd of the log-odds)."""
    logit = np.log(USUAL / (1.0 - USUAL)) + by_customer * rng.normal(size=n)
    chance = 1.0 / (1.0 + np.exp(-logit))
    before = rng.integers(0, 20, n)
    seen = rng.binomial(before, chance)
    share = np.divide(seen, before, out=np.full(n, np.nan), where=before > 0)
    who = np.arange(n)
    return PastOrders(
        customer=who, at=who, seq=who, returned=rng.random(n) < chance,
        orders=before.astype(np.float64), share=share, lines=np.ones(n),
    )  # fmt: skip


def test_own_returns_count_where_people_differ_and_not_where_they_do_not() -> None:
    rng = np.random.default_rng(3)
    differing = [weight_of_own_returns(orders_of(rng, 3_000, 1.5), USUAL) for _ in range(5)]
    alike = [weight_of_own_returns(orders_of(rng, 3_000, 0.0), USUAL) for _ in range(5)]
    assert min(differing) > 0.6
    assert max(alike) < 0.25


def test_too_few_returns_tell_nothing() -> None:
    past = orders_of(np.random.default_rng(3), 100, 1.5)
    assert weight_of_own_returns(replace(past, returned=np.arange(100) < 19), USUAL) == 0.0


@given(
    orders=st.floats(0.0, 500.0), share=st.one_of(st.just(np.nan), st.floats(0.0, 1.0)), usual=st.floats(0.001, 0.9),
    lines=st.one_of(st.just(np.nan), st.floats(0.0, 50.0)),
)  # fmt: skip
def test_nobody_is_apart_before_the_first_order_and_all_are_held_back(
    orders: float, share: float, usual: float, lines: float
) -> None:
    apart = float(own_returns(np.array([orders]), np.array([share]), np.array([lines]), usual)[0])
    least = np.log(USUAL_ORDERS / (orders + USUAL_ORDERS))
    assert np.isfinite(apart) and apart >= least - 1e-9
    if orders == 0.0:
        assert apart == pytest.approx(0.0, abs=1e-12)
    more = float(own_returns(np.array([orders]), np.array([1.0]), np.array([lines]), usual)[0])
    assert more >= apart - 1e-12


def test_past_orders_know_nothing_of_what_came_later(lived) -> None:
    log, worth = lived.log, Worth()
    since, until = log.start, log.start + 60 * DAY
    whole = past_orders(log.ticks, worth, since=since, until=until, most=10**6)
    cut = past_orders(log.ticks[log.ticks["at"] < until], worth, since=since, until=until, most=10**6)
    assert whole.seq.size > 100 and np.array_equal(whole.seq, cut.seq)
    for name in ("orders", "share", "lines"):
        assert np.array_equal(getattr(whole, name), getattr(cut, name), equal_nan=True)
    first = np.unique(whole.customer[np.argsort(whole.at, kind="stable")], return_index=True)[1]
    assert np.all(np.nan_to_num(whole.orders[np.argsort(whole.at, kind="stable")][first]) == 0.0)
    few = past_orders(log.ticks, worth, since=since, until=until, most=50)
    assert few.seq.size == 50 and set(few.seq.tolist()) <= set(whole.seq.tolist())
    assert np.all(np.diff(whole.seq) > 0) and np.all(np.diff(few.seq) > 0)


def test_a_return_is_found_at_the_order_it_is_of(lived) -> None:
    log = lived.log
    past = past_orders(log.ticks, Worth(), since=log.start, until=log.now, most=10**6)
    assert 0 < past.returned.sum() < past.returned.size / 2


def test_the_rates_that_a_model_starts_from(lived) -> None:
    log, worth = lived.log, Worth()
    rates = returns_of(log.ticks, worth, as_of=log.now)
    assert rates["returned"] == usual_returns(log.ticks, worth, as_of=log.now)
    assert 0.0 <= rates[OWN_RETURNS] <= 1.0
    assert returns_of(log.ticks[:0], worth, as_of=log.now) == {"returned": worth.return_rate, OWN_RETURNS: 0.0}


def test_returns_are_waited_for_as_long_as_they_take(lived) -> None:
    worth, now = Worth.from_spec(lived.specs["reward"]), lived.log.now
    assert returns_show(lived.log.ticks, worth, as_of=lived.log.start) == worth.harm_window // 2
    order = np.zeros(2 * LEAST_RETURNED, TICK)
    order["kind"], order["item"], order["category"], order["quantity"] = Kind.ORDER_LINE, 3, 1, 1.0
    order["customer"], order["seq"] = np.arange(order.size), np.arange(order.size)
    back = order.copy()
    # Half of them after 2 days, the others after 9, and one after 25.
    back["kind"], back["at"], back["seq"] = Kind.RETURNED, np.where(order["customer"] % 2, 2 * DAY, 9 * DAY), 1_000
    back["at"][0] = 25 * DAY
    ticks = sort_ticks(np.concatenate([order, back]))
    assert returns_show(ticks, worth, as_of=worth.harm_window) == 9 * DAY
    # What may still come back tells nothing yet.
    assert returns_show(ticks, worth, as_of=worth.harm_window - 1) == worth.harm_window // 2
    assert 0 < returns_show(lived.log.ticks, worth, as_of=now) <= worth.harm_window
