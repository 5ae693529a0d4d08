"""States kept beside the embedded log: a later start finds them, nobody is believed against the log."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cxreco.edge.engine import Engine
from cxreco.edge.settings import Settings
from cxreco.edge.sqlite_states import SqliteStates
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import StoreUnavailable
from cxreco.journey import DAY, Moment
from cxreco.recognise.contract import write_time

RowsRead = Callable[[Engine], list[int]]
NOW = 20_500 * DAY + DAY // 2


def view(customer: str, n: int, at: int = NOW) -> dict[str, Any]:
    row = {"event_id": f"{customer}-{n}", "type": "product_viewed", "customer_id": customer, "item_id": f"i{n % 7}"}
    return {**row, "occurred_at": write_time(at)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Return what starts an engine on the same workspace once more; the one before has ended by then."""
    running: list[Engine] = []

    def stop() -> None:
        for engine in running:
            engine.store.close()
            engine.states.close()
        running.clear()

    def begin() -> Engine:
        stop()
        settings = Settings(home=tmp_path, arms={"champion": 100}, salt="test")
        store = SqliteStore(tmp_path / "log.db", relaxed=True)
        running.append(Engine(store, settings, clock=lambda: NOW, cache=SqliteStates(tmp_path / "states.db")))
        return running[-1]

    yield begin
    stop()


def test_a_later_start_reads_only_what_came_after(
    start: Callable[[], Engine], rows_read: RowsRead, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    engine.ingest([view("ann", n, NOW - (100 - n) * DAY) for n in range(100)])
    engine.decide(Moment(customer_id="ann", at=NOW))
    engine.ingest([view("ann", n) for n in range(100, 103)])
    engine = start()
    read = rows_read(engine)
    known = engine.states.of("ann")
    assert sum(read) == 4, "the decision, and three views"
    monkeypatch.undo()
    assert known.state.equals(engine.states.rebuilt(known.group).state)


def test_decisions_made_here_are_kept_too(
    start: Callable[[], Engine], rows_read: RowsRead, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    for n in range(40):
        engine.decide(Moment(customer_id="ann", at=NOW + n))
    engine = start()
    read = rows_read(engine)
    known = engine.states.of("ann")
    assert sum(read) < 20
    monkeypatch.undo()
    assert known.state.equals(engine.states.rebuilt(known.group).state)


def test_who_is_forgotten_leaves_no_byte(start: Callable[[], Engine], tmp_path: Path) -> None:
    engine = start()
    engine.ingest([view("zebra-customer", n) for n in range(30)])
    engine.states.of("zebra-customer")
    files = [tmp_path / name for name in ("states.db", "states.db-wal")]
    assert any(b"zebra-customer" in file.read_bytes() for file in files)
    engine.forget("zebra-customer")
    assert not any(b"zebra-customer" in file.read_bytes() for file in files if file.exists())
    assert engine.states.of("zebra-customer").group.position == 0


def test_nobody_is_said_to_be_forgotten_while_a_copy_may_be_left(tmp_path: Path) -> None:
    with (
        closing(SqliteStates(tmp_path / "states.db")) as states,
        closing(SqliteStates(tmp_path / "states.db")) as other,
    ):
        states.put("ann", b"state")
        assert other._connection is not None
        other._connection.execute("BEGIN")
        other.get("ann")
        with pytest.raises(StoreUnavailable, match="try again"):
            states.forget("ann")
        other._connection.execute("COMMIT")
        states.forget("ann")


def test_a_log_that_began_anew_is_not_that_of_the_state(start: Callable[[], Engine], tmp_path: Path) -> None:
    engine = start()
    engine.ingest([view("ann", n) for n in range(30)])
    engine.states.of("ann")
    engine.store.erase("ann").result()
    engine.ingest([view("ann", n) for n in range(40, 45)])
    engine = start()
    known = engine.states.of("ann")
    assert known.state.equals(engine.states.rebuilt(known.group).state)
    assert known.group.first > 30


def test_a_damaged_file_is_made_anew(start: Callable[[], Engine], tmp_path: Path) -> None:
    (tmp_path / "states.db").write_bytes(b"this is no database" * 100)
    engine = start()
    engine.ingest([view("ann", n) for n in range(30)])
    known = engine.states.of("ann")
    assert known.state.equals(engine.states.rebuilt(known.group).state)
    with closing(SqliteStates(tmp_path / "states.db")) as states:
        assert states.get("ann")


def test_where_no_file_can_be_made_the_log_is_read(start: Callable[[], Engine], tmp_path: Path) -> None:
    (tmp_path / "states.db").mkdir()
    engine = start()
    engine.ingest([view("ann", n) for n in range(30)])
    known = engine.states.of("ann")
    assert known.state.equals(engine.states.rebuilt(known.group).state)
    with closing(SqliteStates(tmp_path / "states.db")) as states, pytest.raises(StoreUnavailable, match=r"states\.db"):
        states.put("ann", b"")
