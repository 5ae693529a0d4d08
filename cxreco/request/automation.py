"""Automatic execution: the customer has delegated it; order what falls due, how much of it, and how surely."""

from collections.abc import Sequence

import numpy as np

from cxreco.journey import Mode
from cxreco.request.actions import Action
from cxreco.request.context import Context, Proposal
from cxreco.request.reasons import Reason, preference

_REPLENISH = preference(Reason.RHYTHM, Reason.BOUGHT)


def propose(context: Context, actions: Sequence[tuple[int, Action]]) -> list[Proposal]:
    """Return the candidates of this mode; `actions` are those that fit the moment, with their index."""
    rows: list[Proposal] = []
    for index, action in actions:
        if action.mode is Mode.AUTOMATE:
            rows.extend(_replenish(context, index, action))
    return rows


def _replenish(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return the orders due: bought often enough to be a habit, and soon bought anyway.

    An order is considered once the need is likely within the week, so that it does not come too early. Its certainty is
    the calibrated probability that the customer would buy the item unprompted within the notice and the slack.
    """
    window = action.params["notice_hours"] / 24.0 + action.params["slack_days"]
    certainty = context.need_within(window)
    where = context.offerable & (context.column("item_orders") >= action.params["min_item_orders"])
    where &= context.need >= action.params["min_need"]
    return [
        Proposal(
            index,
            np.array([position]),
            _REPLENISH,
            quantity=context.quantity(int(position)),
            certainty=float(certainty[position]),
        )
        for position in context.most(certainty, where, int(action.params["count"]))
    ]
