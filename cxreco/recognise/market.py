"""What is true for all customers at an instant: the shelf, the population, and the search over them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput

from .catalogue import Shelf
from .codes import Codes
from .population import Population
from .search import SearchIndex

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


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
    tastes
        (d, n_items) collaborative factors, so that all items are scored by one pass over each factor.
    """

    shelf: Shelf
    population: Population
    search: SearchIndex
    codes: Codes
    top: I32
    category_starts: I64
    category_items: I32
    new: I32
    tastes: F32

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
        A market that this one follows; its search index is used again where no text changed.

    Raises
    ------
    BadInput
        If the population covers items that the shelf does not, or the shelf some that have no code.
    """
    n = len(shelf)
    if n > len(codes.item_ids):
        raise BadInput(f"the shelf has {n} items, {len(codes.item_ids)} are coded", where="market")
    population = population.widened(n, len(shelf.category_names))
    search = previous.search if previous is not None and _same_search(previous, shelf, population) else None
    late = _late(shelf, population)
    top = np.concatenate([population.top, late])
    top = top[shelf.available[top]]
    by_category = top[np.argsort(shelf.category[top], kind="stable")]
    new = np.concatenate([late, population.new])
    return Market(
        shelf=shelf,
        population=population,
        search=search or SearchIndex(shelf, codes.item_ids, population.popularity),
        codes=codes,
        top=top,
        category_starts=np.searchsorted(shelf.category[by_category], np.arange(len(shelf.category_names) + 1)),
        category_items=by_category,
        new=new[shelf.available[new]],
        tastes=np.ascontiguousarray(population.factors.T),
    )


def _late(shelf: Shelf, population: Population) -> I32:
    """Return the items that came onto the shelf after the population was published, latest first."""
    late = np.array(shelf.known)
    late[population.top] = False
    codes = np.flatnonzero(late)
    return codes[np.argsort(-shelf.born_at[codes], kind="stable")].astype(np.int32)


def _same_search(previous: Market, shelf: Shelf, population: Population) -> bool:
    return previous.population.as_of == population.as_of and previous.search.covers(shelf)
