"""The books add up to the events, and no automatic order without a mandate passes in silence."""

from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from cxreco.journey import DAY, Mode
from cxreco.world import World, WorldSpec
from cxreco.world.oracle import informed

START = 1_704_067_200 * 1_000_000
SPEC = WorldSpec(customers=80)


def lived(world: World, days: int, seed: int) -> tuple[list[dict[str, Any]], list[tuple[dict[str, Any], str]]]:
    """Live some days under random decisions; return the events and (moment, mode decided)."""
    rng = np.random.default_rng(seed)
    events: list[dict[str, Any]] = []
    decided = []
    for _ in range(days):
        for moment in world.moments_today():
            candidates = informed(world, moment)
            modes = sorted({row["mode"] for row in candidates})
            mode = modes[int(rng.integers(len(modes)))]
            of_mode = [row for row in candidates if row["mode"] == mode]
            decision = of_mode[int(rng.integers(len(of_mode)))] | {"decision_id": f"d-{moment['request_id']}"}
            events += world.answer(moment, decision)
            decided.append((moment, mode))
        events += world.close_day()[0]
    return events, decided


def test_the_books_add_up_to_the_events() -> None:
    # An easily annoyed crowd, so that every kind of entry comes up.
    world = World(WorldSpec(customers=80, backfire=8.0), 1, START)
    events, decided = lived(world, 45, seed=1)
    costs, money, kinds = SPEC.costs, np.zeros(SPEC.customers), Counter(row["type"] for row in events)
    row_of = {name: k for k, name in enumerate(world.ground.people.ids)}
    margins: dict[tuple[str, str], float] = {}
    for row in events:
        who = row_of[row["customer_id"]]
        if row["type"] == "order_completed":
            for line in row["items"]:
                margins[row["order_id"], line["item_id"]] = line["quantity"] * line["margin"]
                money[who] += line["quantity"] * line["margin"]
        elif row["type"] == "order_returned":
            money[who] -= costs.returned
            for line in row["items"]:
                money[who] -= (
                    margins[row["order_id"], line["item_id"]] + costs.resale * line["quantity"] * line["price"]
                )
        else:
            cost = {
                "complaint_opened": costs.complaint,
                "unsubscribed": costs.unsubscribe,
                "auto_order_cancelled": costs.cancelled,
                "auto_order_undone": costs.undone,
            }
            money[who] -= cost.get(row["type"], 0.0)
    for moment, mode in decided:
        contact = (moment["surface"] == "outbound" and mode != Mode.HOLD) or mode in (Mode.COACH, Mode.AUTOMATE)
        money[row_of[moment["customer_id"]]] -= costs.contact * contact
    np.testing.assert_allclose(world.takings.per_customer(until=world.now), money, atol=1e-6)
    counts: Counter[str] = Counter()
    for of_mode in world.takings.counts(until=world.now).values():
        counts.update(of_mode)
    assert counts["order"] == kinds["order_completed"]
    assert counts["return"] == kinds["order_returned"]
    assert counts["complaint"] == kinds["complaint_opened"] > 0
    assert counts["unsubscribe"] == kinds["unsubscribed"] > 0


def test_the_books_say_the_same_each_way() -> None:
    world = World(SPEC, 2, START)
    lived(world, 12, seed=2)
    books, since = world.takings, START + 3 * DAY
    assert books.money(since, world.now) == pytest.approx(books.per_customer(since, world.now).sum())
    assert books.money(until=world.now) == pytest.approx(books.per_day(world.now).sum())
    assert books.table(since, world.now).shape[1] <= 9
    assert books.table(since, world.now).sum() == pytest.approx(books.money(since, world.now))


def test_without_consent_every_automatic_order_is_complained_about() -> None:
    world = World(SPEC, 3, START)
    for _ in world.live_alone(35):
        pass
    events: list[dict[str, Any]] = []
    unasked, asked = set(), set()
    for moment in world.moments_today():
        orders = [row for row in informed(world, moment) if row["mode"] == Mode.AUTOMATE]
        decision = orders[0] | {"decision_id": moment["request_id"]} if orders else None
        if decision is not None:
            mandate = world.ground.mind.consent[world.facing(moment).customer]
            (asked if mandate else unasked).add(moment["request_id"])
            if not mandate:
                assert world.truth(moment, decision) < -10.0
        events += world.answer(moment, decision)
    events += world.close_day()[0]
    complained = {row.get("decision_id") for row in events if row["type"] == "complaint_opened"}
    undone = {row.get("decision_id") for row in events if row["type"] == "auto_order_undone"}
    executed = {row.get("decision_id") for row in events if row["type"] == "auto_order_executed"}
    assert unasked
    assert asked
    assert unasked == undone
    assert unasked <= complained
    assert not unasked & executed


def test_a_customer_who_unsubscribed_is_not_written_to_without_trouble() -> None:
    world = World(SPEC, 4, START)
    for _ in world.live_alone(20):
        pass
    world.ground.mind.unsubscribed[:] = True
    events: list[dict[str, Any]] = []
    written = 0
    for moment in world.moments_today():
        coach = [row for row in informed(world, moment) if row["mode"] == Mode.COACH]
        decision = coach[0] | {"decision_id": moment["request_id"]} if moment["surface"] == "outbound" else None
        if decision is not None:
            written += 1
            assert world.truth(moment, decision) < -8.0
        events += world.answer(moment, decision)
    events += world.close_day()[0]
    complaints = sum(row["type"] == "complaint_opened" for row in events)
    assert complaints > 0.5 * written
    assert not any(row["type"] in ("decision_shown", "decision_accepted") for row in events)


def test_consent_comes_before_and_may_be_withdrawn() -> None:
    world = World(WorldSpec(customers=200, trust=0.8, consent=0.8), 5, START)
    granted = [row for day in world.live_alone(31) for row in day if row["type"] == "consent_changed"]
    assert 0.5 * 200 < len(granted) < 200
    assert all(row["purpose"] == "automatic_execution" and row["granted"] for row in granted)
    assert {row["limits"]["max_order_value"] for row in granted if "limits" in row} <= {40.0, 60.0, 100.0}
    assert {row["customer_id"] for row in granted} == {
        world.ground.people.ids[i] for i in np.flatnonzero(world.ground.mind.consent)
    }
    events: list[dict[str, Any]] = []
    for _ in range(12):
        for moment in world.moments_today():
            item = world.ground.shop.ids[0]
            decision = {
                "decision_id": moment["request_id"],
                "mode": "automatic_execution",
                "action": {
                    "action_id": "auto.replenish",
                    "parameters": {"order": [{"item_id": item, "quantity": 1}], "rung": "automatic"},
                },
                "items": [{"item_id": item, "position": 0}],
            }
            events += world.answer(
                moment, decision if world.ground.mind.consent[world.facing(moment).customer] else None
            )
        events += world.close_day()[0]
    withdrawn = {row["customer_id"] for row in events if row["type"] == "consent_changed" and not row["granted"]}
    assert withdrawn
    assert all(datetime.fromisoformat(row["occurred_at"]).tzinfo is not None for row in events)
