"""Chance by counter: the same world seed, day and purpose give every customer the same luck, whatever the policy.

Two policies that face the same seed so meet the same luck (common random numbers), and their difference is estimated
from far fewer customers. A table of uniforms belongs to (seed, day, purpose); its row is the customer.
"""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def stream(seed: int, day: int, use: str) -> np.random.Generator:
    """Return a generator of its own for (seed, day, use).

    Philox is counter-based (Salmon et al., SC 2011), so that streams with different keys are independent.
    """
    key = blake2b(f"{seed}/{day}/{use}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))


class Dice:
    """Tables of uniforms, made when first asked for and kept for a day.

    Parameters
    ----------
    seed
        Of the world's responses.
    customers, categories
        Rows and columns of a table; the tables of extra sales have a column per pair of categories.
    """

    def __init__(self, seed: int, customers: int, categories: int) -> None:
        self.seed = seed
        self._shape = (customers, categories)
        self._day = -1
        self._tables: dict[str, F64] = {}

    def table(self, day: int, use: str, *, pairs: bool = False) -> F64:
        """Return uniforms in [0, 1), (customers, categories), or (customers, categories ** 2) with `pairs`."""
        if day != self._day:
            self._day = day
            self._tables.clear()
        found = self._tables.get(use)
        if found is None:
            rows, columns = self._shape
            found = stream(self.seed, day, use).random((rows, columns * columns if pairs else columns))
            self._tables[use] = found
        return found

    def u(self, day: int, use: str, customer: int, category: int) -> float:
        """Return one uniform of the table."""
        return float(self.table(day, use)[customer, category])

    def pair(self, day: int, use: str, customer: int, categories: tuple[int, int]) -> float:
        """Return one uniform for an ordered pair of categories."""
        column = categories[0] * self._shape[1] + categories[1]
        return float(self.table(day, use, pairs=True)[customer, column])
