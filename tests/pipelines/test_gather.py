"""Returns follow the order that they name, from the event's order id to the decision that is charged."""

import pytest

from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.specs import load_specs
from cxreco.journey import DAY, MICROS, Moment
from cxreco.pipelines.gather import _decision, gather, gathered
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


def seen(n: int, at: int, **more: object) -> dict[str, object]:
    row = {"event_id": f"seen-{n}", "type": "product_viewed", "customer_id": f"C-{n % 7}", "item_id": "tea"}
    return {**row, "occurred_at": write_time(at), **more}


def test_a_few_rows_from_the_future_do_not_make_all_that_happened_long_ago(tmp_path, playbook):
    """One event and one decision are dated years ahead: learning says so, and reads the log without them."""
    settings = Settings(home=tmp_path, arms={"champion": 100.0}, salt="tests", durability="relaxed")
    clock = T0 + 60 * DAY
    with opened(settings, clock=lambda: clock) as workspace:
        engine = Engine(workspace.store, settings, clock=lambda: clock)
        engine.adopt("champion", playbook)
        assert engine.ingest([seen(n, T0 + n * DAY // 2) for n in range(100)]).accepted == 100
        engine.decide(Moment(customer_id="C-1", at=T0 + 50 * DAY))
        workspace.shop.refresh()
        told: list[str] = []
        before = gathered(workspace, told.append)
        assert not [what for what in told if "leaving out" in what]
        engine.decide(Moment(customer_id="C-2", at=T0 + 900 * DAY))
        assert engine.ingest([seen(100, T0 + 9_000 * DAY)]).accepted == 1
        workspace.shop.refresh()
        log = gathered(workspace, told.append)
        whole = gather(workspace.store, workspace.shop)
    assert log.now == before.now and log.ticks.tobytes() == before.ticks.tobytes()
    assert log.decisions.decisions.equals(before.decisions.decisions) and len(whole.decisions.decisions) == 2
    assert any("leaving out 2 rows dated after" in what for what in told)
    assert whole.now > T0 + 9_000 * DAY


def test_a_shop_that_lives_ahead_of_the_clock_is_read_whole(tmp_path):
    settings = Settings(home=tmp_path, salt="tests", durability="relaxed")
    with opened(settings, clock=lambda: T0 + 20 * DAY) as workspace:
        engine = Engine(workspace.store, settings, clock=lambda: T0)
        assert engine.ingest([seen(n, T0 + n * DAY // 2) for n in range(100)]).accepted == 100
        workspace.shop.refresh()
        assert gathered(workspace, lambda _: None).ticks.size == 100


def test_a_log_whose_dated_rows_also_carry_a_sequence_has_dates(tmp_path):
    settings = Settings(home=tmp_path, salt="tests", durability="relaxed")
    with opened(settings, clock=lambda: T0 + 20 * DAY) as workspace:
        engine = Engine(workspace.store, settings, clock=lambda: T0)
        assert engine.ingest([seen(n, T0 + n * DAY, sequence=n) for n in range(9)]).accepted == 9
        workspace.shop.refresh()
        log = gathered(workspace, lambda _: None)
    assert log.dated and log.now == T0 + 8 * DAY + 1


def test_serving_a_log_without_dates_does_not_give_it_some(tmp_path, playbook):
    """A page is asked for today, and its answer shown: the places of the sequence still stand as they stood."""
    settings = Settings(home=tmp_path, arms={"champion": 100.0}, salt="tests", durability="relaxed")
    with opened(settings, clock=lambda: T0) as workspace:
        engine = Engine(workspace.store, settings, clock=lambda: T0)
        engine.adopt("champion", playbook)
        rows = [seen(n, 0, sequence=n) for n in range(20)]
        for row in rows:
            del row["occurred_at"]
        assert engine.ingest(rows).accepted == 20
        workspace.shop.refresh()
        before = gathered(workspace, lambda _: None)
        record = engine.decide(Moment(customer_id="C-1", at=T0))
        shown = {"event_id": "s", "type": "decision_shown", "customer_id": "C-1", "decision_id": record["decision_id"]}
        assert engine.ingest([{**shown, "occurred_at": write_time(T0 + MICROS)}]).accepted == 1
        workspace.shop.refresh()
        told: list[str] = []
        log = gathered(workspace, told.append)
    assert not before.dated and not log.dated
    assert log.now == before.now and log.ticks.tobytes() == before.ticks.tobytes()
    assert len(log.decisions) == 0
    assert any("leaving out 2 rows of serving" in what for what in told)
