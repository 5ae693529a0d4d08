"""Group commit: one thread takes all that waits, has it committed in one go, and only then says so."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cxreco.edge.store import StoreUnavailable
from cxreco.frozen import quick

C = TypeVar("C")
GROUP = 5_000
# What an event loop hands over waits for the loop's other callers, but never for longer than this.
HELD_S = 0.004


class Promise(Future[Any]):
    """A future of a write; who blocks on it has the write handed over at once."""

    def __init__(self, hand_over: Callable[[], None]) -> None:
        super().__init__()
        self._hand_over = hand_over

    def result(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (as declared above)
        """See `Future.result`."""
        if not self.done():
            self._hand_over()
        return super().result(timeout)


@quick
@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[C]):
    """A write that waits, and the promise made for it.

    Attributes
    ----------
    work
        What to do with the open transaction.
    rows
        How many rows wait with it.
    names
        Whom they are about, where the store wants to know.
    """

    work: Callable[[C], object]
    rows: int
    done: Promise
    names: Sequence[str] = ()


class GroupCommit(Generic[C]):
    """Serialises writes and commits them in groups.

    Parameters
    ----------
    commit
        Does the work of all the jobs in one transaction and returns their results once it is committed; where it
        raises, none of them may have been written, or doing it again must change nothing.
    name
        Of the thread.
    begin
        Waits until a transaction may be written, before any write counts as begun: until then each can be called off.
        `commit` follows, with no jobs where all of them were. None: there is nothing to wait for.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Job[C]]], Sequence[object]],
        name: str,
        begin: Callable[[], None] | None = None,
    ) -> None:
        self._commit = commit
        self._begin = begin
        self._queue: queue.SimpleQueue[Job[C] | None] = queue.SimpleQueue()
        self._held: list[Job[C]] = []
        self._held_at = 0.0
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[C], object], rows: int = 1, names: Sequence[str] = ()) -> Future[Any]:
        """Queue a write; its future is done once the write is committed. A future that is cancelled is not written.

        Called from an event loop, the write is handed over with those of all callers that the loop has ready now: the
        thread is woken once for them, not in between.
        """
        job = Job(work, rows, Promise(self._hand_over), names)
        loop = asyncio._get_running_loop()
        with self._lock:
            if self._closed:
                job.done.set_exception(StoreUnavailable("the store is closed"))
                return job.done
            self._waiting += rows
            if loop is None:
                self._queue.put(job)
            else:
                self._hold(job, loop)
        return job.done

    def _hold(self, job: Job[C], loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._held.append(job)
        if len(self._held) == 1:
            self._held_at = now
            loop.call_soon(self._hand_over)
        elif now - self._held_at > HELD_S:
            self._release()

    def _hand_over(self) -> None:
        with self._lock:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for job in held:
            self._queue.put(job)

    @property
    def waiting(self) -> int:
        """Rows that were handed over and are not committed yet."""
        return self._waiting

    def close(self) -> None:
        """Write what was handed over, and stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._release()
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            first = self._queue.get()
            if first is None:
                return
            batch, open_for_more = self._gather(first)
            taken = sum(job.rows for job in batch)
            begun = self._begun()
            live = [job for job in batch if job.done.set_running_or_notify_cancel()]
            if live:
                self._write(live)
            elif begun:
                # Nobody waits for this one, and the next write begins anew.
                with contextlib.suppress(Exception):
                    self._commit([])
            with self._lock:
                self._waiting -= taken

    def _begun(self) -> bool:
        if self._begin is None:
            return False
        try:
            self._begin()
        except Exception:
            # Whoever still waits is told by `commit`, which tries again.
            return False
        return True

    def _gather(self, first: Job[C]) -> tuple[list[Job[C]], bool]:
        batch, rows = [first], first.rows
        while rows < GROUP:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
            rows += job.rows
        return batch, True

    def _write(self, batch: Sequence[Job[C]]) -> None:
        try:
            results = self._commit(batch)
        except Exception:
            # One of them cannot be written; alone, the others can.
            for job in batch:
                self._write_alone(job)
        else:
            for job, result in zip(batch, results, strict=True):
                job.done.set_result(result)

    def _write_alone(self, job: Job[C]) -> None:
        try:
            results = self._commit([job])
        except Exception as error:
            job.done.set_exception(error)
        else:
            job.done.set_result(results[0])
