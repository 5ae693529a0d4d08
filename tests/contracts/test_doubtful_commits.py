"""A line that breaks while writes are on their way: whoever wrote cannot know what became of the commit.

It breaks before the database has heard of the writes, in the middle of them, or when it has committed and nobody hears
it say so. In all cases what is acknowledged is there, once, and what is not may be written again.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg
import pytest

from cxreco.edge.champion import keep
from cxreco.edge.engine import Engine
from cxreco.edge.postgres_store import PostgresStore
from cxreco.edge.settings import Settings
from cxreco.edge.store import Entry, ItemRow, Placed, Placing, Store, StoreUnavailable
from cxreco.journey import DAY, Moment, Surface
from cxreco.recognise.contract import write_time
from cxreco.respond.playbook import Playbook

BEGIN = b"BEGIN"
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
UNASKED, HALF, UNHEARD = "unasked", "half asked", "committed, unheard"
HELD = "committed, held back"
CATEGORIES = ("drinks", "dairy", "bakery", "cereal")
NOW = 20_500 * DAY + DAY // 2
# A group of writes gets four times as long, and a second at least.
PATIENT_S, HASTY_S = 30.0, (0.1, 1.0, 5.0)


class Brittle:
    """A line to PostgreSQL that breaks where it is told to, at the next writes; reads pass."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = target._replace(netloc=f"{target.username}@127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self._where, self._left = "", 0
        self._ends = [self._listener]
        self._over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def break_at(self, where: str, times: int = 1) -> None:
        self._where, self._left = where, times

    @property
    def broke(self) -> bool:
        """Whether it broke as often as it was told to."""
        return self._left == 0

    def close(self) -> None:
        self._over.set()
        for end in self._ends:
            _shut(end)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends += [near, far]
                for pump in ((near, far, self._asked), (far, near, self._answered)):
                    threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, cut: Callable[[bytes], int | None]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                end = cut(data)
                sink.sendall(data[:end])
                if end is not None:
                    self._left -= 1
                    if self._where == HELD:
                        self._over.wait()
                    break
        _shut(source)
        _shut(sink)

    def _asked(self, data: bytes) -> int | None:
        """Return how much of what a client says still passes; None: all of it, and nothing breaks."""
        if self._left == 0 or BEGIN not in data:
            return None
        return {UNASKED: 0, HALF: len(data) // 2}.get(self._where)

    def _answered(self, data: bytes) -> int | None:
        breaks = self._left and self._where in (UNHEARD, HELD) and COMMITTED in data
        return data.index(COMMITTED) if breaks else None


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@pytest.fixture
def line(postgres_url: str) -> Iterator[Brittle]:
    brittle = Brittle(postgres_url)
    yield brittle
    brittle.close()


@pytest.fixture
def store(line: Brittle) -> Iterator[PostgresStore]:
    """A store that outwaits any disk: a line that breaks is heard of at once, so nothing here waits for it."""
    opened = PostgresStore(line.url, patience_s=PATIENT_S)
    yield opened
    opened.close()


@pytest.fixture(params=[UNASKED, HALF, UNHEARD])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def entry(n: object, customer: str = "ann", alias: str = "") -> Entry:
    return Entry(uid=f"e:{n}", kind="k", customer_id=customer, at=1, body=b"{}", alias=alias)


def placing(n: object, upon: int | None = None, request_id: str = "") -> Placing:
    made = Entry(uid=f"d:{n}", kind="decision", customer_id="ann", at=1, body=b"{}", blob=b"x" * 5_000)
    return Placing(entry=made, customer_id="ann", upon=upon, request_id=request_id, digest="x")


def uids(store: Store) -> list[str]:
    return [row.uid for rows in store.scan() for row in rows]


def comes_back(work: Callable[[], Any]) -> Any:
    until = time.monotonic() + 10.0
    while True:
        try:
            return work()
        except StoreUnavailable:
            assert time.monotonic() < until, "it did not come back"
            time.sleep(0.02)


def test_every_kind_of_write_is_there_once(line: Brittle, store: PostgresStore, where: str) -> None:
    line.break_at(where)
    assert sum(store.append([entry(1), entry(2), entry(3, alias="cookie")]).result()) == 3
    assert line.broke
    upon = store.group("ann").position
    line.break_at(where)
    placed = store.place(placing(1, upon)).result()
    assert (placed.seq > upon, placed.earlier) == (True, None)
    line.break_at(where)
    asked = store.place(placing(2, placed.seq, "r")).result()
    assert asked.seq > placed.seq or asked == Placed(0, ("x", "2"))
    assert uids(store) == ["e:1", "e:2", "e:3", "d:1", "d:2"]
    assert store.group("cookie").customer_id == "ann"
    assert store.decision("2").blob == b"x" * 5_000  # type: ignore[union-attr]
    line.break_at(where)
    store.assign_codes([("item", "tea"), ("item", "milk")]).result()
    assert store.codes() == [("item", "tea", 0), ("item", "milk", 1)]
    line.break_at(where)
    assert store.meta("salt", "one") == store.meta("salt", "two") == "one"
    line.break_at(where)
    store.erase("cookie").result()
    assert uids(store) == []
    assert store.request("r") is None
    assert line.broke


def test_versions_of_items_are_there_once_and_in_order(line: Brittle, store: PostgresStore, where: str) -> None:
    versions = [ItemRow(0, item_id, at, body) for at, item_id, body in ((5, "tea", b"1"), (6, "tea", b"2"))]
    for again in range(2):
        versions = [row._replace(arrived_at=row.arrived_at + again) for row in versions]
        line.break_at(where)
        assert sum(store.put_items([*versions, ItemRow(0, "milk", 6, b"1")]).result()) == 3
        # The second time the first version is news again: it differs from the latest.
        assert [row.body for row in store.items() if row.item_id == "tea"] == [b"1", b"2"] * (again + 1)
    assert [row.seq for row in store.items()] == sorted({row.seq for row in store.items()})
    assert line.broke


@pytest.mark.parametrize("times", [1, 2])
def test_a_group_of_writes_is_there_once_when_it_is_acknowledged(
    line: Brittle, store: PostgresStore, postgres_url: str, where: str, times: int
) -> None:
    wanted = {f"e:{n}" for n in range(20)} | {f"d:{n}" for n in range(20)} | {"e:first"}
    made: list[Callable[[], Future[Any]]] = [
        *(partial(store.append, [entry(n)]) for n in range(20)),
        *(partial(store.place, placing(n, request_id=f"r{n}" if n % 2 else "")) for n in range(20)),
        *(partial(store.put_items, [ItemRow(0, "tea", n, b"%d" % n)]) for n in range(5)),
    ]
    with psycopg.connect(postgres_url) as other:
        # While somebody sits on the pen the rest gathers; it goes together when the first is done.
        other.execute("SELECT seq FROM ends WHERE name = 'log' FOR UPDATE")
        first = store.append([entry("first")])
        first.add_done_callback(lambda _: line.break_at(where, times))
        while not first.running():
            time.sleep(0.001)
        writing = [make() for make in made]
    failed = [isinstance(future.exception(), StoreUnavailable) for future in writing]
    assert line.broke
    # Broken twice, the database counts as gone: nobody is kept waiting, and nobody is told that it is kept.
    assert set(failed) == {times == 2}
    if times == 2:
        comes_back(store.position)
        writing = [make() for make in made]
    for future in writing:
        done = future.result()
        if isinstance(done, Placed):
            assert done.seq > 0 or done.earlier is not None
        else:
            assert sum(done) == 1
    assert len(uids(store)) == len(wanted)
    assert set(uids(store)) == wanted
    if times == 1:
        assert [row.body for row in store.items()] == [b"%d" % n for n in range(5)]


def test_who_was_told_no_may_ask_again(line: Brittle, store: PostgresStore) -> None:
    """Both tries are committed, and nobody heard of either."""
    line.break_at(UNHEARD, times=2)
    with pytest.raises(StoreUnavailable, match="broke"):
        store.place(placing(1, 0, "r")).result()
    assert line.broke
    assert comes_back(lambda: store.place(placing(1, 0, "r")).result()) == Placed(0, ("x", "1"))
    line.break_at(UNHEARD, times=2)
    with pytest.raises(StoreUnavailable, match="broke"):
        store.append([entry(1)]).result()
    assert comes_back(lambda: store.append([entry(1)]).result()) == (0, 1)
    assert uids(store) == ["d:1", "e:1"]


def test_a_commit_that_nobody_hears_of_in_time_may_be_asked_again(line: Brittle) -> None:
    """Where the disk outlasts a store's patience, nothing was committed in time: a more patient one tries anew."""
    told: list[str] = []
    for n, patience_s in enumerate(HASTY_S):
        with contextlib.closing(PostgresStore(line.url, patience_s=patience_s)) as hasty:
            upon = comes_back(lambda hasty=hasty: hasty.group("ann").position)
            line.break_at(HELD)
            with pytest.raises(StoreUnavailable, match="in time"):
                hasty.place(placing(n, upon)).result()
            held = line.broke
            line.break_at(HELD, times=0)
            assert comes_back(lambda n=n, upon=upon, hasty=hasty: hasty.place(placing(n, upon)).result()).seq > upon
            told.append(f"d:{n}")
            assert uids(hasty) == told
        if held:
            return
    pytest.fail("no commit was held back within any patience")


WAIT_IN_COMMIT = """
CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(tg_relid::bigint); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION waits()
"""
IN_COMMIT = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
AND (classid::int8 << 32 | objid::int8) = 'log'::regclass::oid::int8
"""


@pytest.mark.parametrize("ended", [True, False])
def test_a_commit_that_is_ended_by_the_database_or_comes_late(line: Brittle, postgres_url: str, ended: bool) -> None:
    # Who gives up does so while the commit waits for the lock, however slow the disk is.
    store = PostgresStore(line.url, patience_s=PATIENT_S if ended else HASTY_S[0])
    with contextlib.closing(store):
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(WAIT_IN_COMMIT)
            admin.execute("SELECT pg_advisory_lock('log'::regclass::oid::int8)")
            writing = store.place(placing(1, 0, "r"))
            until = time.monotonic() + 10.0
            while not (found := admin.execute(IN_COMMIT).fetchall()):
                assert time.monotonic() < until, "no commit waits"
            if ended:
                admin.execute("SELECT pg_terminate_backend(%s)", found[0])
            else:
                # It goes on in the database after its writer has given up.
                with pytest.raises(StoreUnavailable, match="in time"):
                    writing.result()
            admin.execute("SELECT pg_advisory_unlock('log'::regclass::oid::int8)")
        placed = writing.result() if ended else comes_back(lambda: store.place(placing(1, 0, "r")).result())
        assert placed.seq == 1 if ended else placed == Placed(0, ("x", "1"))
        assert uids(store) == ["d:1"]


def test_an_engine_answers_what_the_log_says(line: Brittle, where: str, playbook: Playbook, tmp_path: Path) -> None:
    store = PostgresStore(line.url, patience_s=PATIENT_S)
    settings = Settings(home=tmp_path, arms={"random": 100}, salt="test")
    engine = Engine(store, settings, clock=lambda: NOW)
    keep(tmp_path, playbook.version, playbook.to_files())
    items = [{"item_id": f"i{n}", "title": f"i{n}", "category": CATEGORIES[n % 4], "price": 2.0} for n in range(8)]
    line.break_at(where)
    engine.put_items(items)
    orders = [ordered(n) for n in range(6)]
    line.break_at(where)
    receipt = engine.ingest(orders)
    assert (receipt.accepted + receipt.duplicates, receipt.rejected) == (6, [])
    engine.publish(NOW // DAY * DAY)
    engine.adopt("champion", playbook)
    contacts = 0
    for n, request_id in enumerate(["", "r1", "", "r3"]):
        moment = Moment(customer_id="ann", at=NOW + n, surface=Surface.OUTBOUND, channel="email")
        position = store.group("ann").position
        line.break_at(where)
        record = engine.decide(moment, request_id)
        assert line.broke
        kept, seen = engine.decision(record["decision_id"])
        assert plain(record) == kept
        assert len(seen) == len(kept["candidates"]["keys"]) > 0
        assert kept["fallback"] == ""
        assert kept["arrival_cut"] == position
        assert engine.replay(record["decision_id"]).same
        if request_id:
            assert plain(engine.decide(moment, request_id)) == kept
        contacts += kept["contact"]
    assert contacts > 0
    assert len(uids(store)) == len(set(uids(store))) == 6 + 4
    store.close()


def ordered(n: int) -> dict[str, Any]:
    at = NOW - (70 - 10 * n) * DAY
    lines = [{"item_id": f"i{n % 2}", "quantity": 1, "price": 2.0}]
    row = {"event_id": f"o{n}", "type": "order_completed", "customer_id": "ann", "order_id": f"o{n}", "items": lines}
    return {**row, "occurred_at": write_time(at)}


def plain(record: Any) -> Any:
    """Return a record as it is read back."""
    return orjson.loads(orjson.dumps(record))
