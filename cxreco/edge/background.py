"""What a server does besides answering: looking for a new champion, publishing each day's population statistics."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from cxreco.compiled import cache_folder
from cxreco.edge.champion import Watcher
from cxreco.edge.engine import Engine
from cxreco.edge.publishing import publish_apart

log = logging.getLogger("cxreco.background")
# A promotion is looked for this often: five seconds are promised, and reading a playbook takes one or two of them.
EVERY_S = 1.0
# After statistics could not be published: to read the whole log every second for nothing would be dear.
AGAIN_S = 60.0


class Repeated:
    """A thread that does a piece of work again and again until it is stopped; a failure is logged and tried again.

    Parameters
    ----------
    every_s, again_s
        Seconds until the next time, and, where those are more, after a failure.
    """

    def __init__(self, name: str, work: Callable[[], object], every_s: float, again_s: float = 0.0) -> None:
        self._work = work
        self._every_s = every_s
        self._again_s = again_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Self:
        """Begin; the first time is after one interval."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop after the piece of work at hand."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = self._every_s
        while not self._stopping.wait(pause):
            pause = self._every_s
            try:
                self._work()
            except Exception:
                log.exception("%s failed and is tried again", self._thread.name)
                pause = max(pause, self._again_s)


class Background:
    """The threads of a server.

    Parameters
    ----------
    every_s
        Seconds between two looks.
    """

    def __init__(self, engine: Engine, every_s: float = EVERY_S) -> None:
        self._engine = engine
        self.every_s = every_s
        self._watcher = Watcher(engine.settings.home, engine.adopt, engine.refused)
        self._threads: list[Repeated] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        """Load what is live, then keep looking."""
        if first_time(Path(cache_folder())):
            log.warning(
                "compiling for the first time here: ready in a minute or two, from the next start on in seconds"
            )
        self._engine.warm()
        self.look()
        self._threads = [
            Repeated("cxreco-watcher", self.look, self.every_s).start(),
            Repeated("cxreco-publisher", self.publish_apart_if_due, self.every_s, AGAIN_S).start(),
        ]

    def stop(self) -> None:
        """Stop the threads."""
        self._stopping.set()
        for thread in self._threads:
            thread.stop()

    def look(self) -> None:
        """Take over what was promoted since; one look is enough."""
        self._watcher.look()

    def publish_if_due(self) -> None:
        """Publish the population statistics of a day that has begun; nothing is decided meanwhile."""
        self._publish_if_due(self._engine.publish)

    def publish_apart_if_due(self) -> None:
        """Have another process publish them, and take them over; decisions go on meanwhile."""
        self._publish_if_due(partial(publish_apart, self._engine.settings, stopping=self._stopping))

    def _publish_if_due(self, publish: Callable[[int], object]) -> None:
        engine = self._engine
        engine.take_over_statistics()
        as_of = engine.due_publication()
        if as_of is None or engine.store.position() == 0:
            return
        try:
            publish(as_of)
            engine.take_over_statistics()
        except Exception:
            engine.metrics.publications.labels("failed").inc()
            raise
        engine.metrics.publications.labels("published").inc()


def first_time(folder: Path) -> bool:
    """Return whether nothing was compiled before, by the folder that compiled code is kept in."""
    return not folder.is_dir() or not any(folder.iterdir())
