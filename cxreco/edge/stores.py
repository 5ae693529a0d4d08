"""Which stores a workspace is kept in: embedded, or shared by several processes and machines."""

from cxreco.edge.settings import Settings
from cxreco.edge.sqlite_states import SqliteStates
from cxreco.edge.sqlite_store import SqliteStore
from cxreco.edge.states import StateCache
from cxreco.edge.store import Store


def open_store(settings: Settings, *, patience_s: float = 30.0) -> Store:
    """Open the log, making it where there is none and bringing an older one up to date.

    Parameters
    ----------
    patience_s
        How long a read about one customer may take where the log is on another machine.

    Raises
    ------
    StoreUnavailable
        If it cannot be reached.
    StalePlaybook
        If a newer version of the package wrote it.
    """
    relaxed = settings.durability == "relaxed"
    if settings.database_url:
        # Not loaded where nobody asks for it: it takes a while.
        from cxreco.edge.postgres_store import PostgresStore

        return PostgresStore(settings.database_url, patience_s=patience_s, relaxed=relaxed)
    return SqliteStore(settings.home / "log.db", relaxed=relaxed)


def is_there(settings: Settings) -> bool:
    """Return whether the log exists: to look at a workspace must not make one.

    Raises
    ------
    StoreUnavailable
        If that cannot be told.
    """
    if settings.database_url:
        from cxreco.edge.postgres_store import has_log

        return has_log(settings.database_url)
    return (settings.home / "log.db").is_file()


def open_states(settings: Settings, store: Store) -> StateCache | None:
    """Return where states are kept between starts and processes: in Redis, else in a file beside the embedded log.

    None where the log is on another machine and there is no Redis, and where the log does not wait for the disk: after
    a power cut a state might know more than the log.
    """
    if settings.redis_url:
        # Not loaded where nobody asks for it, as above.
        from cxreco.edge.redis_states import RedisStates

        return RedisStates.of(settings.redis_url, store)
    elsewhere = settings.database_url or settings.durability == "relaxed"
    return None if elsewhere else SqliteStates(settings.home / "states.db")
