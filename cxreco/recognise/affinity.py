"""Which items go together: co-purchase lifts, likeness by buyers and collaborative factors, from all purchases."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled

if TYPE_CHECKING:
    from scipy.sparse import csr_array

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

HORIZON_DAYS = 30
# What follows within the horizon is worth half of what lies in the same basket, in lift above 1.
FOLLOWING_WEIGHT = 0.5
# Pseudo-count on both the seen and the expected number of pairs: a lift is 1 until evidence says otherwise.
LIFT_STRENGTH = 5.0
# Wholesale baskets say little about what goes together and cost their square.
MOST_ITEMS = 64
# Likeness by buyers: so many doubtful buyers of every item, how much less a popular item says, items a customer.
LIKENESS_STRENGTH = 10.0
POPULAR_DISCOUNT = 0.3
MOST_OWNED = 256
SATURATION = 1.2
LENGTH_NORM = 0.3
SMALL = 64
RANK_TOLERANCE = 1e-9
OVERSAMPLED = 16
ITERATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Purchases:
    """Distinct (customer, item, day) triples: three (m,) columns, customers numbered densely, days whole."""

    customer: I64
    item: I64
    day: I64


def neighbours_of(purchases: Purchases, n_items: int, k: int) -> tuple[I32, F32]:
    """Return for each item the k others most bought with it or within 30 days after it, best first.

    The lift of b given a is (seen + s) / (expected + s) over the baskets (customer-days) that hold a, expected as if
    they were independent: once for the same basket, once for what follows, and the better of the two counts. Ties go
    to the smaller code.

    Returns
    -------
    (n_items, k) item codes, -1 where there is none with a lift above 1, and (n_items, k) lifts, 0 there.
    """
    span = int(purchases.day.max()) + 1 if purchases.day.size else 1
    basket_key = purchases.customer * span + purchases.day
    order = np.lexsort((_scattered(purchases.item), basket_key))
    keys, basket, size = np.unique(basket_key[order], return_inverse=True, return_counts=True)
    rank = np.arange(order.size) - (np.cumsum(size) - size)[basket]
    kept = rank < MOST_ITEMS
    items, basket = purchases.item[order][kept].astype(np.int32), basket[kept].astype(np.int64)
    starts = _starts(basket, keys.size)
    later_starts, later = _following(starts, items, keys // span, keys % span, n_items)
    by_item = np.argsort(items, kind="stable")
    return _top_lifts(
        starts, items, later_starts, later, _starts(items[by_item].astype(np.int64), n_items), basket[by_item], k
    )


def alike_of(customer: I64, item: I64, shape: tuple[int, int], k: int) -> tuple[I32, F32]:
    """Return for each item the k others that its buyers buy most at any time, best first.

    Item-based collaborative filtering (Sarwar et al., WWW 2001) with the normalisations that next-basket data asks for
    (Faggioli et al., UMAP 2020): the likeness of b to a is the sum over the customers who bought both of 1 / sqrt(their
    number of items), over (buyers of a + 10) and (buyers of b + 1)^0.3. Ties go to the smaller code.

    Parameters
    ----------
    customer, item
        (m,) distinct pairs.
    shape
        (customers, items).
    k
        How many each item gets at most.

    Returns
    -------
    (n_items, k) item codes, -1 where there are no more, and (n_items, k) likenesses, 0 there.
    """
    customers, n_items = shape
    order = np.lexsort((_scattered(item), customer))
    owned = np.bincount(customer, minlength=customers)
    place = np.arange(order.size) - (np.cumsum(owned) - owned)[customer[order]]
    kept = order[place < MOST_OWNED]
    items, owner = item[kept].astype(np.int32), customer[kept]
    by_item = np.argsort(items, kind="stable")
    weight = 1.0 / np.sqrt(np.maximum(owned, 1))
    return _top_alike(
        _starts(owner, customers), items, _starts(items[by_item].astype(np.int64), n_items), owner[by_item], weight, k
    )


def factors_of(customer: I64, item: I64, weight: F64, shape: tuple[int, int], d: int) -> tuple[F32, F32]:
    """Return collaborative factors of items: the right singular vectors of the weighted customer x item matrix.

    A customer's taste is the weighted sum of the factors of what they chose, and its product with an item's factors is
    PureSVD's score (Cremonesi, Koren and Turrin, RecSys 2010). Weights are BM25's (Robertson and Zaragoza 2009).

    Parameters
    ----------
    customer, item, weight
        (m,) distinct pairs and how often, decayed, the customer chose the item.
    shape
        (customers, items).
    d
        Factors wanted; fewer where the matrix has fewer rows or columns.

    Returns
    -------
    (n_items, d') factors, signs and order fixed, and (n_items,) the weight of an item by its rarity.
    """
    customers, n_items = shape
    chosen = np.bincount(item, minlength=n_items)
    rarity = np.log1p((customers - chosen + 0.5) / (chosen + 0.5)) if customers else np.zeros(n_items)
    length = np.bincount(customer, weights=weight, minlength=customers)
    norm = 1.0 - LENGTH_NORM + LENGTH_NORM * length / max(float(length.mean()), 1e-9) if customers else length
    value = weight * (SATURATION + 1.0) / (weight + SATURATION * norm[customer]) * rarity[item]
    d = min(d, min(shape) - 1) if min(shape) > SMALL else min(d, *shape)
    if d < 1 or value.size == 0:
        return np.zeros((n_items, 0), np.float32), rarity.astype(np.float32)
    # Not where nothing is published: a server starts without it.
    from scipy.sparse import csr_array

    right = _right_vectors(csr_array((value, (customer, item)), shape=shape), d)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    return np.ascontiguousarray((right * signs[:, None]).T, dtype=np.float32), rarity.astype(np.float32)


def _right_vectors(matrix: "csr_array[np.float64, tuple[int, int]]", d: int) -> F64:
    """Return (d, columns) right singular vectors by falling singular value."""
    if min(matrix.shape) <= SMALL:
        _, singular, right = np.linalg.svd(matrix.toarray(), full_matrices=False)
        return np.asarray(right[:d][singular[:d] ** 2 > RANK_TOLERANCE * singular[0] ** 2], dtype=np.float64)
    # A fixed source of chance: the same log gives the same factors. Block iterations are matrix products, ten times as
    # fast as Lanczos on a matrix this sparse (Halko, Martinsson and Tropp, SIAM Review 2011).
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((matrix.shape[1], min(d + OVERSAMPLED, *matrix.shape)))
    for _ in range(ITERATIONS):
        for _ in range(2):
            basis = np.asarray(matrix.T @ (matrix @ basis), dtype=np.float64)
        basis = np.linalg.qr(basis)[0]
    _, singular, rotated = np.linalg.svd(np.asarray(matrix @ basis, dtype=np.float64), full_matrices=False)
    right = (basis @ rotated.T).T
    return np.asarray(right[:d][singular[:d] ** 2 > RANK_TOLERANCE * singular[0] ** 2], dtype=np.float64)


def _scattered(item: I64) -> I64:
    """Return a fixed pseudo-random order of items, so that a cut basket keeps no particular kind of them."""
    return (item * 2_654_435_761) & 0xFFFFFFFF


def _starts(groups: I64, n: int) -> I64:
    """Return (n + 1,) where each group begins in its sorted column."""
    return np.searchsorted(groups, np.arange(n + 1))


@compiled
def _following(starts: I64, items: I32, customer: I64, day: I64, n_items: int) -> tuple[I64, I32]:
    """Return, as starts and items, the distinct items of each basket's customer in the horizon after it."""
    baskets = customer.size
    out_starts = np.zeros(baskets + 1, np.int64)
    seen = np.full(n_items, -1, np.int64)
    room = 0
    for b in range(baskets):
        lines, c = 0, b + 1
        while c < baskets and customer[c] == customer[b] and day[c] <= day[b] + HORIZON_DAYS and lines < MOST_ITEMS:
            lines += starts[c + 1] - starts[c]
            c += 1
        room += min(lines, MOST_ITEMS)
    out = np.empty(room, np.int32)
    used = 0
    for b in range(baskets):
        c, first = b + 1, used
        while c < baskets and customer[c] == customer[b] and day[c] <= day[b] + HORIZON_DAYS and used < room:
            for i in range(starts[c], starts[c + 1]):
                if seen[items[i]] != b and used - first < MOST_ITEMS and used < room:
                    seen[items[i]] = b
                    out[used] = items[i]
                    used += 1
            c += 1
        out_starts[b + 1] = used
    return out_starts, out[:used]


@compiled
def _top_lifts(
    starts: I64, items: I32, later_starts: I64, later: I32, item_starts: I64, baskets_of: I64, k: int
) -> tuple[I32, F32]:
    n, baskets = item_starts.size - 1, max(starts.size - 1, 1)
    best = np.full((n, k), -1, np.int32)
    lifts = np.zeros((n, k), np.float32)
    in_later = np.zeros(n)
    for i in range(later.size):
        in_later[later[i]] += 1.0
    same, after = np.zeros(n), np.zeros(n)
    touched = np.empty(n, np.int64)
    for a in range(n):
        reached = 0
        for p in range(item_starts[a], item_starts[a + 1]):
            b = baskets_of[p]
            reached = _add(items[starts[b] : starts[b + 1]], same, after, touched, reached)
            reached = _add(later[later_starts[b] : later_starts[b + 1]], after, same, touched, reached)
        share = (item_starts[a + 1] - item_starts[a]) / baskets
        for t in range(reached):
            j = touched[t]
            here = (same[j] + LIFT_STRENGTH) / (share * (item_starts[j + 1] - item_starts[j]) + LIFT_STRENGTH)
            then = (after[j] + LIFT_STRENGTH) / (share * in_later[j] + LIFT_STRENGTH)
            lift = max(here, 1.0 + FOLLOWING_WEIGHT * (then - 1.0))
            same[j] = after[j] = 0.0
            if j != a and lift > 1.0:
                keep_best(best[a], lifts[a], j, lift)
    return best, lifts


@compiled
def _top_alike(starts: I64, items: I32, item_starts: I64, buyers: I64, weight: F64, k: int) -> tuple[I32, F32]:
    n = item_starts.size - 1
    best = np.full((n, k), -1, np.int32)
    likeness = np.zeros((n, k), np.float32)
    discount = np.empty(n)
    for j in range(n):
        discount[j] = (item_starts[j + 1] - item_starts[j] + 1.0) ** -POPULAR_DISCOUNT
    total = np.zeros(n)
    touched = np.empty(n, np.int64)
    for a in range(n):
        reached = 0
        for p in range(item_starts[a], item_starts[a + 1]):
            c = buyers[p]
            for j in items[starts[c] : starts[c + 1]]:
                if total[j] == 0.0:
                    touched[reached] = j
                    reached += 1
                total[j] += weight[c]
        bought = item_starts[a + 1] - item_starts[a] + LIKENESS_STRENGTH
        for t in range(reached):
            j = touched[t]
            if j != a:
                keep_best(best[a], likeness[a], j, total[j] / bought * discount[j])
            total[j] = 0.0
    return best, likeness


@compiled
def _add(items: I32, count: F64, other: F64, touched: I64, reached: int) -> int:
    """Count the items, note those that neither count has reached yet, and return how many are noted."""
    for j in items:
        if count[j] == 0.0 and other[j] == 0.0:
            touched[reached] = j
            reached += 1
        count[j] += 1.0
    return reached


@compiled
def keep_best(best: I32, lifts: F32, code: int, lift: float) -> None:
    """Keep the highest lifts, best first, the smaller code first among equals."""
    value = np.float32(lift)
    at = best.size
    while at > 0 and (value > lifts[at - 1] or (value == lifts[at - 1] and code < best[at - 1])):
        if at < best.size:
            best[at], lifts[at] = best[at - 1], lifts[at - 1]
        at -= 1
    if at < best.size:
        best[at], lifts[at] = code, value
