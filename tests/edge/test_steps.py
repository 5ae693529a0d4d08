"""Work that waits: the same steps, blocking or awaited, and a deadline that holds whatever the store does."""

import asyncio
import threading
import time
from concurrent.futures import Future

import pytest

from cxreco.edge.steps import Steps, awaited, wait
from cxreco.edge.store import StoreUnavailable


def doubled(future: Future[int]) -> Steps[str]:
    # A pause: nothing is waited for.
    assert (yield None) is None
    try:
        n: int = yield future
    except StoreUnavailable as error:
        return f"safe: {error}"
    return f"{2 * n}"


def done(n: int) -> Future[int]:
    future: Future[int] = Future()
    future.set_result(n)
    return future


def failed() -> Future[int]:
    future: Future[int] = Future()
    future.set_exception(StoreUnavailable("gone"))
    return future


def test_both_drivers_agree() -> None:
    for make, expected in ((lambda: done(4), "8"), (failed, "safe: gone")):
        assert wait(doubled(make())) == expected
        assert asyncio.run(awaited(doubled(make()))) == expected
        assert asyncio.run(awaited(doubled(make()), deadline_s=5.0)) == expected


def test_what_the_steps_do_not_catch_comes_out() -> None:
    future: Future[int] = Future()
    future.set_exception(ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        wait(doubled(future))


def test_a_write_that_has_not_begun_is_called_off_at_the_deadline() -> None:
    future: Future[int] = Future()
    assert "slow" in asyncio.run(awaited(doubled(future), deadline_s=0.01))
    assert future.cancelled()


def test_a_write_that_is_under_way_is_neither_called_off_nor_waited_for() -> None:
    future: Future[int] = Future()
    assert future.set_running_or_notify_cancel()
    timer = threading.Timer(0.2, future.set_result, [3])
    timer.start()
    assert "slow" in asyncio.run(awaited(doubled(future), deadline_s=0.01))
    assert not future.cancelled() and future.result(5.0) == 3
    timer.join()


def test_the_deadline_is_of_all_steps_together() -> None:
    def twice(first: Future[int], second: Future[int]) -> Steps[str]:
        yield first
        return (yield from doubled(second))

    first: Future[int] = Future()
    timer = threading.Timer(0.05, first.set_result, [1])
    timer.start()
    begun = time.monotonic()
    assert "slow" in asyncio.run(awaited(twice(first, Future()), deadline_s=0.2))
    assert 0.15 < time.monotonic() - begun < 5.0
    timer.join()
