"""Coach behaviour: the need is there, the customer does not act on it; a nudge about one item, at the right time."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cxreco.journey import DAY, Mode
from cxreco.request.actions import Action
from cxreco.request.context import Context, Proposal
from cxreco.request.readings import READING
from cxreco.request.reasons import Reason, preference

_REPLENISH = preference(Reason.RHYTHM, Reason.BOUGHT)
_BACK = preference(Reason.BACK)
_WINBACK = preference(Reason.MISSED)


def propose(context: Context, actions: Sequence[tuple[int, Action]]) -> list[Proposal]:
    """Return the candidates of this mode; `actions` are those that fit the moment, with their index."""
    rows: list[Proposal] = []
    for index, action in actions:
        if action.mode is Mode.COACH:
            rows.extend(_RECIPES[action.recipe](context, index, action))
    return rows


def _replenish(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return the needs about due, each a nudge of its own."""
    where = context.offerable & (context.need >= action.params["min_need"])
    return [
        Proposal(index, np.array([position]), _REPLENISH, quantity=context.quantity(int(position)))
        for position in context.most(context.need, where, int(action.params["count"]))
    ]


def _back_in_stock(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return what the customer bought, viewed or put aside while it was there, and that lately came back."""
    returned = context.market.shelf.restocked_at[context.codes]
    lately = (returned > max(context.mc.at - action.params["within_days"] * DAY, 0.0)) & (returned <= context.mc.at)
    if not lately.any():
        return []
    since = np.fmin(context.column("item_days_since"), context.column("item_days_since_view"))
    wanted = (context.mc.at - since * DAY) < returned
    where = context.offerable & lately & wanted
    return [
        Proposal(index, np.array([position]), _BACK, quantity=context.quantity(int(position)))
        for position in context.best(where, int(action.params["count"]))
    ]


def _winback(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return the likeliest item of a customer who is overdue against their own order rhythm."""
    enough = context.readings[READING["orders"]] >= action.params["min_orders"]
    if not (enough and context.readings[READING["order_due"]] >= action.params["overdue"]):
        return []
    bought = context.offerable & (context.column("item_orders") > 0.0)
    slate = context.most(context.need, bought, 1)
    slate = slate if slate.size else context.best(context.offerable, 1)
    return [Proposal(index, slate, _WINBACK, quantity=context.quantity(int(slate[0])))] if slate.size else []


_RECIPES: Mapping[str, Callable[[Context, int, Action], list[Proposal]]] = {
    "coach.replenish": _replenish,
    "coach.back_in_stock": _back_in_stock,
    "coach.winback": _winback,
}
