"""The recalls, compiled: each writes its items into one list, the best first; see `recalls` for what they ask."""

import math

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.recognise.market import Columns
from cxreco.request.scored_lists import insert_best, joined, looked_up, put_best
from cxreco.request.tastes import (
    BOUGHT_30,
    BOUGHT_180,
    GAP,
    ORDERS,
    SINCE,
    VIEWED_7,
    VIEWED_SINCE,
    collaborative,
    likeness,
    nearness,
    novel,
    taste_of,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Slots = NDArray[np.void]

DAY_S = 86_400.0
RECENT_ANCHORS = 5
LIKED_CATEGORIES = 4
# How wide, in logarithms of its gap, an item counts as due before its time and after it.
EARLY, LATE = 0.5, 0.9
GAP_STRENGTH = 2.0
LEAST_VIEWED = 0.05
PERSONAL, DUE, VIEWED, CATEGORY, COPURCHASE, CF, POPULAR, NEW, QUERY, ALIKE = range(10)


@compiled
def owned(slots: Slots, at_s: int, n_items: int) -> tuple[I32, F64]:
    """Return the customer's items that the market knows, and (n, 7) what they bought and viewed of each.

    Fading counts are brought forward to the moment; the gap is NaN below two orders, days since are infinite for never.
    """
    codes = np.empty(slots.size, np.int32)
    out = np.empty((slots.size, 7))
    n = 0
    for i in range(slots.size):
        s = slots[i]
        if s.key >= n_items:
            continue
        days = max(float(at_s) - float(s.decayed_at), 0.0) / DAY_S
        codes[n] = s.key
        out[n, ORDERS] = s.orders
        out[n, GAP] = s.gap_mean if s.orders > 1 else np.nan
        out[n, BOUGHT_30] = s.bought_30 * 2.0 ** (-days / 30.0)
        out[n, BOUGHT_180] = s.bought_180 * 2.0 ** (-days / 180.0)
        out[n, VIEWED_7] = s.viewed_7 * 2.0 ** (-days / 7.0)
        out[n, SINCE] = (float(at_s) - float(s.last_at)) / DAY_S if s.last_at > 0 else np.inf
        out[n, VIEWED_SINCE] = (float(at_s) - float(s.viewed_at)) / DAY_S if s.viewed_at > 0 else np.inf
        n += 1
    return codes[:n], out[:n]


@compiled_inner
def personal(codes: I32, own: F64, m: Columns, into: tuple[I32, F64]) -> int:
    """Gather what they buy: by fading counts of the half-year and the month."""
    n = 0
    for i in range(codes.size):
        if own[i, ORDERS] > 0.0 and m.available[codes[i]]:
            into[0][n] = codes[i]
            into[1][n] = own[i, BOUGHT_180] + own[i, BOUGHT_30]
            n += 1
    return n


@compiled_inner
def due(codes: I32, own: F64, m: Columns, into: tuple[I32, F64]) -> int:
    """Gather what is due: near the end of its gap, their own mixed with everyone's, times the chance to come back."""
    n = 0
    for i in range(codes.size):
        code = codes[i]
        gaps, theirs, gap = max(own[i, ORDERS] - 1.0, 0.0), m.gap_mean[code], own[i, GAP]
        if theirs == theirs:
            mine = gap if gap == gap else 0.0
            gap = (gaps * mine + GAP_STRENGTH * theirs) / (gaps + GAP_STRENGTH)
        if own[i, ORDERS] > 0.0 and gap > 0.0 and own[i, SINCE] > 0.0 and m.available[code]:
            back = (gaps + GAP_STRENGTH * m.repeat_share[code]) / (gaps + GAP_STRENGTH)
            apart = math.log(own[i, SINCE] / gap)
            apart /= EARLY if apart < 0.0 else LATE
            into[0][n] = code
            into[1][n] = back * math.exp(-0.5 * apart * apart)
            n += 1
    return n


@compiled_inner
def viewed(codes: I32, own: F64, m: Columns, into: tuple[I32, F64]) -> int:
    """Gather what they looked at lately and did not buy since."""
    n = 0
    for i in range(codes.size):
        pending = own[i, VIEWED_7] > LEAST_VIEWED and own[i, VIEWED_SINCE] < own[i, SINCE]
        if pending and m.available[codes[i]]:
            into[0][n] = codes[i]
            into[1][n] = own[i, VIEWED_7]
            n += 1
    return n


@compiled
def of_categories(codes: I32, own: F64, there: I32, m: Columns, k: int, into: tuple[I32, F64]) -> int:
    """Gather the best sellers of the categories of the moment and of those that they buy most."""
    total = np.zeros(m.category_starts.size - 1)
    known = 0.0
    for i in range(codes.size):
        weight = own[i, BOUGHT_180] + 0.5 * own[i, VIEWED_7]
        known += weight
        total[m.category[codes[i]]] += weight
    for code in there:
        total[m.category[code]] += 1.0 + known
    total[0] = 0.0
    whole = total.sum()
    n = 0
    for _ in range(min(LIKED_CATEGORIES, total.size)):
        best = int(np.argmax(total))
        if not total[best] > 0.0:
            break
        start = m.category_starts[best]
        for code in m.category_items[start : min(start + k, m.category_starts[best + 1])]:
            into[0][n] = code
            # The smallest share keeps what was never sold in order behind what was.
            into[1][n] = total[best] / whole * (math.log1p(m.popularity[code]) + 1e-6)
            n += 1
        total[best] = -1.0
    return n


@compiled
def anchors(codes: I32, own: F64, there: I32) -> I32:
    """Return the cart and the item looked at, else what was bought last: what co-purchases are recalled for."""
    if there.size:
        return np.unique(there)
    out = np.empty(RECENT_ANCHORS, np.int32)
    days = np.empty(RECENT_ANCHORS)
    n = 0
    for i in range(codes.size):
        since = own[i, SINCE]
        if not since < np.inf or (n == RECENT_ANCHORS and since >= days[n - 1]):
            continue
        n = min(n + 1, RECENT_ANCHORS)
        at = n - 1
        while at > 0 and days[at - 1] > since:
            days[at], out[at] = days[at - 1], out[at - 1]
            at -= 1
        days[at], out[at] = since, codes[i]
    return np.sort(out[:n])


@compiled
def goes_together(wanted: I32, m: Columns) -> tuple[I32, F64]:
    """Return what goes with the anchors and is none of them, ascending, and its mean lift over them."""
    k = m.neighbours.shape[1]
    named = np.empty(wanted.size * k, np.int32)
    lift = np.empty(named.size)
    n = 0
    for anchor in wanted:
        for j in range(k):
            code = m.neighbours[anchor, j]
            if code < 0:
                break
            if np.searchsorted(wanted, code) == wanted.size or wanted[np.searchsorted(wanted, code)] != code:
                named[n] = code
                lift[n] = m.lift[anchor, j]
                n += 1
    order = np.argsort(named[:n], kind="mergesort")
    codes, sums = np.empty(n, np.int32), np.zeros(n)
    last = -1
    for i in order:
        if last < 0 or codes[last] != named[i]:
            last += 1
            codes[last] = named[i]
        sums[last] += lift[i]
    return codes[: last + 1], sums[: last + 1] / max(wanted.size, 1)


@compiled
def alike(codes: I32, own: F64, m: Columns, k: int, into: tuple[I32, F64]) -> tuple[F64, int]:
    """Return (n_items,) how alike every item is to what they bought, lately more; gather the k best not bought, sorted.

    The likeness of an item bought before is that to the others that they bought.
    """
    total = np.zeros(m.available.size)
    bought = np.zeros(m.available.size, np.bool_)
    for i in range(codes.size):
        if not own[i, ORDERS] > 0.0:
            continue
        bought[codes[i]] = True
        weight = min(own[i, BOUGHT_30] + 0.3 * own[i, BOUGHT_180], 1.0)
        for j in range(m.alike.shape[1]):
            code = m.alike[codes[i], j]
            if code < 0:
                break
            total[code] += weight * m.likeness[codes[i], j]
    n, least = 0, 0.0
    for code in range(total.size):
        score = total[code]
        if k <= 0 or not score > least or bought[code] or not m.available[code]:
            continue
        # Codes ascend, so the smaller stays ahead among equals.
        n = insert_best(into, n, k, code, score)
        if n == k:
            least = into[1][k - 1]
    return total, n


@compiled
def searched(codes: I32, own: F64, asked: tuple[I32, F64], tie: F64, m: Columns, k: int, into: tuple[I32, F64]) -> int:
    """Gather what the query means, and keep what they bought before even if it is not to be had."""
    found, match = asked
    n = 0
    for i in range(found.size):
        key = match[i] - tie[found[i]]
        if n == k and (k == 0 or key <= into[1][n - 1]):
            continue
        n = insert_best(into, n, k, found[i], key)
    kept = 0
    for i in range(n):
        code = into[0][i]
        keep = m.available[code]
        for j in range(codes.size):
            keep = keep or (codes[j] == code and own[j, ORDERS] > 0.0)
        if keep:
            into[0][kept] = code
            into[1][kept] = match[np.searchsorted(found, code)]
            kept += 1
    return kept


@compiled
def recall(
    slots: Slots,
    at_s: int,
    there: I32,
    asked: tuple[I32, F64],
    tie: F64,
    m: Columns,
    sizes: I64,
    most: int,
) -> tuple[I32, NDArray[np.uint16], F64]:
    """Ask all recalls and join them; see `recalls.recall_all`.

    Parameters
    ----------
    there
        The cart and the item looked at.
    asked, tie
        What the query matches, ascending, how well, and what breaks ties; empty without a query.
    sizes
        (10,) how many items each may name.
    """
    codes, own = owned(slots, at_s, m.available.size)
    room = max(codes.size, LIKED_CATEGORIES * sizes[CATEGORY], m.neighbours.shape[1] * max(there.size, RECENT_ANCHORS))
    room = max(room, max(sizes[CF], sizes[QUERY], sizes[ALIKE], sizes[NEW]) + 1)
    into = (np.empty(room, np.int32), np.empty(room))
    named = np.empty(there.size + sizes.sum(), np.int32)
    score = np.zeros(named.size)
    named[: there.size] = there
    ends = np.empty(sizes.size + 1, np.int64)
    ends[0] = at = there.size
    at = put_best(into[0], into[1], personal(codes, own, m, into), sizes[PERSONAL], named, score, at)
    ends[1] = at
    at = put_best(into[0], into[1], due(codes, own, m, into), sizes[DUE], named, score, at)
    ends[2] = at
    at = put_best(into[0], into[1], viewed(codes, own, m, into), sizes[VIEWED], named, score, at)
    ends[3] = at
    n = of_categories(codes, own, there, m, sizes[CATEGORY], into)
    ends[4] = at = put_best(into[0], into[1], n, sizes[CATEGORY], named, score, at)
    together, lift = goes_together(anchors(codes, own, there), m)
    n = 0
    for i in range(together.size):
        if m.available[together[i]]:
            into[0][n], into[1][n] = together[i], lift[i]
            n += 1
    ends[5] = at = put_best(into[0], into[1], n, sizes[COPURCHASE], named, score, at)
    taste = taste_of(codes, own, m)
    near = nearness(taste if sizes[CF] > 0 else taste[:0], m.tastes)
    n = collaborative(codes, own, near, m, sizes[CF], into)
    ends[6] = at = put_best(into[0], into[1], n, sizes[CF], named, score, at)
    for rank in range(min(sizes[POPULAR], m.top.size)):
        named[at] = m.top[rank]
        score[at] = m.popularity[m.top[rank]] / max(m.popularity[m.top[0]], 1e-12)
        at += 1
    ends[7] = at
    n = novel(taste, near, m, sizes[NEW], into)
    for rank in range(n):
        named[at] = into[0][rank]
        score[at] = 1.0 - rank / sizes[NEW]
        at += 1
    ends[8] = at
    n = searched(codes, own, asked, tie, m, sizes[QUERY], into)
    named[at : at + n], score[at : at + n] = into[0][:n], into[1][:n]
    ends[9] = at = at + n
    likenesses, n = alike(codes, own, m, sizes[ALIKE], into)
    named[at : at + n], score[at : at + n] = into[0][:n], into[1][:n]
    ends[10] = at = at + n
    groups = ends.copy()
    groups[1:] -= ends[:-1]
    found, sources, scores = joined(named[:at], score[:at], groups, most)
    if taste.size:
        for i in range(found.size):
            # Where all items are compared, the product is there already.
            like = float(near[found[i]]) if near.size == m.available.size else likeness(taste, m.factors[found[i]])
            scores[i, CF] = max(like, 0.0)
    for i in range(found.size):
        scores[i, ALIKE] = likenesses[found[i]]
    looked_up(found, together, lift, scores[:, COPURCHASE])
    if asked[0].size:
        looked_up(found, asked[0], asked[1], scores[:, QUERY])
    return found, sources, scores
