"""The HTTP contract, endpoint by endpoint, over a real store; without a champion, when every answer is a safe one."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from cxreco.edge import schemas
from cxreco.edge.api import create_app
from cxreco.edge.champion import CHAMPION
from cxreco.edge.engine import Engine
from cxreco.journey import DAY, Mode
from cxreco.respond.playbook import Playbook, sealed

NOW = 20_500 * DAY + DAY // 2
TEA = {"item_id": "tea", "title": "Green tea", "category": "drinks", "price": 4.5}


def viewed(n: int, customer: str = "ann", at: str = "2026-02-01T10:00:00+00:00", **more: object) -> dict[str, object]:
    return {
        "event_id": f"{customer}-{n}",
        "type": "product_viewed",
        "customer_id": customer,
        "occurred_at": at,
        "item_id": "tea",
        **more,
    }


def ordered(n: int, customer: str = "ann", at: str = "2026-02-01T11:00:00+00:00") -> dict[str, object]:
    return {
        "event_id": f"o-{customer}-{n}",
        "type": "order_completed",
        "customer_id": customer,
        "occurred_at": at,
        "order_id": f"order-{customer}-{n}",
        "items": [{"item_id": "tea", "quantity": 2, "price": 4.5}],
    }


def test_items_and_events_are_counted_and_broken_rows_named(engine: Engine, speak: Callable[..., Any]) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        got = await client.put("/v1/items", json={"items": [TEA, TEA, {"item_id": "x"}, 7]})
        assert got.status_code == 200
        assert got.json()["accepted"] == got.json()["duplicates"] == 1
        assert [row["index"] for row in got.json()["rejected"]] == [2, 3]
        got = await client.post("/v1/events", json={"events": [viewed(1), {"type": "nonsense"}, viewed(1), viewed(2)]})
        assert got.json()["accepted"] == 2
        assert got.json()["duplicates"] == 1
        assert [row["index"] for row in got.json()["rejected"]] == [1]
        assert "type" in got.json()["rejected"][0]["reason"]
        got = await client.post("/v1/events", json={"events": []})
        assert got.json() == {"accepted": 0, "duplicates": 0, "rejected": []}

    speak(engine, script)


def test_a_missing_champion_still_answers_and_says_so(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        got = (await client.post("/v1/decisions", json={"customer_id": "nobody"})).json()
        assert got["mode"] == "hold"
        assert got["items"] == []
        assert got["policy"]["name"] == "fallback"
        assert got["propensity"] == {"mode": 1.0, "action": 1.0, "joint": 1.0}
        assert "no champion" in " ".join(got["reasons"])
        assert got["decided_at"].startswith("2026-02-16T12:00:00")
        assert engine.store.decision(got["decision_id"]) is not None
        is_problem(await client.get("/readyz"), 503)
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert "cxreco_fallbacks_total" in (await client.get("/metrics")).text
        assert (await client.get("/v1/policy")).json()["version"] is None

    speak(engine, script)


def test_without_a_champion_a_page_shows_what_everybody_buys(engine: Engine, speak: Callable[..., Any]) -> None:
    engine.put_items([TEA])
    engine.ingest([ordered(1)])
    engine.publish(NOW // DAY * DAY)

    async def script(client: httpx.AsyncClient) -> None:
        for surface, mode in (("home", "curated_offering"), ("outbound", "hold"), ("checkout", "hold")):
            body = {"customer_id": "bob", "surface": surface}
            got = (await client.post("/v1/decisions", json=body)).json()
            assert (got["mode"] == mode) or got["policy"]["arm"] == "holdout"
            assert [item["item_id"] for item in got["items"]] == (["tea"] if got["mode"] != "hold" else [])
        got = (await client.post("/v1/decisions", json={"customer_id": "bob", "modes": ["coach_behavior"]})).json()
        assert got["mode"] == "hold"

    speak(engine, script)


def test_a_request_repeated_gets_the_same_answer_and_another_body_a_409(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        body = {"customer_id": "ann", "request_id": "r-1", "explain": True}
        once, *others = await asyncio.gather(*(client.post("/v1/decisions", json=body) for _ in range(5)))
        assert {answer.content for answer in others} == {once.content}
        again = await client.post(
            "/v1/decisions", content=b'{"explain":true, "request_id":"r-1", "customer_id":"ann", "max_items": 10}',
            headers={"content-type": "application/json; charset=utf-8"},
        )  # fmt: skip
        assert again.content == once.content
        is_problem(await client.post("/v1/decisions", json={**body, "query": "tea"}), 409)
        decisions = [row for rows in engine.store.scan(kinds=["decision"]) for row in rows]
        assert len(decisions) == 1

    speak(engine, script)


def test_the_record_of_a_decision_can_be_read(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        made = (await client.post("/v1/decisions", json={"customer_id": "ann", "explain": True})).json()
        record = (await client.get(f"/v1/decisions/{made['decision_id']}")).json()
        assert {name: record[name] for name in made} == made
        assert sum(record["candidates"]["joint"]) == 1.0
        assert record["arrival_cut"] == 0
        is_problem(await client.get("/v1/decisions/none"), 404)

    speak(engine, script)


def test_consent_is_recorded_and_seen(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        body = {"purpose": "automatic_execution", "granted": True, "limits": {"max_order_value": 50}}
        got = await client.put("/v1/customers/ann/consent", json=body)
        assert got.json()["granted"] is True
        known = (await client.get("/v1/customers/ann")).json()
        assert known["consent"]["automatic_execution"] is True
        assert known["consent"]["max_order_value"] == 50
        await client.put("/v1/customers/ann/consent", json={"purpose": "automatic_execution", "granted": False})
        known = (await client.get("/v1/customers/ann")).json()
        assert known["consent"]["automatic_execution"] is False
        wrong = await client.put("/v1/customers/ann/consent", json={"purpose": "automatic_execution", "granted": "yes"})
        is_problem(wrong, 422, "granted")

    speak(engine, script)


def test_a_customer_is_known_exported_and_forgotten_under_all_names(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any]
) -> None:
    async def script(client: httpx.AsyncClient) -> None:
        for path in ("", "/export"):
            is_problem(await client.get(f"/v1/customers/ann{path}"), 404)
        identified = viewed(3, type="customer_identified", anonymous_id="cookie")
        del identified["item_id"]
        await client.post("/v1/events", json={"events": [viewed(1, "cookie"), viewed(2), ordered(1), identified]})
        made = (await client.post("/v1/decisions", json={"customer_id": "cookie"})).json()
        assert made["customer_id"] == "cookie"
        known = (await client.get("/v1/customers/cookie")).json()
        assert known["customer_id"] == "ann"
        assert known["known_as"] == ["cookie"]
        assert known["known"]["orders"] == 1
        assert [need["item_id"] for need in known["needs"]] == ["tea"]
        assert known["journey"][0]["type"] == "decision"
        assert len(known["journey"]) == 5
        kept = (await client.get("/v1/customers/ann/export")).json()
        assert [event["event_id"] for event in kept["events"]] == ["ann-2", "o-ann-1", "cookie-1", "ann-3"]
        assert [decision["decision_id"] for decision in kept["decisions"]] == [made["decision_id"]]
        for _ in range(2):
            gone = await client.delete("/v1/customers/cookie")
            assert (gone.status_code, gone.content) == (204, b"")
        is_problem(await client.get("/v1/customers/ann"), 404)
        is_problem(await client.get(f"/v1/decisions/{made['decision_id']}"), 404)
        assert (await client.post("/v1/events", json={"events": [viewed(1)]})).json()["accepted"] == 1

    speak(engine, script)


@pytest.mark.parametrize("customer", ["a/b", "x/export", "/", "a//b", "50%", "a%2Fb", "ü/?#&", "a b/consent"])
def test_whatever_an_id_is_made_of_its_customer_can_be_asked_about_and_forgotten(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., Any], customer: str
) -> None:
    """A slash parts a path, but not where it is escaped; nobody else answers for this customer."""
    mine = f"/v1/customers/{quote(customer, safe='')}"

    async def script(client: httpx.AsyncClient) -> None:
        rows = [viewed(1, customer), viewed(2, "a"), viewed(3, "x")]
        assert (await client.post("/v1/events", json={"events": rows})).json()["accepted"] == 3
        said = (await client.put(f"{mine}/consent", json={"purpose": "marketing", "granted": True})).json()
        assert said["customer_id"] == customer
        assert (await client.get(mine)).json()["customer_id"] == customer
        assert len((await client.get(f"{mine}/export")).json()["events"]) == 2
        assert (await client.delete(mine)).status_code == 204
        is_problem(await client.get(f"{mine}/export"), 404)
        assert [(await client.get(f"/v1/customers/{other}")).status_code for other in "ax"] == [200, 200]
        is_problem(await client.get("/v1/customers/a%1Fb"), 422, "customer_id")

    speak(engine, script)


def test_the_answers_of_a_champion_are_what_is_documented(shop: Engine, speak: Callable[..., Any]) -> None:
    asks: list[dict[str, Any]] = [
        {"customer_id": "ann", "explain": True},
        {"customer_id": "bob", "surface": "search", "query": "good tea", "explain": True},
        {"customer_id": "eve", "surface": "cart", "cart": ["milk", "unheard-of"], "max_items": 3},
        {"customer_id": "new", "surface": "product", "item_id": "unheard-of", "attributes": {"tier": "gold", "n": 3}},
        {"customer_id": "ann", "surface": "outbound", "channel": "email", "modes": ["coach_behavior"]},
        {"customer_id": "bob", "occurred_at": "2026-01-20T10:00:00+01:00"},
        {"customer_id": "ann", "surface": "post_purchase"},
    ]

    async def script(client: httpx.AsyncClient) -> None:
        for ask in asks * 4:
            answer = await client.post("/v1/decisions", json=ask)
            got = schemas.DecisionOut.model_validate(answer.json())
            assert got.policy.name == "connected"
            assert (got.items == []) == (got.mode == "hold")
            assert [item.position for item in got.items] == list(range(len(got.items)))
            assert len(got.items) <= ask.get("max_items", 10)
            assert abs(got.propensity.joint - got.propensity.mode * got.propensity.action) < 1e-12
            assert ask.get("modes", [got.mode])[0] == got.mode or got.mode == "hold"
            assert got.mode == "hold" or got.reasons
            assert (got.explain is not None) == ask.get("explain", False)
            assert got.decided_at == (
                "2026-01-20T09:00:00+00:00" if "occurred_at" in ask else "2026-02-16T12:00:00+00:00"
            )
            kept = await client.get(f"/v1/decisions/{got.decision_id}")
            record = schemas.RecordOut.model_validate(kept.json())
            assert abs(sum(record.candidates.joint) - 1.0) < 1e-12
            assert record.explain is not None
            assert record.explain.would_change or len(record.candidates.keys) == 1
            modes = {row["mode"] for row in record.explain.why_not} | {record.mode}
            assert modes == set(Mode)
        schemas.CustomerOut.model_validate((await client.get("/v1/customers/ann")).json())
        schemas.ExportOut.model_validate((await client.get("/v1/customers/ann/export")).json())
        schemas.LivePolicyOut.model_validate((await client.get("/v1/policy")).json())
        assert "cxreco_decisions_total" in (await client.get("/metrics")).text

    speak(shop, script)


def test_an_order_the_shop_places_says_what_and_how_far_it_is_trusted(
    shop: Engine, playbook: Playbook, speak: Callable[..., Any]
) -> None:
    orders: list[dict[str, Any]] = []
    # Groceries of a few euros pay for no parcel that comes back, nor for a complaint: here they cost the shop nothing.
    worth = replace(playbook.value.worth, return_handling=0.0, complaint=0.0, contact=0.0)
    shop.adopt(CHAMPION, sealed(replace(playbook, value=replace(playbook.value, worth=worth))))

    async def script(client: httpx.AsyncClient) -> None:
        consent = {"purpose": "automatic_execution", "granted": True, "limits": {"max_order_value": 40}}
        for customer in ("ann", "bob", "eve"):
            await client.put(f"/v1/customers/{customer}/consent", json=consent)
        for n in range(60):
            ask = {"customer_id": ("ann", "bob", "eve")[n % 3], "surface": "outbound", "modes": ["automatic_execution"]}
            got = (await client.post("/v1/decisions", json=ask)).json()
            if got["mode"] == "automatic_execution":
                orders.append(got)
                parameters = got["action"]["parameters"]
                assert set(parameters) == {"order", "rung", "notice_hours", "max_order_value"}
                assert parameters["rung"] in ("notice", "automatic")
                assert parameters["max_order_value"] == 40
                assert parameters["order"][0]["item_id"] == got["items"][0]["item_id"]
                assert sum(line["quantity"] * line["price"] for line in parameters["order"]) <= 40

    speak(shop, script)
    assert orders


def test_openapi_is_complete(engine: Engine, speak: Callable[..., Any]) -> None:
    async def script(client: httpx.AsyncClient) -> dict[str, Any]:
        document: dict[str, Any] = (await client.get("/openapi.json")).json()
        return document

    document = speak(engine, script)
    calls = {(verb, path) for path, verbs in document["paths"].items() for verb in verbs}
    assert calls >= {
        ("put", "/v1/items"), ("post", "/v1/events"), ("post", "/v1/decisions"), ("get", "/v1/decisions/{decision_id}"),
        ("get", "/v1/customers/{customer_id}"), ("put", "/v1/customers/{customer_id}/consent"),
        ("get", "/v1/customers/{customer_id}/export"), ("delete", "/v1/customers/{customer_id}"),
        ("get", "/healthz"), ("get", "/readyz"), ("get", "/metrics"), ("get", "/v1/policy"),
    }  # fmt: skip
    text = orjson.dumps(document).decode()
    assert "HTTPValidationError" not in text
    for verb, path in calls:
        for status, answer in document["paths"][path][verb]["responses"].items():
            kinds = set(answer.get("content", {}))
            assert (
                kinds == {"application/problem+json"} if int(status) >= 400 else "application/problem+json" not in kinds
            )
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= set(document["components"]["schemas"])


def test_an_error_of_ours_in_a_decision_is_said_as_one_and_counted(
    engine: Engine, speak: Callable[..., Any], is_problem: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(ask: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(engine, "deciding", broken)

    async def script(client: httpx.AsyncClient) -> None:
        got = await client.post("/v1/decisions", json={"customer_id": "ann"})
        assert is_problem(got, 500)
        assert "a bug" not in got.text
        assert 'route="/v1/decisions",status="500"} 1.0' in (await client.get("/metrics")).text

    speak(engine, script)


def test_who_hangs_up_before_all_is_sent_is_no_failure_of_ours(engine: Engine) -> None:
    async def run() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            raise AssertionError(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/events", "headers": [(b"content-length", b"99")]}
        await create_app(engine, background=False)(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(run())
    assert 'status="499"' in engine.metrics.page().decode()
    assert 'status="500"' not in engine.metrics.page().decode()
