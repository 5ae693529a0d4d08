"""What a store on another machine does when it is cut off, slow, restarted or emptied: say so, soon, and come back."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from cxreco.edge.postgres_store import PostgresStore
from cxreco.edge.redis_states import RedisStates
from cxreco.edge.store import Entry, Placing, Store, StoreUnavailable

PATIENCE_S = 0.3


def entry(n: int) -> Entry:
    return Entry(uid=f"e:{n}", kind="k", customer_id="ann", at=n, body=b"{}")


def uids(store: Store) -> list[str]:
    return [row.uid for rows in store.scan() for row in rows]


def comes_back(work: Callable[[], Any], within_s: float = 10.0) -> Any:
    until = time.monotonic() + within_s
    while True:
        try:
            return work()
        except StoreUnavailable:
            assert time.monotonic() < until, "it did not come back"
            time.sleep(0.02)


@pytest.fixture
def named_url(postgres_url: str) -> str:
    """Return a URL whose connections go by a name of their own."""
    return f"{postgres_url}&application_name={postgres_url[-12:]}"


def kill(admin: psycopg.Connection, url: str) -> int:
    """End all connections of a URL, as a restart of the server would; returns how many there were."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    return len(admin.execute(query, (url[-12:],)).fetchall())


def test_connections_that_are_killed_are_replaced_and_nobody_notices(named_url: str, postgres_url: str) -> None:
    store = PostgresStore(named_url, patience_s=2.0)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for n in range(5):
            assert store.append([entry(n)]).result() == (1, 0)
            assert kill(admin, named_url) > 0
            assert store.group("ann").position == n + 1
            assert kill(admin, named_url) > 0
    assert uids(store) == [f"e:{n}" for n in range(5)]
    store.close()


def test_under_a_rain_of_killed_connections_what_is_acknowledged_is_there_once(
    named_url: str, postgres_url: str
) -> None:
    store = PostgresStore(named_url, patience_s=2.0)
    acknowledged: list[str] = []
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            made = Entry(uid=f"d:{n}", kind="decision", customer_id="ann", at=n, body=b"{}")
            try:
                placed = store.place(Placing(entry=made, customer_id="ann", request_id=f"r{n}", digest="x")).result()
            except StoreUnavailable:
                continue
            assert placed.seq or placed.earlier == ("x", str(n))
            acknowledged.append(made.uid)

    thread = threading.Thread(target=write)
    thread.start()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        for n in range(20):
            until = time.monotonic() + 10.0
            while len(acknowledged) < 3 * (n + 1) and time.monotonic() < until:
                time.sleep(0.001)
            kill(admin, named_url)
    stop.set()
    thread.join()
    found = comes_back(lambda: uids(store))
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    assert len(acknowledged) >= 60
    store.close()


def test_a_database_that_is_gone_is_said_to_be_gone_at_once_and_found_again(
    postgres_url: str, make_line: Callable[[str], Any]
) -> None:
    line = make_line(postgres_url)
    store = PostgresStore(line.url, patience_s=PATIENCE_S)
    store.append([entry(1)]).result()
    line.cut()
    with pytest.raises(StoreUnavailable, match="PostgreSQL"):
        store.group("ann")
    # Nobody waits any more for what is known to be gone.
    before = time.perf_counter()
    for n in range(20):
        with pytest.raises(StoreUnavailable):
            store.group("ann")
        with pytest.raises(StoreUnavailable):
            store.append([entry(100 + n)]).result()
    assert time.perf_counter() - before < 20 * PATIENCE_S
    line.mend()
    assert comes_back(lambda: store.append([entry(2)]).result()) == (1, 0)
    assert uids(store) == ["e:1", "e:2"]
    store.close()


def test_a_database_that_does_not_answer_keeps_nobody_waiting(
    postgres_url: str, make_line: Callable[[str], Any]
) -> None:
    line = make_line(postgres_url)
    store = PostgresStore(line.url, patience_s=PATIENCE_S)
    store.append([entry(1)]).result()
    line.hold()
    with pytest.raises(StoreUnavailable, match="in time"):
        store.group("ann")
    with pytest.raises(StoreUnavailable, match="in time"):
        store.append([entry(2)]).result()
    line.let_go()
    assert comes_back(lambda: store.append([entry(3)]).result()) == (1, 0)
    # What was held may have arrived after all; nobody was told that it did.
    assert set(uids(store)) - {"e:2"} == {"e:1", "e:3"}
    store.close()


def test_one_who_sits_on_the_pen_stops_writing_but_not_reading(postgres_url: str) -> None:
    store = PostgresStore(postgres_url, patience_s=PATIENCE_S)
    store.append([entry(1)]).result()
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT seq FROM ends FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="in time"):
            store.append([entry(2)]).result()
        assert comes_back(lambda: store.group("ann")).position == 1
    assert comes_back(lambda: store.append([entry(2)]).result()).accepted in (0, 1)
    assert uids(store) == ["e:1", "e:2"]
    store.close()


def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StoreUnavailable, match="cannot open the log in PostgreSQL") as raised:
        PostgresStore("postgresql://ann:secret@127.0.0.1:1/test", patience_s=PATIENCE_S)
    assert "secret" not in str(raised.value)


def test_redis_that_is_gone_is_not_asked_again_at_once_and_found_again(
    redis_url: str, make_line: Callable[[str], Any], request: pytest.FixtureRequest
) -> None:
    line = make_line(redis_url)
    states = RedisStates(line.url, request.node.name)
    states.put("ann", b"state")
    assert states.get("ann") == b"state"
    line.cut()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="Redis"):
            states.get("ann")
    # Erasure asks in any case: it must not be put off silently, nor said to be done.
    with pytest.raises(StoreUnavailable, match="Redis does not answer"):
        states.forget("ann")
    line.mend()
    assert comes_back(lambda: states.get("ann")) == b"state"
    states.forget("ann")
    assert states.get("ann") is None
    states.close()


def test_redis_that_does_not_answer_keeps_nobody_waiting(
    redis_url: str, make_line: Callable[[str], Any], request: pytest.FixtureRequest
) -> None:
    line = make_line(redis_url)
    states = RedisStates(line.url, request.node.name)
    states.put("ann", b"state")
    line.hold()
    with pytest.raises(StoreUnavailable, match="Redis does not answer"):
        states.get("ann")
    line.let_go()
    assert comes_back(lambda: states.get("ann")) == b"state"
    states.forget("ann")
    states.close()
