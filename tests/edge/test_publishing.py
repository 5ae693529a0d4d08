"""A server's statistics are published by a process of its own, and taken over without an answer waiting for them."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cxreco.edge import background, markets
from cxreco.edge.background import Background
from cxreco.edge.engine import Engine
from cxreco.edge.publishing import PublishingFailed, publish_apart
from cxreco.journey import DAY, Moment
from cxreco.recognise.contract import write_time
from cxreco.recognise.market import market_of

NOW = 20_500 * DAY + DAY // 2
TODAY = NOW // DAY * DAY


def files(engine: Engine) -> list[str]:
    return sorted(path.name for path in (engine.settings.home / "populations").glob("*.npz"))


def seen(engine: Engine, n: int, item_id: str = "tea") -> None:
    row = {"event_id": f"seen-{n}", "type": "product_viewed", "customer_id": "zoe", "item_id": item_id}
    assert engine.ingest([{**row, "occurred_at": write_time(NOW - 3 * DAY)}]).accepted == 1


def test_another_process_publishes_what_this_one_would(shop: Engine) -> None:
    home = shop.settings.home
    seen(shop, 1)
    position = shop.store.position()
    publish_apart(shop.settings, TODAY - DAY, threading.Event())
    theirs = dict(np.load(home / "populations" / f"{TODAY - DAY}-{position}.npz"))
    version = shop.publish(TODAY - DAY)
    assert version == f"{TODAY - DAY}-{position}"
    mine = dict(np.load(home / "populations" / f"{version}.npz"))
    assert theirs.keys() == mine.keys()
    assert all(np.array_equal(theirs[name], mine[name], equal_nan=True) for name in mine)


def test_of_several_workers_one_publishes(shop: Engine) -> None:
    publish_apart(shop.settings, TODAY + DAY, threading.Event())
    there = files(shop)
    assert len(there) == 2
    seen(shop, 1)
    publish_apart(shop.settings, TODAY + DAY, threading.Event())
    assert files(shop) == there


def test_a_server_that_stops_does_not_wait_for_it(shop: Engine) -> None:
    stopping = threading.Event()
    stopping.set()
    publish_apart(shop.settings, TODAY + DAY, stopping)
    assert len(files(shop)) == 1


def test_what_was_not_published_is_counted_and_the_statistics_before_serve_on(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.populations.version_at(2**62)
    shop.decide(Moment(customer_id="ann", at=NOW + DAY))
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(PublishingFailed, match="ended with 1"):
        Background(shop).publish_apart_if_due()
    assert shop.populations.version_at(2**62) == before
    assert shop.metrics.registry.get_sample_value("cxreco_publications_total", {"result": "failed"}) == 1.0


def test_no_answer_waits_for_the_market_of_a_new_day(shop: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is built before it is needed, while others may decide; its decisions are replayed to the bit."""
    built: list[str] = []

    def noted(*given: Any) -> Any:
        built.append(threading.current_thread().name)
        free: list[bool] = []

        def other() -> None:
            free.append(shop.lock.acquire(timeout=30.0))
            shop.lock.release()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert free == [True] or threading.current_thread() is threading.main_thread()
        return market_of(*given)

    shop.decide(Moment(customer_id="ann", at=NOW + DAY))
    monkeypatch.setattr(markets, "market_of", noted)
    work = threading.Thread(target=Background(shop).publish_apart_if_due, name="publisher")
    work.start()
    work.join()
    version = shop.populations.version_at(NOW + DAY)
    assert version.startswith(f"{TODAY + DAY}-") and built == ["publisher"]
    record = shop.decide(Moment(customer_id="ann", at=NOW + DAY))
    assert built == ["publisher"] and record["market_version"].startswith(version)
    assert shop.replay(record["decision_id"]).same


def test_what_another_worker_published_is_taken_over_with_the_items_only_it_has_seen(
    shop: Engine, make_engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_engine(shop.settings.home)
    seen(other, 1, "nobody has described it")
    version = other.publish(TODAY + DAY)
    shop.decide(Moment(customer_id="ann", at=NOW + DAY))
    monkeypatch.setattr(background, "publish_apart", lambda *given, **more: pytest.fail("it is published"))
    Background(shop).publish_apart_if_due()
    record = shop.decide(Moment(customer_id="ann", at=NOW + DAY))
    assert record["market_version"].startswith(version) and not record["fallback"]
    assert shop.replay(record["decision_id"]).same
