"""Kill: a server under load, killed at random moments, again and again; what it acknowledged is looked for in the log.

A simulated shop has a champion that learned from its log. Each round starts a real server on loopback, lets the shop's
life go on over a few connections (what its customers do, and the moments they offer), ends the server with SIGKILL and
reads the log. What was acknowledged must be there, once, whole and as it was acknowledged; what was under way may be
there, whole, and is sent again in the next round. Some decisions are decided again from their records, bit for bit.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import redis
from killed.shop import Call, Grown, Life, grown, settle
from killed.streams import Stream
from killed.tally import Tally

from cxreco.edge.log_reading import record_of
from cxreco.edge.replaying import replayed
from cxreco.edge.settings import Settings
from cxreco.edge.store import Row, Store
from cxreco.edge.stores import open_store

START_S = 90.0
STREAMS = 3
# Decisions of each round that are decided again.
REPLAYS = 10
POSTGRES_URL = "postgresql://postgres@127.0.0.1:5432/test"
REDIS_URL = "redis://127.0.0.1:6379/0"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def servers(*places: Settings, ready: str = "/readyz") -> Iterator[list[subprocess.Popen[bytes]]]:
    """Serve workspaces, each in a process of its own, from when all are ready until the block ends.

    What a server that was killed had started ends then too.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CXRECO_")}
    command = [sys.executable, "-c", "from cxreco.serve import load_settings, run; run(load_settings())"]
    started = [
        subprocess.Popen(command, env=environment | settings.variables(), cwd=settings.home, start_new_session=True)
        for settings in places
    ]
    try:
        until = time.monotonic() + START_S
        for settings, process in zip(places, started, strict=True):
            while not _answers(f"http://127.0.0.1:{settings.port}{ready}"):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"a server did not become ready: exit code {process.poll()}")
                time.sleep(0.05)
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0).status_code == 200
    except httpx.TransportError:
        return False


def killed(settings: Settings, life: Life, todo: Sequence[deque[Call]], after_s: float) -> list[Stream]:
    """Serve under load and kill the server so long after its first answers; returns what its clients had been told."""
    with servers(settings) as (process,):
        streams = [Stream(settings.port, life, own) for own in todo]
        until = time.monotonic() + START_S
        while not all(stream.decisions or stream.wrong for stream in streams) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(after_s)
        os.kill(process.pid, signal.SIGKILL)
        for stream in streams:
            stream.thread.join()
    return streams


def tallied(
    shop: Grown, settings: Settings, rounds: int, seed: int, said: Callable[[Tally, list[Stream]], None]
) -> Tally:
    """Kill a server so many times on one workspace; returns what became of what it acknowledged."""
    settle(shop, settings)
    life, chance = Life(shop.world), random.Random(seed)
    todo: list[deque[Call]] = [deque() for _ in range(STREAMS)]
    with _opened(settings) as store:
        tally = Tally(champion=shop.playbook.version, end=store.position())
    for _ in range(rounds):
        own = settings.model_copy(update={"port": free_port()})
        streams = killed(own, life, todo, chance.uniform(0.0, 1.0))
        with _opened(own) as store:
            decided = tally.count(store, streams)
            for row in _sample(decided, chance):
                tally.replays += 1
                found = replayed(store, own, row).differences
                tally.unlike += [f"{row.uid} decided again: {found}"] if found else []
        said(tally, streams)
    with _opened(settings) as store:
        tally.last(store)
    return tally


def _sample(decided: Sequence[Row], chance: random.Random) -> list[Row]:
    """Return a few decisions, those of rare modes first."""
    rows = chance.sample(decided, len(decided))
    modes = [record_of(row)["mode"] for row in rows]
    turn = {row.uid: (modes[:n].count(modes[n]), n) for n, row in enumerate(rows)}
    return sorted(rows, key=lambda row: turn[row.uid])[:REPLAYS]


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


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


@contextmanager
def swept(settings: Settings, said: Callable[[int], None]) -> Iterator[None]:
    """Remove the states that were left in Redis when the block ends; `said` is told how many there were."""
    try:
        yield
    finally:
        if settings.redis_url:
            with _opened(settings) as store, redis.Redis.from_url(settings.redis_url) as client:
                keys = list(client.scan_iter(f"cxreco:{store.meta('id', '') or 'nobody'}:*"))
                for key in keys:
                    client.delete(key)
            said(len(keys))


def main() -> int:
    """Print what was acknowledged and found, by kind of store; 1 if anything is amiss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--kinds", nargs="+", default=["sqlite", "postgres"], choices=["sqlite", "postgres"])
    parser.add_argument("--postgres-url", default=POSTGRES_URL)
    parser.add_argument("--redis-url", default=REDIS_URL, help="for states shared beside PostgreSQL; empty: none")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shop, clean = grown(), True
    for kind in options.kinds:
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            settings = Settings(home=home, log_level="error", decide_deadline_ms=10_000)
            if kind == "postgres":
                shared = {"database_url": stack.enter_context(schema(options.postgres_url))}
                settings = settings.model_copy(update=shared | {"redis_url": options.redis_url})
            stack.enter_context(swept(settings, lambda left: print(f"{'':<9} states shared in Redis: {left}")))
            begun = time.monotonic()

            def said(tally: Tally, streams: list[Stream], begun: float = begun) -> None:
                print(f"\r{tally.rounds} rounds, {time.monotonic() - begun:.0f} s", end="", file=sys.stderr)

            tally = tallied(shop, settings, options.rounds, options.seed, said)
            print(file=sys.stderr)
            print("\n".join(tally.lines(kind)))
            for amiss in tally.amiss[:20]:
                print("  amiss:", amiss)
            clean = clean and not tally.amiss
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
