"""Population statistics of a day, published from the whole log: beside a server, in a process of its own.

To read a log of half a million events takes a quarter of a minute, nearly all of it in Python: a thread would hold up
every answer meanwhile. So `python -m cxreco.edge.publishing AS_OF` does it, gives way to whoever answers, and leaves a
file.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxreco.edge.log_reading import LogReader
from cxreco.edge.logs import log_as_json
from cxreco.edge.populations import Populations
from cxreco.edge.settings import Settings, load_settings
from cxreco.edge.shop import Shop
from cxreco.edge.store import Store
from cxreco.edge.stores import open_store
from cxreco.errors import CxRecoError
from cxreco.journey import DAY
from cxreco.recognise.population import population_of

log = logging.getLogger("cxreco.publishing")
NICENESS = 10
LOOK_S = 0.05
# So many of the last events tell how far a log reaches.
LATEST = 1_000


class PublishingFailed(CxRecoError):
    """The process that publishes ended without having done so; what it said is in its log."""


def published(reader: LogReader, shop: Shop, populations: Populations, as_of: int, last: int) -> str:
    """Publish population statistics of what happened before `as_of`, from the log up to `last`; returns their version.

    Parameters
    ----------
    reader
        Over the same shop; what it has read before is not read again.
    """
    ticks = reader.read(last).of_persons()
    population = population_of(ticks[ticks["at"] < as_of], shop.catalogue.shelf(as_of), as_of)
    return populations.keep(population, as_of, last)


def day_to_serve(store: Store, now: int) -> int:
    """Return the day whose statistics serve where nobody has asked yet: today, or the day after a log that ends before.

    It is read off the last events that arrived; -1 where there are none.
    """
    latest = store.scan(max(store.position() - LATEST, 0))
    last = max((row.at for rows in latest for row in rows), default=None)
    return -1 if last is None else min(now // DAY * DAY, last // DAY * DAY + DAY)


def publish(settings: Settings, store: Store, shop: Shop, as_of: int) -> None:
    """Publish, unless another process has meanwhile."""
    folder = settings.home / "populations"
    with _one_at_a_time(folder):
        populations = Populations(folder)
        if populations.last_as_of(as_of) == as_of:
            return
        published(LogReader(store, shop), shop, populations, as_of, store.position())


def publish_apart(settings: Settings, as_of: int, stopping: threading.Event) -> None:
    """Have another process publish, and wait for it; where this one is stopping, that one is stopped.

    Raises
    ------
    PublishingFailed
        If it did not succeed.
    """
    command = [sys.executable, "-m", "cxreco.edge.publishing", str(as_of)]
    with subprocess.Popen(command, env=os.environ | settings.variables(), stdin=subprocess.DEVNULL) as child:
        while child.poll() is None:
            if stopping.wait(LOOK_S):
                child.terminate()
                return
    if child.returncode:
        raise PublishingFailed(f"the process that publishes the statistics ended with {child.returncode}")


def main(as_of: int) -> None:
    """Publish in this process, giving way to whoever answers."""
    os.nice(NICENESS)
    # Ctrl-C is for the server, which then stops this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = load_settings()
    log_as_json(settings.log_level)
    store = open_store(settings)
    try:
        publish(settings, store, Shop.opened(store, settings.margin_share), as_of)
    finally:
        store.close()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let every worker of a server find the day begun, and one of them publish it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".publishing").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Exception:
        log.exception("the statistics were not published")
        sys.exit(1)
