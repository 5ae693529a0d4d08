"""The named actions: read with an error that names the field, and only for whom they are meant."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.errors import BadSpec
from cxreco.journey import DAY, HOUR, MODES, Mode, Moment, Surface
from cxreco.request.actions import RECIPES, Actions
from cxreco.request.readings import readings

SPEC = Path(__file__).resolve().parents[2] / "models" / "actions.toml"


def actions(**fields: Any) -> Actions:
    return Actions.from_spec({"action": [{"id": "curate.personal", **fields}]})


def test_the_default_spec_names_every_recipe_and_every_mode() -> None:
    read = Actions.from_spec(tomllib.loads(SPEC.read_text()))
    assert {action.recipe for action in read.actions} == set(RECIPES)
    assert {action.mode for action in read.actions} == set(MODES) - {Mode.HOLD}
    assert read.names[0] == "hold"
    assert Actions.from_json(read.spec) == read


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"recipe": "curate.nothing"}, "recipe"),
        ({"mode": "coach_behavior"}, "mode"),
        ({"surfaces": ["moon"]}, "surfaces"),
        ({"expires_hours": 0}, "expires_hours"),
        ({"params": {"count": 3}}, "params.count"),
        ({"params": {"substitution": "all"}}, "params.substitution"),
        ({"params": {"substitution": 1.5}}, "params.substitution"),
        ({"params": {"money": -0.1}}, "params.money"),
        ({"params": {"money": 9}}, "params.money"),
        ({"params": {"rest_days": -1}}, "params.rest_days"),
        ({"params": {"max_category_share": 0.5}}, "params.max_category_share"),
        ({"eligible": {"min_luck": 1}}, "eligible.min_luck"),
        ({"eligible": {"attributes": {"tier": "gold"}}}, "eligible.attributes"),
        ({"reason": "for {customer}"}, "reason"),
        ({"reason": "{title.__class__}"}, "reason"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(BadSpec) as error:
        actions(**fields)
    assert error.value.where == f"action[0].{where}"


def test_two_actions_may_share_a_recipe_but_not_a_name() -> None:
    row = {"recipe": "curate.personal"}
    assert len(Actions.from_spec({"action": [{"id": "a", **row}, {"id": "b", **row}]}).actions) == 2
    with pytest.raises(BadSpec):
        Actions.from_spec({"action": [{"id": "a", **row}, {"id": "a", **row}]})
    with pytest.raises(BadSpec):
        Actions.from_spec({"action": [{"id": "hold", **row}]})


def test_who_does_not_qualify_is_told_why() -> None:
    gold = actions(eligible={"min_orders": 2, "max_complaints_open": 0, "attributes": {"tier": ["gold", "silver"]}})
    rule = gold.actions[0].eligibility
    known = {"orders": 3.0, "complaints_open": 0.0}
    assert rule.refusal(known, {"tier": "gold"}) == ""
    assert "orders" in rule.refusal(known | {"orders": 1.0}, {"tier": "gold"})
    assert "orders" in rule.refusal(known | {"orders": float("nan")}, {"tier": "gold"})
    assert "complaints_open" in rule.refusal(known | {"complaints_open": 1.0}, {"tier": "gold"})
    assert "tier" in rule.refusal(known, {})


@given(
    bounds=st.dictionaries(
        st.sampled_from(["min_orders", "max_orders", "min_spend_30", "max_days_since_order", "min_nps"]),
        st.integers(0, 12).map(float),
        max_size=3,
    ),
    tier=st.none() | st.sampled_from(["gold", "tin"]),
    customer=st.integers(0, 130),
)
def test_the_actions_refused_are_those_whose_rule_refuses(habits, bounds, tier, customer) -> None:
    eligible = {**bounds, **({} if tier is None else {"attributes": {"tier": [tier]}})}
    one, state = actions(eligible=eligible), habits.shop.state(customer, 200.0)
    moment = Moment(customer_id=str(customer), at=200 * DAY, attributes={"tier": "gold"})
    reason = one.actions[0].eligibility.refusal(readings(state, moment.at), moment.attributes)
    assert one.refusals(state, moment) == ({1: reason} if reason else {})


def test_an_action_fits_its_surfaces_and_the_modes_allowed() -> None:
    read = actions(surfaces=["home"])
    assert read.fitting(Moment(customer_id="c", at=0)).action.tolist() == [1]
    assert not read.fitting(Moment(customer_id="c", at=0, surface=Surface.CART)).action.size
    assert not read.fitting(Moment(customer_id="c", at=0, modes=frozenset({Mode.COACH}))).action.size
    assert not actions(enabled=False).fitting(Moment(customer_id="c", at=0)).action.size


def test_an_offer_ends() -> None:
    assert actions(expires_hours=2).expires_at(1, 5) == 5 + 2 * HOUR
    assert actions().expires_at(0, 5) == 5
