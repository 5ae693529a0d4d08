"""The named actions: read with an error that names the field, and only for whom they are meant."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from cxreco.errors import BadSpec
from cxreco.journey import HOUR, MODES, Mode, Moment, Surface
from cxreco.request.actions import RECIPES, Actions

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
        ({"params": {"max_category_share": "all"}}, "params.max_category_share"),
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
    known = {"orders": 3.0, "complaints_open": 0.0}
    assert gold.refusal(1, known, {"tier": "gold"}) == ""
    assert "orders" in gold.refusal(1, known | {"orders": 1.0}, {"tier": "gold"})
    assert "orders" in gold.refusal(1, known | {"orders": float("nan")}, {"tier": "gold"})
    assert "complaints_open" in gold.refusal(1, known | {"complaints_open": 1.0}, {"tier": "gold"})
    assert "tier" in gold.refusal(1, known, {})
    assert gold.refusal(0, {}, {}) == ""


def test_an_action_fits_its_surfaces_and_the_modes_allowed() -> None:
    read = actions(surfaces=["home"])
    assert len(read.fitting(Moment(customer_id="c", at=0))) == 1
    assert read.fitting(Moment(customer_id="c", at=0, surface=Surface.CART)) == ()
    assert read.fitting(Moment(customer_id="c", at=0, modes=frozenset({Mode.COACH}))) == ()
    assert actions(enabled=False).fitting(Moment(customer_id="c", at=0)) == ()


def test_an_offer_ends() -> None:
    assert actions(expires_hours=2).expires_at(1, 5) == 5 + 2 * HOUR
    assert actions().expires_at(0, 5) == 5
