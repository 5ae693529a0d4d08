"""History again, as it was known: the states at any moments of a log, by the fold that serves.

A moment sees the events that had happened by then (`at`) and had arrived by its cut (`seq`), in the order (at, seq).
Customers are independent, so a log is sharded by customer. A state is carried on from moment to moment as long as what
had arrived grew at the end only; a late arrival folds its customer anew.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.recognise.fold import fold
from cxreco.recognise.layout import TICK
from cxreco.recognise.state import END_OF_TIME, State, owned

MOMENT = np.dtype([("customer", "<i8"), ("at", "<i8"), ("cut", "<i8")])


def sort_ticks(ticks: NDArray[np.void]) -> NDArray[np.void]:
    """Return (n,) TICK by (customer, at, seq); the ticks of one event keep their order."""
    return ticks[np.lexsort((ticks["seq"], ticks["at"], ticks["customer"]))]


def moments_of(
    customer: NDArray[np.int64], at: NDArray[np.int64], cut: NDArray[np.int64] | int = END_OF_TIME
) -> NDArray[np.void]:
    """Return (n,) MOMENT of columns; without a cut, everything had arrived."""
    moments = np.empty(len(customer), MOMENT)
    moments["customer"], moments["at"], moments["cut"] = customer, at, cut
    return moments


def replay(ticks: NDArray[np.void], moments: NDArray[np.void]) -> Iterator[tuple[int, State]]:
    """Yield each moment's index and the state as of it, by (customer, at, cut).

    Parameters
    ----------
    ticks
        (n,) TICK by (customer, at, seq), see `sort_ticks`.
    moments
        (m,) MOMENT in any order. A customer without ticks has an empty state.

    Yields
    ------
    tuple[int, State]
        Row in `moments`, and the state; it is reused for the next, so copy what is to be kept.
    """
    state, ticks = State.empty(roomy=True), owned(ticks)
    owner = np.ascontiguousarray(ticks["customer"])
    order = np.lexsort((moments["cut"], moments["at"], moments["customer"]))
    starts = np.searchsorted(owner, moments["customer"][order], side="left").tolist()
    ends = np.searchsorted(owner, moments["customer"][order], side="right").tolist()
    rows = moments[order].tolist()
    customer, done, cut_before = -1, 0, 0
    arrived = np.empty(0, np.int64)
    log = ticks[:0]
    for k, (index, (who, at, cut)) in enumerate(zip(order.tolist(), rows, strict=True)):
        if k == 0 or who != customer:
            customer, done = who, 0
            log = ticks[starts[k] : ends[k]]
            arrived = np.ascontiguousarray(log["seq"])
            state.reset()
        elif cut != cut_before and _differ(arrived, done, min(cut, cut_before), max(cut, cut_before)):
            done = 0
            state.reset()
        done = fold(state.head, state.items, state.categories, state.contacts, log, done, cut, at)
        cut_before = cut
        yield index, state


def latest_states(ticks: NDArray[np.void]) -> dict[int, State]:
    """Return the state of every customer at the end of the log; `ticks` by (customer, at, seq)."""
    if ticks.size == 0:
        return {}
    owner = ticks["customer"]
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    state, states = State.empty(roomy=True), {}
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), ticks.size], strict=True):
        state.reset()
        state.fold(ticks[start:end])
        states[int(owner[start])] = state.copy()
    return states


def empty_ticks() -> NDArray[np.void]:
    """Return no ticks at all, (0,) TICK."""
    return np.empty(0, TICK)


@compiled
def _differ(arrived: NDArray[np.int64], done: int, low: int, high: int) -> bool:
    """Return whether one of the first `done` ticks arrived after `low` and by `high`."""
    seen = False
    for i in range(done):
        seen |= low < arrived[i] <= high
    return bool(seen)
