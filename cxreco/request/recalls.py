"""Recalls: which items could matter at a moment, each asked its own question, together at most about two hundred.

Every recall is a pure function that returns (codes, scores), the best first; `recall_all` joins them as columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.recognise.market import Market
from cxreco.recognise.reading import days_since, decayed, seconds
from cxreco.recognise.state import State
from cxreco.request.moment_codes import MomentCodes

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
Found = tuple[I32, F64]

RECALLS: tuple[str, ...] = (
    "personal", "due", "viewed", "category", "copurchase", "cf", "popular", "new", "query",
)  # fmt: skip
# How many items each may name.
SIZES: Mapping[str, int] = MappingProxyType(
    {
        "personal": 80, "due": 40, "viewed": 20, "category": 30, "copurchase": 40, "cf": 40, "popular": 20, "new": 12,
        "query": 20,
    }
)  # fmt: skip
MOST = 200
RECENT_ANCHORS = 5
LIKED_CATEGORIES = 4
# How wide, in logarithms of its gap, an item counts as due before its time and after it.
EARLY, LATE = 0.5, 0.9
GAP_STRENGTH = 2.0
LEAST_VIEWED = 0.05
NOBODY: Found = (np.empty(0, dtype=np.int32), np.empty(0))
_CF, _COPURCHASE, _QUERY = (RECALLS.index(name) for name in ("cf", "copurchase", "query"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recalled:
    """The recalled items.

    Attributes
    ----------
    codes
        (n,) item codes, ascending, each once.
    sources
        (n,) bit r is set where recall r named the item; 0 for what is only in the cart or looked at.
    scores
        (n, len(RECALLS)) by recall, 0 where it did not name the item; what costs nothing to know of the others
        (likeness of taste, goes together, match of the query) is given for all.
    """

    codes: I32
    sources: NDArray[np.uint16]
    scores: F64


def recall_all(state: State, mc: MomentCodes, market: Market, sizes: Mapping[str, int] = SIZES) -> Recalled:
    """Return what any recall names that can be bought, and the item looked at and the cart in any case.

    A searched item that the customer has bought before is kept when it cannot be bought now: it is what they want, and
    the answer must deal with it.

    Parameters
    ----------
    state
        Of the customer, as of the moment.
    mc
        The moment, in the market's codes.
    market
        What is true for all customers.
    sizes
        How many items each recall may name; beyond `MOST` together, those go that rank last in all their recalls.
    """
    owned = owned_of(state, mc.at, len(market))
    taste = taste_of(owned, market)
    likeness = None if taste is None else _likeness(market.tastes, taste)
    together = goes_together(anchors_of(owned, mc), market)
    found = (
        personal(owned, market, sizes["personal"]),
        due(owned, market, sizes["due"]),
        viewed(owned, market, sizes["viewed"]),
        of_categories(owned, mc, market, sizes["category"]),
        copurchase(together, market, sizes["copurchase"]),
        collaborative(likeness, owned, market, sizes["cf"]),
        popular(market, sizes["popular"]),
        fresh(market, sizes["new"]),
        searched(owned, mc, market, sizes["query"]),
    )
    there = np.append(mc.cart, mc.item).astype(np.int32) if mc.item >= 0 else mc.cart
    named, score = (np.concatenate(columns) for columns in zip((there, np.zeros(there.size)), *found, strict=True))
    sizes_found = np.array([there.size, *(codes.size for codes, _ in found)])
    codes, sources, scores = _joined(named, score, sizes_found)
    if likeness is not None:
        scores[:, _CF] = np.maximum(likeness[codes], 0.0)
    scores[:, _COPURCHASE] = _looked_up(codes, *together)
    if mc.query:
        scores[:, _QUERY] = market.search.score_of(mc.query, codes)
    return Recalled(codes=codes, sources=sources, scores=scores)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Owned:
    """What the customer bought and viewed, columns over the items of the state that the market knows.

    Attributes
    ----------
    codes
        (n,) items.
    orders, gap
        How often bought, and the mean days between; NaN below two orders.
    bought_30, bought_180, viewed_7
        Fading counts, brought forward to the moment.
    since, viewed_since
        Days since bought and viewed; infinite for never.
    """

    codes: I32
    orders: F64
    gap: F64
    bought_30: F64
    bought_180: F64
    viewed_7: F64
    since: F64
    viewed_since: F64


def owned_of(state: State, at: int, n_items: int) -> Owned:
    """Return the customer's items as columns, as of an instant (us); those coded after the market are left out."""
    slots = state.item_slots
    codes = slots["key"]
    if codes.size and int(codes.max()) >= n_items:
        slots = slots[codes < n_items]
    now = seconds(at)
    orders = slots["orders"].astype(np.float64)
    # One decay for all three half-lives: 180 days is six times 30, and 7 days is apart.
    month = decayed(np.ones(orders.size), 180.0, slots["decayed_at"], now)
    return Owned(
        codes=slots["key"].astype(np.int32),
        orders=orders,
        gap=np.where(orders > 1.0, slots["gap_mean"], np.nan),
        bought_30=slots["bought_30"] * month**6,
        bought_180=slots["bought_180"] * month,
        viewed_7=decayed(slots["viewed_7"], 7.0, slots["decayed_at"], now),
        since=_never_is_infinite(slots["last_at"], now),
        viewed_since=_never_is_infinite(slots["viewed_at"], now),
    )


def _never_is_infinite(then_s: NDArray[np.uint32], now_s: int) -> F64:
    days = days_since(then_s, now_s)
    return np.where(np.isnan(days), np.inf, days)


def personal(owned: Owned, market: Market, k: int) -> Found:
    """Recall what they buy: by fading counts of the half-year and the month."""
    return _best(owned.codes, owned.bought_180 + owned.bought_30, (owned.orders > 0.0) & _buyable(owned, market), k)


def due(owned: Owned, market: Market, k: int) -> Found:
    """Recall what is due: near the end of its gap, their own mixed with everyone's, times the chance to come back."""
    gaps, theirs = np.maximum(owned.orders - 1.0, 0.0), market.population.gap_mean[owned.codes]
    own = np.where(np.isnan(owned.gap), 0.0, owned.gap)
    gap = np.where(np.isnan(theirs), owned.gap, (gaps * own + GAP_STRENGTH * theirs) / (gaps + GAP_STRENGTH))
    back = (gaps + GAP_STRENGTH * market.population.repeat_share[owned.codes]) / (gaps + GAP_STRENGTH)
    where = (owned.orders > 0.0) & (gap > 0.0) & (owned.since > 0.0) & _buyable(owned, market)
    ratio = np.divide(owned.since, gap, out=np.ones(gap.size), where=where)
    apart = np.log(ratio)
    apart /= np.where(apart < 0.0, EARLY, LATE)
    return _best(owned.codes, back * np.exp(-0.5 * apart * apart), where, k)


def viewed(owned: Owned, market: Market, k: int) -> Found:
    """Recall what they looked at lately and did not buy since."""
    pending = (owned.viewed_7 > LEAST_VIEWED) & (owned.viewed_since < owned.since)
    return _best(owned.codes, owned.viewed_7, pending & _buyable(owned, market), k)


def of_categories(owned: Owned, mc: MomentCodes, market: Market, k: int) -> Found:
    """Recall the best sellers of the categories of the moment and of those that they buy most."""
    category = market.shelf.category
    codes = np.concatenate([owned.codes, mc.cart, np.full(1, mc.item, dtype=np.int32)[: mc.item + 1]])
    weight = np.ones(codes.size)
    weight[: owned.codes.size] = owned.bought_180 + 0.5 * owned.viewed_7
    weight[owned.codes.size :] += weight[: owned.codes.size].sum()
    total = np.bincount(category[codes], weights=weight, minlength=1)
    total[0] = 0.0
    chosen = np.argsort(-total, kind="stable")[:LIKED_CATEGORIES]
    chosen = chosen[total[chosen] > 0.0]
    if chosen.size == 0:
        return NOBODY
    lists = [market.top_of_category(int(c))[:k] for c in chosen]
    share = np.repeat(total[chosen] / total.sum(), [items.size for items in lists])
    items = np.concatenate(lists)
    # The smallest share keeps what was never sold in order behind what was.
    return _best(items, share * (np.log1p(market.population.popularity[items]) + 1e-6), None, k)


def anchors_of(owned: Owned, mc: MomentCodes) -> I32:
    """Return the cart and the item looked at, else what was bought last: what co-purchases are recalled for."""
    if mc.item >= 0 or mc.cart.size:
        return np.unique(np.append(mc.cart, mc.item)[: mc.cart.size + (mc.item >= 0)]).astype(np.int32)
    recent = np.argsort(owned.since, kind="stable")[:RECENT_ANCHORS]
    return np.sort(owned.codes[recent[np.isfinite(owned.since[recent])]])


def goes_together(anchors: I32, market: Market) -> Found:
    """Return what goes with the anchors and is none of them, ascending, and its mean lift over them."""
    if anchors.size == 0:
        return NOBODY
    named = market.population.neighbours[anchors].ravel()
    codes, place = np.unique(named, return_inverse=True)
    lift = np.bincount(place, weights=market.population.lift[anchors].ravel(), minlength=codes.size) / anchors.size
    other = (codes >= 0) & ~np.isin(codes, anchors)
    return codes[other], lift[other]


def copurchase(together: Found, market: Market, k: int) -> Found:
    """Recall what goes with the cart and the item looked at, else with what they bought last."""
    codes, lift = together
    return _best(codes, lift, market.shelf.available[codes], k)


def taste_of(owned: Owned, market: Market) -> F32 | None:
    """Return the (d,) mean factors of what they bought and viewed, of length 1; None where nothing is known."""
    weight = np.log1p(owned.bought_180) + 0.2 * np.minimum(owned.viewed_7, 2.0)
    weight *= market.population.rarity[owned.codes]
    vector = np.asarray(weight @ market.population.factors[owned.codes], dtype=np.float64)
    length = float(np.sqrt(vector @ vector))
    return (vector / length).astype(np.float32) if length > 0.0 else None


def collaborative(likeness: F32 | None, owned: Owned, market: Market, k: int) -> Found:
    """Recall what customers with the same taste buy and this one has not: the nearest factors."""
    if likeness is None:
        return NOBODY
    open_ = np.where(market.shelf.available, likeness, np.float32(-1.0))
    open_[owned.codes[owned.orders > 0.0]] = -1.0
    if open_.size > k:
        codes = np.argpartition(open_, open_.size - k)[open_.size - k :].astype(np.int32)
    else:
        codes = np.arange(open_.size, dtype=np.int32)
    score = open_[codes].astype(np.float64)
    return _best(codes, score, score > 0.0, k)


def popular(market: Market, k: int) -> Found:
    """Recall what everybody buys; 1 for the best seller."""
    top = market.top[:k]
    sold = market.population.popularity[top]
    return top, sold / max(float(sold[0]), 1e-12) if top.size else sold


def fresh(market: Market, k: int) -> Found:
    """Recall what is new on the shelf, the latest first; 1 for the latest, falling with the place."""
    new = market.new[:k]
    return new, 1.0 - np.arange(new.size) / max(k, 1)


def searched(owned: Owned, mc: MomentCodes, market: Market, k: int) -> Found:
    """Recall what the query means, and keep what they bought before even if it is not to be had."""
    if not mc.query:
        return NOBODY
    codes, score = market.search.match(mc.query, k)
    kept = market.shelf.available[codes]
    if not kept.all():
        kept = kept | np.isin(codes, owned.codes[owned.orders > 0.0])
    return codes[kept], score[kept]


def _buyable(owned: Owned, market: Market) -> Bool:
    return market.shelf.available[owned.codes]


def _best(codes: I32, score: F64, where: Bool | None, k: int) -> Found:
    """Return up to k codes where `where` holds, best first; the smaller code first among equals."""
    if where is not None:
        codes, score = codes[where], score[where]
    order = np.lexsort((codes, -score))[:k]
    return codes[order], score[order]


def _looked_up(codes: I32, named: I32, score: F64) -> F64:
    """Return the scores of `codes`, 0 where not named; `named` ascends."""
    if named.size == 0:
        return np.zeros(codes.size)
    at = np.minimum(np.searchsorted(named, codes), named.size - 1)
    return np.where(named[at] == codes, score[at], 0.0)


@compiled
def _joined(named: I32, score: F64, sizes: I64) -> tuple[I32, NDArray[np.uint16], F64]:
    """Return the named codes once, ascending, who named each and how it was scored.

    The first group is kept whole and has no column. Of too many codes those go that rank last in all their recalls.
    """
    codes = np.unique(named)
    sources = np.zeros(codes.size, np.uint16)
    scores = np.zeros((codes.size, sizes.size - 1))
    best = np.full(codes.size, named.size)
    at = 0
    for group in range(sizes.size):
        for rank in range(sizes[group]):
            row = np.searchsorted(codes, named[at])
            if group == 0:
                best[row] = -1
            else:
                sources[row] |= 1 << (group - 1)
                scores[row, group - 1] = score[at]
                best[row] = min(best[row], rank)
            at += 1
    if codes.size <= MOST:
        return codes, sources, scores
    kept = np.sort(np.argsort(best, kind="mergesort")[: max(MOST, sizes[0])])
    return codes[kept], sources[kept], scores[kept]


@compiled
def _likeness(tastes: F32, taste: F32) -> F32:
    """Return (n_items,) products of (d, n_items) factors with a taste; in one order of sums on every machine."""
    out = np.zeros(tastes.shape[1], np.float32)
    for k in range(tastes.shape[0]):
        weight, row = taste[k], tastes[k]
        for i in range(out.size):
            out[i] += weight * row[i]
    return out
