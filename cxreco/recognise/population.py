"""What is true for all customers: how items and categories sell, come back and go together, as of an instant.

Published per day and read by serving and training alike, with the same lag. Only ticks before `as_of` count.
Shares, rates and gaps are shrunk: an item's to its category's, a category's to the shop's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import AUTOMATE, DAY
from cxreco.recognise.affinity import Purchases, alike_of, factors_of, neighbours_of
from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.kinship import LEAST_BUYERS, Kin, kin_of, new_items
from cxreco.recognise.layout import Kind
from cxreco.recognise.postings import postings_of, texts_of
from cxreco.recognise.sales import clock, counted, exposure, latest, sales

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

TASTE_HALF_LIFE_DAYS = 180.0
VIEW_WEIGHT = 0.2
# So many new items are told apart by their kin and weighed at a moment, the latest.
FRESHEST = 1_000
# Pseudo-counts: buyers of a repeat share, gaps of a rhythm, lines of a return rate.
REPEAT_STRENGTH = 10.0
GAP_STRENGTH = 5.0
RETURN_STRENGTH = 20.0
# Of a new item: days on the shelf that its kin counts as in what it is expected to sell, buyers in its factors.
EXPECTED_STRENGTH_DAYS = 7.0
KIN_STRENGTH = 5.0
# Before the first sale: one buyer in four comes back, one line in fifty is returned.
REPEAT_PRIOR = 0.25
RETURN_PRIOR = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Arrays over item codes, (n_items,), and over category codes, (n_categories,).

    Attributes
    ----------
    as_of
        Instant (us); only what happened before it counts.
    popularity
        Units a day, half-life 30 days; a line of q units counts log2(1 + q).
    expected
        As popularity, of a new item mixed with what its kin sells, all that is known before its first sale; see
        `kinship`. What has no kin is expected to sell as it did.
    latest
        Share of the customers whose latest order held it, a customer counting by how late that was, half-life 30 days:
        what is bought now, the frequent buyer counting no more than the others; of a new item mixed with its kin's.
    trend
        Sales of the last 7 days over those of the last 30, per day; 1 where nothing is known.
    buyers
        Customers who ever bought it.
    repeat_share
        Share of the buyers who bought it again on a later day.
    gap_mean, gap_sd
        Days between purchases by the same customer, all customers pooled; NaN where nobody ever bought anything twice.
    return_rate
        Returned share of the lines sold.
    price
        Money per unit when published, NaN where not known: by it kin is chosen.
    last_sold_at
        Instant (us) of the last sale, 0 for never.
    rarity, factors
        (n_items,) weight of an item in a taste, and (n_items, d) collaborative factors, of a new item mixed with its
        kin's; see `affinity.factors_of`.
    neighbours, lift
        (n_items, k) what is bought with or soon after it, -1 and 0 where padded; see `affinity.neighbours_of`.
    alike, likeness
        (n_items, 2 k) what its buyers buy at any time, -1 and 0 where padded; see `affinity.alike_of`.
    category_popularity, category_repeat_share, category_gap_mean, category_gap_sd
        The same of a category's items, pooled.
    top
        Codes of the items that are known or were sold, most popular first.
    category_starts, category_items
        (n_categories + 1,) and items: the same by category; see `top_of_category`.
    new
        Codes of items first seen in the last 30 days, latest first.
    hour_rate, weekday_rate
        (24,) and (7,) shares of the orders by hour (UTC) and weekday (Monday first); each sums to 1.
    """

    as_of: int
    popularity: F64
    expected: F64
    latest: F64
    trend: F64
    buyers: I32
    repeat_share: F64
    gap_mean: F64
    gap_sd: F64
    return_rate: F64
    price: F64
    last_sold_at: I64
    rarity: F32
    factors: F32
    neighbours: I32
    lift: F32
    alike: I32
    likeness: F32
    category_popularity: F64
    category_repeat_share: F64
    category_gap_mean: F64
    category_gap_sd: F64
    top: I32
    category_starts: I64
    category_items: I32
    new: I32
    hour_rate: F64
    weekday_rate: F64

    def __len__(self) -> int:
        return int(self.popularity.size)

    def top_of_category(self, category: int) -> I32:
        """Return the items of a category, most popular first; none for a category not known when published."""
        if not 0 <= category < self.category_starts.size - 1:
            return self.category_items[:0]
        return self.category_items[self.category_starts[category] : self.category_starts[category + 1]]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all of it as named arrays, for an .npz without pickles."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Population":
        """Return what `to_arrays` gave.

        Raises
        ------
        BadInput
            If an array is missing.
        """
        names = [field.name for field in fields(cls)]
        if "popularity" in arrays:
            # Published before there was an expectation: what had been sold is all that it says.
            sold = np.asarray(arrays["popularity"])
            arrays = {"expected": sold, "price": np.full(sold.shape, np.nan), **arrays}
        if missing := [name for name in names if name not in arrays]:
            raise BadInput(f"arrays are missing: {', '.join(missing)}", where="population")
        columns = {name: np.asarray(arrays[name]) for name in names if name != "as_of"}
        return cls(as_of=int(np.asarray(arrays["as_of"])), **columns)

    def widened(self, n_items: int, n_categories: int) -> "Population":
        """Return it with room for items and categories that were coded after it was published.

        Items nobody knew then read as never sold, with what holds for the shop as a whole.

        Raises
        ------
        BadInput
            If it knows more items than there are: it is of another shop, or the table of codes was lost.
        """
        more, more_categories = n_items - len(self), n_categories - self.category_popularity.size
        if more < 0 or more_categories < 0:
            raise BadInput(
                f"covers {len(self)} items, the shop has coded {n_items}: they do not belong together",
                where="population",
            )
        if more == more_categories == 0:
            return self
        items = {name: _padded(getattr(self, name), more, filling) for name, filling in _FILLING.items()}
        categories = {
            f"category_{name}": _padded(getattr(self, f"category_{name}"), more_categories, _FILLING[name])
            for name in ("popularity", "repeat_share", "gap_mean", "gap_sd")
        }
        starts = _padded(self.category_starts, more_categories, float(self.category_items.size))
        return Population.from_arrays(self.to_arrays() | items | categories | {"category_starts": starts})

    @property
    def lends(self) -> NDArray[np.bool_]:
        """(n_items,) whether others may take after an item: it has buyers enough, and has not come lately itself."""
        lends = self.buyers >= LEAST_BUYERS
        lends[self.new] = False
        return lends

    def with_kin(self, codes: I32, kin: Kin, age: F64 | float, units: F64 | float) -> "Population":
        """Return it with what new items borrow of those that they take after; what has no kin stays as it sold.

        Parameters
        ----------
        codes, kin
            (m,) the new items, and whom each takes after.
        age
            (m,) days since each was first seen.
        units
            (m,) what was sold of each, faded as `popularity` fades it.
        """
        if not codes.size:
            return self
        expected, latest, factors = self.expected.copy(), self.latest.copy(), self.factors.copy()
        # As logarithms and roots, so that one best seller among the kin does not speak for all of it.
        theirs = EXPECTED_STRENGTH_DAYS * np.expm1(kin.mean(np.log1p(self.popularity)))
        mixed = (units + theirs) / (exposure(age) + EXPECTED_STRENGTH_DAYS)
        any_kin = kin.shares[:, 0] > 0.0
        expected[codes] = np.where(any_kin, mixed, expected[codes])
        unsure = np.where(any_kin, KIN_STRENGTH / (self.buyers[codes] + KIN_STRENGTH), 0.0)
        latest[codes] += unsure * (kin.mean(np.sqrt(self.latest)) ** 2 - latest[codes])
        factors[codes] += (unsure[:, None] * kin.mean(self.factors)).astype(np.float32)
        return replace(self, expected=expected, latest=latest, factors=factors)


_FILLING = {
    "popularity": 0.0,
    "expected": 0.0,
    "latest": 0.0,
    "trend": 1.0,
    "buyers": 0.0,
    "repeat_share": REPEAT_PRIOR,
    "gap_mean": float("nan"),
    "gap_sd": float("nan"),
    "return_rate": RETURN_PRIOR,
    "price": float("nan"),
    "last_sold_at": 0.0,
    "rarity": 0.0,
    "factors": 0.0,
    "neighbours": -1.0,
    "lift": 0.0,
    "alike": -1.0,
    "likeness": 0.0,
}


def _padded(column: NDArray[np.generic], more: int, filling: float) -> NDArray[np.generic]:
    return np.concatenate([column, np.full((more, *column.shape[1:]), filling).astype(column.dtype)])


def population_of(
    ticks: NDArray[np.void], shelf: Shelf, as_of: int, *, dated: bool = True, factors: int = 32, neighbours: int = 16
) -> Population:
    """Return what is true for all customers as of an instant.

    Parameters
    ----------
    ticks
        TICK array in any order; `ORDER_LINE`, `RETURNED` and `VIEW` of coded items before `as_of` count.
    shelf
        What the shop sold at the instant; its arrays say how many items there are.
    as_of
        Instant (us).
    dated
        False: times are those that `undated` gave the places of a sequence, and by them nothing is new. What few bought
        would look it.
    factors, neighbours
        How many collaborative factors and co-purchase neighbours an item gets at most; of alike items twice as many.
    """
    n = len(shelf)
    ticks = ticks[(ticks["at"] < as_of) & (ticks["item"] >= 0) & (ticks["item"] < n)]
    is_line = ticks["kind"] == Kind.ORDER_LINE
    lines = ticks[is_line]
    category = np.asarray(shelf.category, dtype=np.int64)
    n_categories = len(shelf.category_names)
    customers, customer = np.unique(ticks["customer"], return_inverse=True)
    # What the shop ordered was sold, but is nobody's habit.
    own = lines["mode"] != AUTOMATE
    bought, pair, pair_days = _purchases(lines[own], customer[is_line][own], n)
    # A log shorter than a window is compared with what it could have held.
    known_days = max((as_of - int(lines["at"].min())) / DAY, 1.0) if lines.size else 1.0
    popularity, trend = sales(lines, as_of, n, known_days)
    last_sold_at = np.zeros(n, dtype=np.int64)
    np.maximum.at(last_sold_at, lines["item"], lines["at"])
    rarity, tastes = _tastes(ticks, customer, customers.size, n, as_of, factors)
    near, lift = neighbours_of(bought, n, neighbours)
    alike, likeness = alike_of(pair // max(n, 1), pair % max(n, 1), (customers.size, n), 2 * neighbours)
    repeat, category_repeat = _repeats(pair % max(n, 1), pair_days > 1, category, n_categories)
    gap_mean, gap_sd, category_gap_mean, category_gap_sd = _rhythm(bought, category, n_categories)
    listed = np.asarray(shelf.known) | (last_sold_at > 0)
    top, starts, by_category = _tops(popularity, category, listed, n_categories)
    returned = counted(ticks["item"][ticks["kind"] == Kind.RETURNED], n)
    hours, weekdays = clock(lines["at"], customer[is_line])
    new, seen = new_items(ticks, shelf, as_of) if dated else (np.empty(0, np.int32), np.empty(0, np.int64))
    population = Population(
        as_of=as_of,
        popularity=popularity,
        expected=popularity,
        latest=latest(lines, customer[is_line], as_of, n),
        trend=trend,
        buyers=counted(pair % max(n, 1), n).astype(np.int32),
        repeat_share=repeat,
        gap_mean=gap_mean,
        gap_sd=gap_sd,
        return_rate=_return_rate(returned, counted(lines["item"], n)),
        price=np.array(shelf.price, np.float64),
        last_sold_at=last_sold_at,
        rarity=rarity,
        factors=tastes,
        neighbours=near,
        lift=lift,
        alike=alike,
        likeness=likeness,
        category_popularity=counted(category, n_categories, popularity),
        category_repeat_share=category_repeat,
        category_gap_mean=category_gap_mean,
        category_gap_sd=category_gap_sd,
        top=top,
        category_starts=starts,
        category_items=by_category,
        new=new,
        hour_rate=hours,
        weekday_rate=weekdays,
    )
    if not new.size:
        return population
    new, seen = new[:FRESHEST], seen[:FRESHEST]
    kin = kin_of(postings_of(texts_of(shelf)), population.price, population.lends, new)
    return population.with_kin(new, kin, (as_of - seen) / DAY, popularity[new] * exposure(known_days))


def _purchases(lines: NDArray[np.void], customer: I64, n: int) -> tuple[Purchases, I64, I64]:
    """Return the distinct purchases by customer, item and day; the distinct pairs, and on how many days each."""
    days = lines["at"] // DAY
    first = int(days.min()) if days.size else 0
    span = int(days.max()) - first + 1 if days.size else 1
    key = np.unique((customer * n + lines["item"]) * span + (days - first))
    pair, pair_days = np.unique(key // span, return_counts=True)
    purchased = key // span
    return (
        Purchases(customer=purchased // max(n, 1), item=purchased % max(n, 1), day=key % span),
        pair,
        pair_days.astype(np.int64),
    )


def _repeats(item: I64, again: NDArray[np.bool_], category: I64, n_categories: int) -> tuple[F64, F64]:
    buyers, repeaters = counted(item, category.size), counted(item, category.size, again)
    overall = float(_shrunk(repeaters.sum(), buyers.sum(), REPEAT_PRIOR, REPEAT_STRENGTH))
    in_category = counted(category, n_categories, repeaters), counted(category, n_categories, buyers)
    of_category = _shrunk(*in_category, overall, REPEAT_STRENGTH)
    return _shrunk(repeaters, buyers, of_category[category], REPEAT_STRENGTH), of_category


def _rhythm(bought: Purchases, category: I64, n_categories: int) -> tuple[F64, F64, F64, F64]:
    """Return mean and spread by item and by category of the gaps: first and second moments, each shrunk by level."""
    same = (np.diff(bought.customer) == 0) & (np.diff(bought.item) == 0)
    gap, item = np.diff(bought.day)[same].astype(np.float64), bought.item[1:][same]
    gaps = counted(item, category.size)
    in_category = counted(category, n_categories, gaps)
    moments: list[tuple[F64, F64]] = []
    for power in (1, 2):
        total = counted(item, category.size, gap**power)
        overall = float(total.sum() / gaps.sum()) if gap.size else float("nan")
        pooled = counted(category, n_categories, total)
        of_category = _shrunk(pooled, in_category, overall, GAP_STRENGTH)
        moments.append((_shrunk(total, gaps, of_category[category], GAP_STRENGTH), of_category))
    (mean, category_mean), (square, category_square) = moments
    sd = np.sqrt(np.maximum(square - mean**2, 0.0))
    return mean, sd, category_mean, np.sqrt(np.maximum(category_square - category_mean**2, 0.0))


def _shrunk(total: F64 | float, count: F64 | float, towards: F64 | float, strength: float) -> F64:
    return np.asarray((total + strength * towards) / (count + strength), dtype=np.float64)


def _return_rate(returned: F64, sold: F64) -> F64:
    # A return without its sale in the log must not push a rate above 1.
    returned = np.minimum(returned, sold)
    overall = float(_shrunk(returned.sum(), sold.sum(), RETURN_PRIOR, RETURN_STRENGTH))
    return _shrunk(returned, sold, overall, RETURN_STRENGTH)


def _tastes(
    ticks: NDArray[np.void], customer: I64, customers: int, n: int, as_of: int, factors: int
) -> tuple[F32, F32]:
    """Return rarity and factors of the items, from lines and views, decayed."""
    kind = ticks["kind"]
    chosen = (kind == Kind.ORDER_LINE) | (kind == Kind.VIEW)
    worth = np.where(kind[chosen] == Kind.VIEW, VIEW_WEIGHT, 1.0)
    weight = worth * np.exp2(-(as_of - ticks["at"][chosen]) / (DAY * TASTE_HALF_LIFE_DAYS))
    pair, index = np.unique(customer[chosen] * n + ticks["item"][chosen], return_inverse=True)
    total = counted(index, pair.size, weight)
    found, rarity = factors_of(pair // max(n, 1), pair % max(n, 1), total, (customers, n), factors)
    return rarity, found


def _tops(popularity: F64, category: I64, listed: NDArray[np.bool_], n_categories: int) -> tuple[I32, I64, I32]:
    order = np.argsort(-popularity, kind="stable")
    top = order[listed[order]].astype(np.int32)
    by_category = top[np.argsort(category[top], kind="stable")]
    return top, np.searchsorted(category[by_category], np.arange(n_categories + 1)), by_category
