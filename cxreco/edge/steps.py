"""Work that waits for the disk now and then, written once for callers that block and callers that await.

A `Steps[T]` is a generator that yields the futures it must wait for and returns its result.
"""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeAlias, TypeVar

from cxreco.edge.store import StoreUnavailable

T = TypeVar("T")
Steps: TypeAlias = Generator[Future[Any], Any, T]


def wait(steps: Steps[T]) -> T:
    """Run the steps, blocking where they wait."""
    try:
        future = next(steps)
        while True:
            try:
                result = future.result()
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
        A write that has not begun by then is called off, and the steps are told that the store is unavailable; one
        that has begun is waited for, so that no answer contradicts the log.
    """
    try:
        future = next(steps)
        while True:
            try:
                result = await _within(future, deadline_s)
            except Exception as error:
                future = steps.throw(error)
            else:
                future = steps.send(result)
    except StopIteration as stop:
        finished: T = stop.value
        return finished


async def _within(future: Future[Any], deadline_s: float | None) -> object:
    wrapped = asyncio.wrap_future(future)
    if deadline_s is not None:
        done, _ = await asyncio.wait({wrapped}, timeout=deadline_s)
        if not done and future.cancel():
            raise StoreUnavailable("the log is slow to write")
    return await wrapped
