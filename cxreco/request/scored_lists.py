"""Lists of items with scores, compiled: sorted in place, looked up, and joined into columns."""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@compiled_inner
def sort_best(codes: I32, scores: F64, n: int) -> None:
    """Sort the first n in place: best score first, the smaller code first among equals (Shell, Ciura's gaps)."""
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(gap, n):
            code, score, at = codes[i], scores[i], i
            while at >= gap and (scores[at - gap] < score or (scores[at - gap] == score and codes[at - gap] > code)):
                codes[at], scores[at] = codes[at - gap], scores[at - gap]
                at -= gap
            codes[at], scores[at] = code, score


@compiled_inner
def insert_best(into: tuple[I32, F64], n: int, k: int, code: int, score: float) -> int:
    """Put an item into a list of the best k, of which n are there, sorted; return how many are there now.

    Among equals the earlier stays ahead. A list that is full loses its last: whether that is worse is the caller's to
    know.
    """
    codes, scores = into
    at = n if n < k else k - 1
    while at > 0 and scores[at - 1] < score:
        codes[at], scores[at] = codes[at - 1], scores[at - 1]
        at -= 1
    codes[at], scores[at] = code, score
    return min(n + 1, k)


@compiled_inner
def put_best(codes: I32, scores: F64, n: int, k: int, named: I32, score: F64, at: int) -> int:
    """Sort the first n, append up to k of them to the list that ends at `at`, and return where it ends now."""
    sort_best(codes, scores, n)
    kept = min(n, k)
    for i in range(kept):
        named[at + i], score[at + i] = codes[i], scores[i]
    return at + kept


@compiled_inner
def looked_up(codes: I32, named: I32, score: F64, out: F64) -> None:
    """Write the scores of `codes` into `out`, 0 where not named; both ascend."""
    at = 0
    for i in range(codes.size):
        while at < named.size and named[at] < codes[i]:
            at += 1
        out[i] = score[at] if at < named.size and named[at] == codes[i] else 0.0


@compiled
def joined(named: I32, score: F64, sizes: I64, most: int) -> tuple[I32, NDArray[np.uint16], F64]:
    """Return the named codes once, ascending, who named each and how it was scored.

    The first group is kept whole and has no column. Of too many codes those go that rank last in all their recalls.
    """
    codes, rows = _numbered(named)
    sources = np.zeros(codes.size, np.uint16)
    scores = np.zeros((codes.size, sizes.size - 1))
    best = np.full(codes.size, named.size)
    at = 0
    for group in range(sizes.size):
        for rank in range(sizes[group]):
            row = rows[at]
            if group == 0:
                best[row] = -1
            else:
                sources[row] |= 1 << (group - 1)
                scores[row, group - 1] = score[at]
                best[row] = min(best[row], rank)
            at += 1
    if codes.size <= most:
        return codes, sources, scores
    kept = _least(best, max(most, sizes[0]), named.size)
    few = (np.empty(kept.size, np.int32), np.empty(kept.size, np.uint16), np.empty((kept.size, scores.shape[1])))
    _take((codes, sources, scores), kept, few)
    return few


@compiled_inner
def _take(whole: tuple[I32, NDArray[np.uint16], F64], rows: I64, out: tuple[I32, NDArray[np.uint16], F64]) -> None:
    for i in range(rows.size):
        out[0][i], out[1][i] = whole[0][rows[i]], whole[1][rows[i]]
        for j in range(whole[2].shape[1]):
            out[2][i, j] = whole[2][rows[i], j]


@compiled
def _numbered(named: I32) -> tuple[I32, I32]:
    """Return the codes once, ascending, and the place of each named one among them; a bit a code, no sort."""
    one, low = np.uint64(1), np.int32(63)
    words = np.zeros((named.max() >> 6) + 1 if named.size else 0, np.uint64)
    for code in named:
        words[code >> 6] |= one << np.uint64(code & low)
    before = np.empty(words.size, np.int32)
    codes = np.empty(named.size, np.int32)
    n = 0
    for i in range(words.size):
        before[i] = n
        word = words[i]
        while word:
            codes[n] = (i << 6) + trailing_zeros(word)
            word &= word - one
            n += 1
    rows = np.empty(named.size, np.int32)
    for i in range(named.size):
        row = before[named[i] >> 6]
        while codes[row] < named[i]:
            row += 1
        rows[i] = row
    return codes[:n], rows


@compiled
def _least(best: I64, most: int, highest: int) -> I64:
    """Return the places of the `most` least numbers from -1 to `highest`, the earlier among equals, ascending."""
    counts = np.zeros(highest + 2, np.int64)
    for rank in best:
        counts[rank + 1] += 1
    limit, left = -1, min(most, best.size)
    kept = np.empty(left, np.int64)
    while limit < highest and counts[limit + 1] <= left:
        left -= counts[limit + 1]
        limit += 1
    n = 0
    for row in range(best.size):
        if best[row] < limit or (best[row] == limit and left > 0):
            left -= best[row] == limit
            kept[n] = row
            n += 1
    return kept
