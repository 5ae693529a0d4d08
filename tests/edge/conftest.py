"""A workspace with a small shop in it, served by the playbook that nobody has trained."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cxreco.edge.api import create_app
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import Group, Row
from cxreco.journey import DAY
from cxreco.recognise.contract import write_time
from cxreco.respond.playbook import Playbook, sealed

NOW = 20_500 * DAY + DAY // 2
ITEMS = {"tea": ("drinks", 4.5), "milk": ("dairy", 1.2), "bread": ("bakery", 3.0), "oats": ("cereal", 2.5)}
# Customer -> what they buy, and every how many days.
HABITS = {"ann": {"tea": 14, "milk": 4}, "bob": {"bread": 3, "milk": 5}, "eve": {"oats": 20, "tea": 10, "bread": 6}}


@pytest.fixture(scope="session")
def other_playbook(playbook: Playbook) -> Playbook:
    return sealed(replace(playbook, salt="another salt"))


def event(kind: str, customer: str, at: int, n: object, **fields: object) -> dict[str, Any]:
    row = {"event_id": f"{kind}-{customer}-{at}-{n}", "type": kind, "customer_id": customer}
    return {**row, "occurred_at": write_time(at), **fields}


def order(customer: str, at: int, *item_ids: str, **fields: object) -> dict[str, Any]:
    lines = [{"item_id": item_id, "quantity": 1, "price": ITEMS[item_id][1]} for item_id in item_ids]
    return event(
        "order_completed", customer, at, "-".join(item_ids), order_id=f"{customer}-{at}", items=lines, **fields
    )


def history(days: int = 60) -> list[dict[str, Any]]:
    """Orders and visits of `days` before NOW."""
    rows = []
    for customer, habits in HABITS.items():
        for day in range(days, 0, -1):
            at = NOW - day * DAY - DAY // 10
            bought = [item_id for item_id, gap in habits.items() if day % gap == 1]
            if bought:
                rows.append(event("product_viewed", customer, at - 60_000_000, day, item_id=bought[0]))
                rows.append(order(customer, at, *bought))
    return rows


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    stores: list[SqliteStore] = []

    def make(home: Path = tmp_path, **options: Any) -> Engine:
        store = SqliteStore(home / "log.db", relaxed=True)
        stores.append(store)
        options = {"decide_deadline_ms": 10_000, "arms": {"champion": 100}, "salt": "test"} | options
        return Engine(store, Settings(home=home, **options), clock=lambda: NOW)

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def shop(make_engine: Callable[..., Engine], playbook: Playbook) -> Engine:
    """An engine with items, history, statistics and a champion."""
    engine = make_engine()
    rows = [
        {"item_id": item_id, "title": f"Good {item_id}", "category": category, "price": price}
        for item_id, (category, price) in ITEMS.items()
    ]
    assert engine.put_items(rows).accepted == len(ITEMS)
    assert engine.ingest(history()).rejected == []
    engine.publish(NOW // DAY * DAY)
    from cxreco.edge.champion import Pointer, keep, write_pointer

    sha256 = keep(engine.settings.home, playbook.version, playbook.to_files())
    pointer = Pointer(version=playbook.version, sha256=sha256, promoted_at=write_time(NOW))
    write_pointer(engine.settings.home, pointer)
    engine.adopt("champion", playbook, pointer)
    return engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with nothing in it, and no champion."""
    store = SqliteStore(tmp_path / "log.db", relaxed=True)
    yield Engine(store, Settings(home=tmp_path, decide_deadline_ms=5_000), clock=lambda: NOW)
    store.close()


@asynccontextmanager
async def client_of(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(engine, background=False)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


@pytest.fixture
def speak() -> Callable[..., Any]:
    """Let a script speak to an engine over HTTP, in process."""

    def spoken(engine: Engine, script: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
        async def run() -> Any:
            async with client_of(engine) as client:
                return await script(client)

        return asyncio.run(run())

    return spoken


@pytest.fixture
def is_problem() -> Callable[..., bool]:
    """Check that an answer is a problem document with this status, naming this field."""

    def checked(answer: httpx.Response, status: int, field: str = "") -> bool:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["status"] == status
        assert body["detail"]
        assert not field or field in [error["field"] for error in body["errors"]], body
        return True

    return checked


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Engine], list[int]]:
    """Return what makes an engine tell, from now on, how many rows each look at a customer's log gave."""

    def watched(engine: Engine) -> list[int]:
        read: list[int] = []
        customer_log = engine.store.customer_log

        def reading(group: Group, after_seq: int = 0, upto_seq: int | None = None) -> list[Row]:
            rows = customer_log(group, after_seq, upto_seq)
            read.append(len(rows))
            return rows

        monkeypatch.setattr(engine.store, "customer_log", reading)
        return read

    return watched
