"""Whom a new item takes after: items that sell, with its words, of its kind and at about its price.

Until an item has buyers of its own, its content is all that is known. Its collaborative factors are those of its kin,
as nearest neighbours map attributes to factors in Gantner et al. (ICDM 2010), and it is expected to sell as they do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import DAY
from cxreco.recognise.affinity import keep_best
from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.postings import Postings

Bool = NDArray[np.bool_]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

FRESH_DAYS = 30
KIN = 20
# Buyers from which an item is sure enough of itself to be taken after.
LEAST_BUYERS = 3


class Kin(NamedTuple):
    """The kin of some items.

    Attributes
    ----------
    codes
        (m, k) items, the nearest first, -1 where there are no more.
    shares
        (m, k) how much of each is taken after, 0 where padded; they sum to 1 where there is any.
    """

    codes: I32
    shares: F32

    @classmethod
    def none(cls, m: int, k: int = KIN) -> "Kin":
        """Return the kin of items that have none."""
        return cls(np.full((m, k), -1, np.int32), np.zeros((m, k), np.float32))

    def mean(self, values: NDArray[np.floating]) -> F64:
        """Return (m, …) the mean of (n, …) values over the kin; 0 where there is none."""
        return np.asarray(np.einsum("mk,mk...->m...", self.shares.astype(np.float64), values[self.codes]))


def kin_of(words: Postings, price: F64, lends: Bool, codes: I32, k: int = KIN) -> Kin:
    """Return the kin of items: those whose words are most alike by the cosine of rare words, at about the same price.

    The share of an item is its squared cosine times the root of the ratio of the prices, the lower over the higher; a
    price that is not known counts as half. Ties go to the smaller code.

    Parameters
    ----------
    words
        The words of titles, brands and categories, of all items.
    price
        (n_items,) NaN where not known.
    lends
        (n_items,) whether an item may be taken after.
    codes
        (m,) items whose kin is sought.
    """
    n = lends.size
    place = np.full(n, -1)
    place[codes] = np.arange(codes.size)
    rarity, length = _weighed(words.starts, words.codes, words.weights, lends)
    row, token, weight = _words_of(words.starts, words.codes, words.weights, place)
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(codes.size + 1))
    found, shares = _nearest(
        (starts, token[order], weight[order]), (words.starts, words.codes, words.weights), (rarity, length),
        np.log(np.where(price > 0.0, price, np.nan)), codes.astype(np.int64), k,
    )  # fmt: skip
    return Kin(found, shares)


def new_items(ticks: NDArray[np.void], shelf: Shelf, as_of: int) -> tuple[I32, I64]:
    """Return items whose first sign of life is recent, and when; in a young log only what came after its first day."""
    never = np.iinfo(np.int64).max
    seen = np.full(len(shelf), never)
    np.minimum.at(seen, ticks["item"], ticks["at"])
    seen = np.where(shelf.known, np.minimum(seen, shelf.born_at), never)
    begun = int(ticks["at"].min()) + DAY if ticks.size else 0
    codes = np.flatnonzero((seen < as_of) & (seen >= max(as_of - FRESH_DAYS * DAY, begun)))
    codes = codes[np.argsort(-seen[codes], kind="stable")]
    return codes.astype(np.int32), seen[codes]


@compiled
def _weighed(starts: I64, codes: I32, weights: F64, lends: Bool) -> tuple[F64, F64]:
    """Return how rare each word is among what lends, 0 where it has none; and the length of each item that lends."""
    rarity, length = np.zeros(starts.size - 1), np.zeros(lends.size)
    lenders = lends.sum()
    for token in range(rarity.size):
        count = 0
        for q in range(starts[token], starts[token + 1]):
            count += lends[codes[q]]
        if count == 0:
            continue
        rarity[token] = np.log1p(lenders / count)
        for q in range(starts[token], starts[token + 1]):
            if lends[codes[q]]:
                length[codes[q]] += (weights[q] * rarity[token]) ** 2
    return rarity, np.sqrt(length)


@compiled
def _words_of(starts: I64, codes: I32, weights: F64, place: I64) -> tuple[I64, I64, F64]:
    """Return the words of the items that have a place: whose, which, and what each counts."""
    n = 0
    for code in codes:
        n += place[code] >= 0
    row, word, weight = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    n = 0
    for token in range(starts.size - 1):
        for q in range(starts[token], starts[token + 1]):
            if place[codes[q]] >= 0:
                row[n], word[n], weight[n] = place[codes[q]], token, weights[q]
                n += 1
    return row, word, weight


@compiled
def _nearest(
    own: tuple[I64, I64, F64],
    words: tuple[I64, I32, F64],
    weighed: tuple[F64, F64],
    log_price: F64,
    codes: I64,
    k: int,
) -> tuple[I32, F32]:
    rarity, length = weighed
    found = np.full((codes.size, k), -1, np.int32)
    shares = np.zeros((codes.size, k), np.float32)
    total = np.zeros(length.size)
    touched = np.empty(length.size, np.int64)
    for row in range(codes.size):
        reached = 0
        for p in range(own[0][row], own[0][row + 1]):
            token = own[1][p]
            # A word that nothing has that lends is not worth reading.
            if rarity[token] == 0.0:
                continue
            weight = own[2][p] * rarity[token] * rarity[token]
            for q in range(words[0][token], words[0][token + 1]):
                code = words[1][q]
                if length[code] > 0.0 and code != codes[row]:
                    if total[code] == 0.0:
                        touched[reached] = code
                        reached += 1
                    total[code] += weight * words[2][q]
        for i in range(reached):
            code = touched[i]
            apart = abs(log_price[code] - log_price[codes[row]])
            near = np.exp(-0.5 * apart) if apart == apart else np.sqrt(0.5)
            keep_best(found[row], shares[row], code, (total[code] / length[code]) ** 2 * near)
            total[code] = 0.0
        whole = shares[row].sum()
        if whole > 0.0:
            shares[row] /= whole
    return found, shares
