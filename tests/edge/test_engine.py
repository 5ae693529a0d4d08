"""The engine at work: what it logs can be decided again bit for bit; a part that fails costs no answer."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import orjson
import pytest

from cxreco.edge import decider
from cxreco.edge.decider import Ask
from cxreco.edge.engine import Engine
from cxreco.edge.records import moment_of
from cxreco.edge.steps import Steps
from cxreco.edge.store import Placed, Placing, StoreUnavailable
from cxreco.errors import Conflict, NotFound
from cxreco.journey import DAY, Arm, Mode, Moment, Surface
from cxreco.recognise.contract import write_time
from cxreco.respond.playbook import Playbook

NOW = 20_500 * DAY + DAY // 2
Make = Callable[..., Engine]


def said(kind: str, customer: str, at: int, n: object = 0, **fields: object) -> dict[str, Any]:
    row = {"event_id": f"{kind}-{customer}-{at}-{n}", "type": kind, "customer_id": customer}
    return {**row, "occurred_at": write_time(at), **fields}


def moment(customer: str = "ann", at: int = NOW, **more: Any) -> Moment:
    return Moment(customer_id=customer, at=at, **more)


def moments() -> list[Moment]:
    return [
        moment("ann"),
        moment("bob", surface=Surface.SEARCH, query="good tea"),
        moment("eve", surface=Surface.PRODUCT, item_id="bread", cart=("milk",)),
        moment("stranger", surface=Surface.CART, cart=("tea", "nobody-knows-this")),
        moment("ann", surface=Surface.OUTBOUND, channel="email"),
        moment("bob", at=NOW - 20 * DAY),
        moment("eve", attributes={"tier": "gold"}, max_items=2, modes=frozenset({Mode.RESPOND})),
    ]


def test_every_decision_has_its_exact_probability_and_is_the_same_when_decided_again(shop: Engine) -> None:
    for n, asked in enumerate(moments() * 3):
        record = shop.decide(asked, f"r-{n}")
        assert record["fallback"] == ""
        table, chosen = record["candidates"], record["chosen"]
        assert sum(table["joint"]) == pytest.approx(1.0, abs=1e-12)
        assert record["propensity"]["joint"] == pytest.approx(table["joint"][chosen], abs=1e-12)
        assert (record["mode"] == "hold") == (record["items"] == [])
        assert table["actions"][0] == "hold"
        assert moment_of(record) == asked
        if record["items"]:
            assert record["items"][0]["item_id"] == table["items"][chosen]
            assert len(record["items"]) <= asked.max_items
        kept, seen = shop.decision(record["decision_id"])
        assert kept["candidates"]["joint"] == list(table["joint"])
        assert len(seen) == len(table["keys"])
        assert shop.replay(record["decision_id"]).differences == {}


def test_a_replay_sees_what_was_known_then(shop: Engine) -> None:
    made = [shop.decide(asked) for asked in moments()]
    shop.ingest([said("complaint_opened", "ann", NOW - DAY), said("unsubscribed", "eve", NOW, channel="email")])
    shop.ingest([said("product_viewed", "bob", NOW - 30 * DAY, item_id="a new item")])
    shop.put_items([
        {"item_id": "tea", "title": "Better tea", "category": "luxury", "price": 9.0},
        {"item_id": "cake", "title": "Cake", "category": "bakery", "price": 9.0},
    ])  # fmt: skip
    shop.publish(NOW // DAY * DAY + DAY)
    shop.ingest([said("customer_identified", "ann", NOW, anonymous_id="bob")])
    for record in made:
        assert shop.replay(record["decision_id"]).differences == {}


def test_a_changed_record_is_found_out(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    record = shop.decide(moment())
    row = shop.store.decision(record["decision_id"])
    assert row is not None
    forged = row._replace(body=row.body.replace(b'"arrival_cut":', b'"arrival_cut":0,"old":'))
    monkeypatch.setattr(shop.store, "decision", lambda _: forged)
    assert not shop.replay(record["decision_id"]).same


def test_no_consent_no_automatic_order_and_none_revived_by_backdating(shop: Engine) -> None:
    def proposed(at: int, consented: bool) -> bool:
        asked = [moment(who, at=at, surface=Surface.OUTBOUND, channel="email") for who in ("ann", "bob", "eve")]
        records = [shop.decide(one) for one in asked]
        for record in records:
            admitted = "automatic_execution" in record["candidates"]["modes"]
            assert consented or not admitted
        return any("automatic_execution" in record["candidates"]["modes"] for record in records)

    assert not proposed(NOW, consented=False)
    for who in ("ann", "bob", "eve"):
        shop.ingest([said("consent_changed", who, NOW, purpose="automatic_execution", granted=True)])
    assert proposed(NOW + DAY, consented=True)
    for who in ("ann", "bob", "eve"):
        shop.ingest([said("consent_changed", who, NOW + 2 * DAY, purpose="automatic_execution", granted=False)])
    assert not proposed(NOW + DAY, consented=False)
    assert not proposed(NOW + 3 * DAY, consented=False)


def test_contacts_stay_under_the_cap_whoever_asks_at_once(shop: Engine, make_engine: Make, playbook: Playbook) -> None:
    engine = make_engine(arms={"random": 100})
    engine.adopt("champion", playbook)
    made: list[dict[str, Any]] = []

    def ask(k: int) -> None:
        made.extend(
            engine.decide(moment("ann", surface=Surface.OUTBOUND, channel="email"), f"{k}-{n}") for n in range(8)
        )

    threads = [Thread(target=ask, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 32
    assert 1 <= sum(record["contact"] for record in made) <= playbook.guardrails.most_contacts
    assert all(engine.replay(record["decision_id"]).same for record in made)


def test_contacts_decided_upon_the_same_log_are_decided_again(
    make_engine: Make, shop: Engine, playbook: Playbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(arms={"random": 100})
    engine.adopt("champion", playbook)
    held: list[Placing] = []

    def hold(placing: Placing) -> Future[Placed]:
        held.append(placing)
        return Future()

    monkeypatch.setattr(engine.store, "place", hold)
    asks = [Ask(moment=moment("ann", surface=Surface.OUTBOUND, channel="email"), request_id=f"{n}") for n in range(24)]
    under_way = [engine.deciding(ask) for ask in asks]
    for steps in under_way:
        while next(steps) is None:
            pass
    monkeypatch.undo()
    drafted = [orjson.loads(placing.entry.body) for placing in held]
    assert sum(record["contact"] for record in drafted) > playbook.guardrails.most_contacts
    made = [finished(engine, steps, placing) for steps, placing in zip(under_way, held, strict=True)]
    assert 1 <= sum(record["contact"] for record in made) <= playbook.guardrails.most_contacts


def finished(engine: Engine, steps: Steps[Any], placing: Placing) -> dict[str, Any]:
    try:
        future = steps.send(engine.store.place(placing).result())
        while True:
            future = steps.send(None if future is None else future.result())
    except StopIteration as stop:
        record: dict[str, Any] = stop.value
        return record


def test_two_processes_worth_of_engines_agree(shop: Engine, make_engine: Make, playbook: Playbook) -> None:
    other = make_engine()
    other.adopt("champion", playbook)
    for n in range(6):
        first, second = (shop, other) if n % 2 else (other, shop)
        first.ingest([said("product_added", "ann", NOW + n, item_id=f"new-{n}")])
        first.put_items([{"item_id": f"new-{n}", "title": "New", "category": f"c{n}", "price": 1.0}])
        states = [engine.states.of("ann").state for engine in (first, second) if not engine.shop.refresh()]
        assert states[0].equals(states[1])
        assert first.shop.codes.item_ids == second.shop.codes.item_ids
        record = second.decide(moment("ann", at=NOW + n, surface=Surface.CART))
        assert first.replay(record["decision_id"]).same


def test_served_states_are_replayed_states(shop: Engine) -> None:
    rng = np.random.default_rng(5)
    for n in range(40):
        at = NOW - int(rng.integers(0, 50)) * DAY
        who = str(rng.choice(["ann", "bob"]))
        shop.ingest([said("product_viewed", who, at, n, item_id=str(rng.choice(["tea", "bread"])))])
        if n % 5 == 0:
            shop.decide(moment(who, at=NOW - int(rng.integers(0, 3)) * DAY))
        known = shop.states.of(who)
        assert known.state.equals(shop.states.rebuilt(known.group).state)


def test_what_arrives_late_is_put_in_its_place_without_reading_the_log(
    shop: Engine, rows_read: Callable[[Engine], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ingest([said("product_viewed", "ann", NOW - n * DAY, n, item_id="tea") for n in range(20)])
    shop.states.of("ann")
    read = rows_read(shop)
    for n in range(3):
        shop.ingest([said("product_viewed", "ann", NOW - 9 * DAY, 100 + n, item_id="bread")])
        late = shop.states.of("ann")
        past = shop.states.as_of(late, NOW - 5 * DAY)
    assert read == [1, 1, 1]
    monkeypatch.undo()
    fresh = shop.states.rebuilt(late.group)
    assert late.state.equals(fresh.state)
    assert past.equals(shop.states.as_of(fresh, NOW - 5 * DAY))


def test_a_decision_made_here_is_known_without_a_look_at_the_log(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.decide(moment("ann"))
    for name in ("group", "customer_log"):
        monkeypatch.setattr(shop.store, name, lambda *_, name=name: pytest.fail(f"{name} was asked"))
    records = [shop.decide(moment("ann", at=NOW + n)) for n in range(1, 4)]
    assert not any(record["fallback"] for record in records)
    known = shop.states.of("ann")
    monkeypatch.undo()
    assert known.group == shop.store.group("ann")
    assert known.state.equals(shop.states.rebuilt(known.group).state)
    assert all(shop.replay(record["decision_id"]).same for record in records)
    before = known.group.position
    shop.ingest([said("product_viewed", "ann", NOW + 9, item_id="tea")])
    assert shop.states.of("ann").group.position > before


def test_ticks_are_dropped_before_states_and_read_again(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.states, "most_ticks", 10)
    for n, who in enumerate(["new-1", "new-2", "new-3"]):
        shop.ingest([said("product_viewed", who, NOW - k * DAY, 10 * n + k, item_id="tea") for k in range(6)])
        shop.states.of(who)
    assert [shop.states.of(who).ticks is None for who in ("new-3", "new-2", "new-1")] == [False, True, True]
    shop.ingest([said("product_viewed", "new-1", NOW - 9 * DAY, 100, item_id="bread")])
    known = shop.states.of("new-1")
    assert known.size == 7
    assert known.state.equals(shop.states.rebuilt(known.group).state)


def test_the_same_request_gets_the_same_answer_and_another_body_a_conflict(shop: Engine) -> None:
    once = shop.decide(moment(), "r")
    assert shop.decide(moment(), "r")["decision_id"] == once["decision_id"]
    with pytest.raises(Conflict, match="another body"):
        shop.decide(moment(query="tea"), "r")


def test_arms_are_sticky_and_shares_are_kept(make_engine: Make, playbook: Playbook) -> None:
    shares = {"champion": 40, "holdout": 20, "random": 20, "rules": 10, "challenger": 10}
    engine = make_engine(arms=shares)
    engine.adopt("champion", playbook)
    dealt = [engine.dealt(f"customer {n}") for n in range(4_000)]
    for arm, share in shares.items():
        seen = dealt.count(Arm(arm)) / len(dealt)
        assert abs(seen - share / 100) < 4 * np.sqrt(share / 100 * (1 - share / 100) / len(dealt))
    for n in range(60):
        record = engine.decide(moment(f"customer {n}"))
        assert record["assigned_arm"] == dealt[n]
        assert record["policy"]["arm"] == ("champion" if dealt[n] == "challenger" else dealt[n])
        if dealt[n] == "holdout":
            assert (record["mode"], record["propensity"]["joint"]) == ("hold", 1.0)


def test_without_challenger_its_customers_get_the_champion_and_then_the_challenger(
    make_engine: Make, playbook: Playbook, other_playbook: Playbook
) -> None:
    engine = make_engine(arms={"challenger": 100})
    engine.adopt("champion", playbook)
    assert engine.decide(moment())["policy"] == {"name": "connected", "version": playbook.version, "arm": "champion"}
    engine.adopt("challenger", other_playbook)
    assert engine.decide(moment())["policy"]["version"] == other_playbook.version


def test_a_playbook_that_raises_makes_a_safe_answer_that_is_logged(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("inside")

    monkeypatch.setattr(decider, "deciding", broken)
    record = shop.decide(moment(), "r")
    assert record["policy"]["name"] == "fallback"
    assert record["propensity"]["joint"] == 1.0
    assert "FloatingPointError" in record["reasons"][0]
    assert shop.store.decision(record["decision_id"]) is not None
    assert shop.replay(record["decision_id"]).same
    assert shop.metrics.registry.get_sample_value("cxreco_fallbacks_total", {"part": "decide"}) == 1.0


def test_a_log_that_cannot_be_written_makes_a_safe_answer_that_says_so(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(shop.store, "place", broken)
    record = shop.decide(moment())
    assert record["mode"] == "hold"
    assert "not logged" in record["reasons"][0]
    monkeypatch.undo()
    assert shop.decide(moment())["fallback"] == ""


def test_forgetting_takes_the_customer_out_of_everything(shop: Engine, tmp_path: Path) -> None:
    record = shop.decide(moment("ann"), "request-of-ann")
    assert shop.forget("ann") > 10
    assert shop.states.of("ann").state.head["orders"][0] == 0
    with pytest.raises(NotFound):
        shop.decision(record["decision_id"])
    shop.store.close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"request-of-ann" in path.read_bytes()]


def test_statistics_fall_due_with_a_new_day_and_not_with_an_old_one(make_engine: Make) -> None:
    engine = make_engine()
    today = NOW // DAY * DAY
    engine.ingest([said("product_viewed", "ann", NOW - 10 * DAY, item_id="tea")])
    assert engine.due_publication() == today - 9 * DAY
    engine.publish(today - 9 * DAY)
    engine.decide(moment(at=NOW))
    assert engine.due_publication() == today
    engine.publish(today)
    engine.decide(moment(at=NOW - 30 * DAY))
    assert engine.due_publication() is None
    engine.decide(moment(at=NOW + 400 * DAY))
    assert engine.due_publication() == today + 400 * DAY
    engine.publish(today + 400 * DAY)
    engine.decide(moment(at=NOW + DAY))
    assert engine.markets.at(NOW + DAY)[1].startswith(f"{today}-")


def test_who_asks_of_a_far_day_does_not_keep_todays_statistics_from_being_published(make_engine: Make) -> None:
    """A caller's clock was years ahead, once; the days that follow have their statistics, and a market ready."""
    engine = make_engine()
    today = NOW // DAY * DAY
    engine.ingest([said("product_viewed", "ann", NOW - 10 * DAY, item_id="tea")])
    engine.decide(moment(at=NOW + 9_000 * DAY))
    for due in (today + 9_000 * DAY, today):
        assert engine.due_publication() == due
        engine.publish(due)
    assert engine.due_publication() is None
    engine.clock = lambda: NOW + DAY
    engine.decide(moment(at=NOW + DAY))
    assert engine.due_publication() == today + DAY


def test_a_market_is_built_once_even_of_nothing(make_engine: Make) -> None:
    engine = make_engine()
    market, _ = engine.markets.at(NOW)
    assert len(market) == 0 and engine.markets.at(NOW)[0] is market
