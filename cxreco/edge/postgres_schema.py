"""The shared store's tables, and how an older database becomes a current one."""

import psycopg

from cxreco.edge import migrations

# One opening at a time in each schema, so that several processes may race for it.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('cxreco ' || current_schema(), 0))"
VERSION = "SELECT max(version) FROM schema_version"


def migrate(connection: psycopg.Connection) -> None:
    """Bring the database up to date, in one transaction.

    Raises
    ------
    StalePlaybook
        If a newer version of the package wrote it.
    """
    known = migrations.scripts("postgres")
    with connection.transaction():
        connection.execute(LOCK)
        version = version_of(connection)
        late = migrations.due(version, known)
        for script in late:
            connection.execute(script.encode())
        if version == 0:
            connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
        if late:
            connection.execute("INSERT INTO schema_version VALUES (%s)", (len(known),))


def version_of(connection: psycopg.Connection) -> int:
    """Return the number of the last script that the database has been through; 0 where there is no log."""
    there = connection.execute("SELECT to_regclass('schema_version')").fetchone()
    if there is None or there[0] is None:
        return 0
    row = connection.execute(VERSION).fetchone()
    return 0 if row is None else int(row[0])
