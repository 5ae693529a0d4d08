"""State in, decision out: exact probabilities, the same again for the same id, and drawn as they say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.journey import AUTOMATE, Arm, Mode, Moment, Rung, Surface
from cxreco.request.actions import Actions
from cxreco.request.candidates import VALUE_COLUMN

MOMENTS = [
    {},
    {"surface": Surface.SEARCH, "query": "tea"},
    {"surface": Surface.PRODUCT, "item_id": "bread", "cart": ("milk",)},
    {"surface": Surface.OUTBOUND, "channel": "email"},
    {"surface": Surface.OUTBOUND, "channel": "email", "modes": frozenset()},
]


@settings(max_examples=60)
@given(
    customer=st.integers(0, 2), kind=st.integers(0, 4), arm=st.sampled_from(Arm), key=st.text(max_size=8),
    consent=st.booleans(),
)  # fmt: skip
def test_probabilities_sum_to_one_and_the_logged_one_is_the_chosen_ones(
    corner, decided, now, customer, kind, arm, key, consent
):
    moment = Moment(customer_id=str(customer), at=now, **MOMENTS[kind])
    state = corner.state(customer, corner.consent(customer, 1.0, consent))
    made = decided(moment, state, decision_id=key, arm=arm)
    choice = made.choice
    assert sum(choice.joint) == pytest.approx(1.0, abs=1e-12)
    assert min(choice.joint) >= 0.0 and choice.joint[choice.chosen] > 0.0
    assert choice.propensity_mode * choice.propensity_action == pytest.approx(choice.joint[choice.chosen], rel=1e-12)
    of_mode = sum(p for p, mode in zip(choice.joint, choice.modes, strict=True) if mode == choice.modes[choice.chosen])
    assert choice.propensity_mode == pytest.approx(of_mode, abs=1e-12)
    assert len({*choice.keys}) == len(choice.keys) == len(made.candidates)
    assert choice.modes[0] is Mode.HOLD and choice.values[0] == 0.0
    assert consent or Mode.AUTOMATE not in choice.modes
    announced = made.candidates.x[:, VALUE_COLUMN["announced"]]
    assert np.array_equal(~np.isnan(announced), made.candidates.mode == AUTOMATE)
    assert made.rung is None or announced[choice.chosen] == (made.rung is Rung.NOTICE)
    again = decided(moment, corner.state(customer, corner.consent(customer, 1.0, consent)), decision_id=key, arm=arm)
    assert again.choice == choice


def test_it_chooses_as_often_as_it_says(corner, decided, now):
    moment, state = Moment(customer_id="0", at=now), corner.state(0)
    made = [decided(moment, state, decision_id=f"d-{n}", arm=Arm.RANDOM).choice for n in range(600)]
    joint = np.array(made[0].joint)
    assert all(choice.joint == made[0].joint for choice in made)
    seen = np.bincount([choice.chosen for choice in made], minlength=joint.size) / len(made)
    assert np.all(np.abs(seen - joint) < 4.0 * np.sqrt(joint * (1.0 - joint) / len(made)) + 1e-9)


def test_the_slate_that_explores_is_drawn_as_often_as_is_logged(corner, decided, playbook, now):
    discover = {"id": "curate.discover", "params": {"min_items": 1}}
    actions = Actions.from_spec({"action": [{"id": "curate.personal"}, discover]})
    book = replace(playbook, request=replace(playbook.request, actions=actions))
    moment = Moment(customer_id="1", at=now, modes=frozenset({Mode.CURATE}))
    made = [decided(moment, corner.state(1), book=book, decision_id=f"d-{n}") for n in range(1_500)]
    row = next(k for k, key in enumerate(made[0].choice.keys) if key.startswith("curate.discover"))
    propensity = made[0].choice.joint[row]
    assert 0.0 < propensity < 1.0
    drawn = [one for one in made if one.choice.chosen == row]
    assert all(one.choice.propensity_mode * one.choice.propensity_action == pytest.approx(propensity) for one in drawn)
    assert abs(len(drawn) / len(made) - propensity) < 4.0 * np.sqrt(propensity * (1.0 - propensity) / len(made))


def test_another_salt_draws_otherwise_with_the_same_probabilities(corner, decided, playbook, now):
    other = replace(playbook, salt="another salt")
    moment, state = Moment(customer_id="0", at=now), corner.state(0)
    pairs = [
        (decided(moment, state, decision_id=str(n), arm=Arm.RANDOM).choice,
         decided(moment, state, decision_id=str(n), arm=Arm.RANDOM, book=other).choice)
        for n in range(30)
    ]  # fmt: skip
    assert all(one.joint == two.joint for one, two in pairs)
    assert any(one.chosen != two.chosen for one, two in pairs)


def test_the_holdout_holds_and_the_rules_do_one_thing(corner, decided, now):
    moment, state = Moment(customer_id="0", at=now), corner.state(0)
    held = decided(moment, state, arm=Arm.HOLDOUT)
    assert held.choice.modes[held.choice.chosen] is Mode.HOLD and held.choice.joint[0] == 1.0
    ruled = decided(moment, state, arm=Arm.RULES)
    assert max(ruled.choice.joint) == 1.0


def test_a_backdated_moment_is_held_to_what_was_said_since(corner, decided, now):
    said = corner.consent(0, 20.0, True), corner.consent(0, 1.0, False, seq=1)
    at = now - 5 * 86_400_000_000
    moment = Moment(customer_id="0", at=at)
    before, latest = corner.state(0, *said, until=5.0), corner.state(0, *said)
    assert Mode.AUTOMATE not in decided(moment, before, latest=latest).choice.modes
