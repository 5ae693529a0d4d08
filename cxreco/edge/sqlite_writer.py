"""What is written to the embedded store, inside a transaction that somebody else began."""

import sqlite3
from collections.abc import Sequence

from cxreco.edge.store import Appended, Entry, ItemRow, Placed, Placing

INSERT = (
    "INSERT INTO log (uid, kind, customer_id, at, body, blob) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING"
)
NAMES = "SELECT ?1 UNION ALL SELECT anonymous_id FROM aliases WHERE customer_id = ?1"

CANONICAL = (
    "SELECT COALESCE("
    "(SELECT customer_id FROM aliases WHERE anonymous_id = ?1 ORDER BY seq DESC, customer_id LIMIT 1), ?1)"
)


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
    """Insert a decision if it and its request are new and the log is where the decision thinks it is."""
    if placing.request_id:
        earlier = connection.execute(
            "SELECT digest, decision_id FROM requests WHERE request_id = ?", (placing.request_id,)
        ).fetchone()
        if earlier is not None:
            return Placed(0, (earlier[0], earlier[1]))
    if placing.upon is not None:
        there = _seq_of(connection, placing.entry.uid)
        if there:
            return Placed(there, None)
        position = connection.execute(
            f"SELECT MAX(seq) FROM log WHERE customer_id IN ({NAMES})",
            (placing.customer_id,),
        ).fetchone()[0]
        if (position or 0) != placing.upon:
            return Placed(0, None)
    cursor = connection.execute(INSERT, _columns(placing.entry))
    if cursor.rowcount == 0:
        return Placed(_seq_of(connection, placing.entry.uid), None)
    if placing.request_id:
        decision_id = placing.entry.uid.removeprefix("d:")
        connection.execute("INSERT INTO requests VALUES (?, ?, ?)", (placing.request_id, placing.digest, decision_id))
    return Placed(cursor.lastrowid or 0, None)


def _seq_of(connection: sqlite3.Connection, uid: str) -> int:
    """Return where a row is; 0 where it is not."""
    row = connection.execute("SELECT seq FROM log WHERE uid = ?", (uid,)).fetchone()
    return 0 if row is None else int(row[0])


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
    if removed:
        # The log's end moves on, so that other processes see that something happened.
        connection.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'log'")
    return removed


def canonical(connection: sqlite3.Connection, customer_id: str) -> str:
    """Return the customer that an id is a name of: itself, unless it was identified as somebody."""
    return str(connection.execute(CANONICAL, (customer_id,)).fetchone()[0])


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
