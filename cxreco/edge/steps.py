"""Work that waits for the disk now and then, written once for callers that block and callers that await.

A `Steps[T]` is a generator that yields the futures it must wait for and returns its result. In between it may yield
None: whoever runs several may go on with another here, and else just goes on.
"""

import asyncio
import contextlib
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

from cxreco.edge.store import StoreUnavailable

T = TypeVar("T")
Steps: TypeAlias = Generator[Future[Any] | None, Any, T]


def wait(steps: Steps[T]) -> T:
    """Run the steps, blocking where they wait."""
    try:
        future = next(steps)
        while True:
            try:
                result = None if future is None else future.result()
            except Exception as error:
                future = steps.throw(error)
            else:
                future = steps.send(result)
    except StopIteration as stop:
        finished: T = stop.value
        return finished


async def awaited(steps: Steps[T], *, deadline_s: float | None = None) -> T:
    """Run the steps, leaving the event loop to others where they wait.

    Parameters
    ----------
    deadline_s
        From the first step on. What has not been written by then is called off, and the steps are told that the store
        is unavailable. A write that is under way can no longer be called off: it is not waited for either, and the
        steps are told that its outcome is unknown (`TooLate`).
    """
    loop = asyncio.get_running_loop()
    until = None if deadline_s is None else loop.time() + deadline_s
    try:
        future = next(steps)
        while True:
            try:
                result = None if future is None else await _within(future, until, loop)
            except Exception as error:
                future = steps.throw(error)
            else:
                future = steps.send(result)
    except StopIteration as stop:
        finished: T = stop.value
        return finished


class TooLate(StoreUnavailable):
    """A write was under way at the deadline: it may have been written, and nobody waits for it."""


async def _within(future: Future[Any], until: float | None, loop: asyncio.AbstractEventLoop) -> object:
    if not future.done():
        # Cheaper than asyncio.wrap_future and wait: one callback, and one timer where there is a deadline.
        waiter = loop.create_future()
        future.add_done_callback(lambda _: _from_elsewhere(loop, waiter))
        timer = None if until is None else loop.call_at(until, _wake, waiter)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
    if not future.done():
        if future.cancel():
            raise StoreUnavailable("the log is slow to write")
        raise TooLate("the log is slow to write")
    return future.result()


def _from_elsewhere(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None]) -> None:
    # A loop that has ended has nobody left who waits.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_wake, waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
