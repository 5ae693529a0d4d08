"""The recalls by taste, compiled: what suits a customer by the factors of what they bought and viewed."""

import math

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.recognise.market import Columns
from cxreco.request.scored_lists import insert_best

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# Likeness to a taste that every new item is given, so that promise alone orders them for who has none.
ANYBODY = 0.02
# Columns of what `recalling.owned` gathers of an item of the state.
ORDERS, GAP, BOUGHT_30, BOUGHT_180, VIEWED_7, SINCE, VIEWED_SINCE = range(7)


@compiled
def taste_of(codes: I32, own: F64, m: Columns) -> F32:
    """Return the (d,) mean factors of what they bought and viewed, of length 1; (0,) where nothing is known."""
    d = m.factors.shape[1]
    vector = np.zeros(d)
    for i in range(codes.size):
        weight = math.log1p(own[i, BOUGHT_180]) + 0.2 * min(own[i, VIEWED_7], 2.0)
        weight *= m.rarity[codes[i]]
        for j in range(d):
            vector[j] += weight * m.factors[codes[i], j]
    length = 0.0
    for j in range(d):
        length += vector[j] * vector[j]
    if not length > 0.0:
        return np.empty(0, np.float32)
    return (vector / math.sqrt(length)).astype(np.float32)


@compiled_inner
def likeness(taste: F32, factors: F32) -> float:
    """Return the product of a taste with an item's factors; summed as `nearness` sums it."""
    total = np.float32(0.0)
    for j in range(taste.size):
        total += taste[j] * factors[j]
    return float(total)


@compiled
def nearness(taste: F32, tastes: F32) -> F32:
    """Return (m,) the product of a taste with the factors of every item compared; (0,) without a taste."""
    near = np.zeros(tastes.shape[1] if taste.size else 0, np.float32)
    _add_products(taste, tastes, near)
    return near


@compiled_inner
def _add_products(taste: F32, tastes: F32, out: F32) -> None:
    """Add factor by factor, in their order; four a pass, so that the sums are read and written a quarter as often."""
    whole = taste.size // 4 * 4
    for j in range(0, whole, 4):
        a, b, c, d = taste[j], taste[j + 1], taste[j + 2], taste[j + 3]
        for i in range(out.size):
            total = out[i] + a * tastes[j, i]
            total += b * tastes[j + 1, i]
            total += c * tastes[j + 2, i]
            out[i] = total + d * tastes[j + 3, i]
    for j in range(whole, taste.size):
        for i in range(out.size):
            out[i] += taste[j] * tastes[j, i]


@compiled
def collaborative(codes: I32, own: F64, near: F32, m: Columns, k: int, into: tuple[I32, F64]) -> int:
    """Gather what customers with the same taste buy and this one has not: the k nearest factors, sorted."""
    if near.size == 0 or k <= 0:
        return 0
    bought = np.zeros(m.available.size, np.bool_)
    for i in range(codes.size):
        bought[codes[i]] = own[i, ORDERS] > 0.0
    n = 0
    least = np.float32(0.0)
    for i in range(near.size):
        score = near[i]
        if not score > least:
            continue
        code = m.compared[i]
        if bought[code] or not m.available[code]:
            continue
        # Codes ascend, so the smaller stays ahead among equals.
        n = insert_best(into, n, k, code, score)
        if n == k:
            least = np.float32(into[1][k - 1])
    return n


@compiled
def novel(taste: F32, near: F32, m: Columns, k: int, into: tuple[I32, F64]) -> int:
    """Gather the k new items that promise most for this taste, sorted; the latest first among equals."""
    n = 0
    for code in m.new:
        like = 0.0
        if taste.size:
            like = float(near[code]) if near.size == m.available.size else likeness(taste, m.factors[code])
        score = (max(like, 0.0) + ANYBODY) * m.promise[code]
        if n == k and (k == 0 or not score > into[1][n - 1]):
            continue
        n = insert_best(into, n, k, code, score)
    return n
