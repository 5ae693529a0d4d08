"""Lifetime value: closed forms against simulated customers, parameters recovered, and the laws of the curves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from cxreco.errors import BadInput
from cxreco.repeat.lifetime import Activity, OrderValue, Purchases, fit_activity, fit_order_value, lifetimes

# The CD shop of the source, in days: 2,357 customers, 39 weeks, r 0.243, alpha 4.414 weeks, a 0.793, b 2.426.
CDNOW = Activity(r=0.243, alpha=4.414 * 7, a=0.793, b=2.426)
SPEND = OrderValue(p=6.25, q=3.74, gamma=15.44)


def simulated(model, n, days, later, seed):
    """Customers who joined over twelve weeks, what was seen of them, their orders later, and who was active."""
    rng = np.random.default_rng(seed)
    rate, leave = rng.gamma(model.r, 1.0 / model.alpha, n), rng.beta(model.a, model.b, n)
    age = days - rng.uniform(0.0, 84.0, n)
    repeats, last, after, active = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n, bool)
    for i in range(n):
        at = 0.0
        while True:
            at += rng.exponential(1.0 / max(rate[i], 1e-300))
            if at > age[i] + later:
                break
            if at <= age[i]:
                repeats[i], last[i] = repeats[i] + 1, at
            else:
                after[i] += 1
            if rng.random() < leave[i]:
                active[i] = at > age[i]
                break
    return Purchases(repeats=repeats, last=last, age=age), after, active


@pytest.fixture(scope="module")
def shop():
    return simulated(CDNOW, 5_000, 273.0, 90.0, seed=3)


def test_parameters_come_back_within_four_standard_errors(shop):
    found = fit_activity(shop[0])
    truth = np.log([CDNOW.r, CDNOW.alpha, CDNOW.a, CDNOW.b])
    away = (np.log([found.r, found.alpha, found.a, found.b]) - truth) / np.array(found.errors)
    assert np.all(np.abs(away) < 4.0), away
    assert np.all(np.array(found.errors) < 0.6)
    assert found.log_likelihood(shop[0]).sum() >= CDNOW.log_likelihood(shop[0]).sum()


def test_orders_to_come_and_who_is_active_are_calibrated(shop):
    seen, after, active = shop
    expected, alive, soon = CDNOW.orders(seen, 90.0), CDNOW.alive(seen), CDNOW.within(seen, 90.0)
    for said, came in ((expected, after), (alive, active.astype(float)), (soon, (after > 0).astype(float))):
        for part in np.array_split(np.argsort(said), 5):
            gap = came[part] - said[part]
            assert abs(gap.mean()) < 4.0 * gap.std() / np.sqrt(part.size) + 1e-9


def test_the_likelihood_of_a_customer_is_the_integral_over_rates_and_chances_to_leave():
    model = Activity(r=1.3, alpha=20.0, a=0.8, b=2.5)
    one = Purchases(repeats=np.array([2.0]), last=np.array([15.0]), age=np.array([40.0]))

    def of_rate(stays):
        return lambda rate: (
            rate**2 * np.exp(-rate * (40.0 if stays else 15.0)) * 20.0**1.3 * rate**0.3 * np.exp(-20.0 * rate)
        )

    gamma = quad(lambda z: z**0.3 * np.exp(-z), 0, np.inf)[0]
    beta = quad(lambda p: p**-0.2 * (1 - p) ** 1.5, 0, 1)[0]
    stay = (
        quad(of_rate(True), 0, 5)[0] / gamma * quad(lambda p: (1 - p) ** 2 * p**-0.2 * (1 - p) ** 1.5, 0, 1)[0] / beta
    )
    left = (
        quad(of_rate(False), 0, 5)[0] / gamma * quad(lambda p: p * (1 - p) * p**-0.2 * (1 - p) ** 1.5, 0, 1)[0] / beta
    )
    assert float(model.log_likelihood(one)[0]) == pytest.approx(np.log(stay + left), rel=1e-6)


def test_values_of_orders_come_back_within_four_standard_errors():
    rng = np.random.default_rng(4)
    orders = rng.integers(1, 12, 8_000).astype(float)
    scale = rng.gamma(SPEND.q, 1.0 / SPEND.gamma, orders.size)
    seen = rng.gamma(SPEND.p * orders, 1.0 / (scale * orders))
    found = fit_order_value(orders, seen)
    away = np.log([found.p / SPEND.p, found.q / SPEND.q, found.gamma / SPEND.gamma]) / np.array(found.errors)
    assert np.all(np.abs(away) < 4.0), away
    # What is foretold of a customer is right on average, at few orders and at many.
    truth, told = SPEND.p / scale, SPEND.mean(orders, seen)
    for part in np.array_split(np.argsort(told), 5):
        gap = truth[part] - told[part]
        assert abs(gap.mean()) < 4.0 * gap.std() / np.sqrt(part.size)


@settings(max_examples=60)
@given(
    st.floats(0.1, 5.0), st.floats(1.0, 200.0), st.floats(0.2, 4.0), st.floats(0.2, 9.0), st.integers(0, 40),
    st.floats(0.01, 1.0), st.floats(1.0, 700.0), st.floats(1.0, 300.0),
)  # fmt: skip
def test_orders_grow_with_time_from_nothing_and_chances_are_chances(r, alpha, a, b, repeats, share, age, days):
    model = Activity(r=r, alpha=alpha, a=a, b=b)
    last = age * share if repeats else 0.0
    one = Purchases(repeats=np.array([float(repeats)]), last=np.array([last]), age=np.array([age]))
    less, more = model.orders(one, days)[0], model.orders(one, 2.0 * days)[0]
    assert 0.0 <= less <= more + 1e-9
    assert model.orders(one, 1e-9)[0] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 <= model.within(one, days)[0] <= model.alive(one)[0] <= 1.0
    # At least one order is no rarer than all the orders that are expected.
    assert model.within(one, days)[0] <= less + 1e-9
    # Half of the chance of an order within the time is the chance of one by the median day.
    median = model.median_within(one, days)[0]
    assert 0.0 < median < days
    assert model.within(one, median)[0] == pytest.approx(0.5 * model.within(one, days)[0], rel=1e-6)


def test_orders_are_continuous_where_the_formula_is_not():
    one = Purchases(repeats=np.array([3.0]), last=np.array([50.0]), age=np.array([60.0]))
    near = [Activity(r=1.0, alpha=20.0, a=a, b=2.0).orders(one, 30.0)[0] for a in (0.999, 1.0, 1.001)]
    assert near[1] == pytest.approx(0.5 * (near[0] + near[2]), rel=1e-4)


def test_a_longer_life_and_a_dearer_order_are_worth_more(shop):
    seen = Purchases(repeats=shop[0].repeats[:500], last=shop[0].last[:500], age=shop[0].age[:500])
    spent, code = np.full(500, 30.0), np.arange(500)
    year = lifetimes(CDNOW, SPEND, seen, spent, code)
    free = lifetimes(CDNOW, SPEND, seen, spent, code, discount=0.0)
    dear = lifetimes(CDNOW, SPEND, seen, spent + 10.0, code)
    np.testing.assert_allclose(free.value, free.orders * free.order_value)
    assert np.all(year.value <= free.value)
    assert np.all(dear.value > year.value)


def test_purchases_are_read_from_order_days_and_two_orders_of_a_day_are_one():
    found, who = Purchases.of(np.array([7, 7, 7, 3, 7]), np.array([10, 10, 24, 5, 12]), now=30.0)
    assert who.tolist() == [3, 7]
    assert (found.repeats.tolist(), found.last.tolist(), found.age.tolist()) == ([0, 2], [0, 14], [25, 20])


def test_too_little_to_learn_from_is_said():
    few = Purchases(repeats=np.ones(5), last=np.ones(5), age=np.full(5, 9.0))
    with pytest.raises(BadInput, match="two days"):
        fit_activity(few)
    with pytest.raises(BadInput, match="two orders"):
        fit_order_value(np.ones(50), np.ones(50))
    with pytest.raises(BadInput, match="last day above 0"):
        Purchases(repeats=np.array([1.0]), last=np.array([0.0]), age=np.array([3.0]))


def test_a_shop_that_nobody_leaves_is_fitted_without_failing():
    rng = np.random.default_rng(1)
    rate = rng.gamma(2.0, 0.02, 2_000)
    repeats = rng.poisson(rate * 200.0).astype(float)
    last = np.where(repeats > 0, 200.0 * rng.beta(np.maximum(repeats, 1.0), 1.0), 0.0)
    found = fit_activity(Purchases(repeats=repeats, last=last, age=np.full(2_000, 200.0)))
    assert found.alive(Purchases(repeats=np.array([5.0]), last=np.array([190.0]), age=np.array([200.0])))[0] > 0.99
    assert found.r / found.alpha == pytest.approx(0.04, rel=0.1)
