"""A running server picks up what was promoted, without dropping a request, and publishes a day that has begun."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from cxreco.edge.api import create_app
from cxreco.edge.background import EVERY_S, Background, Repeated, first_time
from cxreco.edge.champion import CHALLENGER, CHAMPION, Pointer, keep, remove_pointer, write_pointer
from cxreco.edge.engine import Engine
from cxreco.journey import Moment
from cxreco.respond.playbook import Playbook


def promote(engine: Engine, playbook: Playbook, role: str = CHAMPION) -> None:
    sha256 = keep(engine.settings.home, playbook.version, playbook.to_files())
    pointer = Pointer(version=playbook.version, sha256=sha256, promoted_at="2026-02-16T00:00:00+00:00")
    write_pointer(engine.settings.home, pointer, role)


def test_a_promotion_is_looked_for_every_second_and_one_look_is_enough(
    shop: Engine, playbook: Playbook, other_playbook: Playbook
) -> None:
    """Five seconds are promised: at most one until the next look, and the look itself takes over what it finds."""
    assert EVERY_S <= 1.0
    background = Background(shop)
    assert background.every_s == EVERY_S
    background.look()
    promote(shop, other_playbook)
    assert shop.playbooks["champion"].version == playbook.version
    background.look()
    assert shop.playbooks["champion"].version == shop.pointers["champion"].version == other_playbook.version


def test_no_request_is_dropped_while_the_champion_changes(
    shop: Engine, playbook: Playbook, other_playbook: Playbook
) -> None:
    """Eight callers go on asking through several changes, made by the server's own threads: every one is answered."""
    promote(shop, playbook)
    app = create_app(shop)
    answers: list[dict[str, Any]] = []

    async def caller(client: httpx.AsyncClient, n: int, done: asyncio.Event) -> None:
        while not done.is_set():
            answer = await client.post("/v1/decisions", json={"customer_id": f"{n}"})
            assert answer.status_code == 200, answer.text
            answers.append(answer.json()["policy"])

    async def seen(version: str) -> None:
        while answers[-1]["version"] != version:
            await asyncio.sleep(0.005)

    async def run() -> str:
        transport, done = httpx.ASGITransport(app=app), asyncio.Event()
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=60.0) as client,
        ):
            assert (await client.get("/readyz")).json() == {"status": "ready", "champion": playbook.version}
            async with asyncio.timeout(60.0), asyncio.TaskGroup() as group:
                for n in range(8):
                    group.create_task(caller(client, n, done))
                while not answers:
                    await asyncio.sleep(0.005)
                for version in (other_playbook, playbook, other_playbook):
                    promote(shop, version)
                    await seen(version.version)
                    assert (await client.get("/readyz")).status_code == 200
                done.set()
            assert (await client.get("/v1/policy")).json()["since"] == "2026-02-16T00:00:00+00:00"
            return (await client.get("/metrics")).text

    metrics = asyncio.run(run())
    assert f'cxreco_champion_info{{version="{other_playbook.version}"}} 1.0' in metrics
    assert {(answer["name"], answer["version"]) for answer in answers} == {
        ("connected", playbook.version),
        ("connected", other_playbook.version),
    }


def test_a_challenger_serves_its_own_arm_from_the_next_look_on_and_until_it_leaves(
    shop: Engine, make_engine: Callable[..., Engine], playbook: Playbook, other_playbook: Playbook
) -> None:
    engine = make_engine(arms={"challenger": 50, "champion": 50})
    background = Background(engine)
    customers = [f"customer-{n}" for n in range(12)]

    def served() -> dict[str, set[str]]:
        background.look()
        arms: dict[str, set[str]] = {}
        for customer in customers:
            record = engine.decide(Moment(customer_id=customer, at=engine.clock()))
            assert record["policy"]["arm"] in (record["assigned_arm"], "champion")
            arms.setdefault(record["policy"]["arm"], set()).add(record["policy"]["version"])
        return arms

    assert served() == {"champion": {playbook.version}}
    promote(engine, other_playbook, CHALLENGER)
    assert served() == {"champion": {playbook.version}, "challenger": {other_playbook.version}}
    remove_pointer(engine.settings.home, CHALLENGER)
    assert served() == {"champion": {playbook.version}}


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


def test_after_a_failure_a_thread_waits_longer_where_it_is_told_to() -> None:
    tried = threading.Event()
    count: list[int] = []

    def work() -> None:
        count.append(1)
        tried.set()
        raise ValueError("not today")

    thread = Repeated("test", work, 0.001, again_s=3_600.0).start()
    assert tried.wait(60.0)
    time.sleep(0.05)
    thread.stop()
    assert len(count) == 1


def test_the_first_customer_of_a_shop_without_a_champion_waits_for_no_compiler(tmp_path: Path) -> None:
    # In a process of its own: here others have used the fold before.
    started = """
import sys
from pathlib import Path
from cxreco.edge.background import Background
from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.stores import open_store
from cxreco.recognise.fold import fold

settings = Settings(home=Path(sys.argv[1]))
store = open_store(settings)
background = Background(Engine(store, settings, clock=now))
background.start()
background.stop()
store.close()
print(len(fold.signatures))
"""
    done = subprocess.run([sys.executable, "-c", started, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_it_is_known_that_nothing_was_compiled_yet(tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    assert first_time(folder)
    folder.mkdir()
    assert first_time(folder)
    (folder / "fold").touch()
    assert not first_time(folder)
