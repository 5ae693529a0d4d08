"""The embedded store: one SQLite file, nothing to install."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from cxreco.edge import sqlite_writer as writes
from cxreco.edge.group_commit import GroupCommit, Job
from cxreco.edge.own_writes import LogEnd, OwnWrites
from cxreco.edge.sqlite_schema import connect, migrate
from cxreco.edge.store import NO_CODES, Appended, Entry, Group, ItemRow, Mark, Placed, Placing, Row, StoreUnavailable

# One statement, so that it sees one moment. The extremes apart: for two at once SQLite reads the whole index.
GROUP = f"""
WITH root (id) AS ({writes.CANONICAL}),
names (name, joined) AS (
    SELECT id, 0 FROM root UNION ALL SELECT anonymous_id, seq FROM aliases, root WHERE customer_id = root.id
)
SELECT name, joined, (SELECT MIN(seq) FROM log WHERE customer_id = name),
    (SELECT MAX(seq) FROM log WHERE customer_id = name)
FROM names
"""
# The same of those who go by one name, as most do; whether this one does is seen at the same moment.
ALONE = """
SELECT (SELECT MIN(seq) FROM log WHERE customer_id = ?1), (SELECT MAX(seq) FROM log WHERE customer_id = ?1),
    EXISTS (SELECT 1 FROM aliases WHERE anonymous_id = ?1) OR EXISTS (SELECT 1 FROM aliases WHERE customer_id = ?1)
"""
LAST = "SELECT seq FROM sqlite_sequence WHERE name = ?"
COLUMNS = "seq, uid, kind, customer_id, at, body, blob"


class SqliteStore:
    """The log in a file (WAL): one writer thread with group commit, a read-only connection a thread.

    Parameters
    ----------
    path
        The file; its folder is made.
    relaxed
        Do not wait for the disk: for simulations, where a power cut costs nothing.

    Raises
    ------
    StoreUnavailable
        If the file cannot be opened.
    StalePlaybook
        If a newer version of the package wrote it.
    """

    def __init__(self, path: Path, *, relaxed: bool = False) -> None:
        self._path = str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(self._path, writer=True, relaxed=relaxed)
            migrate(self._connection)
            self._own = OwnWrites(LogEnd(path.with_name(f"{path.name}-end")))
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"cannot open the log {path}: {error}") from error
        self._writer = GroupCommit(self._commit, "cxreco-writer", self._begin)
        self._mine = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def append(self, entries: Sequence[Entry]) -> Future[Appended]:
        """See `Store.append`."""
        names = {name for entry in entries for name in (entry.customer_id, entry.alias) if name}
        return self._writer.submit(partial(writes.append, entries=entries), len(entries), tuple(names))

    def place(self, placing: Placing) -> Future[Placed]:
        """See `Store.place`."""
        return self._writer.submit(partial(writes.place, placing=placing), names=(placing.entry.customer_id,))

    def put_items(self, rows: Sequence[ItemRow]) -> Future[Appended]:
        """See `Store.put_items`."""
        return self._writer.submit(partial(writes.put_items, rows=rows), len(rows))

    def assign_codes(self, ids: Sequence[tuple[str, str]]) -> Future[None]:
        """See `Store.assign_codes`."""
        return self._writer.submit(partial(writes.assign_codes, ids=ids), len(ids))

    def erase(self, customer_id: str) -> Future[int]:
        """See `Store.erase`. The write-ahead log is emptied too, so that no copy of the bytes stays behind."""
        done: Future[int] = Future()
        erased = self._writer.submit(partial(writes.erase, customer_id=customer_id))

        def sweep(finished: Future[int]) -> None:
            # Runs in the writer's thread, right after the commit.
            try:
                removed = finished.result()
                self._own.forget()
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(removed)

        erased.add_done_callback(sweep)
        return done

    def group(self, customer_id: str) -> Group:
        """See `Store.group`."""
        with self._reading() as reader:
            first, last, joined_by = reader.execute(ALONE, (customer_id,)).fetchone()
            if not joined_by:
                return Group(customer_id, {}, last or 0, first or 0)
            found = reader.execute(GROUP, (customer_id,)).fetchall()
        joined = {str(name): int(seq) for name, seq, _, _ in found if seq}
        there = [(int(first), int(last)) for _, _, first, last in found if last is not None]
        position = max((last for _, last in there), default=0)
        return Group(str(found[0][0]), joined, position, min((first for first, _ in there), default=0))

    def mark(self) -> Mark:
        """See `Store.mark`."""
        return self._own.mark(self._last("log"))

    def moved(self, group: Group, since: Mark) -> bool:
        """See `Store.moved`."""
        return self._own.moved(group, since)

    def noted(self, group: Group, since: Mark, seq: int) -> bool:
        """See `Store.noted`."""
        return self._own.noted(group, since, seq)

    def customer_log(self, group: Group, after_seq: int = 0, upto_seq: int | None = None) -> list[Row]:
        """See `Store.customer_log`."""
        names = [group.customer_id, *group.joined]
        marks = ",".join("?" * len(names))
        with self._reading() as reader:
            # A row that came by an alias arrived when the alias did: its own seq says nothing about `after_seq`.
            rows = reader.execute(
                f"SELECT {COLUMNS} FROM log WHERE customer_id IN ({marks}) AND seq > ? AND seq <= ? ORDER BY seq",
                (*names, 0 if group.joined else after_seq, _MAX if upto_seq is None else upto_seq),
            ).fetchall()
        if not group.joined:
            return [Row(*row) for row in rows]
        arrived = (Row(max(row[0], group.joined.get(row[3], 0)), *row[1:]) for row in rows)
        last = _MAX if upto_seq is None else upto_seq
        return sorted((row for row in arrived if after_seq < row.seq <= last), key=lambda row: row.seq)

    def decision(self, decision_id: str) -> Row | None:
        """See `Store.decision`."""
        with self._reading() as reader:
            row = reader.execute(f"SELECT {COLUMNS} FROM log WHERE uid = ?", (f"d:{decision_id}",)).fetchone()
        return None if row is None else Row(*row)

    def request(self, request_id: str) -> tuple[str, str] | None:
        """See `Store.request`."""
        with self._reading() as reader:
            row = reader.execute(
                "SELECT digest, decision_id FROM requests WHERE request_id = ?", (request_id,)
            ).fetchone()
        return None if row is None else (str(row[0]), str(row[1]))

    def scan(
        self,
        after_seq: int = 0,
        *,
        kinds: Sequence[str] | None = None,
        upto_seq: int | None = None,
        batch: int = 10_000,
    ) -> Iterator[list[Row]]:
        """See `Store.scan`."""
        only = f" AND kind IN ({','.join('?' * len(kinds))})" if kinds is not None else ""
        query = f"SELECT {COLUMNS} FROM log WHERE seq > ? AND seq <= ?{only} ORDER BY seq LIMIT ?"
        last = _MAX if upto_seq is None else upto_seq
        while True:
            with self._reading() as reader:
                rows = [Row(*row) for row in reader.execute(query, (after_seq, last, *(kinds or ()), batch))]
            if not rows:
                return
            yield rows
            after_seq = rows[-1].seq

    def aliases(self) -> list[tuple[str, str, int]]:
        """See `Store.aliases`."""
        with self._reading() as reader:
            return reader.execute("SELECT anonymous_id, customer_id, seq FROM aliases ORDER BY seq, 1, 2").fetchall()

    def items(self, after_seq: int = 0, upto_seq: int | None = None) -> list[ItemRow]:
        """See `Store.items`."""
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT seq, item_id, arrived_at, body FROM items WHERE seq > ? AND seq <= ? ORDER BY seq",
                (after_seq, _MAX if upto_seq is None else upto_seq),
            )
            return [ItemRow(*row) for row in rows]

    def codes(self, after: Mapping[str, int] = NO_CODES) -> list[tuple[str, str, int]]:
        """See `Store.codes`."""
        query = "SELECT kind, id, code FROM codes WHERE kind = ? AND code >= ? ORDER BY code"
        with self._reading() as reader:
            kinds = [str(row[0]) for row in reader.execute("SELECT DISTINCT kind FROM codes ORDER BY kind")]
            return [row for kind in kinds for row in reader.execute(query, (kind, after.get(kind, 0)))]

    def position(self) -> int:
        """See `Store.position`."""
        return self._last("log")

    def items_position(self) -> int:
        """See `Store.items_position`."""
        return self._last("items")

    def meta(self, key: str, default: str) -> str:
        """See `Store.meta`."""

        def keep(connection: sqlite3.Connection) -> str:
            if default:
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, default))
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return default if row is None else str(row[0])

        kept: str = self._writer.submit(keep).result()
        return kept

    def pending(self) -> int:
        """See `Store.pending`."""
        return self._writer.waiting

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        self._writer.close()
        self._connection.close()
        self._own.close()
        with self._lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def _commit(self, batch: Sequence[Job[sqlite3.Connection]]) -> list[object]:
        connection = self._connection
        try:
            if not connection.in_transaction:
                self._begin()
            before = connection.total_changes
            results = [job.work(connection) for job in batch]
            if connection.total_changes != before:
                after = _last_of(connection, "log")
                self._own.announce(after, _written(batch, results, after))
            connection.execute("COMMIT")
            self._own.settle()
        except BaseException as error:
            # Whatever was announced is not there.
            self._own.forget()
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(f"the log cannot be written: {error}") from error
            raise
        return results

    def _last(self, table: str) -> int:
        with self._reading() as reader:
            return _last_of(reader, table)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend this thread's connection; what SQLite cannot do becomes the error that the contract names."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            reader = getattr(self._mine, "reader", None)
            if reader is None:
                reader = self._mine.reader = connect(self._path, writer=False, relaxed=False)
                with self._lock:
                    self._readers.append(reader)
            yield reader
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the log cannot be read: {error}") from error


_MAX = 2**63 - 1


def _last_of(connection: sqlite3.Connection, table: str) -> int:
    row = connection.execute(LAST, (table,)).fetchone()
    return 0 if row is None else int(row[0])


def _written(
    batch: Sequence[Job[sqlite3.Connection]], results: Sequence[object], after: int
) -> Iterator[tuple[str, int]]:
    """Yield whom a transaction wrote about, and the seq: of events that of its last row."""
    for job, result in zip(batch, results, strict=True):
        seq = result.seq if isinstance(result, Placed) else after
        for name in job.names:
            yield name, seq
