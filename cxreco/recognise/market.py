"""What is true for all customers at an instant: the shelf, the population, and the search over them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.recognise.borrowing import Borrowed, borrowed, wider_of
from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.codes import Codes
from cxreco.recognise.population import FRESHEST, Population
from cxreco.recognise.search import SearchIndex

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# So many items are compared with a taste, the best sellers first. One pass over 100,000 x 32 factors takes about a
# millisecond and is exact, so that a decision can be replayed without keeping an index; what sells less than the
# hundred-thousandth item has too few buyers for its factors to say anything, and is found by the other recalls.
COMPARED = 100_000
# Columns of `Columns.common`, in the order in which a ranker reads them: one read of memory an item, not one a column.
# Those that need a customer or a moment are filled in later; for the two ages the instants stand here, in microseconds.
COMMON = (
    "popularity", "popularity_share", "trend", "repeat_share", "pop_gap", "pop_due", "return_rate",
    "price", "price_ratio", "price_change", "margin_share", "age_days", "days_since_sold", "category_popularity",
    "latest",
)  # fmt: skip

# What those that are the same for everybody are made of, besides what categories sell.
OF_SHELF = ("price", "margin", "born_at", "category")
OF_POPULATION = ("expected", "trend", "repeat_share", "gap_mean", "return_rate", "last_sold_at", "latest")


class Columns(NamedTuple):
    """What compiled code reads of a market: contiguous arrays over item codes, and lists of codes.

    Attributes
    ----------
    buyable, titled
        Available and priced, and whether it has a title.
    promise
        The root of log1p of what an item is expected to sell: what speaks for it before it is asked whom it would suit.
    common
        (n, len(COMMON)) what is the same of an item for everybody, a row an item; NaN where not known. Of a new item
        popularity is what it is expected to sell: what has no sales yet is judged as its kin, not as what nobody wants.
    compared, tastes
        (m,) items that are compared with a taste, and their (d, m) factors, a row a factor.
    """

    available: Bool
    buyable: Bool
    titled: Bool
    price: F64
    margin: F64
    category: I32
    common: F64
    popularity: F64
    promise: F64
    repeat_share: F64
    gap_mean: F64
    gap_sd: F64
    restocked_at: I64
    category_gap_mean: F64
    neighbours: I32
    lift: F32
    alike: I32
    likeness: F32
    rarity: F32
    factors: F32
    compared: I32
    tastes: F32
    top: I32
    category_starts: I64
    category_items: I32
    new: I32
    best_sold: float


class Wares(NamedTuple):
    """Those of the `Columns` that are read once the items are recalled: an array costs time at every call it goes with.

    Attributes
    ----------
    category, buyable, titled, margin, restocked_at, neighbours, category_starts
        As in `Columns`.
    """

    category: I32
    buyable: Bool
    titled: Bool
    margin: F64
    restocked_at: I64
    neighbours: I32
    category_starts: I64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """A shelf and what is known of its items, lined up; made by `market_of`.

    Attributes
    ----------
    shelf, population, search, codes
        All over the same item and category codes. `codes` may have grown since: a code of `len(market)` or more is of
        an item that this market does not know.
    top, category_starts, category_items, new
        The population's lists, of available items only, by the categories of the shelf, and with what was put on it
        since they were published.
    columns, wares
        The same once more, as compiled code takes it; and a few of those.
    borrowed
        What was put on the shelf since the population was published, and whom it takes after.
    """

    shelf: Shelf
    population: Population
    search: SearchIndex
    codes: Codes
    top: I32
    category_starts: I64
    category_items: I32
    new: I32
    columns: Columns
    wares: Wares
    borrowed: Borrowed

    def __len__(self) -> int:
        return len(self.shelf)

    def top_of_category(self, category: int) -> I32:
        """Return the available items of a category, most popular first."""
        if not 0 <= category < self.category_starts.size - 1:
            return self.category_items[:0]
        return self.category_items[self.category_starts[category] : self.category_starts[category + 1]]


def market_of(shelf: Shelf, population: Population, codes: Codes, previous: Market | None = None) -> Market:
    """Return the market of a shelf, the population padded to the items that were coded after it was published.

    Parameters
    ----------
    shelf
        What the shop sells at the instant.
    population
        The one in force at the instant.
    codes
        The table both are coded by.
    previous
        A market of the same shop that this one follows; what was made of its texts is used again. The market is the
        same without it.

    Raises
    ------
    BadInput
        If the population covers items that the shelf does not, or the shelf some that have no code.
    """
    n = len(shelf)
    if n > len(codes.item_ids):
        raise BadInput(f"the shelf has {n} items, {len(codes.item_ids)} are coded", where="market")
    before = previous.borrowed if previous is not None and previous.borrowed.published is population else None
    wider = wider_of(population, shelf, before)
    search = _search_of(shelf, wider, codes, previous)
    since = borrowed(shelf, population, wider, search, before)
    population, late = since.population, since.late
    top = np.concatenate([population.top, late])
    top = top[shelf.available[top]]
    by_category = top[np.argsort(shelf.category[top], kind="stable")]
    new = np.concatenate([late, population.new])
    new = new[shelf.available[new]][:FRESHEST]
    category_starts = np.searchsorted(shelf.category[by_category], np.arange(len(shelf.category_names) + 1))
    columns = _columns(shelf, population, top, (category_starts, by_category), new, previous)
    return Market(
        shelf=shelf,
        population=population,
        search=search,
        codes=codes,
        top=top,
        category_starts=category_starts,
        category_items=by_category,
        new=new,
        columns=columns,
        wares=Wares(*(getattr(columns, name) for name in Wares._fields)),
        borrowed=since,
    )


def _columns(
    shelf: Shelf, population: Population, top: I32, by_category: tuple[I64, I32], new: I32, before: Market | None
) -> Columns:
    n = len(shelf)
    compared = np.arange(n, dtype=np.int32) if n <= COMPARED else np.sort(top[:COMPARED])
    best = float(population.popularity[population.top[0]]) if len(population.top) else 0.0
    # 1 where nothing has been sold, so that shares of it are 0.
    best_sold = best if best > 0.0 else 1.0
    return Columns(
        available=_plain(shelf.available, np.bool_),
        buyable=_plain(shelf.available & ~np.isnan(shelf.price), np.bool_),
        titled=_titled(shelf, before),
        price=_plain(shelf.price, np.float64),
        margin=_plain(shelf.margin, np.float64),
        category=_plain(shelf.category, np.int32),
        common=_common(shelf, population, best_sold, before),
        popularity=_plain(population.popularity, np.float64),
        promise=_promise(population, before),
        repeat_share=_plain(population.repeat_share, np.float64),
        gap_mean=_plain(population.gap_mean, np.float64),
        gap_sd=_plain(population.gap_sd, np.float64),
        restocked_at=_plain(shelf.restocked_at, np.int64),
        category_gap_mean=_plain(population.category_gap_mean, np.float64),
        neighbours=_plain(population.neighbours, np.int32),
        lift=_plain(population.lift, np.float32),
        alike=_plain(population.alike, np.int32),
        likeness=_plain(population.likeness, np.float32),
        rarity=_plain(population.rarity, np.float32),
        factors=_plain(population.factors, np.float32),
        compared=compared,
        tastes=_tastes(population, compared, before),
        top=_plain(top, np.int32),
        category_starts=_plain(by_category[0], np.int64),
        category_items=_plain(by_category[1], np.int32),
        new=_plain(new, np.int32),
        best_sold=best_sold,
    )


def _common(shelf: Shelf, population: Population, best_sold: float, before: Market | None) -> F64:
    """Return `Columns.common`: of the rows of the market before, those that may differ are made anew."""
    n = len(shelf)
    differs = None if before is None or before.columns.best_sold != best_sold else _differs(shelf, population, before)
    if before is None or differs is None:
        return _common_of(shelf, population, best_sold, np.arange(n))
    common = before.columns.common.copy()
    common[differs] = _common_of(shelf, population, best_sold, np.flatnonzero(differs))
    return common


def _differs(shelf: Shelf, population: Population, before: Market) -> Bool | None:
    """Return (n,) whether anything that `_common_of` reads of an item differs; None where more does than items."""
    if len(shelf) != len(before) or population.category_popularity is not before.population.category_popularity:
        return None
    differs = np.zeros(len(shelf), np.bool_)
    for holder, names in ((shelf, OF_SHELF), (population, OF_POPULATION)):
        for name in names:
            now = getattr(holder, name)
            then = getattr(before.shelf if holder is shelf else before.population, name)
            # Of a population most columns are the same arrays: only what is borrowed changes between publications.
            if now is not then:
                differs |= (now != then) & ((now == now) | (then == then))
    return differs


def _common_of(shelf: Shelf, population: Population, best_sold: float, codes: NDArray[np.intp]) -> F64:
    out = np.full((codes.size, len(COMMON)), np.nan)
    price, margin, born_at = shelf.price[codes], shelf.margin[codes], shelf.born_at[codes]
    last_sold_at = population.last_sold_at[codes]
    columns = {
        "popularity": population.expected[codes],
        "popularity_share": np.asarray(population.expected[codes], np.float64) / best_sold,
        "trend": population.trend[codes],
        "repeat_share": population.repeat_share[codes],
        "pop_gap": population.gap_mean[codes],
        "return_rate": population.return_rate[codes],
        "price": price,
        "margin_share": np.divide(margin, price, out=np.full(codes.size, np.nan), where=price > 0.0),
        "age_days": np.where(born_at > 0, born_at, np.nan),
        "days_since_sold": np.where(last_sold_at > 0, last_sold_at, np.nan),
        "category_popularity": population.category_popularity[shelf.category[codes]],
        "latest": population.latest[codes],
    }
    for name, column in columns.items():
        out[:, COMMON.index(name)] = column
    return out


def _titled(shelf: Shelf, before: Market | None) -> Bool:
    if before is not None and before.shelf.titles is shelf.titles:
        return before.columns.titled
    return np.array([bool(title) for title in shelf.titles], np.bool_)


def _promise(population: Population, before: Market | None) -> F64:
    if before is not None and before.population.expected is population.expected:
        return before.columns.promise
    return np.asarray(np.sqrt(np.log1p(_plain(population.expected, np.float64))))


def _tastes(population: Population, compared: I32, before: Market | None) -> F32:
    """Return the (d, m) factors of what is compared: the largest array of all, made anew only where it differs."""
    same = (
        before is not None
        and before.population.factors is population.factors
        and np.array_equal(before.columns.compared, compared)
    )
    return before.columns.tastes if before and same else _plain(population.factors[compared].T, np.float32)


def _plain(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """Return an array as compiled code knows it: contiguous, writeable, of one dtype; another would compile anew."""
    plain = np.ascontiguousarray(values, dtype=dtype)
    return plain if plain.flags.writeable else plain.copy()


def _search_of(shelf: Shelf, population: Population, codes: Codes, previous: Market | None) -> SearchIndex:
    if previous is None:
        return SearchIndex(shelf, codes.item_ids, population.popularity)
    if not previous.search.covers(shelf):
        return SearchIndex(shelf, codes.item_ids, population.popularity, previous.search)
    if np.array_equal(previous.population.popularity, population.popularity):
        return previous.search
    return previous.search.ranked(population.popularity)
