"""Asks decided together are decided as if each were alone; and whoever cannot be answered here is passed on."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Scope

from cxreco.edge import desk
from cxreco.edge.desk import TOGETHER, Caller, Desk
from cxreco.edge.engine import Engine
from cxreco.edge.limits import Room
from cxreco.edge.metrics import STAGES
from cxreco.edge.schemas import DecisionIn
from cxreco.edge.steps import Steps
from cxreco.edge.store import Placed, Placing
from cxreco.respond.playbook import Playbook

Body = dict[str, Any]
BODIES = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(["ann", "bob", "eve", "nobody"]),
        "surface": st.sampled_from(["home", "search", "product", "cart", "outbound"]),
        "query": st.sampled_from(["", "tea", "milk"]),
        "cart": st.lists(st.sampled_from(["tea", "bread", "unknown"]), max_size=2),
        "occurred_at": st.sampled_from([None, "2026-02-10T10:00:00Z"]),
        "max_items": st.integers(1, 4),
    }
)


class Asker(Caller):
    """Keeps what is said."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self.said: list[Any] = []

    @property
    def scope(self) -> Scope:
        return {"method": "POST", "path": "/v1/decisions"}

    @property
    def body(self) -> bytes:
        return self._body

    def answered(self, body: bytes) -> None:
        self.said.append(orjson.loads(body))

    def passed_on(self, app: ASGIApp | None = None) -> None:
        self.said.append(app)


def asked(engine: Engine, bodies: Sequence[object], room: Room | None = None) -> list[Any]:
    """Ask at the desk for all of these in one turn; returns what each was told."""

    async def script() -> list[Any]:
        at = Desk(engine, room or Room(1_000))
        askers = [Asker(body if isinstance(body, bytes) else orjson.dumps(body)) for body in bodies]
        for one in askers:
            at.ask(one)
        async with asyncio.timeout(30.0):
            while not all(one.said for one in askers):
                await asyncio.sleep(0.001)
        assert all(len(one.said) == 1 for one in askers)
        return [one.said[0] for one in askers]

    return asyncio.run(script())


def drafted(engine: Engine, bodies: Sequence[Body]) -> list[Body]:
    """Decide for each alone, but before any of them is on disk, as for concurrent callers; return the records."""
    place, held = engine.store.place, list[Placing]()

    def hold(placing: Placing) -> "Future[Placed]":
        held.append(placing)
        return Future()

    engine.store.place = hold  # type: ignore[method-assign]
    under_way = [engine.deciding(DecisionIn.model_validate(body).ask(engine.clock())) for body in bodies]
    for steps in under_way:
        while next(steps) is None:
            pass
    engine.store.place = place  # type: ignore[method-assign]
    written = [place(placing) for placing in held]
    return [_landed(steps, future) for steps, future in zip(under_way, written, strict=True)]


def _landed(steps: Steps[Body], future: Future[Any] | None) -> Body:
    try:
        while True:
            future = steps.send(None if future is None else future.result())
    except StopIteration as stop:
        record: Body = stop.value
        return record


@pytest.fixture
def pair(shop: Engine, make_engine: Callable[..., Engine], playbook: Playbook, tmp_path: Path) -> tuple[Engine, Engine]:
    """Two engines on logs of their own that begin the same, most of whose decisions are drawn at random."""
    shop.store.close()
    made = []
    for name in ("together", "alone"):
        home = tmp_path / name
        home.mkdir()
        for path in tmp_path.glob("log.db*"):
            shutil.copy(path, home)
        shutil.copytree(tmp_path / "populations", home / "populations")
        engine = make_engine(home, arms={"champion": 50, "random": 50})
        engine.adopt("champion", playbook)
        made.append(engine)
    return made[0], made[1]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(turns=st.lists(st.lists(BODIES, min_size=1, max_size=TOGETHER), min_size=1, max_size=4))
def test_together_is_as_if_alone(pair: tuple[Engine, Engine], turns: list[list[Body]]) -> None:
    together, alone = pair
    for bodies in turns:
        first = together.store.position()
        named = [{**body, "request_id": f"{first}-{n}"} for n, body in enumerate(bodies)]
        told = asked(together, named)
        records = drafted(alone, named)
        for answer, record in zip(told, records, strict=True):
            assert answer == orjson.loads(orjson.dumps({name: record[name] for name in answer}))
            here, there = (engine.store.decision(answer["decision_id"]) for engine in pair)
            assert here is not None and there is not None
            assert orjson.loads(here.body) == orjson.loads(there.body)
            assert here == there
        for customer in {body["customer_id"] for body in bodies}:
            known = [engine.states.of(customer) for engine in pair]
            assert known[0].state.equals(known[1].state) and known[0].group == known[1].group


def test_more_than_a_turn_holds_are_all_answered_once(shop: Engine) -> None:
    told = asked(shop, [{"customer_id": f"{n}"} for n in range(3 * TOGETHER + 1)])
    assert [answer["customer_id"] for answer in told] == [f"{n}" for n in range(3 * TOGETHER + 1)]
    assert len({answer["decision_id"] for answer in told}) == len(told)


def test_what_is_no_good_ask_is_passed_on_and_the_others_are_answered(shop: Engine) -> None:
    room = Room(4)
    good = {"customer_id": "ann", "request_id": "one", "explain": True}
    told = asked(shop, [b"{", good, {"customer_id": "ann", "max_items": 0}, {**good, "query": "tea"}, good], room)
    assert told[0] is None and told[2] is None
    # The fourth used the request id for another body; the fifth found no room.
    assert told[1]["customer_id"] == "ann" and "explain" in told[1]
    assert told[3].status_code == 409
    assert told[4] is None
    assert room.taken == 0
    value = shop.metrics.registry.get_sample_value
    counted = {"method": "POST", "route": "/v1/decisions"}
    assert value("cxreco_requests_total", {**counted, "status": "200"}) == 1.0
    assert value("cxreco_requests_total", {**counted, "status": "409"}) == 1.0


def test_an_error_of_ours_is_said_as_one(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(record: Body, seq: int, known: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(shop.states, "note", broken)
    room = Room(10)
    told = asked(shop, [{"customer_id": "ann"}, {"customer_id": "bob"}], room)
    assert [answer.status_code for answer in told] == [500, 500]
    assert room.taken == 0


def test_a_deadline_holds_whatever_the_store_does(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.settings = shop.settings.model_copy(update={"decide_deadline_ms": 100.0})
    place, held = shop.store.place, list[tuple[Future[Placed], Placing]]()

    def slow(placing: Placing) -> "Future[Placed]":
        future: Future[Placed] = Future()
        if placing.entry.customer_id == "bob":
            future.set_running_or_notify_cancel()
        held.append((future, placing))
        return place(placing) if placing.entry.customer_id == "eve" else future

    monkeypatch.setattr(shop.store, "place", slow)
    room = Room(10)
    told = asked(shop, [{"customer_id": name} for name in ("ann", "bob", "eve")], room)
    # One was called off, one was under way, one is on disk.
    for answer in told[:2]:
        assert answer["mode"] == "hold" and "slow to write" in answer["reasons"][0]
    assert told[2]["policy"]["name"] != "fallback"
    assert held[0][0].cancelled() and not held[1][0].cancelled()
    assert room.taken == 0
    # It lands after all, when nobody waits.
    thread = threading.Thread(target=lambda: held[1][0].set_result(place(held[1][1]).result()))
    thread.start()
    thread.join()
    value = shop.metrics.registry.get_sample_value
    assert value("cxreco_unanswered_decisions_total") == 1.0
    assert value("cxreco_fallbacks_total", {"part": "store"}) == 2.0


@pytest.mark.parametrize("held_up", [True, False])
def test_what_holds_the_loop_up_is_not_held_against_the_log(
    shop: Engine, monkeypatch: pytest.MonkeyPatch, held_up: bool
) -> None:
    # What is compiled at a first decision holds the loop up too.
    asked(shop, [{"customer_id": "ann"}])
    shop.settings = shop.settings.model_copy(update={"decide_deadline_ms": 100.0})
    monkeypatch.setattr(desk, "TURN_S", 2.0)
    place = shop.store.place

    def late(placing: Placing) -> "Future[Placed]":
        future: Future[Placed] = Future()
        future.set_running_or_notify_cancel()
        threading.Timer(0.5, lambda: future.set_result(place(placing).result())).start()
        if held_up:
            asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        return future

    monkeypatch.setattr(shop.store, "place", late)
    noticed: list[bool] = []
    due = desk.Desk._due

    def noticing(own: desk.Desk) -> None:
        late = own._loop.time() - own._open[0].until if own._open else 0.0
        noticed.append(late > desk.HELD_UP_S)
        due(own)

    monkeypatch.setattr(desk.Desk, "_due", noticing)
    begun = time.perf_counter()
    (answer,) = asked(shop, [{"customer_id": "ann"}])
    # What else a busy machine does may hold the loop up too.
    assert noticed[0] or not held_up
    assert (answer["policy"]["name"] == "fallback") is not noticed[0]
    if not noticed[0]:
        # The write lands after the answer; the store is closed after that.
        assert time.perf_counter() - begun < 0.5
        time.sleep(0.7)


def test_the_clock_of_a_stage_does_not_run_while_others_are_decided(shop: Engine) -> None:
    begun = time.perf_counter()
    asked(shop, [{"customer_id": "ann"}] * TOGETHER)
    elapsed = time.perf_counter() - begun
    shop.metrics.page()
    value = shop.metrics.registry.get_sample_value
    name = "cxreco_decision_stage_seconds"
    assert value(f"{name}_count", {"stage": "value"}) == TOGETHER
    spent = [value(f"{name}_sum", {"stage": stage}) or 0.0 for stage in STAGES if stage != "log"]
    assert 0.0 < sum(spent) < elapsed
