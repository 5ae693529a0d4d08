"""Several workers on one log: each knows at once what another took in, whatever becomes of the cache between them."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cxreco.edge import states
from cxreco.edge.engine import Engine
from cxreco.edge.postgres_store import PostgresStore
from cxreco.edge.redis_states import RedisStates
from cxreco.edge.settings import Settings
from cxreco.edge.store import StoreUnavailable
from cxreco.journey import DAY, Moment
from cxreco.recognise.contract import write_time

NOW = 20_500 * DAY + DAY // 2
WHO = st.sampled_from(["ann", "bob", "cookie"])
STEP = st.one_of(
    st.tuples(st.just("view"), WHO, st.integers(-3, 0)),
    st.tuples(st.just("order"), WHO, st.integers(-3, 0)),
    st.tuples(st.just("identify"), st.sampled_from(["ann", "bob"]), st.just(0)),
    st.tuples(st.just("decide"), WHO, st.integers(-1, 3)),
    st.tuples(st.just("item"), st.sampled_from(["tea", "milk"]), st.integers(0, 2)),
    st.tuples(st.just("forget"), WHO, st.integers(0, 1)),
    st.tuples(st.just("flush"), st.just(""), st.just(0)),
)
STEPS = st.lists(st.tuples(st.integers(0, 2), STEP), min_size=8, max_size=24)


@pytest.fixture
def make_worker(redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Return a maker of workers on the log and the Redis that two URLs lead to."""
    opened: list[tuple[PostgresStore, RedisStates | None]] = []
    shops: set[str] = set()

    def make(url: str, cache: str | None = redis_url, patience_s: float = 5.0, remembers: int = 1) -> Engine:
        store = PostgresStore(url, patience_s=patience_s)
        shared = RedisStates.of(cache, store, patience_s=1.0) if cache else None
        opened.append((store, shared))
        shops.add(store.meta("id", ""))
        # One that remembers a single customer has the others from Redis, or from the log.
        options: dict[str, Any] = {"state_cache": remembers, "arms": {"champion": 100}, "salt": "test"}
        return Engine(store, Settings(home=tmp_path, **options), clock=lambda: NOW, cache=shared)

    yield make
    for store, shared in opened:
        store.close()
        if shared is not None:
            shared.close()
    for shop in filter(None, shops):
        sweep(redis_url, shop)


def sweep(url: str, shop: str) -> None:
    """Remove what a Redis keeps of a shop."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(f"cxreco:{shop}:*"):
            client.delete(key)


def view(customer: str, n: object, at: int = NOW) -> dict[str, Any]:
    row = {"event_id": f"{customer}-{n}", "type": "product_viewed", "customer_id": customer, "item_id": "tea"}
    return {**row, "occurred_at": write_time(at)}


def act(engine: Engine, n: int, step: tuple[str, str, int], keys: Callable[[], None]) -> None:
    kind, who, what = step
    row: dict[str, Any] = {"event_id": f"e{n}", "customer_id": who, "occurred_at": write_time(NOW + what * DAY)}
    if kind == "flush":
        keys()
    elif kind == "forget":
        engine.forget(who)
        if what:
            engine.ingest([{**row, "type": "product_viewed", "item_id": "tea"}])
    elif kind == "decide":
        engine.decide(Moment(customer_id=who, at=NOW + what * DAY))
    elif kind == "item":
        item = {"item_id": who, "title": who, "category": f"category {what}", "price": 1.0 + what}
        engine.put_items([item])
    elif kind == "identify":
        engine.ingest([{**row, "type": "customer_identified", "anonymous_id": "cookie"}])
    elif kind == "view":
        engine.ingest([{**row, "type": "product_viewed", "item_id": "tea"}])
    else:
        lines = [{"item_id": item_id, "quantity": 1, "price": 2.0} for item_id in ("tea", "milk")]
        engine.ingest([{**row, "type": "order_completed", "order_id": f"o{n}", "items": lines}])


RECATEGORISED = [(0, ("order", "ann", 0)), (0, ("item", "tea", 0)), (1, ("order", "bob", 0)), (0, ("item", "tea", 1))]
ERASED = [(0, ("order", "ann", 0)), (0, ("view", "ann", 0)), (1, ("forget", "ann", 1))]
JOINED = [(0, ("view", "ann", 0)), (1, ("order", "cookie", 0)), (0, ("identify", "ann", 0)), (0, ("item", "tea", 0))]


@example(RECATEGORISED)
@example(ERASED)
@example(JOINED)
@given(STEPS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_workers_know_what_the_log_says_whatever_is_in_redis(
    make_worker: Callable[..., Engine],
    make_postgres_url: Callable[[], str],
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[int, tuple[str, str, int]]],
) -> None:
    monkeypatch.setattr(states, "WORTH_KEEPING", 1)
    url = make_postgres_url()
    workers = [make_worker(url, remembers=9), make_worker(url), make_worker(url, remembers=9)]
    alone = make_worker(url, cache=None)

    def flush() -> None:
        sweep(redis_url, alone.store.meta("id", ""))

    try:
        for n, (which, step) in enumerate(steps):
            act(workers[which], n, step, flush)
            for customer in ("bob", "cookie", "ann"):
                alone.shop.refresh()
                truth = alone.states.rebuilt(alone.store.group(customer))
                for worker in workers:
                    worker.shop.refresh()
                    known = worker.states.of(customer)
                    assert known.group == truth.group
                    assert known.state.copy().equals(truth.state), (n, step, customer)
                    assert known.origins == truth.origins
    finally:
        flush()
        for worker in (*workers, alone):
            worker.store.close()


def counted(engine: Engine, result: str) -> float:
    return engine.metrics.registry.get_sample_value("cxreco_shared_states_total", {"result": result}) or 0.0


def test_a_state_is_left_for_others_when_it_is_worth_it_and_erased_with_its_customer(
    make_worker: Callable[..., Engine], postgres_url: str
) -> None:
    one, two = make_worker(postgres_url), make_worker(postgres_url)
    one.ingest([view("ann", n) for n in range(3)])
    one.decide(Moment(customer_id="ann", at=NOW))
    assert counted(one, "miss") == 1.0
    two.decide(Moment(customer_id="ann", at=NOW))
    # Three rows are folded as soon as looked up.
    assert (counted(two, "miss"), counted(two, "hit")) == (1.0, 0.0)
    one.ingest([view("ann", f"more-{n}") for n in range(30)])
    one.decide(Moment(customer_id="ann", at=NOW))
    three = make_worker(postgres_url)
    three.decide(Moment(customer_id="ann", at=NOW))
    assert counted(three, "hit") == 1.0
    three.forget("ann")
    four = make_worker(postgres_url)
    four.ingest([view("ann", "anew")])
    assert four.states.of("ann").group.joined == {}
    assert (counted(four, "hit"), counted(four, "miss")) == (0.0, 1.0)
    # One that was not told of the erasure does not believe what it remembers.
    assert one.states.of("ann").state.equals(four.states.of("ann").state)


def test_without_redis_everything_is_answered_from_the_log(
    make_worker: Callable[..., Engine], postgres_url: str, redis_url: str, make_line: Callable[[str], Any]
) -> None:
    line = make_line(redis_url)
    one = make_worker(postgres_url, cache=line.url)
    one.ingest([view(who, n) for n in range(30) for who in ("ann", "bob")])
    one.states.of("ann")
    line.cut()
    one.states.of("bob")
    answer = one.decide(Moment(customer_id="ann", at=NOW))
    assert one.store.decision(answer["decision_id"]) is not None
    assert counted(one, "lost") > 0
    # What cannot be erased everywhere is not said to be erased, and not half erased either.
    with pytest.raises(StoreUnavailable, match="Redis"):
        one.forget("ann")
    assert one.store.group("ann").position > 0
    line.mend()
    assert one.forget("ann") == 31


def test_without_postgres_a_page_is_left_alone_and_nothing_is_said_to_be_kept(
    make_worker: Callable[..., Engine], postgres_url: str, make_line: Callable[[str], Any]
) -> None:
    line = make_line(postgres_url)
    engine = make_worker(line.url, cache=None, patience_s=0.3)
    engine.ingest([view("ann", 1)])
    for break_it, mend in ((line.cut, line.mend), (line.hold, line.let_go)):
        break_it()
        answer = engine.decide(Moment(customer_id="ann", at=NOW))
        assert answer["mode"] == "hold"
        assert "PostgreSQL" in answer["reasons"][0]
        assert "not logged" in answer["reasons"][0]
        with pytest.raises(StoreUnavailable):
            engine.ingest([view("ann", uuid.uuid4())])
        assert any("PostgreSQL" in reason for reason in engine.unready)
        mend()
        until = time.monotonic() + 10
        while any("PostgreSQL" in reason for reason in engine.unready):
            assert time.monotonic() < until
            time.sleep(0.02)
        answer = engine.decide(Moment(customer_id="ann", at=NOW))
        assert engine.store.decision(answer["decision_id"]) is not None
    fallbacks = engine.metrics.registry.get_sample_value("cxreco_fallbacks_total", {"part": "store"})
    assert fallbacks == 2.0
