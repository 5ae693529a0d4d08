"""Curated offering: the customer knows the need, not the option; a short, varied choice with a reason for each item."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.journey import CURATE
from cxreco.request.actions import PARAM, RECIPE
from cxreco.request.context import FRESH, LIKED, MATCH, ORDERS, SINCE, TOGETHER, Sight
from cxreco.request.coverage import covering
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.offers import Offers, add, offered
from cxreco.request.reasons import Reason, preference
from cxreco.request.renewal import repeat_posterior

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

_PERSONAL, _CATEGORY, _COMPLEMENT, _DISCOVER = (
    RECIPE[name] for name in ("curate.personal", "curate.category", "curate.complement", "curate.discover")
)
_SUBSTITUTION, _MONEY, _REST, _SATISFIED, _MIN_REPEAT, _MIN_ITEMS = (
    PARAM[name] for name in ("substitution", "money", "rest_days", "satisfied_days", "min_repeat", "min_items")
)
_DISMISSED, _REPEAT = RANKER_COLUMN["item_dismissed"], RANKER_COLUMN["repeat_share"]
# Half-life of `item_dismissed`, days.
_FADES = 60.0
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
    said = _SAID_OF_PERSONAL
    if recipe == _CATEGORY:
        said = _SAID_OF_CATEGORY
    elif recipe == _COMPLEMENT:
        said = _SAID_OF_COMPLEMENT
    elif recipe == _DISCOVER:
        said = _SAID_OF_DISCOVER
    if recipe == _DISCOVER:
        slate = _discover(s, params)
    else:
        where, chance = considered(s, categories, of_item, recipe, params)
        slate = covering(s, where, chance, params[_SUBSTITUTION], params[_MONEY])
    # The same slate under two names would be one offer with twice the chance.
    if not slate.size < params[_MIN_ITEMS] and not offered(offers, CURATE, slate):
        add(offers, CURATE, action, slate, said, np.nan, np.nan)


@compiled
def _open(s: Sight, params: F64) -> Bool:
    """Return (n,) what may be shown: what is offerable, was not dismissed lately, and has not met its need already.

    What was dismissed once rests for `rest_days`, more often for longer. What was bought within `satisfied_days` and is
    hardly ever bought again by those who have it, as a kettle is, has met its need.
    """
    out = np.empty(s.codes.size, np.bool_)
    _write_open(s.x, s.offerable, params, out)
    return out


@compiled_inner
def _write_open(x: F64, offerable: Bool, params: F64, out: Bool) -> None:
    dismissed = 2.0 ** (-params[_REST] / _FADES) if params[_REST] > 0.0 else np.inf
    for i in range(out.size):
        kept = x[i, ORDERS] > 0.0 and x[i, SINCE] < params[_SATISFIED]
        satisfied = kept and repeat_posterior(x[i, ORDERS], x[i, _REPEAT]) < params[_MIN_REPEAT]
        out[i] = offerable[i] and not satisfied and not x[i, _DISMISSED] >= dismissed


@compiled
def considered(s: Sight, categories: NDArray[np.void], of_item: I32, recipe: int, params: F64) -> tuple[Bool, F64]:
    """Return (n,) which items a slate is made of, and how likely each meets a need soon.

    Personal: whatever they may want, and after a search first of all the answers to it: that need is there for certain.
    Category: the shelf that the customer is looking at, or looked at most lately. Complement: what goes with the cart
    or the item at hand, bought together with it more often than by chance.
    """
    where = _open(s, params)
    if recipe == _CATEGORY:
        category = _current_category(s, categories, of_item)
        return where & (s.category == category) & (s.codes != s.item) & (category > 0), s.buy
    if recipe == _COMPLEMENT:
        together = s.x[:, TOGETHER]
        return where & (s.codes != s.item) & (together > 0.0), together * s.buy
    chance, match, answers = s.buy.copy(), s.x[:, MATCH], 0.0
    for i in range(chance.size if s.query else 0):
        answers += match[i] * s.buy[i] if where[i] else 0.0
    for i in range(chance.size if answers > 0.0 else 0):
        chance[i] *= match[i] / answers if match[i] > 0.0 else 1.0
    return where, chance


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
def _discover(s: Sight, params: F64) -> I64:
    """Return what the customer never bought: by taste shared with others, with new items in between."""
    substitution, money = params[_SUBSTITUTION], params[_MONEY]
    unknown = _open(s, params) & (s.x[:, ORDERS] == 0.0)
    new, taste = s.x[:, FRESH] > 0.0, s.x[:, LIKED]
    # Of whom no taste is known, there is nothing to lead away from: the personal slate is theirs.
    liked = covering(s, unknown & ~new & (taste > 0.0), taste * s.buy, substitution, money)
    fresh = covering(s, unknown & new, s.buy, substitution, money)
    out = np.empty(min(s.most, liked.size + fresh.size), np.int64)
    taken = 0
    for n in range(out.size):
        # Every fourth place is for one that is new, as long as there are others to stand between.
        turn = n % _FRESH_EVERY == _FRESH_EVERY - 1 or taken == liked.size
        if turn and n - taken < fresh.size:
            out[n] = fresh[n - taken]
        else:
            out[n] = liked[taken]
            taken += 1
    return out
