"""A real server, killed in the middle of a stream: all that was acknowledged is there after the restart, once."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import DECISION

START_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CXRECO_")}
    environment |= {
        "CXRECO_HOME": str(home), "CXRECO_PORT": str(port), "CXRECO_LOG_LEVEL": "error",
        "CXRECO_DECIDE_DEADLINE_MS": "10000",
    }  # fmt: skip
    command = [sys.executable, "-c", "from cxreco.serve import load_settings, run; run(load_settings())"]
    process = subprocess.Popen(command, env=environment, cwd=home)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1.0)
                break
            except httpx.TransportError:
                assert process.poll() is None, "the server ended by itself"
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


class Stream:
    """One client that sends events and decisions and writes down what was acknowledged, until the line breaks."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.events: list[str] = []
        self.decisions: dict[str, dict[str, Any]] = {}
        self.sent = 0
        self._url = f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10.0) as client:
            try:
                while True:
                    self._events(client)
                    self._decision(client)
            except httpx.TransportError:
                return

    def _events(self, client: httpx.Client) -> None:
        ids = [f"{self.name}-{self.sent}-{n}" for n in range(7)]
        rows = [
            {
                "event_id": event_id,
                "type": "product_viewed",
                "customer_id": f"{self.name}-{n % 3}",
                "occurred_at": "2026-02-01T10:00:00+00:00",
                "item_id": f"item-{n}",
            }
            for n, event_id in enumerate(ids)
        ]
        answer = client.post("/v1/events", json={"events": rows})
        assert answer.json()["accepted"] == len(ids), answer.text
        self.events += ids

    def _decision(self, client: httpx.Client) -> None:
        self.sent += 1
        body = {"customer_id": f"{self.name}-0", "request_id": f"{self.name}-{self.sent}"}
        answer = client.post("/v1/decisions", json=body)
        assert answer.status_code == 200, answer.text
        if "not logged" not in " ".join(answer.json()["reasons"]):
            self.decisions[body["request_id"]] = answer.json()


@pytest.mark.slow
def test_what_was_acknowledged_is_there_once_after_kill_9(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, port) as process:
        streams = [Stream(f"stream{k}", port) for k in range(3)]
        until = time.monotonic() + START_S
        while sum(len(stream.decisions) for stream in streams) < 60 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        for stream in streams:
            stream.thread.join()
    acknowledged = [event_id for stream in streams for event_id in stream.events]
    answers = {name: answer for stream in streams for name, answer in stream.decisions.items()}
    assert len(answers) >= 60

    port = free_port()
    with server(tmp_path, port), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as client:
        for name, answer in answers.items():
            kept = client.get(f"/v1/decisions/{answer['decision_id']}").json()
            assert {field: kept[field] for field in answer} == answer
            body = {"customer_id": answer["customer_id"], "request_id": name}
            assert client.post("/v1/decisions", json=body).json() == answer
        exported = [client.get(f"/v1/customers/stream{k}-{n}/export").json() for k in range(3) for n in range(3)]
        seen = [event["event_id"] for one in exported for event in one["events"]]
        assert len(seen) == len(set(seen))
        assert set(acknowledged) <= set(seen)

    store = SqliteStore(tmp_path / "log.db")
    uids = [row.uid for rows in store.scan() for row in rows]
    assert len(uids) == len(set(uids))
    # One batch and one decision of each stream may have been under way.
    assert len([uid for uid in uids if uid.startswith("e:")]) <= len(acknowledged) + 7 * len(streams)
    decided = [row.uid for rows in store.scan(kinds=[DECISION]) for row in rows]
    assert len(decided) <= len(answers) + len(streams)
    store.close()


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_finishes_what_it_took(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, port) as process:
        stream = Stream("stream", port)
        while len(stream.decisions) < 10:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)
        stream.thread.join()
    store = SqliteStore(tmp_path / "log.db")
    uids = {row.uid for rows in store.scan() for row in rows}
    assert {f"e:{event_id}" for event_id in stream.events} <= uids
    store.close()
