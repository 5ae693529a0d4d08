"""The one thread that writes: it takes all that waits, commits it in one go, and only then says so."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from cxreco.edge.sqlite_schema import connect, migrate
from cxreco.edge.store import Appended, Entry, ItemRow, Placed, Placing, StoreUnavailable

T = TypeVar("T")
GROUP = 5_000
INSERT = "INSERT OR IGNORE INTO log (uid, kind, customer_id, at, body, blob) VALUES (?, ?, ?, ?, ?, ?)"
NAMES = "SELECT ?1 UNION ALL SELECT anonymous_id FROM aliases WHERE customer_id = ?1"


class _Job(Generic[T]):
    """A write that waits, and the promise made for it."""

    def __init__(self, work: Callable[[sqlite3.Connection], T], rows: int) -> None:
        self.work = work
        self.rows = rows
        self.done: Future[T] = Future()

    def run(self, connection: sqlite3.Connection) -> Callable[[], None]:
        """Do the work inside the open transaction; returns how to keep the promise once it is committed."""
        result = self.work(connection)
        return lambda: self.done.set_result(result)


class Writer:
    """Serialises writes and commits them in groups.

    Parameters
    ----------
    path
        The database file.
    relaxed
        Do not wait for the disk (simulations).
    """

    def __init__(self, path: str, *, relaxed: bool) -> None:
        self._connection = connect(path, writer=True, relaxed=relaxed)
        migrate(self._connection)
        self._queue: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cxreco-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T], rows: int = 1) -> Future[T]:
        """Queue a write; its future is done once the write is committed. A future that is cancelled is not written."""
        job = _Job(work, rows)
        with self._lock:
            if self._closed:
                job.done.set_exception(StoreUnavailable("the store is closed"))
                return job.done
            self._waiting += rows
            self._queue.put(job)  # type: ignore[arg-type]  # a job of T is a job of object to the thread
        return job.done

    @property
    def waiting(self) -> int:
        """Rows that were handed over and are not committed yet."""
        return self._waiting

    def close(self) -> None:
        """Write what was handed over, fold the write-ahead log in, and stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            first = self._queue.get()
            if first is None:
                return
            batch, open_for_more = self._gather(first)
            taken = sum(job.rows for job in batch)
            live = [job for job in batch if job.done.set_running_or_notify_cancel()]
            if live and not self._commit(live):
                # One of them cannot be written; alone, the others can.
                for job in live:
                    self._commit([job], last_try=True)
            with self._lock:
                self._waiting -= taken

    def _gather(self, first: "_Job[object]") -> "tuple[list[_Job[object]], bool]":
        batch, rows = [first], first.rows
        while rows < GROUP:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
            rows += job.rows
        return batch, True

    def _commit(self, batch: "list[_Job[object]]", *, last_try: bool = False) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            kept = [job.run(self._connection) for job in batch]
            self._connection.execute("COMMIT")
        except Exception as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if last_try:
                batch[0].done.set_exception(_explained(error))
            return False
        for keep in kept:
            keep()
        return True

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file and empty it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _explained(error: Exception) -> Exception:
    return StoreUnavailable(f"the log cannot be written: {error}") if isinstance(error, sqlite3.Error) else error


def append(connection: sqlite3.Connection, entries: Sequence[Entry]) -> Appended:
    """Insert events; aliases take the seq of the row that brought them."""
    before = connection.total_changes
    plain: list[tuple[object, ...]] = []
    joined = 0
    for entry in entries:
        if entry.alias:
            _insert(connection, plain)
            plain = []
            joined += _join(connection, entry)
        else:
            plain.append(_columns(entry))
    _insert(connection, plain)
    accepted = connection.total_changes - before - joined
    return Appended(accepted, len(entries) - accepted)


def place(connection: sqlite3.Connection, placing: Placing) -> Placed:
    """Insert a decision if its request is new and the log is where the decision thinks it is."""
    if placing.request_id:
        earlier = connection.execute(
            "SELECT digest, decision_id FROM requests WHERE request_id = ?", (placing.request_id,)
        ).fetchone()
        if earlier is not None:
            return Placed(0, (earlier[0], earlier[1]))
    if placing.upon is not None:
        position = connection.execute(
            f"SELECT MAX(seq) FROM log WHERE customer_id IN ({NAMES})",
            (placing.customer_id,),
        ).fetchone()[0]
        if (position or 0) != placing.upon:
            return Placed(0, None)
    cursor = connection.execute(INSERT.replace(" OR IGNORE", ""), _columns(placing.entry))
    if placing.request_id:
        decision_id = placing.entry.uid.removeprefix("d:")
        connection.execute("INSERT INTO requests VALUES (?, ?, ?)", (placing.request_id, placing.digest, decision_id))
    return Placed(cursor.lastrowid or 0, None)


def put_items(connection: sqlite3.Connection, rows: Sequence[ItemRow]) -> Appended:
    """Insert versions that differ from the latest of their item."""
    before = connection.total_changes
    connection.executemany(
        "INSERT INTO items (item_id, arrived_at, body) SELECT ?1, ?2, ?3 WHERE ?3 IS NOT "
        "(SELECT body FROM items WHERE item_id = ?1 ORDER BY seq DESC LIMIT 1)",
        [(row.item_id, row.arrived_at, row.body) for row in rows],
    )
    accepted = connection.total_changes - before
    return Appended(accepted, len(rows) - accepted)


def assign_codes(connection: sqlite3.Connection, ids: Sequence[tuple[str, str]]) -> None:
    """Give numbers to what has none yet."""
    connection.executemany(
        "INSERT OR IGNORE INTO codes (kind, id, code) "
        "SELECT ?1, ?2, (SELECT COALESCE(MAX(code), -1) + 1 FROM codes WHERE kind = ?1)",
        ids,
    )


def erase(connection: sqlite3.Connection, customer_id: str) -> int:
    """Remove every row that names the customer or a name of theirs."""
    root = canonical(connection, customer_id)
    names = [row[0] for row in connection.execute(NAMES, (root,))]
    marks = ",".join("?" * len(names))
    connection.execute(
        f"DELETE FROM requests WHERE decision_id IN (SELECT substr(uid, 3) FROM log "
        f"WHERE kind = 'decision' AND customer_id IN ({marks}))",
        names,
    )
    removed = connection.execute(f"DELETE FROM log WHERE customer_id IN ({marks})", names).rowcount
    connection.execute(
        f"DELETE FROM aliases WHERE customer_id IN ({marks}) OR anonymous_id IN ({marks})",
        names + names,
    )
    return removed


def canonical(connection: sqlite3.Connection, customer_id: str) -> str:
    """Return the customer that an id is a name of: itself, unless it was identified as somebody."""
    row = connection.execute(
        "SELECT customer_id FROM aliases WHERE anonymous_id = ? ORDER BY seq DESC, customer_id LIMIT 1", (customer_id,)
    ).fetchone()
    return customer_id if row is None else str(row[0])


def _columns(entry: Entry) -> tuple[object, ...]:
    return entry.uid, entry.kind, entry.customer_id, entry.at, entry.body, entry.blob


def _insert(connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    if rows:
        connection.executemany(INSERT, rows)


def _join(connection: sqlite3.Connection, entry: Entry) -> int:
    """Insert an event that identifies an anonymous id; returns how many aliases it made.

    An id that was identified before stays with whom it was; nobody becomes a name of themselves.
    """
    cursor = connection.execute(INSERT, _columns(entry))
    if cursor.rowcount == 0:
        return 0
    seq, root = cursor.lastrowid, canonical(connection, entry.customer_id)
    if entry.alias == root or canonical(connection, entry.alias) != entry.alias:
        return 0
    before = connection.total_changes
    connection.execute(
        "INSERT OR IGNORE INTO aliases SELECT anonymous_id, ?, ? FROM aliases WHERE customer_id = ?",
        (root, seq, entry.alias),
    )
    connection.execute("INSERT OR IGNORE INTO aliases VALUES (?, ?, ?)", (entry.alias, root, seq))
    return connection.total_changes - before
