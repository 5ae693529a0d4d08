"""Returns follow the order that they name, from the event's order id to the decision that is charged."""

import pytest

from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.specs import load_specs
from cxreco.journey import DAY, MICROS, Moment
from cxreco.pipelines.gather import _decision, gathered
from cxreco.pipelines.workspace import opened
from cxreco.recognise.contract import write_time
from cxreco.repeat.reward import outcomes_of
from cxreco.respond.worth import Worth

T0 = 20_000 * DAY


@pytest.mark.parametrize(("named", "charged"), [("o-1", [1.0, 0.0]), ("o-2", [0.0, 1.0]), (None, [0.0, 1.0])])
def test_a_return_is_charged_to_the_decision_before_the_order_it_names(
    tmp_path, playbook, named: str | None, charged: list[float]
) -> None:
    """Two decisions, each followed by an order of the same tea; a tea comes back that names one order, or none."""
    settings = Settings(home=tmp_path, arms={"champion": 100.0}, salt="tests", durability="relaxed")
    with opened(settings) as workspace:
        engine = Engine(workspace.store, settings, clock=lambda: T0 + 40 * DAY)
        engine.put_items([{"item_id": "tea", "title": "Tea", "category": "drinks", "price": 4.0}])
        engine.adopt("champion", playbook)
        line = {"item_id": "tea", "quantity": 1, "price": 4.0}
        for n, day in ((1, 0), (2, 5)):
            at = T0 + day * DAY
            engine.decide(Moment(customer_id="C-1", at=at))
            event = {"event_id": f"e{n}", "type": "order_completed", "customer_id": "C-1", "order_id": f"o-{n}"}
            assert engine.ingest([event | {"items": [line], "occurred_at": write_time(at + MICROS)}]).accepted == 1
        back = {"event_id": "r", "type": "order_returned", "customer_id": "C-1", "items": [{"item_id": "tea"}]}
        back |= {"occurred_at": write_time(T0 + 9 * DAY)} | ({"order_id": named} if named else {})
        assert engine.ingest([back]).accepted == 1
        workspace.shop.refresh()
        log = gathered(workspace, lambda _: None)
    assert log.order is not None
    frame = log.decisions.decisions
    outcomes = outcomes_of(
        frame, log.ticks, customer=log.code_of(list(frame["customer_id"])), as_of=log.now + 40 * DAY, order=log.order,
        worth=Worth.from_spec(load_specs()["reward"]),
    )  # fmt: skip
    assert outcomes.frame.sort_values("at")["returned"].tolist() == charged


def test_a_decision_is_read_with_what_the_customer_was_still_worth_and_one_from_before_with_nothing():
    record = {
        "decision_id": "d", "canonical": "c", "moment": {"at": 1, "surface": "home", "channel": "onsite"}, "items": [],
        "propensity": {"mode": 1.0, "action": 1.0, "joint": 1.0}, "arrival_cut": 0, "mode": "hold", "until": 2,
        "policy": {"arm": "champion", "version": "1"}, "action": {"action_id": "hold"}, "expected_value": 0.0,
        "chosen": 0, "candidates": {"keys": ["hold"]}, "contact": False, "assigned_arm": "champion",
        "parts": {"still_worth": 12.5},
    }  # fmt: skip
    assert _decision(record, 1)["still_worth"] == 12.5
    assert _decision({**record, "parts": {"order": 0.1}}, 1)["still_worth"] == 0.0
