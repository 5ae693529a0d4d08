"""What customers are still worth, learned from a log as the state will tell it, and priced as it was when decided."""

import numpy as np
import pandas as pd
import pytest

from cxreco.journey import DAY
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.replay import moments_of, replay
from cxreco.repeat.experiments import WEEK, assignments_of, customer_weeks
from cxreco.repeat.lifetime_log import Bought, fit_still_worth
from cxreco.repeat.reward import outcomes_of
from cxreco.request.readings import readings
from cxreco.respond.still_worth import StillWorth
from cxreco.respond.worth import Worth


def test_it_is_learned_from_what_the_state_will_tell_and_from_nothing_later(lived):
    ticks, now = lived.log.ticks, lived.log.now
    seen = Bought.served(ticks, now)
    told = {}
    for row, state in replay(ticks, moments_of(seen.customer, np.full(seen.customer.size, now - 1))):
        told[row] = readings(state, now)
    for row in range(seen.customer.size):
        of = told[row]
        assert seen.purchases.repeats[row] == of["orders"] - 1
        assert seen.purchases.age[row] == pytest.approx(of["tenure_days"], abs=1.0)
        if of["orders"] > 1:
            last = of["tenure_days"] - of["days_since_order"]
            assert seen.purchases.last[row] == pytest.approx(last, abs=1.0)
        assert seen.margin[row] == pytest.approx(of["margin_mean"], rel=1e-4)
    found = fit_still_worth(ticks, now, 365.0)
    assert found.r > 0.0 and found.usual > 0.0
    later = ticks.copy()
    later["at"] += np.where(later["at"] >= now - 3 * DAY, 9 * DAY, 0)
    assert fit_still_worth(later, now - 3 * DAY, 365.0) == fit_still_worth(ticks, now - 3 * DAY, 365.0) != found
    assert fit_still_worth(ticks[:40], now, 90.0) == StillWorth(days=90.0)


def leaving(still):
    """Three decisions for three customers, two of whom unsubscribe within the window; what each was still worth."""
    n = 3
    ticks = np.zeros(2, dtype=TICK)
    ticks["customer"], ticks["at"], ticks["kind"], ticks["item"] = [0, 1], WEEK + DAY, Kind.UNSUBSCRIBED, -1
    decisions = pd.DataFrame({"decision_id": [f"d{i}" for i in range(n)], "customer_id": list("abc")}).assign(
        at=WEEK, seq=0, arrival_cut=0, arm="champion", policy_version="1", mode=3, action_id="a", item_id="", item=-1,
        surface="outbound", channel="email", expires_at=0, propensity_mode=1.0, propensity_action=1.0, propensity=1.0,
        expected_value=0.0, chosen=0, n_admitted=1, assigned_arm="champion", still_worth=still,
    )  # fmt: skip
    return decisions, ticks, np.arange(n)


def test_who_leaves_costs_a_share_of_what_they_were_worth_when_decided():
    decisions, ticks, customer = leaving([100.0, 20.0, 300.0])
    flat, worth = Worth(), Worth(unsubscribe_share=0.5)
    before, after = (
        outcomes_of(decisions, ticks, customer=customer, worth=w, as_of=9 * WEEK).frame["money"] for w in (flat, worth)
    )
    np.testing.assert_allclose(before - after, [50.0, 10.0, 0.0])
    # A log from before it was kept prices the flat part alone.
    old = outcomes_of(decisions.drop(columns="still_worth"), ticks, customer=customer, worth=worth, as_of=9 * WEEK)
    np.testing.assert_allclose(old.frame["money"], before)


def test_arms_are_priced_by_what_customers_were_worth_before_any_arm_acted():
    decisions, ticks, customer = leaving([100.0, 20.0, 300.0])
    again = decisions.assign(decision_id=["e0", "e1", "e2"], at=WEEK + 1, still_worth=1_000.0)
    both, codes = pd.concat([again, decisions], ignore_index=True), np.tile(customer, 2)
    people = assignments_of(both, codes, lambda _: "champion")
    assert people.set_index("customer_id")["still_worth"].to_dict() == {"a": 100.0, "b": 20.0, "c": 300.0}
    flat, priced = (
        customer_weeks(people, ticks, worth=w, as_of=9 * WEEK).set_index("customer_id")["money"]
        for w in (Worth(), Worth(unsubscribe_share=0.5))
    )
    np.testing.assert_allclose((flat - priced)[["a", "b", "c"]], [50.0, 10.0, 0.0])
