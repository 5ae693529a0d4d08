"""Which items make a slate: those that together are worth most, where items of one need take each other's place.

A category stands for a need. The items that are considered share it: `chance` is the probability that an item meets a
need soon, and its share of its category's sum the probability that it is the one, given that the need is met at all.
A slate is worth the margin expected of at least one purchase a need; that is submodular, so that taking the item of
the greatest gain, again and again, gets at least 1 - 1/e of the best (IA-Select; Agrawal, Gollapudi, Halverson and
Ieong, "Diversifying search results", WSDM 2009, eq. 4 and algorithm 1, with the category as the intent and money as
what its being met is worth). Where one item stands out of its category the others have little to add; where all are
about as likely, several are shown.
"""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.request.context import Sight
from cxreco.request.features import RANKER_COLUMN

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
_PRICE, _MARGIN_SHARE = RANKER_COLUMN["price"], RANKER_COLUMN["margin_share"]
# What an item that earns nothing is taken to earn, in money: it comes last, and still comes.
LEAST_MARGIN = 0.01


@compiled
def covering(s: Sight, where: Bool, chance: F64, substitution: float, money: float) -> I64:
    """Return as many positions as a slate may have, each the one that adds most to those before it.

    Parameters
    ----------
    where
        (n,) which items are considered.
    chance
        (n,) probability that each meets a need soon, at least 0.
    substitution
        How far the items of a category take each other's place: 1 wholly, 0 not at all, which is the order by gain.
    money
        Exponent of the margin: 1 for expected money, 0 for the chance alone, more for the dearer of what might suit.
    """
    n = s.codes.size
    needs = np.zeros(s.category.max() + 1 if n else 1)
    left, gain = np.empty(n, np.int64), np.empty(n)
    size = _consider(s, where, chance, money, (needs, left, gain))
    out = np.empty(min(size, max(s.most, 0)), np.int64)
    _take(s.category, chance, substitution, (needs, left[:size], gain), out)
    return out


@compiled_inner
def _consider(s: Sight, where: Bool, chance: F64, money: float, into: tuple[F64, I64, F64]) -> int:
    """Write what each need sums to, and what is considered and what each gains; return how many are considered."""
    needs, left, gain = into
    size = 0
    # Best score first: among equal gains the earlier is taken.
    for i in range(s.ranked.size):
        position = s.ranked[i]
        if where[position]:
            needs[s.category[position]] += chance[position]
            left[size], gain[size] = position, chance[position] * _worth(s.x, position, money)
            size += 1
    return size


@compiled_inner
def _take(category: I32, chance: F64, substitution: float, considered: tuple[F64, I64, F64], out: I64) -> None:
    """Write the one of greatest gain, again and again; what it meets of its need the others of the need gain less."""
    needs, left, gain = considered
    for k in range(out.size):
        best = 0
        for i in range(1, left.size):
            if gain[i] > gain[best]:
                best = i
        out[k] = left[best]
        need, met = category[out[k]], needs[category[out[k]]]
        gain[best] = -1.0
        if substitution > 0.0 and met > 0.0:
            unmet = 1.0 - substitution * chance[out[k]] / met
            for i in range(left.size):
                # Taken ones are below 0 and stay there: the factor is at least 0.
                if category[left[i]] == need and gain[i] > 0.0:
                    gain[i] *= unmet


@compiled_inner
def _worth(x: F64, position: int, money: float) -> float:
    if money == 0.0:
        return 1.0
    margin = x[position, _PRICE] * x[position, _MARGIN_SHARE]
    # Not known reads as nothing: NaN is not above the least.
    margin = margin if margin > LEAST_MARGIN else LEAST_MARGIN
    return float(margin if money == 1.0 else margin**money)
