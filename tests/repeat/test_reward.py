"""Ripeness: what is too young is left out or predicted, and the share of it is told."""

import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadInput
from cxreco.journey import DAY
from cxreco.recognise.layout import TICK, Kind
from cxreco.repeat.reward import outcomes_of
from cxreco.respond.worth import Worth

WORTH = Worth(return_price_share=0.0, return_handling=0.0)


def shop(n, *, days, rate, seed=0, delay_days=10.0):
    """One decision a customer, all of whom order a day later; some of it comes back evenly over the next days."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, days, n) * DAY
    ticks = np.zeros(3 * n, dtype=TICK)
    for offset, kind in enumerate((Kind.ORDER_LINE, Kind.ORDER, Kind.RETURNED)):
        part = ticks[offset::3]
        part["customer"], part["kind"], part["item"] = np.arange(n), kind, -1 if kind == Kind.ORDER else 1
        part["at"], part["quantity"], part["price"], part["margin"] = at + DAY, 1.0, 10.0, 10.0
    back = rng.random(n) < rate
    ticks[2::3]["at"] += (rng.random(n) * delay_days * DAY).astype(np.int64) + 1
    ticks = ticks[np.column_stack([np.ones((n, 2), dtype=bool), back]).ravel()]
    row = np.arange(n)
    decisions = pd.DataFrame(
        {"decision_id": [f"d{i}" for i in row], "customer_id": [f"c{i}" for i in row], "at": at}
    ).assign(
        seq=0, arrival_cut=0, arm="champion", policy_version="1", mode=2, action_id="a", item_id="", item=-1,
        surface="home", channel="onsite", expires_at=0, propensity_mode=1.0, propensity_action=1.0, propensity=1.0,
        expected_value=0.0, chosen=0, n_admitted=1,
    )  # fmt: skip
    return decisions, ticks, row.astype(np.int64)


def test_heads_ripen_by_their_own_windows():
    decisions, ticks, customer = shop(200, days=60, rate=0.2)
    found = outcomes_of(decisions, ticks, customer=customer, worth=WORTH, as_of=60 * DAY)
    age = 60 * DAY - decisions["at"].to_numpy()
    np.testing.assert_array_equal(found.head("order")[1], age >= 3 * DAY)
    np.testing.assert_array_equal(found.head("returned")[1], age >= 30 * DAY)
    np.testing.assert_array_equal(found.frame["money"].isna(), age < 3 * DAY)
    expected = ((age >= 3 * DAY) & (age < 30 * DAY)).sum() / (age >= 3 * DAY).sum()
    assert found.share_unripe == pytest.approx(expected)


def test_predicted_returns_make_young_decisions_worth_what_they_will_be():
    decisions, ticks, customer = shop(8_000, days=60, rate=0.3)
    young = outcomes_of(decisions, ticks, customer=customer, worth=WORTH, as_of=60 * DAY)
    later = outcomes_of(decisions, ticks, customer=customer, worth=WORTH, as_of=120 * DAY)
    unripe = young.frame["ripe_order"].to_numpy() & ~young.frame["ripe_harm"].to_numpy()
    assert later.share_unripe == later.share_predicted == 0.0
    assert young.return_rate == pytest.approx(0.3, abs=0.03)
    apart = (young.frame["money"] - later.frame["money"]).to_numpy()[unripe]
    assert abs(apart.mean()) < 4 * apart.std() / np.sqrt(apart.size)
    optimistic = (young.frame["money_observed"] - later.frame["money"]).to_numpy()[unripe]
    assert optimistic.mean() > 8 * optimistic.std() / np.sqrt(apart.size)


def test_a_supplied_rate_is_used_and_nothing_is_predicted_for_the_ripe():
    decisions, ticks, customer = shop(100, days=60, rate=0.0)
    found = outcomes_of(decisions, ticks, customer=customer, worth=WORTH, as_of=60 * DAY, return_rate=0.5)
    assert found.return_rate == 0.5
    assert (found.frame.loc[found.frame["ripe_harm"], "predicted_loss"] == 0.0).all()
    unripe = found.frame["ripe_order"] & ~found.frame["ripe_harm"]
    assert (found.frame.loc[unripe, "predicted_loss"] > 0.0).all()


def test_the_future_is_not_looked_at():
    decisions, ticks, customer = shop(100, days=10, rate=1.0)
    found = outcomes_of(decisions, ticks, customer=customer, worth=WORTH, as_of=0)
    assert found.frame["ordered"].sum() == 0.0
    assert found.frame["money"].isna().all()


def test_customers_must_be_aligned():
    decisions, ticks, customer = shop(3, days=10, rate=0.0)
    with pytest.raises(BadInput, match="customer"):
        outcomes_of(decisions, ticks, customer=customer[1:], worth=WORTH, as_of=0)
