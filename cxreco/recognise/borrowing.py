"""What items borrow that came onto the shelf after the statistics were published; carried from market to market.

Whom an item takes after depends on its own words and price, on the words of what lends, and on what was published.
So where a shelf changes, only those look for their kin again whose own row changed, or all if what lends reads
otherwise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.recognise.catalogue import Shelf
from cxreco.recognise.kinship import Kin, kin_of
from cxreco.recognise.population import FRESHEST, Population
from cxreco.recognise.postings import Postings
from cxreco.recognise.search import SearchIndex

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


class Borrowed(NamedTuple):
    """A population, and with it what was put since.

    Attributes
    ----------
    published, wider, population
        As it was published; with room for all that is coded; with what late items borrow.
    late
        (l,) items that came after it was published, latest first.
    price, kin
        (m,) of the first of them, what each cost and whom it takes after.
    words
        The words that kin was sought by.
    """

    published: Population
    wider: Population
    population: Population
    late: I32
    price: F64
    kin: Kin
    words: Postings


def wider_of(published: Population, shelf: Shelf, before: Borrowed | None) -> Population:
    """Return a population with room for the items and categories of a shelf.

    Raises
    ------
    BadInput
        If it covers items that the shelf does not.
    """
    size = len(shelf), len(shelf.category_names)
    if before is not None and (len(before.wider), before.wider.category_popularity.size) == size:
        return before.wider
    return published.widened(*size)


def borrowed(
    shelf: Shelf, published: Population, wider: Population, search: SearchIndex, before: Borrowed | None
) -> Borrowed:
    """Return what late items borrow, to the bit as without what there was before.

    Parameters
    ----------
    wider
        As `wider_of` returned it.
    search
        Over the words of the shelf; `read` of it says what differs from the words of `before`.
    before
        Of an earlier shelf and the same population.
    """
    late = _late(shelf, wider)
    price = shelf.price[late[:FRESHEST]]
    kin = _kin(shelf, wider, search, late[:FRESHEST], before)
    if before is not None and before.wider is wider and np.array_equal(before.late, late) and _same(before.kin, kin):
        population = before.population
    else:
        # Nothing was published of them; they have sold nothing for as long as they have been there.
        population = wider.with_kin(late[:FRESHEST], kin, 0.0, 0.0)
    return Borrowed(published, wider, population, late, price, kin, search.words)


def _late(shelf: Shelf, population: Population) -> I32:
    """Return the items that came onto the shelf after the population was published, latest first."""
    late = np.array(shelf.known)
    late[population.top] = False
    codes = np.flatnonzero(late)
    return codes[np.argsort(-shelf.born_at[codes], kind="stable")].astype(np.int32)


def _kin(shelf: Shelf, wider: Population, search: SearchIndex, codes: I32, before: Borrowed | None) -> Kin:
    """Return the kin of some items: as it was of those whose row in `before` still holds, else sought."""
    lends = wider.lends
    row = _row_before(shelf, search, codes, lends, before)
    sought = row < 0
    found = Kin.none(codes.size)
    if before is not None:
        found.codes[~sought] = before.kin.codes[row[~sought]]
        found.shares[~sought] = before.kin.shares[row[~sought]]
    if sought.any():
        # What lends counts at the price at which it was published, for with it it sold as it did.
        price = np.where(lends, wider.price, shelf.price)
        found.codes[sought], found.shares[sought] = kin_of(search.words, price, lends, codes[sought])
    return found


def _row_before(
    shelf: Shelf, search: SearchIndex, codes: I32, lends: NDArray[np.bool_], before: Borrowed | None
) -> I64:
    """Return (m,) the row of each item in `before`, -1 where there is none that holds."""
    none = np.full(codes.size, -1)
    read = () if before is not None and before.words is search.words else search.read
    if before is None or read is None or not before.price.size or lends[list(read)].any():
        return none
    row = np.full(len(shelf), -1)
    row[before.late[: before.price.size]] = np.arange(before.price.size)
    row[list(read)] = -1
    row = row[codes]
    then, now = before.price[row], shelf.price[codes]
    return np.where((then == now) | ((then != then) & (now != now)), row, none)


def _same(one: Kin, other: Kin) -> bool:
    return np.array_equal(one.codes, other.codes) and np.array_equal(one.shares, other.shares)
