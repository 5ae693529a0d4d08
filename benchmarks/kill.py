"""Kill: a server under load, killed at random moments, again and again; what it acknowledged is looked for in the log.

Each round starts a real server on loopback, sends it events and decisions over a few connections, ends it with SIGKILL
and reads the log. Acknowledged rows must be there, once; rows that were under way may be there, once.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg

from cxreco.edge.clock import now
from cxreco.edge.engine import Engine
from cxreco.edge.records import REPLY
from cxreco.edge.settings import Settings
from cxreco.edge.store import Store
from cxreco.edge.stores import open_store
from cxreco.journey import Moment

START_S = 90.0
BATCH = 7
STREAMS = 3
POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/test"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a workspace in a process of its own until the block ends, or somebody ends it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CXRECO_")}
    command = [sys.executable, "-c", "from cxreco.serve import load_settings, run; run(load_settings())"]
    process = subprocess.Popen(command, env=environment | settings.variables(), cwd=settings.home)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{settings.port}/healthz", timeout=1.0)
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the server did not start: exit code {process.poll()}") from None
                time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def rehearse() -> None:
    """Do here once what servers will do, so that no round is spent waiting for compilation."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), durability="relaxed", decide_deadline_ms=600_000)
        store = open_store(settings)
        try:
            engine = Engine(store, settings, clock=now)
            engine.ingest([_row("rehearsal", "ann", "tea")])
            engine.publish(now())
            engine.decide(Moment(customer_id="ann", at=now()))
        finally:
            store.close()


def _row(event_id: str, customer_id: str, item_id: str) -> dict[str, str]:
    at = "2026-02-01T10:00:00+00:00"
    row = {"event_id": event_id, "type": "product_viewed", "customer_id": customer_id}
    return {**row, "occurred_at": at, "item_id": item_id}


class Stream:
    """One client that sends events and decisions and writes down what was acknowledged, until the line breaks.

    Attributes
    ----------
    events
        Ids of the events that were acknowledged.
    decisions
        Answers by request id.
    wrong
        Answers that no running server may give.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.events: list[str] = []
        self.decisions: dict[str, dict[str, Any]] = {}
        self.wrong: list[str] = []
        self._sent = 0
        self._url = f"http://127.0.0.1:{port}"
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60.0) as client:
            try:
                while not self.wrong:
                    self._send_events(client)
                    self._ask(client)
            except httpx.TransportError:
                return

    def _send_events(self, client: httpx.Client) -> None:
        ids = [f"{self.name}-{self._sent}-{n}" for n in range(BATCH)]
        rows = [_row(event_id, f"{self.name}-{n % 3}", f"item-{n}") for n, event_id in enumerate(ids)]
        answer = client.post("/v1/events", json={"events": rows})
        if answer.status_code != 200 or answer.json()["accepted"] != len(ids):
            self.wrong.append(answer.text)
        else:
            self.events += ids

    def _ask(self, client: httpx.Client) -> None:
        self._sent += 1
        body = {"customer_id": f"{self.name}-0", "request_id": f"{self.name}-{self._sent}"}
        answer = client.post("/v1/decisions", json=body)
        if answer.status_code != 200:
            self.wrong.append(answer.text)
        elif "not logged" not in " ".join(answer.json()["reasons"]):
            self.decisions[body["request_id"]] = answer.json()


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was acknowledged over all rounds, and what the log has of it."""

    rounds: int = 0
    events: int = 0
    decisions: int = 0
    missing: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    duplicates: int = 0
    under_way: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is amiss."""
        return not (self.missing or self.altered or self.wrong or self.duplicates)

    def line(self, kind: str) -> str:
        """Say it in one line."""
        found = self.events + self.decisions - len(self.missing)
        return (
            f"{kind:<9} {self.rounds:>3} rounds: acknowledged {self.events} events and {self.decisions} decisions, "
            f"found {found}, missing {len(self.missing)}, altered {len(self.altered)}, duplicates {self.duplicates}, "
            f"not acknowledged but there {self.under_way}, wrong answers {len(self.wrong)}"
        )


def killed(settings: Settings, name: str, after_s: float) -> list[Stream]:
    """Serve under load and kill the server so long after its first answers; returns what its clients had been told."""
    with server(settings) as process:
        streams = [Stream(f"{name}-{k}", settings.port) for k in range(STREAMS)]
        until = time.monotonic() + START_S
        while not all(stream.decisions or stream.wrong for stream in streams) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(after_s)
        os.kill(process.pid, signal.SIGKILL)
        for stream in streams:
            stream.thread.join()
    return streams


def count(store: Store, streams: list[Stream], after_seq: int, tally: Tally) -> int:
    """Compare what clients were told with what the log has behind `after_seq`; returns where the log ends."""
    rows = [row for batch in store.scan(after_seq) for row in batch]
    kept = {row.uid: row for row in rows}
    acknowledged = {f"e:{event_id}" for stream in streams for event_id in stream.events}
    answers = {f"d:{answer['decision_id']}": answer for stream in streams for answer in stream.decisions.values()}
    tally.rounds += 1
    tally.events += len(acknowledged)
    tally.decisions += len(answers)
    tally.wrong += [text for stream in streams for text in stream.wrong]
    tally.missing += sorted((acknowledged | set(answers)) - set(kept))
    tally.duplicates += len(rows) - len(kept)
    tally.under_way += len(set(kept) - acknowledged - set(answers))
    for uid, answer in answers.items():
        if uid in kept:
            record = orjson.loads(kept[uid].body)
            tally.altered += [] if {name: record[name] for name in REPLY} == answer else [uid]
    asked = {store.request(name) for stream in streams for name in stream.decisions}
    tally.missing += [f"request {at}" for at in asked if at is None]
    return rows[-1].seq if rows else after_seq


def tallied(settings: Settings, rounds: int, seed: int, said: Callable[[Tally, list[Stream]], None]) -> Tally:
    """Kill a server so many times on one workspace; returns what became of what it acknowledged."""
    tally, chance, end = Tally(), random.Random(seed), 0
    for number in range(rounds):
        own = settings.model_copy(update={"port": free_port()})
        streams = killed(own, f"round{number}", chance.uniform(0.0, 1.0))
        store = open_store(own)
        try:
            end = count(store, streams, end, tally)
        finally:
            store.close()
        said(tally, streams)
    whole = open_store(settings)
    try:
        uids = [row.uid for batch in whole.scan() for row in batch]
    finally:
        whole.close()
    tally.duplicates += len(uids) - len(set(uids))
    return tally


@contextmanager
def schema(url: str) -> Iterator[str]:
    """Return a URL to an empty schema of a PostgreSQL database, which goes when the block ends."""
    name = f"cxreco_kill_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
        try:
            yield f"{url}?options=-csearch_path%3D{name}"
        finally:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


def main() -> int:
    """Print what was acknowledged and found, by kind of store; 1 if anything is amiss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--kinds", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    parser.add_argument("--postgres-url", default=POSTGRES_URL)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rehearse()
    clean = True
    for kind in options.kinds:
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(schema(options.postgres_url)) if kind == "postgres" else ""
            settings = Settings(home=home, database_url=url, log_level="error", decide_deadline_ms=10_000)
            begun = time.monotonic()

            def said(tally: Tally, streams: list[Stream], begun: float = begun) -> None:
                print(f"\r{tally.rounds} rounds, {time.monotonic() - begun:.0f} s", end="", file=sys.stderr)

            tally = tallied(settings, options.rounds, options.seed, said)
            print(file=sys.stderr)
            print(tally.line(kind))
            for amiss in (tally.missing + tally.altered + tally.wrong)[:20]:
                print("  amiss:", amiss)
            clean = clean and tally.clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
