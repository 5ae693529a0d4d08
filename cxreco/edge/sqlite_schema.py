"""The tables of the embedded store, and how an older file becomes a current one."""

import sqlite3

from cxreco.errors import StalePlaybook

# One script a version, never edited once released. AUTOINCREMENT: the seq of an erased row is not given again.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE log (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        uid TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        customer_id TEXT NOT NULL,
        at INTEGER NOT NULL,
        body BLOB NOT NULL,
        blob BLOB
    );
    CREATE INDEX log_customer ON log (customer_id, seq);
    CREATE TABLE aliases (
        anonymous_id TEXT NOT NULL,
        customer_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (anonymous_id, customer_id)
    ) WITHOUT ROWID;
    CREATE INDEX aliases_customer ON aliases (customer_id);
    CREATE TABLE requests (
        request_id TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        decision_id TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX requests_decision ON requests (decision_id);
    CREATE TABLE items (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        item_id TEXT NOT NULL,
        arrived_at INTEGER NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX items_item ON items (item_id, seq);
    CREATE TABLE codes (
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        code INTEGER NOT NULL,
        PRIMARY KEY (kind, id),
        UNIQUE (kind, code)
    ) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
)


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
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StalePlaybook(f"the log is of schema {version}, this version knows {len(MIGRATIONS)}: upgrade cxreco")
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
