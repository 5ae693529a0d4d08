"""Randomness that can be repeated: (salt, use, id) -> u in [0, 1)."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled


def uniform(salt: str, use: str, key: str) -> float:
    """Return the same u in [0, 1) for the same salt, use and key, on any machine, for ever.

    Parameters
    ----------
    salt
        Secret of the version; whoever lacks it cannot foresee a draw.
    use
        What the draw is for (`arm`, `mode`, `action`): each use gets its own independent uniform.
    key
        What it is drawn for, such as a decision id.
    """
    digest = hashlib.blake2b(f"{salt}\x1f{use}\x1f{key}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


@compiled
def drawn(probabilities: NDArray[np.float64], u: float) -> int:
    """Return the index whose slice of the cumulated probabilities holds u; never one of probability zero.

    Parameters
    ----------
    probabilities
        (n,) non-negative, summing to 1 within rounding.
    u
        A uniform in [0, 1).

    Returns
    -------
    -1 if no entry is positive.
    """
    total, last = 0.0, -1
    for i in range(probabilities.size):
        if probabilities[i] > 0.0:
            total += probabilities[i]
            last = i
    cumulated = 0.0
    for i in range(probabilities.size):
        if probabilities[i] > 0.0:
            cumulated += probabilities[i]
            if cumulated > u * total:
                return i
    return last
