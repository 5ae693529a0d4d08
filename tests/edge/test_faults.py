"""Parts that fail: the answer is a safe one, in time, with its reason and a count; and then all is well again."""

import asyncio
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import lightgbm
import numpy as np
import pytest

from cxreco.edge.background import Background
from cxreco.edge.champion import Pointer, keep, write_pointer
from cxreco.edge.engine import Engine
from cxreco.request.features import RANKER_FEATURES
from cxreco.request.forest import verified
from cxreco.request.odds import WIDTH, Odds
from cxreco.request.ranker import Ranker
from cxreco.respond.playbook import Playbook, sealed

ASK = {"customer_id": "ann", "surface": "home"}
VIEW = {"type": "product_viewed", "customer_id": "ann", "item_id": "tea", "occurred_at": "2026-02-01T10:00:00Z"}


def count(engine: Engine, name: str, **labels: str) -> float:
    return engine.metrics.registry.get_sample_value(name, labels) or 0.0


def logged(engine: Engine, decision_id: str) -> bool:
    return engine.store.decision(decision_id) is not None


@pytest.fixture
def impatient(shop: Engine) -> Engine:
    """The shop with a deadline that a locked log exceeds, and nothing else does."""
    shop.settings = shop.settings.model_copy(update={"decide_deadline_ms": 500.0})
    return shop


@contextmanager
def locked(engine: Engine) -> Iterator[None]:
    """Let another process hold the log's write lock."""
    other = sqlite3.connect(engine.settings.home / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_log_that_cannot_be_written_in_time(impatient: Engine, speak: Callable[..., Any]) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        with locked(impatient):
            # The answer comes while the lock is held: nobody waited for it.
            safe = (await client.post("/v1/decisions", json=ASK)).json()
        assert safe["mode"] == "hold" and safe["policy"]["name"] == "fallback"
        assert "slow to write" in safe["reasons"][0] and "not logged" in safe["reasons"][0]
        assert count(impatient, "cxreco_fallbacks_total", part="store") == 1.0
        # What was called off is never written; what comes next is.
        event = {"event_id": "next", "type": "product_viewed", "customer_id": "ann", "item_id": "tea"}
        receipt = await client.post("/v1/events", json={"events": [{**event, "occurred_at": "2026-02-01T10:00:00Z"}]})
        assert receipt.json()["accepted"] == 1
        assert not logged(impatient, safe["decision_id"])
        again = (await client.post("/v1/decisions", json=ASK)).json()
        assert again["policy"]["name"] == "connected" and logged(impatient, again["decision_id"])
        assert count(impatient, "cxreco_unanswered_decisions_total") == 0.0

    speak(impatient, script)


def test_a_decision_that_lands_too_late_is_counted(impatient: Engine) -> None:
    async def late() -> dict[str, Any]:
        from concurrent.futures import Future

        from cxreco.edge.decider import Ask
        from cxreco.edge.steps import awaited
        from cxreco.edge.store import Placed, Placing
        from cxreco.journey import Moment

        place, begun = impatient.store.place, []

        def under_way(placing: Placing) -> "Future[Placed]":
            # Its transaction is open when the deadline comes: it can no longer be called off.
            mine: Future[Placed] = Future()
            mine.set_running_or_notify_cancel()
            begun.append((mine, placing))
            return mine

        impatient.store.place = under_way  # type: ignore[method-assign]
        try:
            ask = Ask(moment=Moment(customer_id="ann", at=impatient.clock()))
            record = await awaited(impatient.deciding(ask), deadline_s=0.01)
        finally:
            impatient.store.place = place  # type: ignore[method-assign]
        mine, placing = begun[0]
        mine.set_result(place(placing).result())
        return record

    record = asyncio.run(late())
    assert record["mode"] == "hold" and "not logged" in record["reasons"][0]
    assert count(impatient, "cxreco_unanswered_decisions_total") == 1.0


def test_a_full_disk(shop: Engine, speak: Callable[..., Any]) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        largest = max(path.stat().st_size for path in Path(shop.settings.home).glob("log.db*"))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
        answers = []
        try:
            for _ in range(60):
                answers.append((await client.post("/v1/decisions", json=ASK)).json())
            events = [{**VIEW, "event_id": f"full-{n}", "properties": {"x": "y" * 5_000}} for n in range(150)]
            refused = await client.post("/v1/events", json={"events": events})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert refused.status_code == 503 and refused.headers["retry-after"]
        safe = [answer for answer in answers if answer["policy"]["name"] == "fallback"]
        assert safe and all(answer["mode"] == "hold" and answer["reasons"] for answer in safe)
        assert count(shop, "cxreco_fallbacks_total", part="store") == len(safe)
        # What was answered as decided is on disk, what was not is not; and with room again all goes on.
        for answer in answers:
            assert logged(shop, answer["decision_id"]) == (answer["policy"]["name"] != "fallback")
        assert (await client.post("/v1/events", json={"events": events})).json()["accepted"] == len(events)
        assert (await client.post("/v1/decisions", json=ASK)).json()["policy"]["name"] == "connected"

    speak(shop, script)


def test_a_champion_that_cannot_be_read(
    make_engine: Callable[..., Engine], shop: Engine, playbook: Playbook, other_playbook: Playbook
) -> None:
    home = shop.settings.home
    sha256 = keep(home, other_playbook.version, other_playbook.to_files())
    broken = home / "playbooks" / other_playbook.version / "value.json"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-1] + b" ")
    write_pointer(home, Pointer(version=other_playbook.version, sha256=sha256, promoted_at="2026-02-01T00:00:00+00:00"))
    running = Background(shop)
    running.look()
    assert shop.playbooks["champion"].version == playbook.version
    assert count(shop, "cxreco_refused_playbooks_total", role="champion") == 1.0
    # A server that starts now has nobody to fall back on: safe answers, and not ready.
    fresh = make_engine(home)
    starting = Background(fresh)
    starting.look()
    assert fresh.unready
    record = fresh.decide(_moment(fresh))
    assert record["fallback"] and record["action"]["action_id"] == "curate.popular" and record["items"]
    assert count(fresh, "cxreco_fallbacks_total", part="champion") == 1.0
    broken.write_bytes(whole)
    for engine, background in ((shop, running), (fresh, starting)):
        background.look()
        assert engine.playbooks["champion"].version == other_playbook.version
        assert not engine.decide(_moment(engine))["fallback"]


def test_a_model_that_the_compiled_scorer_refuses(shop: Engine, playbook: Playbook) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, (500, len(RANKER_FEATURES))).astype(float)
    data = lightgbm.Dataset(x, label=(x[:, 0] % 2) + rng.random(500), categorical_feature=[0])
    text = lightgbm.train({"verbosity": -1, "num_threads": 1, "min_data_per_group": 5}, data, 5).model_to_string()
    ranker = Ranker(forest=verified(text, x), odds=Odds(weight=np.ones(WIDTH), intercept=0.0))
    assert ranker.forest.reason
    slower = sealed(replace(playbook, request=replace(playbook.request, ranker=ranker)))
    shop.adopt("champion", slower)
    assert count(shop, "cxreco_fallbacks_total", part="scorer") == 1.0
    record = shop.decide(_moment(shop))
    assert not record["fallback"] and shop.replay is not None
    shop.adopt("champion", playbook)
    assert count(shop, "cxreco_fallbacks_total", part="scorer") == 1.0


def test_too_many_calls_at_once_are_sent_away(make_engine: Callable[..., Engine], speak: Callable[..., Any]) -> None:
    engine = make_engine(max_in_flight=2)

    async def script(client: httpx.AsyncClient) -> None:
        with locked(engine):
            body = {"events": [{"event_id": "a", "type": "product_viewed", "customer_id": "ann", "item_id": "tea",
                                "occurred_at": "2026-02-01T10:00:00Z"}]}  # fmt: skip
            waiting = [asyncio.create_task(client.post("/v1/events", json=body)) for _ in range(2)]
            while engine.store.pending() == 0:
                await asyncio.sleep(0.001)
            sent_away = await client.post("/v1/decisions", json=ASK)
            assert sent_away.status_code == 429 and sent_away.headers["retry-after"] == "1"
            # Whoever watches is let in all the same.
            assert (await client.get("/healthz")).status_code == 200
            assert count(engine, "cxreco_log_lag_seconds") > 0.0
        assert {(await one).status_code for one in waiting} == {200}
        assert (await client.post("/v1/decisions", json=ASK)).status_code == 200
        assert count(engine, "cxreco_log_lag_seconds") == 0.0

    speak(engine, script)


def _moment(engine: Engine) -> Any:
    from cxreco.journey import Moment

    return Moment(customer_id="ann", at=engine.clock())
