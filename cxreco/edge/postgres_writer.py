"""What is written to the shared store: statements sent into one pipeline, their results read once it is committed."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from psycopg import Cursor

from cxreco.edge import postgres_sql as sql
from cxreco.edge.group_commit import Job
from cxreco.edge.postgres_link import Impatient
from cxreco.edge.store import Appended, Entry, ItemRow, Placed, Placing

Late: TypeAlias = Callable[[], object]
Sending: TypeAlias = Callable[[Impatient], Late]


def commit(connection: Impatient, batch: Sequence[Job[Impatient]]) -> list[object]:
    """Do the work of all jobs in one transaction, there and back once.

    The commit travels with the statements: a process that stops here leaves no transaction open that others wait for.
    """
    with connection.pipeline():
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.execute(sql.PEN)
        late = [job.work(connection) for job in batch]
        connection.execute("COMMIT")
    return [read() for read in late]  # type: ignore[operator]  # the work of every job here is a `Sending`


def append(entries: Sequence[Entry]) -> Sending:
    """Insert events; aliases take the seq of the row that brought them."""

    def send(connection: Impatient) -> Late:
        cursors: list[Cursor[Any]] = []
        plain: list[Entry] = []
        for entry in entries:
            if entry.alias:
                cursors += _insert(connection, plain)
                plain = []
                cursors.append(connection.execute(sql.JOIN, _columns(entry) | {"alias": entry.alias}))
            else:
                plain.append(entry)
        cursors += _insert(connection, plain)
        return lambda: _appended(cursors, len(entries))

    return send


def place(placing: Placing) -> Sending:
    """Insert a decision if it and its request are new and the log is where the decision thinks it is."""
    values = _columns(placing.entry) | {
        "canonical": placing.customer_id,
        "request_id": placing.request_id,
        "digest": placing.digest,
        "decision_id": placing.entry.uid.removeprefix("d:"),
        "upon": placing.upon,
    }

    def send(connection: Impatient) -> Late:
        cursor = connection.execute(sql.PLACE, values)

        def read() -> Placed:
            seq, digest, decision_id = cursor.fetchone() or (0, None, None)
            return Placed(seq, None) if digest is None else Placed(0, (digest, decision_id))

        return read

    return send


def put_items(rows: Sequence[ItemRow]) -> Sending:
    """Insert versions that differ from the latest of their item; those of an earlier try are not inserted again."""
    if not rows:
        return _nothing(Appended(0, 0))
    values: dict[str, Any] = {
        "item_id": [row.item_id for row in rows],
        "arrived_at": [row.arrived_at for row in rows],
        "body": [row.body for row in rows],
        "again": False,
    }

    def send(connection: Impatient) -> Late:
        cursor = connection.execute(sql.ITEMS, values)
        values["again"] = True
        return lambda: _appended([cursor], len(rows))

    return send


def assign_codes(ids: Sequence[tuple[str, str]]) -> Sending:
    """Give numbers to what has none yet."""
    if not ids:
        return _nothing(None)
    values = {"kind": [kind for kind, _ in ids], "id": [name for _, name in ids]}

    def send(connection: Impatient) -> Late:
        connection.execute(sql.CODES, values)
        return lambda: None

    return send


def erase(customer_id: str) -> Sending:
    """Remove every row that names the customer or a name of theirs."""
    return _asking(sql.ERASE, {"customer_id": customer_id})


def meta(key: str, value: str) -> Sending:
    """Keep a value under a key that has none; returns what is kept."""
    return _asking(sql.META, {"key": key, "value": value})


def _asking(query: str, values: dict[str, Any]) -> Sending:
    def send(connection: Impatient) -> Late:
        cursor = connection.execute(query.encode(), values)

        def read() -> object:
            row = cursor.fetchone()
            return None if row is None else row[0]

        return read

    return send


def _nothing(result: object) -> Sending:
    return lambda connection: lambda: result


def _appended(cursors: Sequence[Cursor[Any]], given: int) -> Appended:
    accepted = sum(cursor.rowcount for cursor in cursors)
    return Appended(accepted, given - accepted)


def _insert(connection: Impatient, entries: Sequence[Entry]) -> list[Cursor[Any]]:
    if not entries:
        return []
    columns = [_columns(entry) for entry in entries]
    values: dict[str, Any] = {name: [row[name] for row in columns] for name in columns[0]}
    return [connection.execute(sql.APPEND, values | {"n": len(entries)})]


def _columns(entry: Entry) -> dict[str, Any]:
    return {
        "uid": entry.uid,
        "kind": entry.kind,
        "customer_id": entry.customer_id,
        "at": entry.at,
        "body": entry.body,
        "blob": entry.blob,
    }
