"""The way to PostgreSQL: a pool of connections, how long to wait for it, and what happens when it breaks.

A connection that broke is met with a fresh pool and a second try. Where that fails too, or an answer took longer than
anybody waits, the link counts as broken: everybody is told so at once, without waiting, until a thread has found the
database again.
"""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg_pool import ConnectionPool, PoolTimeout

from cxreco.edge.store import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")
POOL = 8
MEND_EVERY_S = 0.1
log = logging.getLogger("cxreco.postgres")


class Impatient(psycopg.Connection):
    """A connection that waits for the server no longer than `patience_s` at a time, and is closed and `late` then."""

    patience_s = 10.0
    late = False

    def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        """See `psycopg.Connection.wait`."""
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            # What the server is at is not known any more.
            self.late = True
            self.pgconn.finish()
            raise


Work = Callable[[Impatient], T]


class Link:
    """Lends connections; see the module.

    Parameters
    ----------
    url
        A libpq connection string, such as `postgresql://user@host/database`.
    patience_s
        How long to wait for a connection, and for an answer where nothing else is said.
    relaxed
        Do not wait for the server's disk.

    Raises
    ------
    StoreUnavailable
        If the database cannot be reached.
    """

    def __init__(self, url: str, *, patience_s: float, relaxed: bool) -> None:
        self._url = url
        self._patience_s = patience_s
        self._relaxed = relaxed
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._broken = ""
        self._mender: threading.Thread | None = None
        try:
            self._pool = self._opened()
        except (psycopg.Error, PoolTimeout) as error:
            raise StoreUnavailable(f"cannot open the log in PostgreSQL: {said(error)}") from error

    def run(self, work: Work[T], *, patience_s: float | None = None) -> T:
        """Do something with a connection; twice where the connection breaks, so it must bear repeating.

        Raises
        ------
        StoreUnavailable
            If the database cannot be reached, does not answer in time or cannot do it.
        """
        patience = self._patience_s if patience_s is None else patience_s
        pool = self._whole()
        try:
            return self._once(pool, work, patience)
        except _Broken as broken:
            if not broken.late and self._renewed(pool):
                try:
                    return self._once(self._whole(), work, patience)
                except _Broken as again:
                    broken = again
            self._break(broken.reason)
            raise StoreUnavailable(broken.reason) from broken

    def close(self) -> None:
        """Let go of all connections."""
        self._closed.set()
        if self._mender is not None:
            self._mender.join()
        self._pool.close()

    def _whole(self) -> ConnectionPool[Impatient]:
        if self._closed.is_set():
            raise StoreUnavailable("the store is closed")
        if self._broken:
            raise StoreUnavailable(self._broken)
        return self._pool

    def _once(self, pool: ConnectionPool[Impatient], work: Work[T], patience_s: float) -> T:
        connection = None
        try:
            with pool.connection(timeout=self._patience_s) as connection:
                connection.patience_s = patience_s
                try:
                    return work(connection)
                except psycopg.errors.ReadOnlySqlTransaction:
                    # The server has become somebody's replica: another one writes now.
                    connection.close()
                    raise
        except PoolTimeout as error:
            raise _Broken("PostgreSQL gives no connection in time", late=True) from error
        except psycopg.Error as error:
            if connection is not None and connection.late:
                raise _Broken("PostgreSQL does not answer in time", late=True) from error
            if connection is None or connection.closed:
                raise _Broken(f"the connection to PostgreSQL broke: {said(error)}") from error
            raise StoreUnavailable(f"PostgreSQL cannot do that: {said(error)}") from error

    def _opened(self) -> ConnectionPool[Impatient]:
        pool = ConnectionPool(
            self._url,
            connection_class=Impatient,
            kwargs={"autocommit": True, "connect_timeout": 2, "fallback_application_name": "cxreco"},
            configure=self._configure,
            min_size=1,
            max_size=POOL,
            open=False,
            name="cxreco",
        )
        # Asked first: the pool would say only that it took too long.
        with contextlib.closing(Impatient.connect(self._url, connect_timeout=2)):
            pool.open(wait=True, timeout=max(self._patience_s, 1.0))
        return pool

    def _configure(self, connection: Impatient) -> None:
        # Plans are kept while tables grow: one made for a table of ten rows must not read all of a million.
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET jit = off")
        # A process that stops while it holds the pen loses it.
        connection.execute("SET idle_in_transaction_session_timeout = '5s'")
        waits = connection.execute("SHOW synchronous_commit").fetchone()
        if self._relaxed:
            connection.execute("SET synchronous_commit = off")
        elif waits == ("off",):
            connection.execute("SET synchronous_commit = on")

    def _renewed(self, broken: ConnectionPool[Impatient]) -> bool:
        """Put a fresh pool in the place of a broken one, unless somebody did; False where the database is gone."""
        with self._lock:
            if self._pool is not broken:
                return True
            try:
                self._pool = self._opened()
            except (psycopg.Error, PoolTimeout):
                return False
        # Its threads may be waiting for a server that does not answer.
        threading.Thread(target=broken.close, name="cxreco-closer", daemon=True).start()
        return True

    def _break(self, reason: str) -> None:
        with self._lock:
            if self._broken or self._closed.is_set():
                return
            log.error("%s; looking for it", reason)
            self._broken = reason
            self._mender = threading.Thread(target=self._mend, name="cxreco-mender", daemon=True)
            self._mender.start()

    def _mend(self) -> None:
        while not self._closed.wait(MEND_EVERY_S):
            if self._renewed(self._pool):
                log.warning("PostgreSQL is back")
                self._broken = ""
                return


class _Broken(Exception):
    """The connection is of no use any more; `late`: waiting longer would not be borne."""

    def __init__(self, reason: str, *, late: bool = False) -> None:
        self.reason = reason
        self.late = late
        super().__init__(reason)


def said(error: Exception) -> str:
    """Return the first line of what the server or the driver said."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def rows(query: str, values: dict[str, Any]) -> Work[list[tuple[Any, ...]]]:
    """Return the work of asking a question."""
    return lambda connection: connection.execute(query.encode(), values, binary=True).fetchall()
