"""How an older log becomes a current one: numbered SQL scripts, one folder a kind of store.

A store keeps the number of the last script it has been through and runs the rest when it is opened, all in one
transaction: after a failure it is what it was. A script is never edited once released, and only adds: processes of the
version before go on working while it runs.

No library does this here. Alembic brings SQLAlchemy into the serving path; yoyo gives each script a transaction of its
own, keeps its lock in a row that a killed process leaves behind, and takes a schema newer than the code without a word.
What remains to write is below.
"""

from importlib.resources import files
from typing import Literal

from cxreco.errors import StalePlaybook


def scripts(kind: Literal["sqlite", "postgres"]) -> list[str]:
    """Return the scripts of a kind of store, the first version's first."""
    found = (file for file in (files(__package__) / kind).iterdir() if file.name.endswith(".sql"))
    return [file.read_text(encoding="utf-8") for file in sorted(found, key=lambda file: file.name)]


def due(version: int, known: list[str]) -> list[str]:
    """Return what a log of a version has not been through.

    Raises
    ------
    StalePlaybook
        If a newer version of the package wrote it.
    """
    if version > len(known):
        raise StalePlaybook(f"the log is of schema {version}, this version knows {len(known)}: upgrade cxreco")
    return known[version:]
