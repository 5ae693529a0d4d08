"""Candidates on their way into the columns, in compiled code: each source adds its own behind the others'."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.request.reasons import KINDS

F64 = NDArray[np.float64]
I16 = NDArray[np.int16]
I64 = NDArray[np.int64]


class Offers(NamedTuple):
    """Room for candidates; the first `n[0]` rows are taken.

    Attributes
    ----------
    mode, action
        Code of the mode, and index into `Actions.names`.
    slate, size
        (rows, max_items) positions in the moment's columns, the item that it is about first; and how many.
    kinds
        (rows, KINDS) kinds of reason in order of preference; the first that holds of an item is said of it.
    quantity
        Units of the first item; NaN where it does not apply.
    certainty
        Probability that the customer would have bought the first item unprompted; NaN where it does not apply.
    """

    n: I64
    mode: I16
    action: I64
    slate: I64
    size: I64
    kinds: I64
    quantity: F64
    certainty: F64


@compiled
def room(rows: int, width: int) -> Offers:
    """Return room for so many candidates with slates of at most so many items."""
    return Offers(
        np.zeros(1, np.int64),
        np.zeros(rows, np.int16),
        np.zeros(rows, np.int64),
        np.zeros((rows, width), np.int64),
        np.zeros(rows, np.int64),
        np.zeros((rows, KINDS), np.int64),
        np.full(rows, np.nan),
        np.full(rows, np.nan),
    )


@compiled_inner
def add(offers: Offers, mode: int, action: int, slate: I64, kinds: I64, quantity: float, certainty: float) -> None:
    """Add a candidate; one of no items is none."""
    row = offers.n[0]
    if slate.size == 0:
        return
    offers.n[0] = row + 1
    offers.mode[row], offers.action[row], offers.size[row] = mode, action, slate.size
    for i in range(slate.size):
        offers.slate[row, i] = slate[i]
    for i in range(kinds.size):
        offers.kinds[row, i] = kinds[i]
    offers.quantity[row], offers.certainty[row] = quantity, certainty


@compiled_inner
def offered(offers: Offers, mode: int, slate: I64) -> bool:
    """Return whether a candidate of the mode has this very slate."""
    for row in range(offers.n[0]):
        if offers.mode[row] == mode and offers.size[row] == slate.size:
            same = True
            for i in range(slate.size):
                same = same and offers.slate[row, i] == slate[i]
            if same:
                return True
    return False
