"""The log read in bulk is the log as it was served: for every decision, the state replayed to its arrival cut."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cxreco.edge.engine import Engine
from cxreco.edge.log_reading import LogReader, record_of
from cxreco.journey import DAY, Moment
from cxreco.recognise.contract import write_time
from cxreco.recognise.replay import moments_of, replay, sort_ticks

NOW = 20_500 * DAY + DAY // 2
WHO = st.sampled_from(["ann", "bob", "cookie", "cookie2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("view"), WHO, st.integers(-5, 5)),
        st.tuples(st.just("order"), WHO, st.integers(-5, 5)),
        st.tuples(
            st.just("identify"), st.sampled_from(["ann", "bob", "cookie2"]), st.sampled_from(["cookie", "cookie2"])
        ),
        st.tuples(st.just("decide"), WHO, st.integers(0, 8)),
        st.tuples(st.just("accept"), WHO, st.integers(-5, 5)),
        st.tuples(st.just("return"), WHO, st.integers(-5, 5)),
    ),
    min_size=5,
    max_size=25,
)


def act(engine: Engine, n: int, step: tuple[Any, ...], made: list[dict[str, Any]]) -> None:
    kind, who, what = step
    named = made[-1]["decision_id"] if made else "nobody's"
    row: dict[str, Any] = {"event_id": f"e{n}", "customer_id": who, "occurred_at": write_time(NOW)}
    if kind == "identify":
        row |= {"type": "customer_identified", "anonymous_id": what}
    else:
        row["occurred_at"] = write_time(NOW + what * DAY)
    if kind == "decide":
        made.append(engine.decide(Moment(customer_id=who, at=NOW + what * DAY)))
        return
    if kind == "view":
        row |= {"type": "product_viewed", "item_id": f"item-{n % 7}"}
    if kind == "order":
        line = {"item_id": f"item-{n % 5}", "quantity": 1, "price": 2.0}
        row |= {"type": "order_completed", "order_id": "the order", "items": [line], "decision_id": named}
    if kind == "accept":
        row |= {"type": "decision_accepted", "decision_id": named}
    if kind == "return":
        row |= {"type": "order_returned", "order_id": "the order"}
    engine.ingest([row])


LATER_KNOWN = [
    ("view", "cookie", 0), ("decide", "ann", 1), ("identify", "ann", "cookie"), ("decide", "ann", 2),
    ("decide", "cookie", 0), ("view", "cookie", 1), ("identify", "bob", "ann"), ("decide", "ann", 3),
    ("decide", "bob", 3),
]  # fmt: skip
RETURNED = [("decide", "ann", 0), ("order", "ann", 1), ("decide", "ann", 2), ("return", "ann", 2), ("decide", "ann", 3)]


@example(LATER_KNOWN)
@example(RETURNED)
@given(STEPS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bulk_replay_gives_the_states_that_served(
    make_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    engine = make_engine(tmp_path_factory.mktemp("home"))
    made: list[dict[str, Any]] = []
    served = []
    reader = LogReader(engine.store, engine.shop)
    for n, step in enumerate(steps):
        act(engine, n, step, made)
        if step[0] == "decide":
            record = made[-1]
            group = engine.store.group(record["customer_id"])
            # The decision itself arrived after its cut.
            known = engine.states.rebuilt(group._replace(position=record["arrival_cut"]))
            served.append(engine.states.as_of(known, record["moment"]["at"]))
        if n % 9 == 0:
            reader.read()
    log = reader.read()
    fresh = LogReader(engine.store, engine.shop).read()
    assert sort_ticks(log.ticks).tobytes() == sort_ticks(fresh.ticks).tobytes() or log.customers != fresh.customers
    rows = [row for batch in engine.store.scan(kinds=["decision"]) for row in batch]
    records = [record_of(row) for row in rows]
    assert [record["decision_id"] for record in records] == [record["decision_id"] for record in made]
    codes = np.array([log.customers.index(record["canonical"]) for record in records], dtype=np.int64)
    at = np.array([record["moment"]["at"] for record in records], dtype=np.int64)
    cut = np.array([record["arrival_cut"] for record in records], dtype=np.int64)
    for index, state in replay(sort_ticks(log.ticks), moments_of(codes, at, cut)):
        assert state.copy().equals(served[index]), (records[index], index)


def test_an_identified_customer_is_one_person_in_the_statistics(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    for n, step in enumerate([("order", "cookie", 0), ("identify", "ann", "cookie"), ("order", "ann", 1)]):
        act(engine, n, step, [])
    log = LogReader(engine.store, engine.shop).read()
    persons = log.of_persons()
    assert {log.customers[code] for code in persons["customer"].tolist()} == {"ann"}
    assert {log.customers[code] for code in log.ticks["customer"].tolist()} == {"ann", "cookie"}


def test_a_log_can_be_read_as_it_was(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    for n in range(5):
        act(engine, n, ("view", "ann", 0), [])
    assert LogReader(engine.store, engine.shop).read(upto_seq=3).ticks["seq"].max() == 3
