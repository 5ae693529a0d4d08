"""The embedded store's file: how it is opened, and how an older one becomes a current one."""

import sqlite3

from cxreco.edge import migrations


def connect(path: str, *, writer: bool, relaxed: bool) -> sqlite3.Connection:
    """Open the file; transactions are begun by hand, and deleted bytes are overwritten."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    if writer:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'OFF' if relaxed else 'FULL'}")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
    else:
        connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA mmap_size=268435456")
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to date, in one transaction that several processes may race for.

    Raises
    ------
    StalePlaybook
        If a newer version of the package wrote it.
    """
    known = migrations.scripts("sqlite")
    if int(connection.execute("PRAGMA user_version").fetchone()[0]) == len(known):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for script in migrations.due(version, known):
            # `executescript` would commit first.
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(known)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
