"""The laws of a store, for every implementation of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cxreco.edge.postgres_store import PostgresStore
from cxreco.edge.settings import Settings
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import Entry, Group, ItemRow, Placed, Placing, Row, Store, StoreUnavailable
from cxreco.edge.stores import open_store

Open = Callable[[], Store]
KINDS = ("sqlite", "postgres")


@pytest.fixture
def make_opener(
    tmp_path_factory: pytest.TempPathFactory, make_postgres_url: Callable[[], str]
) -> Callable[[str], Open]:
    """Return a maker of ways to open one store, again and again, each way another store."""

    def make(kind: str) -> Open:
        if kind == "sqlite":
            path = tmp_path_factory.mktemp("store") / "log.db"
            return lambda: SqliteStore(path)
        url = make_postgres_url()
        return lambda: PostgresStore(url, patience_s=5.0)

    return make


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opener(kind: str, make_opener: Callable[[str], Open]) -> Open:
    return make_opener(kind)


@pytest.fixture
def store(opener: Open) -> Iterator[Store]:
    opened = opener()
    yield opened
    opened.close()


def entry(n: int, customer: str = "ann", kind: str = "product_viewed", alias: str = "") -> Entry:
    return Entry(uid=f"e:{n}", kind=kind, customer_id=customer, at=1_000 + n, body=b'{"n":%d}' % n, alias=alias)


def placing(n: int, **more: object) -> Placing:
    made = Entry(uid=f"d:{n}", kind="decision", customer_id="ann", at=n, body=b"{}", blob=b"x")
    return Placing(entry=made, customer_id="ann", **more)  # type: ignore[arg-type]


def everything(store: Store) -> list[Row]:
    return [row for rows in store.scan(batch=3) for row in rows]


def test_what_was_appended_is_returned_in_order_and_once(store: Store) -> None:
    assert store.append([entry(n) for n in range(7)]).result() == (7, 0)
    assert store.append([entry(5), entry(7), entry(7)]).result() == (1, 2)
    rows = everything(store)
    assert [row.uid for row in rows] == [f"e:{n}" for n in range(8)]
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    assert rows[3] == Row(rows[3].seq, "e:3", "product_viewed", "ann", 1_003, b'{"n":3}', None)
    assert store.position() >= rows[-1].seq


def test_a_log_may_be_read_by_kind_and_in_part(store: Store) -> None:
    store.append([entry(n, kind="a" if n % 2 else "b") for n in range(6)]).result()
    assert [row.uid for rows in store.scan(kinds=["a"]) for row in rows] == ["e:1", "e:3", "e:5"]
    seqs = [row.seq for row in everything(store)]
    got = [row.seq for rows in store.scan(seqs[1], upto_seq=seqs[3]) for row in rows]
    assert got == seqs[2:4]


def test_an_empty_store_says_so(store: Store) -> None:
    assert store.append([]).result() == (0, 0)
    assert everything(store) == []
    assert store.position() == store.items_position() == 0
    assert store.decision("x") is None
    assert store.request("x") is None
    assert store.group("nobody") == Group("nobody", {}, 0, 0)


@given(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=6))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_batches_fall_each_row_is_there_once(
    make_opener: Callable[[str], Open], batches: list[list[int]]
) -> None:
    for kind in KINDS:
        store = make_opener(kind)()
        done = [store.append([entry(n) for n in batch]) for batch in batches]
        counted = [future.result() for future in done]
        first_seen = list(dict.fromkeys(n for batch in batches for n in batch))
        assert [row.uid for row in everything(store)] == [f"e:{n}" for n in first_seen]
        assert sum(got.accepted for got in counted) == len(first_seen)
        assert [got.accepted + got.duplicates for got in counted] == [len(batch) for batch in batches]
        store.close()


def test_two_processes_worth_of_handles_see_each_other(opener: Open, store: Store) -> None:
    other = opener()
    store.append([entry(1)]).result()
    other.append([entry(2), entry(1)]).result()
    assert [row.uid for row in everything(store)] == [row.uid for row in everything(other)] == ["e:1", "e:2"]
    assert store.group("ann").position == other.group("ann").position == 2
    other.close()


def test_many_threads_lose_nothing(store: Store) -> None:
    def write(start: int) -> None:
        for n in range(start, start + 25):
            store.append([entry(n)]).result()

    threads = [threading.Thread(target=write, args=(1_000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.uid for row in everything(store)}) == 100
    assert store.pending() == 0


def test_a_request_is_answered_once(store: Store) -> None:
    first = store.place(placing(1, request_id="r", digest="a"))
    second = store.place(placing(2, request_id="r", digest="b"))
    assert first.result().seq > 0
    assert second.result() == Placed(0, ("a", "1"))
    assert store.request("r") == ("a", "1")
    assert [row.uid for row in everything(store)] == ["d:1"]
    found = store.decision("1")
    assert found is not None
    assert found.blob == b"x"


def test_a_decision_upon_a_log_that_moved_on_is_not_written(store: Store) -> None:
    assert store.place(placing(1, upon=0)).result().seq == 1
    assert store.place(placing(2, upon=0, request_id="r")).result() == Placed(0, None)
    assert store.request("r") is None
    assert store.place(placing(2, upon=1, request_id="r")).result().seq == 2


def test_a_cancelled_write_never_happens_and_stops_nobody(store: Store) -> None:
    futures = [store.append([entry(n)]) for n in range(200)]
    cancelled = [future.cancel() for future in futures]
    store.append([entry(1_000)]).result()
    there = {row.uid for row in everything(store)}
    assert there == {f"e:{n}" for n in range(200) if not cancelled[n]} | {"e:1000"}


def test_an_identified_customer_brings_their_past(store: Store) -> None:
    store.append([entry(1, "anon"), entry(2, "ann"), entry(3, "ann", alias="anon"), entry(4, "anon")]).result()
    group = store.group("anon")
    assert group == store.group("ann") == Group("ann", {"anon": 3}, 4, 1)
    rows = store.customer_log(group)
    assert [(row.uid, row.seq) for row in rows] == [("e:2", 2), ("e:1", 3), ("e:3", 3), ("e:4", 4)]
    assert [row.uid for row in store.customer_log(group, upto_seq=2)] == ["e:2"]
    assert [row.uid for row in store.customer_log(group, after_seq=2)] == ["e:1", "e:3", "e:4"]
    assert store.aliases() == [("anon", "ann", 3)]


def test_names_of_names_lead_to_one_customer(store: Store) -> None:
    store.append([entry(1, "b", alias="a"), entry(2, "c", alias="b"), entry(3, "a", alias="c")]).result()
    assert {store.group(name).customer_id for name in "abc"} == {"c"}
    assert store.group("a").joined == {"a": 2, "b": 2}
    store.append([entry(4, "other", alias="a")]).result()
    assert store.group("a").customer_id == "c"


def test_a_version_of_an_item_is_kept_when_it_says_something_new(store: Store) -> None:
    one = ItemRow(0, "tea", 5, b'{"price":1}')
    assert store.put_items([one, one]).result() == (1, 1)
    assert store.put_items([ItemRow(0, "tea", 6, b'{"price":2}'), one]).result() == (2, 0)
    assert [(row.seq, row.body) for row in store.items()] == [(1, one.body), (2, b'{"price":2}'), (3, one.body)]
    assert [row.seq for row in store.items(1, upto_seq=2)] == [2]
    assert store.items_position() == 3


def test_codes_are_dense_by_kind_and_never_change(opener: Open, store: Store) -> None:
    other = opener()
    store.assign_codes([("item", "tea"), ("item", "milk"), ("category", "")]).result()
    other.assign_codes([("item", "milk"), ("item", "bread")]).result()
    assert store.codes() == [("category", "", 0), ("item", "tea", 0), ("item", "milk", 1), ("item", "bread", 2)]
    other.close()


SECRET = b"the-quick-brown-fox"


def erasable(store: Store) -> None:
    for n in range(60):
        who, what = ("anon-zebra", SECRET) if n % 3 else ("bob", b"plain")
        store.append([Entry(uid=f"e:{n}", kind="k", customer_id=who, at=n, body=what * 40)]).result()
    store.append([entry(900, "zebra", alias="anon-zebra")]).result()
    made = Entry(uid="d:7", kind="decision", customer_id="zebra", at=1, body=SECRET, blob=SECRET)
    store.place(Placing(entry=made, customer_id="zebra", request_id="zebra-request", digest="x")).result()


def test_erasure_takes_a_customer_under_all_names(store: Store) -> None:
    erasable(store)
    last = store.position()
    assert store.erase("anon-zebra").result() == 42
    assert {row.customer_id for row in everything(store)} == {"bob"}
    assert store.group("zebra") == Group("zebra", {}, 0, 0)
    assert store.group("anon-zebra").customer_id == "anon-zebra"
    assert store.request("zebra-request") is None
    assert store.aliases() == []
    assert store.erase("zebra").result() == 0
    store.append([entry(901, "zebra")]).result()
    first = store.position()
    assert first > last
    # Another log than before, which a state of the one before cannot be brought up to.
    assert store.group("zebra") == Group("zebra", {}, first, first)


def test_erasure_leaves_no_byte_in_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "log.db")
    erasable(store)
    store.erase("anon-zebra").result()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    store.close()
    assert b"zebra" not in left
    assert SECRET not in left


def test_meta_keeps_the_first_value(store: Store) -> None:
    assert store.meta("salt", "") == ""
    assert store.meta("salt", "a") == "a"
    assert store.meta("salt", "b") == "a"


def test_a_closed_store_says_so_and_what_it_took_is_there(opener: Open) -> None:
    store = opener()
    waiting = [store.append([entry(n)]) for n in range(50)]
    store.close()
    assert all(future.result() == (1, 0) for future in waiting)
    with pytest.raises(StoreUnavailable, match="closed"):
        store.append([entry(1)]).result()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.position()
    again = opener()
    assert len(everything(again)) == 50
    again.close()


WRITER = """
import sys
from cxreco.edge.settings import Settings
from cxreco.edge.store import Entry
from cxreco.edge.stores import open_store

store = open_store(Settings(home=sys.argv[1], database_url=sys.argv[2]))
name, count = sys.argv[3], int(sys.argv[4])
for n in range(count):
    rows = [Entry(uid=f"e:{name}-{n}-{k}", kind="k", customer_id=name, at=n, body=b"1") for k in range(3)]
    store.append(rows).result()
    print(n, flush=True)
"""


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Return the settings of a store that other processes may open too."""
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else ""
    return Settings(home=tmp_path, database_url=url)


def writer(place: Settings, name: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(place.home), place.database_url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_what_was_acknowledged_survives_a_kill(place: Settings) -> None:
    process = writer(place, "ann", 10**9)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(100)]
    time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
    process.stdout.close()
    process.wait()
    store = open_store(place)
    uids = [row.uid for row in everything(store)]
    assert uids[: 3 * len(acknowledged)] == [f"e:ann-{n}-{k}" for n in acknowledged for k in range(3)]
    assert len(uids) == len(set(uids)) <= 3 * (len(acknowledged) + 1)
    store.close()


def test_nobody_sees_a_row_before_an_earlier_one(place: Settings) -> None:
    """The law of arrival, with processes that write at the same time and one that reads on behind them."""
    store = open_store(place)
    processes = [writer(place, name, 150) for name in ("ann", "bob", "eve")]
    seen: list[Row] = []
    writing = True
    while writing:
        writing = any(process.poll() is None for process in processes)
        # Behind where the log ended a moment ago, nothing may appear any more.
        end = store.position()
        seen += [row for rows in store.scan(seen[-1].seq if seen else 0, upto_seq=end) for row in rows]
        seen += [row for rows in store.scan(seen[-1].seq if seen else 0) for row in rows]
    for process in processes:
        assert process.wait() == 0
        assert process.stdout is not None
        process.stdout.close()
    assert [row.seq for row in seen] == [row.seq for row in everything(store)]
    assert len({row.uid for row in seen}) == len(seen) == 3 * 450
    store.close()


def test_a_decision_whose_fate_was_not_learned_may_be_placed_again(store: Store) -> None:
    first = store.place(placing(1)).result()
    assert store.place(placing(1)).result() == first
    asked = store.place(placing(2, request_id="r", digest="a")).result()
    assert asked.seq > first.seq
    assert store.place(placing(2, request_id="r", digest="a")).result() == Placed(0, ("a", "2"))
    assert [row.uid for row in everything(store)] == ["d:1", "d:2"]


def test_a_write_that_cannot_be_stops_nobody(store: Store) -> None:
    impossible = Entry(uid="e:x", kind="k", customer_id="ann", at=1, body=None)  # type: ignore[arg-type]
    futures = [store.append([entry(1)]), store.append([impossible]), store.append([entry(2)])]
    assert futures[0].result() == futures[2].result() == (1, 0)
    with pytest.raises(StoreUnavailable):
        futures[1].result()
    assert [row.uid for row in everything(store)] == ["e:1", "e:2"]


def test_items_are_compared_with_the_latest_across_calls(store: Store) -> None:
    one, two = ItemRow(0, "tea", 5, b"1"), ItemRow(0, "tea", 6, b"2")
    assert store.put_items([one, two, two, one]).result() == (3, 1)
    assert store.put_items([one, ItemRow(0, "milk", 5, b"1")]).result() == (1, 1)
    assert [row.body for row in store.items()] == [b"1", b"2", b"1", b"1"]


def test_a_decision_id_that_cannot_be_stored_is_nobody_s(store: Store) -> None:
    assert store.decision("a\x00b") is None


def test_a_place_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot open the log"):
        SqliteStore(tmp_path / "file" / "log.db")
