"""Curated offering: the customer knows the need, not the option; a short, varied choice with a reason for each item."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import MODE_CODE, Mode
from cxreco.request.actions import PARAM, RECIPE
from cxreco.request.context import FRESH, LIKED, MATCH, ORDERS, TOGETHER, Sight, best, spread, weighed
from cxreco.request.offers import Offers, add, offered
from cxreco.request.reasons import Reason, preference

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

MODE = MODE_CODE[Mode.CURATE]
_PERSONAL, _CATEGORY, _COMPLEMENT, _DISCOVER = (
    RECIPE[name] for name in ("curate.personal", "curate.category", "curate.complement", "curate.discover")
)
_SHARE, _MIN_ITEMS = PARAM["max_category_share"], PARAM["min_items"]
_SAID_OF_PERSONAL = preference(
    Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.LOOKED, Reason.WITH, Reason.LIKE_YOU, Reason.CATEGORY,
    Reason.NEW, Reason.POPULAR,
)  # fmt: skip
_SAID_OF_CATEGORY = preference(
    Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.LOOKED, Reason.CATEGORY, Reason.LIKE_YOU
)
_SAID_OF_COMPLEMENT = preference(Reason.WITH, Reason.RHYTHM, Reason.LIKE_YOU)
_SAID_OF_DISCOVER = preference(Reason.LIKE_YOU, Reason.NEW, Reason.LOOKED, Reason.POPULAR)
# Of the items to discover, every fourth place goes to one that is new to the shop.
_FRESH_EVERY = 4


@compiled
def propose(
    s: Sight, categories: NDArray[np.void], of_item: I32, action: int, recipe: int, params: F64, offers: Offers
) -> None:
    """Add the candidate of one action of this mode, made by its recipe with its numbers.

    Parameters
    ----------
    categories
        What the state knows of the customer's categories.
    of_item
        The category of every item of the market.
    """
    slate, said = np.empty(0, np.int64), _SAID_OF_PERSONAL
    if recipe == _PERSONAL:
        slate = _personal(s, params[_SHARE])
    elif recipe == _CATEGORY:
        slate, said = _category(s, categories, of_item), _SAID_OF_CATEGORY
    elif recipe == _COMPLEMENT:
        slate, said = _complement(s, params[_SHARE]), _SAID_OF_COMPLEMENT
    elif recipe == _DISCOVER:
        slate, said = spread(s, _undiscovered(s), params[_SHARE]), _SAID_OF_DISCOVER
    # The same slate under two names would be one offer with twice the chance.
    if not slate.size < params[_MIN_ITEMS] and not offered(offers, MODE, slate):
        add(offers, MODE, action, slate, said, np.nan, np.nan)


@compiled
def _personal(s: Sight, share: float) -> I64:
    """Return what the ranker puts first; after a search the answers to it, with what else they may want behind."""
    order, rest = np.empty(0, np.int64), s.offerable
    if s.query:
        order = weighed(s, s.offerable, s.x[:, MATCH])
        if order.size:
            rest = s.offerable & (s.x[:, MATCH] == 0.0)
    return spread(s, np.concatenate((order, best(s, rest, s.codes.size))), share)


@compiled
def _category(s: Sight, categories: NDArray[np.void], of_item: I32) -> I64:
    """Return the best of the category that the customer is looking at, or looked at most lately."""
    category = _current_category(s, categories, of_item)
    if category <= 0:
        return np.empty(0, np.int64)
    return best(s, s.offerable & (s.category == category) & (s.codes != s.item), s.most)


@compiled
def _current_category(s: Sight, categories: NDArray[np.void], of_item: I32) -> int:
    """Return the category of the item, of the best match, or of the latest view; 0 for none."""
    if s.item >= 0:
        return int(of_item[s.item])
    if s.query:
        match, closest, found = s.x[:, MATCH], 0.0, 0
        for i in range(match.size):
            if match[i] > closest:
                closest, found = match[i], s.category[i]
        return int(found)
    found, last = 0, 0
    for i in range(categories.size):
        if categories[i].viewed_at > last:
            found, last = categories[i].key, categories[i].viewed_at
    return int(found)


@compiled
def _complement(s: Sight, share: float) -> I64:
    """Return what goes with the cart or the item at hand: bought together with it more often than by chance."""
    return spread(s, weighed(s, s.offerable & (s.codes != s.item), s.x[:, TOGETHER]), share)


@compiled
def _undiscovered(s: Sight) -> I64:
    """Return what the customer never bought: by taste shared with others, with new items in between."""
    n = s.codes.size
    open_, fresh = np.empty(n, np.bool_), np.empty(n, np.bool_)
    for i in range(n):
        unknown = s.offerable[i] and s.x[i, ORDERS] == 0.0
        fresh[i] = unknown and s.x[i, FRESH] > 0.0
        open_[i] = unknown and not fresh[i]
    # Of whom no taste is known, there is nothing to lead away from: the personal slate is theirs.
    liked = weighed(s, open_, s.x[:, LIKED])
    out = np.empty(n, np.int64)
    n = taken = 0
    for position in s.ranked:
        if not fresh[position]:
            continue
        # Every fourth place is for one that is new, as long as there are others to stand between.
        while taken < liked.size and n % _FRESH_EVERY != _FRESH_EVERY - 1:
            out[n] = liked[taken]
            n, taken = n + 1, taken + 1
        out[n] = position
        n += 1
    rest = liked[taken:]
    out[n : n + rest.size] = rest
    return out[: n + rest.size]
