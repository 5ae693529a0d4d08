"""A moment in numbers: what the recalls and features read of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.frozen import quick
from cxreco.journey import DAY, HOUR, SURFACE_CODE, Moment
from cxreco.recognise.market import Market


@quick
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MomentCodes:
    """A moment coded by a market; what the market does not know is left out.

    Attributes
    ----------
    at
        Instant (us).
    item
        Code of the item looked at, -1 for none.
    category
        Code of its category; 0 is unknown, -1 without an item.
    cart
        (n,) codes of what lies in the cart, each once, in order.
    query
        What was searched for, without blanks around it.
    surface
        Index into `journey.SURFACES`.
    hour, weekday
        Of the day (UTC), and of the week, Monday being 0.
    """

    at: int
    item: int
    category: int
    cart: NDArray[np.int32]
    query: str
    surface: int
    hour: int
    weekday: int


def codes_of(moment: Moment, market: Market) -> MomentCodes:
    """Return a moment in the codes of a market; unknown ids are dropped."""
    item = _code(moment.item_id, market)
    cart = dict.fromkeys(code for item_id in moment.cart if (code := _code(item_id, market)) >= 0)
    return MomentCodes(
        at=moment.at,
        item=item,
        category=int(market.shelf.category[item]) if item >= 0 else -1,
        cart=np.array(list(cart), dtype=np.int32),
        query=moment.query.strip(),
        surface=SURFACE_CODE[moment.surface],
        hour=moment.at // HOUR % 24,
        # 1970 began on a Thursday.
        weekday=(moment.at // DAY + 3) % 7,
    )


def _code(item_id: str, market: Market) -> int:
    code = market.codes.item_code(item_id) if item_id else -1
    return code if code < len(market) else -1
