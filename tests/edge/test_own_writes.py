import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.edge import own_writes
from cxreco.edge.own_writes import LogEnd
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import NEVER, Entry, Group, Mark, Placing

NAMES = ("ann", "bob", "eve")
writes = st.tuples(
    st.sampled_from(("append", "place", "join", "erase", "nothing", "items")),
    st.integers(0, 1),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
)


def write(store: SqliteStore, what: str, name: str, other: str, n: int) -> int:
    """Write one thing about a customer; returns the seq of a decision."""
    if what == "append":
        store.append([Entry(uid=f"e:{n}", kind="k", customer_id=name, at=n, body=b"{}")]).result()
    elif what == "join" and name != other:
        joining = Entry(uid=f"e:{n}", kind="customer_identified", customer_id=name, at=n, body=b"{}", alias=other)
        store.append([joining]).result()
    elif what == "place":
        made = Entry(uid=f"d:{n}", kind="decision", customer_id=name, at=n, body=b"{}")
        return store.place(Placing(entry=made, customer_id=name)).result().seq
    elif what == "erase":
        store.erase(name).result()
    elif what == "items":
        store.assign_codes([("item", f"i{n}")]).result()
    return 0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[SqliteStore, SqliteStore]]:
    with closing(SqliteStore(tmp_path / "log.db")) as one, closing(SqliteStore(tmp_path / "log.db")) as two:
        yield one, two


def looked_up(store: SqliteStore, name: str) -> tuple[Mark, Group]:
    return store.mark(), store.group(name)


@settings(max_examples=60, deadline=None)
@given(st.lists(writes, max_size=30))
def test_what_has_not_moved_is_as_it_was_whoever_wrote(told: list[tuple[str, int, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stores = [stack.enter_context(closing(SqliteStore(Path(folder) / "log.db", relaxed=True))) for _ in range(2)]
        known = [{name: looked_up(store, name) for name in NAMES} for store in stores]
        for n, (what, writer, name, other) in enumerate(told):
            seq = write(stores[writer], what, name, other, n)
            for at, store in enumerate(stores):
                for asked in NAMES:
                    mark, group = known[at][asked]
                    fresh = store.group(asked)
                    if seq and fresh.customer_id == asked == name and store.noted(group, mark, seq):
                        # One decision and nothing else: the group is known without a look.
                        assert fresh == group._replace(position=seq, first=group.first or seq)
                        known[at][asked] = mark._replace(seq=seq), fresh
                    elif group.customer_id == asked and not store.moved(group, mark):
                        assert fresh == group
                    else:
                        known[at][asked] = looked_up(store, asked)


def test_only_whom_it_is_about_has_moved(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, _ = pair
    for n, name in enumerate(NAMES):
        write(one, "append", name, "", n)
    known = {name: looked_up(one, name) for name in NAMES}
    write(one, "append", "ann", "", 10)
    assert [one.moved(group, mark) for mark, group in known.values()] == [True, False, False]
    seq = write(one, "place", "bob", "", 11)
    mark, group = known["bob"]
    assert one.moved(group, mark)
    assert one.noted(group, mark, seq)
    assert not one.moved(group._replace(position=seq), mark._replace(seq=seq))


def test_a_decision_beside_an_event_is_not_all_there_is(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, _ = pair
    write(one, "append", "ann", "", 0)
    mark, group = looked_up(one, "ann")
    write(one, "append", "ann", "", 1)
    assert not one.noted(group, mark, write(one, "place", "ann", "", 2))


def test_another_process_makes_everybody_look_once(pair: tuple[SqliteStore, SqliteStore]) -> None:
    one, two = pair
    write(one, "append", "ann", "", 0)
    mark, group = looked_up(one, "ann")
    write(two, "append", "bob", "", 1)
    assert one.moved(group, mark)
    mark, group = looked_up(one, "ann")
    assert not one.moved(group, mark)


def test_nothing_is_believed_while_another_process_may_be_committing(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "log.db")) as store:
        write(store, "append", "ann", "", 0)
        end = LogEnd(tmp_path / "log.db-end")
        end.move(end.value + 1)
        mark, group = looked_up(store, "ann")
        assert mark == NEVER
        assert store.moved(group, mark)
        end.close()


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_writes, "REMEMBERED", 2)
    with closing(SqliteStore(tmp_path / "log.db")) as store:
        for n in range(9):
            write(store, "append", f"c{n}", "", n)
            assert len(store._own._of) <= 4
            assert store.group(f"c{n}").position == n + 1
