"""Logs without dates: whose order is known, and nothing else.

Within a customer the places of a sequence say what came before what; between customers they say nothing: place 4 of one
may be years from place 4 of another. So such a log is read from its end: everybody's latest place is put at the same
instant, each earlier one a week before the next, and what everybody does next comes a week later. Then what holds for
all customers "as of a week ago" is made of everything but each customer's latest place, just as what holds now is made
of everything but what comes next: learning meets the same question that it will be asked. When an item came onto the
shelf it cannot say: what few have bought would seem to have come lately, and so nothing counts as new.
"""

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import DAY, MICROS

# A week is the rhythm that half-lives and horizons are declared for.
PLACE_DAYS = 7
PLACE = PLACE_DAYS * DAY


def aligned(ticks: NDArray[np.void]) -> tuple[NDArray[np.void], int]:
    """Return the ticks with everybody's latest place at one instant, and the instant just before the next place.

    Parameters
    ----------
    ticks
        TICK by (customer, at, seq), `at` in nominal days, a place a day.

    Returns
    -------
    The same ticks in the same order, and microseconds.
    """
    out = ticks.copy()
    if not ticks.size:
        return out, 0
    place = ticks["at"] // DAY
    _, customer = np.unique(ticks["customer"], return_inverse=True)
    latest = np.zeros(int(customer.max()) + 1, dtype=np.int64)
    np.maximum.at(latest, customer, place)
    age = latest[customer] - place
    end = (int(age.max()) + 1) * PLACE
    # What shares a place keeps its order: ticks are sorted, and equal times stay in the order of arrival.
    out["at"] = end - age * PLACE
    return out, end + PLACE - MICROS
