"""Automatic execution: the customer has delegated it; order what falls due, how much of it, and how surely."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import AUTOMATE
from cxreco.request.actions import PARAM
from cxreco.request.context import ORDERS, SINCE, Sight, greatest, needed
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.need import read_grid
from cxreco.request.offers import Offers, add
from cxreco.request.reasons import Reason, preference

F64 = NDArray[np.float64]

_MIN_NEED, _COUNT, _MIN_ITEM_ORDERS, _NOTICE, _SLACK = (
    PARAM[name] for name in ("min_need", "count", "min_item_orders", "notice_hours", "slack_days")
)
_DUE = RANKER_COLUMN["item_due"]
_SAID_OF_REPLENISH = preference(Reason.RHYTHM, Reason.BOUGHT)


@compiled
def usual_gap(days_since: float, due: float, most: float) -> float:
    """Return the usual gap between purchases of an item, at most `most`, in days.

    `due` is the share of the gap that is past.
    """
    gap = days_since / due if due > 0.0 else most
    return min(gap, most)


@compiled
def propose(s: Sight, action: int, params: F64, offers: Offers) -> None:
    """Add the orders due: bought often enough to be a habit, and soon bought anyway.

    An order is considered once the need is likely within the week, so that it does not come too early. Its certainty is
    the calibrated probability that the customer would buy the item unprompted within one usual gap, and within the
    notice and the slack: who buys every twelve days does so within four weeks whenever the order comes.
    """
    most = params[_NOTICE] / 24.0 + params[_SLACK]
    where = needed(s, params[_MIN_NEED], s.offerable) & (s.x[:, ORDERS] >= params[_MIN_ITEM_ORDERS])
    certainty = np.zeros(s.codes.size)
    for i in range(certainty.size):
        if where[i] and not np.isnan(s.grid[i, 0]):
            within = np.array([usual_gap(s.x[i, SINCE], s.x[i, _DUE], most)])
            certainty[i] = read_grid(s.grid[i : i + 1], s.days, within)[0, 0]
    found = greatest(s, certainty, where, int(params[_COUNT]))
    for i in range(found.size):
        first = found[i]
        add(offers, AUTOMATE, action, found[i : i + 1], _SAID_OF_REPLENISH, s.units[first], certainty[first])
