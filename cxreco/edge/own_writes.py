"""What this process wrote to a log that others write to as well: so that what is known need not be read again.

Every process says where its transaction will leave the log, in eight bytes that are mapped into the memory of all,
before it commits. While they say what this process left there, nobody else wrote, and whom this process wrote about is
at hand. Where they do not, an epoch begins: whatever was known before has to be looked up once.
"""

import mmap
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from cxreco.edge.store import NEVER, Group, Mark

# Names remembered, beyond which an epoch begins; and rows of each, of which the newest tell all.
REMEMBERED, EACH = 50_000, 4
_SIZE = 8
_NONE: list[int] = []


class LogEnd:
    """Where the log ends or is about to end, for all processes; only who holds the log's write lock moves it."""

    def __init__(self, path: Path) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.fstat(file).st_size < _SIZE:
                os.ftruncate(file, _SIZE)
            self._shared = mmap.mmap(file, _SIZE)
        finally:
            os.close(file)

    @property
    def value(self) -> int:
        """The last seq."""
        return int.from_bytes(self._shared[:_SIZE], "little")

    def move(self, seq: int) -> None:
        """Say where the log will end."""
        self._shared[:_SIZE] = seq.to_bytes(_SIZE, "little")

    def close(self) -> None:
        """Let go."""
        self._shared.close()


class OwnWrites:
    """Whom this process wrote about since an epoch began, and up to where its log is its own doing."""

    def __init__(self, end: LogEnd) -> None:
        self._end = end
        self._lock = threading.Lock()
        self._epoch = 0
        self._last = self._settled = end.value
        self._of: dict[str, list[int]] = {}

    def mark(self, last: int) -> Mark:
        """Return the mark of what is read of a log that ended at `last` or later.

        It is never believed where somebody may be committing just now.
        """
        with self._lock:
            self._look()
            return Mark(self._epoch, last) if last in (self._last, self._settled) else NEVER

    def moved(self, group: Group, since: Mark) -> bool:
        """Return whether anything may have been written about a customer since a mark."""
        with self._lock:
            self._look()
            return since.epoch != self._epoch or bool(self._newer(group, since))

    def noted(self, group: Group, since: Mark, seq: int) -> bool:
        """Return whether nothing but the decision at `seq` was written about a customer since a mark."""
        with self._lock:
            self._look()
            return since.epoch == self._epoch and self._newer(group, since) == [seq]

    def announce(self, last: int, rows: Iterable[tuple[str, int]]) -> None:
        """Say where the log will end, before that is committed; the caller holds its write lock.

        Parameters
        ----------
        rows
            Whom the rows are about, under the name they were sent with, and their seq; of events, `last`.
        """
        with self._lock:
            self._look()
            if len(self._of) > REMEMBERED:
                self._begin()
            self._end.move(last)
            self._last = last
            for name, seq in rows:
                told = self._of.setdefault(name, [])
                told.append(seq)
                del told[:-EACH]

    def settle(self) -> None:
        """Say that what was announced is committed."""
        with self._lock:
            self._settled = self._last

    def forget(self) -> None:
        """Begin an epoch: what was known of anybody may have changed."""
        with self._lock:
            self._begin()

    def close(self) -> None:
        """Let go of what is shared."""
        self._end.close()

    def _newer(self, group: Group, since: Mark) -> list[int]:
        newer = [seq for seq in self._of.get(group.customer_id, _NONE) if seq > since.seq]
        for name in group.joined:
            newer += [seq for seq in self._of.get(name, _NONE) if seq > since.seq]
        return newer

    def _look(self) -> None:
        if self._end.value != self._last:
            self._begin()

    def _begin(self) -> None:
        self._epoch += 1
        self._last = self._settled = self._end.value
        self._of.clear()
