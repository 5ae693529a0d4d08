"""Automatic execution: the customer has delegated it; order what falls due, how much of it, and how surely."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import MODE_CODE, Mode
from cxreco.request.actions import PARAM
from cxreco.request.context import ORDERS, Sight, greatest, needed
from cxreco.request.need import read_grid
from cxreco.request.offers import Offers, add
from cxreco.request.reasons import Reason, preference

F64 = NDArray[np.float64]

MODE = MODE_CODE[Mode.AUTOMATE]
_MIN_NEED, _COUNT, _MIN_ITEM_ORDERS, _NOTICE, _SLACK = (
    PARAM[name] for name in ("min_need", "count", "min_item_orders", "notice_hours", "slack_days")
)
_SAID_OF_REPLENISH = preference(Reason.RHYTHM, Reason.BOUGHT)


@compiled
def propose(s: Sight, action: int, params: F64, offers: Offers) -> None:
    """Add the orders due: bought often enough to be a habit, and soon bought anyway.

    An order is considered once the need is likely within the week, so that it does not come too early. Its certainty is
    the calibrated probability that the customer would buy the item unprompted within the notice and the slack.
    """
    window = params[_NOTICE] / 24.0 + params[_SLACK]
    certainty = read_grid(s.grid, s.days, np.array([window]))[:, 0]
    for i in range(certainty.size):
        if np.isnan(certainty[i]):
            certainty[i] = 0.0
    where = needed(s, params[_MIN_NEED], s.offerable) & (s.x[:, ORDERS] >= params[_MIN_ITEM_ORDERS])
    found = greatest(s, certainty, where, int(params[_COUNT]))
    for i in range(found.size):
        first = found[i]
        add(offers, MODE, action, found[i : i + 1], _SAID_OF_REPLENISH, s.units[first], certainty[first])
