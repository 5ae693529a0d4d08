"""What customers are still worth: the closed form of serving is that of the source, and prices those who may leave."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from cxreco.errors import BadSpec
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.playbook import Playbook
from cxreco.respond.still_worth import StillWorth, expected_orders
from cxreco.respond.worth import Worth

STILL = StillWorth(r=0.243, alpha=31.0, a=0.793, b=2.426, p=6.25, q=3.74, gamma=15.44, usual=35.2)


def row(**known):
    x = np.full((1, len(VALUE_FEATURES)), np.nan)
    for name, value in known.items():
        x[0, VALUE_COLUMN[name]] = value
    return x


@given(
    repeats=st.integers(0, 200), age=st.floats(1.0, 2_000.0), share=st.floats(0.01, 1.0), r=st.floats(0.05, 20.0),
    alpha=st.floats(1.0, 400.0), a=st.floats(0.05, 50.0), b=st.floats(0.05, 50.0), days=st.floats(7.0, 730.0),
)  # fmt: skip
def test_orders_to_come_are_those_of_the_source(repeats, age, share, r, alpha, a, b, days):
    from cxreco.repeat.lifetime import Activity, Purchases

    last = share * age if repeats else 0.0
    seen = Purchases(repeats=np.array([float(repeats)]), last=np.array([last]), age=np.array([age]))
    with np.errstate(all="ignore"):
        expected = float(Activity(r=r, alpha=alpha, a=a, b=b).orders(seen, days)[0])
    # Where the source's own series overflows, ours is held to an integral below.
    assume(np.isfinite(expected))
    found = expected_orders(float(repeats), last, age, r, alpha, a, b, days)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("repeats", [0.0, 3.0, 400.0, 5_000.0])
@pytest.mark.parametrize(("a", "b"), [(0.3, 2.0), (1.0, 40.0), (3.0, 5.0), (60.0, 900.0), (500.0, 500.0)])
def test_orders_to_come_are_their_integral_for_whoever_orders_however_often(repeats, a, b):
    r, alpha, age, days = 0.8, 20.0, 900.0, 365.0
    shape, begun = r + repeats, alpha + age

    def of(p):
        return -np.expm1(-shape * np.log1p(p * days / begun)) / p * stats.beta.pdf(p, a, b + repeats)

    mean, sd = stats.beta.mean(a, b + repeats), stats.beta.std(a, b + repeats)
    cuts = np.unique(np.clip([0.0, 1e-9, 1e-6, 1e-4, mean - 8 * sd, mean, mean + 8 * sd, 1.0], 0.0, 1.0))
    while_active = sum(quad(of, low, high, limit=400)[0] for low, high in pairwise(cuts))
    last = age if repeats else 0.0
    alive = 1.0 / (1.0 + a / (b + repeats - 1.0)) if repeats else 1.0
    found = expected_orders(repeats, last, age, r, alpha, a, b, days)
    assert found == pytest.approx(alive * while_active, rel=2e-3)


def test_who_orders_more_lately_and_dearly_is_worth_more_and_who_never_did_what_anybody_new_is():
    usual = {"orders": 8.0, "days_since_order": 5.0, "tenure_days": 200.0, "margin_mean": 12.0}
    base = STILL.of(row(**usual))[0]
    assert STILL.of(row(**usual | {"days_since_order": 120.0}))[0] < 0.5 * base
    assert STILL.of(row(**usual | {"orders": 4.0}))[0] < base < STILL.of(row(**usual | {"margin_mean": 30.0}))[0]
    new = STILL.usual * expected_orders(0.0, 0.0, 0.0, STILL.r, STILL.alpha, STILL.a, STILL.b, STILL.days)
    for nobody in (row(), row(orders=0.0, tenure_days=90.0), row(orders=0.0, margin_mean=5.0)):
        assert STILL.of(nobody)[0] == new > 0.0
    assert not StillWorth().of(row(**usual)).any()


def test_a_share_of_it_prices_an_unsubscribe_and_a_complaint_for_candidates_and_rewards_alike(playbook: Playbook):
    rng = np.random.default_rng(3)
    x = np.repeat(
        row(orders=8.0, days_since_order=5.0, tenure_days=200.0, margin_mean=12.0, on_outbound=1.0), 2, axis=0
    )
    mode, contact, hold = np.array([0, 3], np.int16), np.array([False, True]), np.zeros(2, np.int64)
    flat = replace(playbook.value, still_worth=STILL)
    worth = replace(flat.worth, complaint_share=0.1, unsubscribe_share=0.2)
    priced = replace(flat, worth=worth)
    one, two = (model.values_of(x, mode, contact, hold) for model in (flat, priced))
    still = two.parts["still_worth"]
    assert still[0] == still[1] == STILL.of(x)[0] and np.array_equal(one.parts["still_worth"], still)
    dearer = still * (0.1 * two.parts["complained"] + 0.2 * two.parts["unsubscribed"])
    np.testing.assert_allclose(one.money - two.money, dearer, rtol=1e-12)
    assert two.over_hold[1] < one.over_hold[1]
    left = rng.integers(0, 2, 5).astype(np.float64)
    apart = flat.worth.money(unsubscribed=left) - worth.money(unsubscribed=left, still_worth=100.0)
    np.testing.assert_allclose(apart, 20.0 * left)


def test_without_a_share_money_is_the_same_to_the_bit(playbook: Playbook):
    x = np.random.default_rng(1).exponential(5.0, (6, len(VALUE_FEATURES)))
    mode, hold = np.array([0, 1, 2, 3, 3, 2], np.int16), np.zeros(6, np.int64)
    models = (playbook.value, replace(playbook.value, still_worth=STILL))
    one, two = (model.values_of(x, mode, mode == 3, hold).money for model in models)
    assert one.tobytes() == two.tobytes()


def test_it_travels_in_the_playbook_and_one_from_before_reads_as_nothing(playbook: Playbook):
    files = replace(playbook, value=replace(playbook.value, still_worth=STILL)).to_files()
    back = Playbook.from_files(files)
    assert back.value.still_worth == STILL and back.version != playbook.version
    saved = json.loads(files["value.json"])
    del saved["still_worth"], saved["worth"]["worth"]["unsubscribe_share"], saved["worth"]["worth"]["complaint_share"]
    del saved["worth"]["windows"]["lifetime"]
    old = Playbook.from_files({**files, "value.json": json.dumps(saved).encode()})
    assert old.value.still_worth == StillWorth() and old.value.worth.unsubscribe_share == 0.0


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"worth": {"unsubscribe_share": 1.5}}, "reward.worth.unsubscribe_share"),
        ({"worth": {"complaint_share": -0.1}}, "reward.complaint_share"),
        ({"worth": {"complaint_share": float("nan")}}, "reward.complaint_share"),
        ({"windows": {"lifetime": 0}}, "reward.windows.lifetime"),
    ],
)
def test_a_share_that_is_none_is_named(spec, where):
    with pytest.raises(BadSpec, match=where):
        Worth.from_spec(spec)
    assert Worth.from_spec({"worth": {"unsubscribe_share": 1.0}}).unsubscribe_share == 1.0
    with pytest.raises(ValueError, match="above zero"):
        StillWorth(alpha=0.0)
