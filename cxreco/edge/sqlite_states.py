"""States kept beside the embedded log, so that a server that starts again need not fold everybody's log anew.

A cache: the log alone is the truth, and nothing is believed that does not fit it (see `cxreco.edge.states`). It is not
waited for the disk; after a power cut an older state may be found, which is brought up to date from the log.
"""

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Any

from cxreco.edge.store import StoreUnavailable

# Another process may be writing; a state that is not kept costs a little reading later.
PATIENCE_S = 0.01
DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
log = logging.getLogger("cxreco.states")


class SqliteStates:
    """Bytes by customer in a file of their own.

    Parameters
    ----------
    path
        The file; one that is damaged is made anew, and where none can be made states are folded from the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = _opened(path)
        except sqlite3.Error as error:
            log.warning("states cannot be kept in %s, they are folded from the log: %s", path, error)
            if error.sqlite_errorname in DAMAGED:
                log.warning("it is damaged, and made anew: nothing is lost with it")
                path.unlink()
                self._connection = _opened(path)

    def get(self, customer_id: str) -> bytes | None:
        """Return what is kept; None where nothing is.

        Raises
        ------
        StoreUnavailable
            If the file cannot be read.
        """
        rows = self._asked("SELECT state FROM states WHERE customer_id = ?", customer_id)
        state: bytes | None = rows[0][0] if rows else None
        return state

    def put(self, customer_id: str, state: bytes) -> None:
        """Keep a state.

        Raises
        ------
        StoreUnavailable
            If the file cannot be written.
        """
        self._asked("INSERT OR REPLACE INTO states VALUES (?, ?)", customer_id, state)

    def forget(self, customer_id: str) -> None:
        """Remove what is kept, and every copy of it in the file.

        Raises
        ------
        StoreUnavailable
            If it cannot be removed: then nothing may be said to be erased.
        """
        if not self._path.exists():
            return
        self._asked("DELETE FROM states WHERE customer_id = ?", customer_id)
        busy = self._asked("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        if busy:
            raise StoreUnavailable(f"a copy may be left in {self._path}-wal, another process is reading; try again")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _asked(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._connection is None:
                raise StoreUnavailable(f"states cannot be kept in {self._path}")
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreUnavailable(f"states cannot be kept in {self._path}: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("CREATE TABLE IF NOT EXISTS states (customer_id TEXT PRIMARY KEY, state BLOB NOT NULL)")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
