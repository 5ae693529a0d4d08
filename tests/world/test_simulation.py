"""Laws of the simulated shop: repeatable, paired between policies, and speaking the contract only."""

from typing import Any

import numpy as np
import pytest

from cxreco.errors import BadSpec, Conflict, NotFound
from cxreco.journey import DAY
from cxreco.recognise.events import parse_events, parse_items
from cxreco.world import WORLDS, World, WorldSpec
from cxreco.world.oracle import informed

START = 1_704_067_200 * 1_000_000
SMALL = WorldSpec(customers=60)


def run(world: World, days: int, choose: Any) -> list[dict[str, Any]]:
    """Live some days, deciding by `choose(world, moment)`; return all events in the order they arrived."""
    events: list[dict[str, Any]] = []
    for _ in range(days):
        for moment in world.moments_today():
            events += world.answer(moment, choose(world, moment))
        events += world.close_day()[0]
    return events


def hold(world: World, moment: dict[str, Any]) -> None:
    return None


def busy(world: World, moment: dict[str, Any]) -> dict[str, Any]:
    """Go round the informed candidates, so that every mode is tried."""
    candidates = informed(world, moment)
    return candidates[sum(map(ord, moment["request_id"])) % len(candidates)]


def test_the_same_seed_gives_the_same_world() -> None:
    first, second, other = (World(SMALL, seed, START) for seed in (3, 3, 4))
    assert first.items() == second.items()
    assert run(first, 6, busy) == run(second, 6, busy)
    assert first.items() != other.items()


def test_a_copy_lives_on_alike_or_with_other_luck() -> None:
    world = World(SMALL, 3, START)
    run(world, 3, hold)
    alike, other = world.copy(), world.copy(seed=99)
    expected = run(world, 4, hold)
    assert run(alike, 4, hold) == expected
    assert run(other, 4, hold) != expected
    assert other.items() == world.items(), "a copy's luck must not move the shelves"


def test_two_policies_meet_the_same_luck() -> None:
    """The customers that a policy leaves alone live as under any other policy, event for event."""
    left_alone = {f"c{k:05d}" for k in range(0, SMALL.customers, 2)}

    def half(world: World, moment: dict[str, Any]) -> dict[str, Any] | None:
        return None if moment["customer_id"] in left_alone else busy(world, moment)

    def theirs(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = [row for row in events if row["customer_id"] in left_alone]
        return sorted(rows, key=lambda row: str(row["event_id"]))

    first, second = World(SMALL, 5, START), World(SMALL, 5, START)
    held, meddled = run(first, 10, hold), run(second, 10, half)
    assert theirs(held) == theirs(meddled)
    assert len(held) != len(meddled)
    # Pairing is what makes the comparison of policies sharp: most of the variance is shared by the two.
    paired = second.takings.per_customer() - first.takings.per_customer()
    assert paired.var() < 0.9 * (first.takings.per_customer().var() + second.takings.per_customer().var())


def test_everything_said_keeps_the_contract() -> None:
    world = World(SMALL, 6, START)
    rows = [row for day in world.live_alone(40) for row in day] + run(world, 10, busy)
    events, rejected = parse_events(rows)
    assert rejected == []
    assert len({event.event_id for event in events}) == len(events)
    assert {event.type for event in events} >= {
        "products_searched", "product_viewed", "product_added", "checkout_started", "order_completed", "order_shipped",
        "order_delivered", "order_returned", "decision_shown", "decision_accepted", "decision_dismissed",
        "consent_changed", "auto_order_executed", "survey_answered", "review_posted", "complaint_opened",
        "complaint_resolved", "auto_order_undone",
    }  # fmt: skip
    assert all(not event.extra for event in events if event.type.startswith("decision_"))
    items, refused = parse_items(world.items())
    assert refused == []
    assert len({item.item_id for item in items}) == 240
    assert all(0.0 < item.margin / item.price < 0.75 for item in items)


def test_moments_are_requests_in_order_of_time() -> None:
    world = World(SMALL, 7, START)
    seen: set[str] = set()
    for _ in range(8):
        last = ""
        for moment in world.moments_today():
            assert moment["occurred_at"] >= last
            last = moment["occurred_at"]
            assert moment["request_id"] not in seen
            seen.add(moment["request_id"])
            assert ("query" in moment) == (moment["surface"] == "search")
            assert ("item_id" in moment) == (moment["surface"] == "product")
            assert ("cart" in moment) == (moment["surface"] == "cart")
            assert (moment["channel"] == "onsite") == (moment["surface"] != "outbound")
            for event in world.answer(moment, busy(world, moment)):
                assert event["occurred_at"][:10] <= moment["occurred_at"][:10]
        world.close_day()


@pytest.mark.parametrize("unseen", [1e-9, 0.1])
def test_events_are_told_when_they_have_happened(unseen: float) -> None:
    """What happened to a customer is told before that customer's next moment.

    Except where nothing could carry the news: after visits by other ways, and overnight for the first moment of a day.
    """
    world = World(WorldSpec(customers=100, unseen=unseen), 8, START)
    told = late = 0
    for _ in range(12):
        asked: dict[str, str] = {}
        for moment in world.moments_today():
            asked[moment["customer_id"]] = moment["occurred_at"]
            events = world.answer(moment, busy(world, moment))
            told += len(events)
            late += sum(event["occurred_at"] < asked.get(event["customer_id"], "") for event in events)
        world.close_day()
    assert told > 1_000
    assert late <= (0.001 if unseen < 1e-6 else 0.005) * told


def test_each_moment_is_answered_once_and_in_turn() -> None:
    world = World(SMALL, 9, START)
    moments = world.moments_today()
    moment = next(moments)
    with pytest.raises(Conflict):
        world.close_day()
    with pytest.raises(NotFound):
        world.truth(moment | {"request_id": "another"}, None)
    with pytest.raises(Conflict):
        world.answer(moment | {"request_id": "another"}, None)
    world.answer(moment, None)
    with pytest.raises(Conflict):
        world.answer(moment, None)
    with pytest.raises(NotFound):
        world.truth(moment, None)
    next(moments)
    with pytest.raises(Conflict):
        next(moments)


def test_what_a_decision_names_need_not_exist() -> None:
    world = World(SMALL, 9, START)
    modes = ("respond_to_desire", "curated_offering", "coach_behavior", "automatic_execution")
    for k, moment in enumerate(world.moments_today()):
        decision = {"decision_id": "d", "mode": modes[k % 4], "items": [{"item_id": "unheard of"}]}
        decision["action"] = {"action_id": "a", "parameters": {"order": [{"item_id": "unheard of", "quantity": 1}]}}
        assert np.isfinite(world.truth(moment, decision))
        world.answer(moment, decision)
    world.close_day()


def test_the_catalogue_moves_and_says_since_when() -> None:
    world = World(SMALL, 10, START)
    changes = []
    for _ in range(30):
        for moment in world.moments_today():
            world.answer(moment, None)
        changes += world.close_day()[1]
    assert world.items()[240:] == changes
    assert any(not row["available"] for row in changes)
    assert all(row["effective_at"] > "2024-01-01" for row in changes)
    assert len({(row["item_id"], row["price"]) for row in changes}) > 20


def test_needs_are_met_elsewhere_when_forgotten() -> None:
    """A world whose customers remember better sells more, all else equal."""
    sold = []
    for memory in (0.05, 0.5):
        world = World(WorldSpec(customers=200, memory=memory), 11, START)
        for _ in world.live_alone(60):
            pass
        sold.append(world.takings.money())
    assert sold[1] > 1.3 * sold[0]


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_every_preset_lives(name: str) -> None:
    spec = WORLDS[name]
    assert spec.name == name
    small = WorldSpec(**{f: getattr(spec, f) for f in spec.__slots__} | {"customers": 30, "days": 200})
    world = World(small, 1, START)
    for _ in world.live_alone(10):
        pass
    run(world, 3, busy)
    assert world.now == START + 13 * DAY
    assert np.isfinite(world.takings.money())


def test_tastes_drift_on_their_day_only() -> None:
    world = World(WorldSpec(customers=50, drift_day=5), 1, START)
    people = world.ground.people
    assert people.taste(4) is people.taste(0)
    assert people.taste(5) is people.taste(9)
    moved = (people.taste(5).first != people.taste(0).first).mean()
    assert 0.2 < moved < 0.9


def test_a_world_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadSpec):
        WorldSpec(customers=0)
    with pytest.raises(BadSpec):
        WorldSpec(memory=1.5)
