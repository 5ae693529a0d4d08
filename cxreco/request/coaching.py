"""Coach behaviour: the need is there, the customer does not act on it; a nudge about one item, at the right time."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import COACH, DAY
from cxreco.request.actions import PARAM, RECIPE
from cxreco.request.context import ORDERS, SINCE, SINCE_VIEW, Sight, best, greatest, needed
from cxreco.request.offers import Offers, add
from cxreco.request.readings import READING
from cxreco.request.reasons import Reason, preference

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_REPLENISH, _BACK_IN_STOCK, _WINBACK = (
    RECIPE[name] for name in ("coach.replenish", "coach.back_in_stock", "coach.winback")
)
_MIN_NEED, _COUNT, _WITHIN, _OVERDUE, _MIN_ORDERS = (
    PARAM[name] for name in ("min_need", "count", "within_days", "overdue", "min_orders")
)
_SAID_OF_REPLENISH = preference(Reason.RHYTHM, Reason.BOUGHT)
_SAID_OF_BACK = preference(Reason.BACK)
_SAID_OF_WINBACK = preference(Reason.MISSED)
_ORDERS_MADE, _ORDER_DUE = READING["orders"], READING["order_due"]


@compiled
def propose(s: Sight, restocked_at: I64, action: int, recipe: int, params: F64, offers: Offers) -> None:
    """Add the candidates of one action of this mode, each a nudge of its own, made by its recipe with its numbers."""
    if recipe == _REPLENISH:
        # The needs that are about due.
        found = greatest(s, s.need, needed(s, params[_MIN_NEED], s.offerable), int(params[_COUNT]))
        _nudges(s, action, found, _SAID_OF_REPLENISH, offers)
    elif recipe == _BACK_IN_STOCK:
        found = best(s, _wanted_again(s, restocked_at, params[_WITHIN]), int(params[_COUNT]))
        _nudges(s, action, found, _SAID_OF_BACK, offers)
    elif recipe == _WINBACK:
        _nudges(s, action, _missed(s, params), _SAID_OF_WINBACK, offers)


@compiled
def _nudges(s: Sight, action: int, found: I64, said: I64, offers: Offers) -> None:
    for i in range(found.size):
        add(offers, COACH, action, found[i : i + 1], said, s.units[found[i]], np.nan)


@compiled
def _wanted_again(s: Sight, restocked_at: I64, days: float) -> NDArray[np.bool_]:
    """Return what the customer bought, viewed or put aside while it was there, and that lately came back."""
    where = np.zeros(s.codes.size, np.bool_)
    since = max(s.at - days * DAY, 0.0)
    for i in range(where.size):
        returned = restocked_at[s.codes[i]]
        if s.offerable[i] and since < returned <= s.at:
            # Never is NaN: the other of the two counts, and of neither no comparison holds.
            where[i] = s.at - np.fmin(s.x[i, SINCE], s.x[i, SINCE_VIEW]) * DAY < returned
    return where


@compiled
def _missed(s: Sight, params: F64) -> I64:
    """Return the likeliest item of a customer who is overdue against their own order rhythm."""
    if not (s.readings[_ORDERS_MADE] >= params[_MIN_ORDERS] and s.readings[_ORDER_DUE] >= params[_OVERDUE]):
        return np.empty(0, np.int64)
    slate = greatest(s, s.need, s.offerable & (s.x[:, ORDERS] > 0.0), 1)
    return slate if slate.size else best(s, s.offerable, 1)
