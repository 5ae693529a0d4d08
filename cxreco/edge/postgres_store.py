"""The shared store: PostgreSQL, for several processes and machines on one log."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import orjson

from cxreco.edge import postgres_sql as sql
from cxreco.edge import postgres_writer as writes
from cxreco.edge.group_commit import GroupCommit, Job
from cxreco.edge.postgres_link import Impatient, Link, rows
from cxreco.edge.postgres_schema import migrate, version_of
from cxreco.edge.store import (
    NEVER,
    NO_CODES,
    Appended,
    Entry,
    Group,
    ItemRow,
    Mark,
    Placed,
    Placing,
    Row,
    StoreUnavailable,
)

_MAX = 2**63 - 1
BULK_PATIENCE_S = 600.0


class PostgresStore:
    """The log in a database: one writer thread a process with group commit, a pool of connections.

    All processes see each other's writes: nothing is kept here. The tables are in the schema that the connection comes
    to (`search_path`), one schema a workspace.

    Parameters
    ----------
    url
        A libpq connection string, such as `postgresql://user@host/database`.
    patience_s
        How long a read about one customer may take; a group of writes gets four times that, and a second at least.
        Reading in bulk is not hurried.
    relaxed
        Do not wait for the server's disk: for simulations, where a power cut costs nothing.

    Raises
    ------
    StoreUnavailable
        If the database cannot be reached.
    StalePlaybook
        If a newer version of the package wrote it.
    """

    def __init__(self, url: str, *, patience_s: float = 30.0, relaxed: bool = False) -> None:
        self._link = Link(url, patience_s=patience_s, relaxed=relaxed)
        self._write_patience_s = max(4 * patience_s, 1.0)
        try:
            self._link.run(migrate, patience_s=BULK_PATIENCE_S)
        except BaseException:
            self._link.close()
            raise
        self._writer: GroupCommit[Impatient] = GroupCommit(self._commit, "cxreco-writer")

    def append(self, entries: Sequence[Entry]) -> Future[Appended]:
        """See `Store.append`."""
        return self._writer.submit(writes.append(entries), len(entries))

    def place(self, placing: Placing) -> Future[Placed]:
        """See `Store.place`."""
        return self._writer.submit(writes.place(placing))

    def put_items(self, rows: Sequence[ItemRow]) -> Future[Appended]:
        """See `Store.put_items`."""
        return self._writer.submit(writes.put_items(rows), len(rows))

    def assign_codes(self, ids: Sequence[tuple[str, str]]) -> Future[None]:
        """See `Store.assign_codes`."""
        return self._writer.submit(writes.assign_codes(ids), len(ids))

    def erase(self, customer_id: str) -> Future[int]:
        """See `Store.erase`."""
        return self._writer.submit(writes.erase(customer_id))

    def group(self, customer_id: str) -> Group:
        """See `Store.group`."""
        found = self._ask(sql.GROUP, customer_id=customer_id)
        joined = {name: seq for name, seq, _, _ in found if seq}
        there = [(first, last) for _, _, first, last in found if last is not None]
        position = max((last for _, last in there), default=0)
        return Group(found[0][0], joined, position, min((first for first, _ in there), default=0))

    def mark(self) -> Mark:
        """See `Store.mark`: a look at where the log ends costs as much here as one at the customer's own."""
        return NEVER

    def moved(self, group: Group, since: Mark) -> bool:
        """See `Store.moved`."""
        return True

    def noted(self, group: Group, since: Mark, seq: int) -> bool:
        """See `Store.noted`."""
        return False

    def customer_log(self, group: Group, after_seq: int = 0, upto_seq: int | None = None) -> list[Row]:
        """See `Store.customer_log`."""
        last = _MAX if upto_seq is None else upto_seq
        # A row that came by an alias arrived when the alias did: its own seq says nothing about `after_seq`.
        after = 0 if group.joined else after_seq
        names = [group.customer_id, *group.joined]
        found = self._ask(sql.CUSTOMER_LOG, names=names, after=after, upto=last)
        if not group.joined:
            return [Row(*row) for row in found]
        arrived = (Row(max(row[0], group.joined.get(row[3], 0)), *row[1:]) for row in found)
        return sorted((row for row in arrived if after_seq < row.seq <= last), key=lambda row: row.seq)

    def decision(self, decision_id: str) -> Row | None:
        """See `Store.decision`."""
        if "\x00" in decision_id:
            # No text in PostgreSQL holds one.
            return None
        found = self._ask(sql.DECISION, uid=f"d:{decision_id}")
        return Row(*found[0]) if found else None

    def request(self, request_id: str) -> tuple[str, str] | None:
        """See `Store.request`."""
        found = self._ask(sql.REQUEST, request_id=request_id)
        return (found[0][0], found[0][1]) if found else None

    def scan(
        self,
        after_seq: int = 0,
        *,
        kinds: Sequence[str] | None = None,
        upto_seq: int | None = None,
        batch: int = 10_000,
    ) -> Iterator[list[Row]]:
        """See `Store.scan`."""
        query = sql.SCAN if kinds is None else sql.SCAN_KINDS
        values: dict[str, Any] = {"upto": _MAX if upto_seq is None else upto_seq, "batch": batch}
        if kinds is not None:
            values["kinds"] = list(kinds)
        while found := self._read(query, {**values, "after": after_seq}):
            yield [Row(*row) for row in found]
            after_seq = found[-1][0]

    def aliases(self) -> list[tuple[str, str, int]]:
        """See `Store.aliases`."""
        return [(name, owner, seq) for name, owner, seq in self._read(sql.ALIASES, {})]

    def items(self, after_seq: int = 0, upto_seq: int | None = None) -> list[ItemRow]:
        """See `Store.items`."""
        upto = _MAX if upto_seq is None else upto_seq
        return [ItemRow(*row) for row in self._read(sql.ITEMS_READ, {"after": after_seq, "upto": upto})]

    def codes(self, after: Mapping[str, int] = NO_CODES) -> list[tuple[str, str, int]]:
        """See `Store.codes`."""
        known = orjson.dumps(dict(after)).decode()
        return [(kind, name, code) for kind, name, code in self._read(sql.CODES_READ, {"after": known})]

    def position(self) -> int:
        """See `Store.position`."""
        return self._end("log")

    def items_position(self) -> int:
        """See `Store.items_position`."""
        return self._end("items")

    def meta(self, key: str, default: str) -> str:
        """See `Store.meta`."""
        if default:
            kept: str = self._writer.submit(writes.meta(key, default)).result()
            return kept
        found = self._ask("SELECT value FROM meta WHERE key = %(key)s", key=key)
        return found[0][0] if found else default

    def pending(self) -> int:
        """See `Store.pending`."""
        return self._writer.waiting

    def close(self) -> None:
        """See `Store.close`."""
        self._writer.close()
        self._link.close()

    def _commit(self, batch: Sequence[Job[Impatient]]) -> list[object]:
        return self._link.run(lambda connection: writes.commit(connection, batch), patience_s=self._write_patience_s)

    def _end(self, name: str) -> int:
        found = self._ask(sql.END, name=name)
        if not found:
            raise StoreUnavailable("the log in PostgreSQL has lost where it ends: restore it from a backup")
        return int(found[0][0])

    def _ask(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """Ask about one thing, for somebody who waits."""
        return self._link.run(rows(query, values))

    def _read(self, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Read in bulk."""
        return self._link.run(rows(query, values), patience_s=BULK_PATIENCE_S)


def has_log(url: str) -> bool:
    """Return whether a database holds a log.

    Raises
    ------
    StoreUnavailable
        If it cannot be reached.
    """
    link = Link(url, patience_s=10.0, relaxed=False)
    try:
        return link.run(version_of) > 0
    finally:
        link.close()
