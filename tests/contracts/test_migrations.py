"""Older logs become current ones with all that is in them, or stay what they were; newer ones are refused."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cxreco.edge import migrations
from cxreco.edge.postgres_store import PostgresStore, has_log
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.store import Entry, Group, Store
from cxreco.errors import StalePlaybook

ROWS: dict[str, list[tuple[Any, ...]]] = {
    "log": [
        (3, "e:1", "product_viewed", "anon", 5, b'{"n":1}', None),
        (4, "e:2", "customer_identified", "ann", 6, b'{"n":2}', None),
        (9, "d:x", "decision", "ann", 7, b'{"n":3}', b"seen"),
    ],
    "aliases": [("anon", "ann", 4)],
    "requests": [("r", "digest", "x")],
    "items": [(2, "tea", 5, b'{"price":1}')],
    "codes": [("item", "tea", 0)],
    "meta": [("salt", "secret")],
}


class Database:
    """A store of one kind, and a way into its tables that is not ours."""

    def __init__(self, kind: str, path: Path, url: str) -> None:
        self.kind, self._path, self._url = kind, path, url
        self._mark = "%s" if url else "?"

    def open(self) -> Store:
        return PostgresStore(self._url) if self._url else SqliteStore(self._path)

    def do(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        if self._url:
            with psycopg.connect(self._url) as connection:
                for statement, values in statements:
                    connection.execute(statement, values or None)
            return
        file = sqlite3.connect(self._path)
        for statement, values in statements:
            file.execute(statement, values)
        file.commit()
        file.close()

    def first_version(self) -> None:
        """Make what the first release made, as its script stands, with rows in every table."""
        first = migrations.scripts(self.kind)[0]  # type: ignore[arg-type]
        self.do(*((part, ()) for part in first.split(";") if part.strip()))
        for table, rows in ROWS.items():
            marks = ",".join([self._mark] * len(rows[0]))
            self.do(*((f"INSERT INTO {table} VALUES ({marks})", row) for row in rows))
        if self._url:
            self.do(
                ("UPDATE ends SET seq = 9 WHERE name = 'log'", ()), ("UPDATE ends SET seq = 2 WHERE name = 'items'", ())
            )
            self.do(("CREATE TABLE schema_version (version integer NOT NULL)", ()))
        self.set_version(1)

    def set_version(self, version: int) -> None:
        if self._url:
            self.do((f"INSERT INTO schema_version VALUES ({version})", ()))
        else:
            self.do((f"PRAGMA user_version={version}", ()))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Database(request.param, tmp_path / "log.db", url)


def check(store: Store, end: int = 9) -> None:
    """Check that everything of the first version is there and works on."""
    assert [tuple(row) for rows in store.scan(upto_seq=9) for row in rows] == ROWS["log"]
    assert [row.uid for rows in store.scan(kinds=["decision"]) for row in rows] == ["d:x"]
    assert store.group("anon") == Group("ann", {"anon": 4}, 9, 3)
    assert store.request("r") == ("digest", "x")
    assert [tuple(row) for row in store.items()] == ROWS["items"]
    assert store.codes() == ROWS["codes"]
    assert store.meta("salt", "") == "secret"
    assert (store.position(), store.items_position()) == (end, 2)


def test_a_log_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it(database: Database) -> None:
    database.first_version()
    store = database.open()
    check(store)
    assert store.append([Entry(uid="e:9", kind="k", customer_id="bob", at=1, body=b"{}")]).result() == (1, 0)
    assert store.group("bob").position == 10
    store.close()
    again = database.open()
    check(again, end=10)
    again.close()


def extended(monkeypatch: pytest.MonkeyPatch, database: Database, *more: str) -> None:
    known = migrations.scripts(database.kind)  # type: ignore[arg-type]
    monkeypatch.setattr(migrations, "scripts", lambda kind: [*known, *more])


def test_later_scripts_run_once_and_in_order(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.first_version()
    extended(monkeypatch, database, "CREATE TABLE later (a INTEGER)", "INSERT INTO later SELECT 1 FROM log; SELECT 1")
    for _ in range(2):
        store = database.open()
        check(store)
        store.close()
    # A second run would have failed, or doubled the rows and with them this key.
    database.do(("CREATE UNIQUE INDEX three ON later (a) WHERE a > 1", ()), ("UPDATE later SET a = 1", ()))


def test_a_script_that_fails_changes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.first_version()
    with monkeypatch.context() as patched:
        extended(patched, database, "CREATE TABLE later (a INTEGER)", "INSERT INTO nowhere VALUES (1)")
        with pytest.raises(Exception, match="nowhere"):
            database.open()
    store = database.open()
    check(store)
    store.close()
    database.do(("CREATE TABLE later (a INTEGER)", ()))


def test_a_log_of_a_newer_version_is_refused(database: Database) -> None:
    database.open().close()
    database.set_version(1_000)
    with pytest.raises(StalePlaybook, match=r"of schema 1000.*upgrade cxreco"):
        database.open()


def test_looking_for_a_log_makes_none(postgres_url: str, make_postgres_url: Callable[[], str]) -> None:
    assert not has_log(postgres_url)
    assert not has_log(postgres_url)
    PostgresStore(postgres_url).close()
    assert has_log(postgres_url)
    assert not has_log(make_postgres_url())
