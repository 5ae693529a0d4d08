"""Real servers, killed in the middle of a stream: all that was acknowledged is there after the restart, once."""

import importlib
import os
import signal
import sqlite3
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from cxreco.edge import customers
from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.stores import open_store
from cxreco.pipelines.decide import answered, read_request

BENCH = Path(__file__).parents[2] / "benchmarks"
ROUNDS, TURNS = 2, 15


@pytest.fixture(scope="module")
def kill() -> Iterator[Any]:
    """Return the benchmark, which is no part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        yield importlib.import_module("kill")


@pytest.fixture(scope="module")
def shop(kill: Any) -> Any:
    return kill.grown(customers=30, days=42)


@pytest.fixture(params=["sqlite", "postgres"])
def place(kill: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Return the settings of a server on a store of each kind; the shared one has its states in Redis too."""
    shared = {}
    if request.param == "postgres":
        shared = {name: request.getfixturevalue(name) for name in ("postgres_url", "redis_url")}
        shared["database_url"] = shared.pop("postgres_url")
    settings = Settings(home=tmp_path, port=kill.free_port(), log_level="error", decide_deadline_ms=10_000, **shared)
    left: list[int] = []
    with kill.swept(settings, left.append):
        yield settings
    # Servers did leave states for each other.
    assert all(left)


@pytest.mark.slow
def test_what_was_acknowledged_is_there_once_after_every_kill_9(kill: Any, shop: Any, place: Settings) -> None:
    told: list[Any] = []
    under_way = []

    def said(tally: Any, streams: list[Any]) -> None:
        told.extend(streams)
        calls = [stream.todo[0][1] for stream in streams if stream.todo]
        under_way.extend(len(body.get("events", [body])) for body in calls)

    tally = kill.tallied(shop, place, ROUNDS, seed=time.time_ns(), said=said)
    assert not tally.amiss, (tally.lines("killed"), tally.amiss)
    assert tally.rounds == ROUNDS
    assert tally.decisions >= kill.STREAMS * ROUNDS
    # No safe answers: the champion decided, in more than one mode, and its decisions come out the same again.
    assert tally.modes.total() == tally.decisions
    assert len(tally.modes) > 1
    assert tally.replays >= ROUNDS
    # What is there though nobody was told was under way.
    assert 0 <= tally.under_way <= sum(under_way)
    the_same_answers(place, told)
    if not place.database_url:
        nothing_amiss_goes_unseen(kill, place, told, end=len(shop.past))


def the_same_answers(place: Settings, told: list[Any]) -> None:
    """Check that who opens the log anew answers what was asked before as it was answered before."""
    with closing(open_store(place)) as store:
        engine = Engine(store, place, clock=now)
        for stream in told:
            for decision_id, answer in stream.decisions.items():
                assert customers.reply(engine.decision(decision_id)[0]) == answer
                if "request_id" in stream.asked[decision_id]:
                    assert answered(engine, read_request(orjson.dumps(stream.asked[decision_id]))) == answer
        rows = {row["event_id"]: row["customer_id"] for stream in told for row in stream.events.values()}
        exported = [customers.export(engine, customer_id) for customer_id in sorted(set(rows.values()))]
        seen = [event["event_id"] for one in exported for event in one["events"]]
        assert len(seen) == len(set(seen))
        assert set(rows) <= set(seen)


# What is done to the row of a decision or an event, and what it must be found to be.
SPOILT = [
    ("d:", "DELETE FROM log WHERE uid = ?", {"missing"}),
    ("e:", "DELETE FROM log WHERE uid = ?", {"missing"}),
    ("e:", "UPDATE log SET at = at + 1 WHERE uid = ?", {"altered"}),
    ("d:", """UPDATE log SET body = replace(body, '"decided_at":"2', '"decided_at":"3') WHERE uid = ?""", {"altered"}),
    ("d:", "UPDATE log SET body = substr(body, 1, length(body) / 2) WHERE uid = ?", {"torn"}),
    ("d:", "UPDATE log SET blob = substr(blob, 1, length(blob) - 7) WHERE uid = ?", {"torn"}),
    ("d:", "UPDATE log SET blob = x'789c030000000001' WHERE uid = ?", {"torn"}),
    ("d:", "DELETE FROM requests WHERE decision_id = substr(?, 3)", {"missing"}),
]


def nothing_amiss_goes_unseen(kill: Any, place: Settings, told: list[Any], end: int) -> None:
    """Spoil copies of a log, each in one way, and have each counted again."""
    decided = next(f"d:{name}" for stream in told for name, body in stream.asked.items() if "request_id" in body)
    happened = next(f"e:{name}" for stream in told for name in stream.events)
    kinds = ("missing", "altered", "torn", "unlike", "wrong")
    for n, (which, spoil, found) in enumerate([("d:", "SELECT ?", set()), *SPOILT]):
        path = place.home / f"spoilt{n}.db"
        with closing(sqlite3.connect(place.home / "log.db")) as log, closing(sqlite3.connect(path)) as copy:
            log.backup(copy)
            copy.execute(spoil, (decided if which == "d:" else happened,))
            copy.commit()
        store = SqliteStore(path)
        tally = kill.Tally(champion="", end=end)
        tally.count(store, told)
        store.close()
        assert {kind for kind in kinds if getattr(tally, kind)} == found, spoil


@pytest.mark.slow
def test_what_one_worker_takes_in_the_next_answer_of_another_knows(
    kill: Any, shop: Any, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    shared = {"home": tmp_path, "database_url": postgres_url, "redis_url": redis_url, "log_level": "error"}
    workers = [Settings(**shared, port=kill.free_port(), decide_deadline_ms=10_000) for _ in range(2)]
    with kill.servers(*workers, ready="/healthz") as (first, second):
        one, two = (httpx.Client(base_url=f"http://127.0.0.1:{worker.port}", timeout=60.0) for worker in workers)
        with one, two:
            for n in range(TURNS):
                said, asked = (one, two) if n % 2 else (two, one)
                row = {"event_id": f"e{n}", "type": "product_viewed", "customer_id": "ann", "item_id": f"item-{n}"}
                row["occurred_at"] = "2026-02-01T10:00:00+00:00"
                assert said.post("/v1/events", json={"events": [row]}).json()["accepted"] == 1
                answer = asked.post("/v1/decisions", json={"customer_id": "ann", "request_id": f"r{n}"}).json()
                record = said.get(f"/v1/decisions/{answer['decision_id']}").json()
                # An event and a decision a turn: the answer stands on all of them.
                assert record["arrival_cut"] == 2 * n + 1
                assert said.post("/v1/decisions", json={"customer_id": "ann", "request_id": f"r{n}"}).json() == answer
            # One dies; the other has all that it took.
            os.kill(first.pid, signal.SIGKILL)
            seen = two.get("/v1/customers/ann/export").json()
            assert {event["event_id"] for event in seen["events"]} == {f"e{n}" for n in range(TURNS)}
            assert len(seen["decisions"]) == TURNS
        finishes_what_it_took(kill, shop, workers[1], second)
    left: list[int] = []
    with kill.swept(workers[0], left.append):
        pass
    # So many turns are worth keeping.
    assert all(left)


def finishes_what_it_took(kill: Any, shop: Any, place: Settings, process: subprocess.Popen[bytes]) -> None:
    """Check that a server that is told to stop loses nothing that it acknowledged."""
    stream = kill.Stream(place.port, kill.Life(shop.world), deque())
    while len(stream.decisions) < 10 and not stream.wrong:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) in (0, -signal.SIGTERM)
    stream.thread.join()
    store = open_store(place)
    uids = {row.uid for rows in store.scan() for row in rows}
    assert {f"e:{event_id}" for event_id in stream.events} <= uids
    assert {f"d:{decision_id}" for decision_id in stream.decisions} <= uids
    store.close()


@pytest.mark.slow
def test_who_waits_for_the_disk_when_a_server_is_told_to_stop_gets_an_answer(kill: Any, tmp_path: Path) -> None:
    place = Settings(home=tmp_path, port=kill.free_port(), log_level="error", decide_deadline_ms=10_000)
    row = {"type": "product_viewed", "customer_id": "ann", "item_id": "tea", "occurred_at": "2026-02-01T10:00:00+00:00"}
    url = f"http://127.0.0.1:{place.port}"
    with kill.servers(place, ready="/healthz") as (server,), ThreadPoolExecutor(8) as callers:
        # All items and codes are known, so that only the log's own lock is waited for.
        assert httpx.post(f"{url}/v1/events", json={"events": [{**row, "event_id": "first"}]}).status_code == 200
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            sent = [
                callers.submit(
                    httpx.post, f"{url}/v1/events", json={"events": [{**row, "event_id": f"e{n}"}]}, timeout=30
                )
                for n in range(6)
            ] + [
                callers.submit(httpx.post, f"{url}/v1/decisions", json={"customer_id": f"c{n}"}, timeout=30)
                for n in range(2)
            ]
            while float(_meter(url, "cxreco_log_pending_rows")) < len(sent):
                time.sleep(0.02)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert server.poll() is None
            other.execute("ROLLBACK")
        answers = [one.result(timeout=30) for one in sent]
        assert server.wait(timeout=30) in (0, -signal.SIGTERM)
    assert [answer.status_code for answer in answers] == [200] * len(sent)
    with closing(open_store(place)) as store:
        uids = {row.uid for rows in store.scan() for row in rows}
    assert {f"e:e{n}" for n in range(6)} | {f"d:{answer.json()['decision_id']}" for answer in answers[6:]} <= uids


def _meter(url: str, name: str) -> str:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return next(line for line in lines if line.startswith(f"{name} ")).split()[1]
