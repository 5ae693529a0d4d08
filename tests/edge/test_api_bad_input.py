"""What the API makes of bad input, and of parts that are down: a 4xx that names the field, never a 500."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxreco.edge.engine import Engine
from cxreco.edge.store import StoreUnavailable

VIEWED = {
    "event_id": "ann-1",
    "type": "product_viewed",
    "customer_id": "ann",
    "occurred_at": "2026-02-01T10:00:00+00:00",
    "item_id": "tea",
}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "customer_id"),
        ({"customer_id": ""}, "customer_id"),
        ({"customer_id": "a", "max_items": 0}, "max_items"),
        ({"customer_id": "a", "max_items": 101}, "max_items"),
        ({"customer_id": "a", "max_items": "5"}, "max_items"),
        ({"customer_id": "a", "max_itmes": 5}, "max_itmes"),
        ({"customer_id": "a", "surface": "moon"}, "surface"),
        ({"customer_id": "a", "modes": ["shout"]}, "modes.0"),
        ({"customer_id": "a", "cart": ["x", None]}, "cart.1"),
        ({"customer_id": "a", "occurred_at": "2026-01-01T00:00:00"}, "occurred_at"),
        ({"customer_id": "a", "occurred_at": "1200-01-01T00:00:00Z"}, "occurred_at"),
        ({"customer_id": "a", "occurred_at": 17}, "occurred_at"),
        ({"customer_id": "a", "explain": "yes"}, "explain"),
        ({"customer_id": "a", "query": "x" * 1_001}, "query"),
        ({"customer_id": "a", "query": ["tea"]}, "query"),
        ({"customer_id": "a", "attributes": {"size": {"cm": 1}}}, "attributes.size"),
        ({"customer_id": "a", "attributes": {"size": None}}, "attributes.size"),
        ({"customer_id": "a", "attributes": {"size": "x" * 257}}, "attributes.size"),
        ([], "body"),
    ],
)
def test_a_malformed_decision_names_its_field(
    engine: Engine, body: object, field: str, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/decisions", json=body)
        is_problem(answer, 422, field)
        assert len(answer.json()["errors"]) == 1 or body == {}

    speak(engine, script)


def test_limits_media_types_and_wrong_places(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    async def script(client: httpx.AsyncClient) -> None:
        json_type = {"content-type": "application/json"}
        is_problem(await client.post("/v1/events", json={"events": [VIEWED] * 1_001}), 413)
        is_problem(await client.post("/v1/events", content=b" " * 1_100_000, headers=json_type), 413)
        is_problem(await client.post("/v1/events", content=chunks(), headers=json_type), 413)
        is_problem(await client.post("/v1/events", content=b"{}", headers={"content-type": "text/plain"}), 415)
        is_problem(await client.post("/v1/events", content=b"{}"), 415)
        is_problem(await client.post("/v1/events", content=b'{"events": [', headers=json_type), 422, "body")
        is_problem(await client.post("/v1/events"), 422, "body")
        broken = await client.post("/v1/events", content=b'{"events": [', headers=json_type)
        assert "is not JSON: " in broken.json()["detail"] and "at character 12" in broken.json()["detail"]
        bare = await client.post("/v1/events", json=[{"type": "product_viewed"}])
        assert is_problem(bare, 422, "body") and "must be a JSON object" in bare.json()["detail"]
        is_problem(await client.get("/v1/nothing"), 404)
        wrong = await client.get("/v1/events")
        is_problem(wrong, 405)
        assert wrong.headers["allow"] == "POST" and "use POST" in wrong.json()["detail"]
        is_problem(await client.get("/v1/customers/%00"), 422, "customer_id")

    speak(engine, script)


def test_a_full_queue_asks_to_come_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    monkeypatch.setattr(engine.store, "pending", lambda: 10**9)

    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/events", json={"events": [VIEWED]})
        is_problem(answer, 429)
        assert answer.headers["retry-after"]

    speak(engine, script)


def test_a_store_that_is_down_costs_no_page(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    def broken(*_: object) -> Any:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(engine.store, "group", broken)
    monkeypatch.setattr(engine.store, "append", broken)

    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/decisions", json={"customer_id": "ann"})
        assert answer.status_code == 200
        assert answer.json()["mode"] == "hold"
        assert "not logged" in " ".join(answer.json()["reasons"])
        refused = await client.post("/v1/events", json={"events": [VIEWED]})
        is_problem(refused, 503)
        assert refused.headers["retry-after"]
        is_problem(await client.get("/v1/customers/ann"), 503)

    speak(engine, script)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "customer_id", "request_id", "occurred_at", "channel", "surface", "query", "item_id", "cart", "attributes",
    "max_items", "modes", "explain", "events", "items", "purpose", "granted", "limits", "type", "event_id",
]  # fmt: skip
BODIES = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(FIELDS), JSON),
    st.dictionaries(st.sampled_from(FIELDS), JSON).map(lambda more: {"customer_id": "ann", **more}),
    st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON), max_size=3).map(lambda rows: {"events": rows}),
)
CALLS = [("POST", "/v1/decisions"), ("POST", "/v1/events"), ("PUT", "/v1/items"), ("PUT", "/v1/customers/ann/consent")]


@given(st.sampled_from(CALLS), BODIES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_makes_a_5xx(engine: Engine, speak: Callable[..., Any], call: tuple[str, str], body: object) -> None:
    import json

    async def script(client: httpx.AsyncClient) -> None:
        content = json.dumps(body).encode()
        answer = await client.request(*call, content=content, headers={"content-type": "application/json"})
        assert answer.status_code < 500, answer.text
        assert orjson.loads(answer.content) is not None

    speak(engine, script)


@given(st.sampled_from(CALLS), st.binary(max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_a_5xx(engine: Engine, speak: Callable[..., Any], call: tuple[str, str], content: bytes) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.request(*call, content=content, headers={"content-type": "application/json"})
        assert answer.status_code < 500, answer.text

    speak(engine, script)
