"""A running server picks up what was promoted, without dropping a request, and publishes a day that has begun."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

from cxreco.edge.api import create_app
from cxreco.edge.background import Background, Repeated
from cxreco.edge.champion import Pointer, keep, write_pointer
from cxreco.edge.engine import Engine
from cxreco.respond.playbook import Playbook


def promote(engine: Engine, playbook: Playbook) -> None:
    sha256 = keep(engine.settings.home, playbook.version, playbook.to_files())
    pointer = Pointer(version=playbook.version, sha256=sha256, promoted_at="2026-02-16T00:00:00+00:00")
    write_pointer(engine.settings.home, pointer)


def test_a_champion_is_picked_up_within_five_seconds_and_no_request_is_dropped(
    shop: Engine, playbook: Playbook, other_playbook: Playbook
) -> None:
    promote(shop, playbook)

    async def run() -> list[dict[str, Any]]:
        app = create_app(shop)
        answers: list[dict[str, Any]] = []
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop") as client,
        ):
            assert (await client.get("/readyz")).json() == {"status": "ready", "champion": playbook.version}
            started, since = time.monotonic(), None
            while since is None or time.monotonic() < since + 0.3:
                answer = await client.post("/v1/decisions", json={"customer_id": "ann"})
                assert answer.status_code == 200
                answers.append(answer.json()["policy"])
                if len(answers) == 5:
                    promote(shop, other_playbook)
                if since is None and answers[-1]["version"] == other_playbook.version:
                    since = time.monotonic()
                assert time.monotonic() < started + 20.0
            policy = (await client.get("/v1/policy")).json()
            assert policy["version"] == other_playbook.version
            assert policy["since"] == "2026-02-16T00:00:00+00:00"
            metrics = (await client.get("/metrics")).text
            assert f'cxreco_champion_info{{version="{other_playbook.version}"}} 1.0' in metrics
        return answers

    versions = [answer["version"] for answer in asyncio.run(run())]
    switched = versions.index(other_playbook.version)
    assert set(versions[:switched]) == {playbook.version}
    assert set(versions[switched:]) == {other_playbook.version}


def test_what_cannot_be_read_leaves_the_champion_where_it_is(shop: Engine, playbook: Playbook) -> None:
    background = Background(shop)
    (shop.settings.home / "champion.json").write_bytes(b"{}")
    background.start()
    try:
        assert shop.playbooks["champion"].version == playbook.version
        assert shop.unready == []
    finally:
        background.stop()
    assert shop.metrics.registry.get_sample_value("cxreco_refused_playbooks_total", {"role": "champion"}) == 1.0


def test_a_day_that_has_begun_is_published_once(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine()
    background = Background(engine)
    background.publish_if_due()
    assert engine.populations.version_at(2**62) == "none"
    row = {"event_id": "1", "type": "product_viewed", "customer_id": "a", "occurred_at": "2026-02-10T00:00:00Z"}
    row["item_id"] = "x"
    engine.ingest([row])
    for _ in range(3):
        background.publish_if_due()
    assert len(list((engine.settings.home / "populations").glob("*.npz"))) == 1
    other = make_engine()
    assert other.populations.version_at(2**62) == engine.populations.version_at(2**62) != "none"


def test_work_that_fails_is_tried_again() -> None:
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        raise ValueError("not today")

    thread = Repeated("test", work, 0.01).start()
    while len(tried) < 3:
        time.sleep(0.01)
    thread.stop()
