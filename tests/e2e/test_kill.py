"""Real servers, killed in the middle of a stream: all that was acknowledged is there after the restart, once."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import httpx
import pytest

from cxreco.edge.settings import Settings
from cxreco.edge.stores import open_states, open_store

ROUNDS = 2


def load_kill() -> object:
    """Return the benchmark, which is no part of the package."""
    spec = spec_from_file_location("cxreco_kill", Path(__file__).parents[2] / "benchmarks" / "kill.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["cxreco_kill"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill = load_kill()


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    kill.rehearse()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Return the settings of a server on a store of each kind."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Settings(
        home=tmp_path, database_url=url, port=kill.free_port(), log_level="error", decide_deadline_ms=10_000
    )


@pytest.mark.slow
def test_what_was_acknowledged_is_there_once_after_every_kill_9(place: Settings) -> None:
    told: list[object] = []
    tally = kill.tallied(place, ROUNDS, seed=time.time_ns(), said=lambda tally, streams: told.extend(streams))
    assert tally.clean, (tally.line("killed"), tally.missing, tally.altered, tally.wrong)
    assert tally.rounds == ROUNDS
    assert tally.decisions >= kill.STREAMS * ROUNDS
    # One batch and one decision of each stream may have been under way.
    assert tally.under_way <= ROUNDS * kill.STREAMS * (kill.BATCH + 1)
    with kill.server(place) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{place.port}", timeout=60.0) as client:
            for stream in told:
                the_same_answers(client, stream)
        finishes_what_it_took(place, process)


def the_same_answers(client: httpx.Client, stream: object) -> None:
    """Check that a server started anew answers what was asked before as it was answered before."""
    for name, answer in stream.decisions.items():
        kept = client.get(f"/v1/decisions/{answer['decision_id']}").json()
        assert {field: kept[field] for field in answer} == answer
        body = {"customer_id": answer["customer_id"], "request_id": name}
        assert client.post("/v1/decisions", json=body).json() == answer
    exported = [client.get(f"/v1/customers/{stream.name}-{n}/export").json() for n in range(3)]
    seen = [event["event_id"] for one in exported for event in one["events"]]
    assert len(seen) == len(set(seen))
    assert set(stream.events) <= set(seen)


def finishes_what_it_took(place: Settings, process: subprocess.Popen[bytes]) -> None:
    """Check that a server that is told to stop loses nothing that it acknowledged."""
    stream = kill.Stream("stopped", place.port)
    while len(stream.decisions) < 10 and not stream.wrong:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) in (0, -signal.SIGTERM)
    stream.thread.join()
    store = open_store(place)
    uids = {row.uid for rows in store.scan() for row in rows}
    assert {f"e:{event_id}" for event_id in stream.events} <= uids
    assert {f"d:{answer['decision_id']}" for answer in stream.decisions.values()} <= uids
    store.close()


@pytest.mark.slow
def test_what_one_worker_takes_in_the_next_answer_of_another_knows(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    shared = {"home": tmp_path, "database_url": postgres_url, "redis_url": redis_url, "log_level": "error"}
    workers = [Settings(**shared, port=kill.free_port(), decide_deadline_ms=10_000) for _ in range(2)]
    with kill.server(workers[0]) as process, kill.server(workers[1]):
        one, two = (httpx.Client(base_url=f"http://127.0.0.1:{worker.port}", timeout=60.0) for worker in workers)
        with one, two:
            for n in range(30):
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
            os.kill(process.pid, signal.SIGKILL)
            seen = two.get("/v1/customers/ann/export").json()
            assert {event["event_id"] for event in seen["events"]} == {f"e{n}" for n in range(30)}
            assert len(seen["decisions"]) == 30
    store = open_store(workers[0])
    states = open_states(workers[0], store)
    assert states is not None
    # So many turns are worth keeping.
    assert states.get("ann") is not None
    states.forget("ann")
    states.close()
    store.close()
