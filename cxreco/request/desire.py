"""Respond to desire: the customer knows what they want; put exactly that first, with the fewest steps."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import Mode
from cxreco.request.actions import Action
from cxreco.request.context import Context, Proposal
from cxreco.request.reasons import Reason, preference

I64 = NDArray[np.int64]
NOTHING_SOUGHT = np.empty(0, np.int64)

_SOUGHT = preference(Reason.ASKED, Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.CATEGORY, Reason.LIKE_YOU)
_REORDER = preference(Reason.RHYTHM, Reason.BOUGHT)
_CART = preference(Reason.IN_CART)
# Matches this close count as equally good: then the customer's own taste decides.
_TIE = 0.05


def propose(context: Context, actions: Sequence[tuple[int, Action]]) -> list[Proposal]:
    """Return the candidates of this mode; `actions` are those that fit the moment, with their index."""
    rows: list[Proposal] = []
    for index, action in actions:
        if action.mode is Mode.RESPOND:
            rows.extend(_RECIPES[action.recipe](context, index, action))
    return rows


def _sought(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return the item named or searched for, with the next best answers to the same wish behind it."""
    asked = context.codes == context.mc.item if context.mc.item >= 0 else np.zeros(context.codes.size, dtype=np.bool_)
    first = np.flatnonzero(asked & context.buyable)[:1]
    if context.moment.query:
        answers = _answers(context, action.params["min_match"])
        # A search is a newer wish than the page it was made on.
        first = answers[:1] if answers.size else first
    elif first.size:
        category = context.category[first[0]]
        answers = context.best(context.buyable & (context.category == category), context.moment.max_items)
    else:
        answers = NOTHING_SOUGHT
    if not first.size:
        return []
    return [Proposal(index, _and_due(context, first, answers[answers != first[0]], action), _SOUGHT, quantity=1.0)]


def _and_due(context: Context, first: I64, others: I64, action: Action) -> I64:
    """Return what was sought, a few other answers to the same wish, what else the customer is due to buy, the rest."""
    few = int(action.params["alternatives"])
    due = context.offerable & (context.need >= action.params["min_due"])
    due &= context.category != context.category[first[0]]
    due[others] = False
    also = context.most(context.need, due, context.moment.max_items)
    return np.concatenate((first, others[:few], also, others[few:]))[: context.moment.max_items]


def _answers(context: Context, least: float) -> I64:
    match = context.column("recall_query")
    where = context.buyable & (match >= least)
    return context.most(np.round(match / _TIE), where, context.moment.max_items)


def _cart(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return what is in the cart, to be paid for in one go: at the till that is what was asked for."""
    where = context.buyable & (context.column("in_cart") > 0.0)
    slate = context.best(where, context.moment.max_items)
    return [Proposal(index, slate, _CART, quantity=1.0)] if slate.size else []


def _item(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return the item most likely needed now of those bought before; of those that match, where there is a search."""
    where = context.buyable & (context.column("item_cart") <= 0.0) & (context.column("in_cart") == 0.0)
    where &= context.need >= action.params["min_need"]
    if context.moment.query:
        where &= context.column("recall_query") > 0.0
    return [
        Proposal(index, slate, _REORDER, quantity=context.quantity(int(slate[0])))
        for slate in (context.most(context.need, where, 1),)
        if slate.size
    ]


def _basket(context: Context, index: int, action: Action) -> list[Proposal]:
    """Return the items due together, to be bought again in one go."""
    where = context.offerable & (context.need >= action.params["min_need"])
    slate = context.most(context.need, where, context.moment.max_items)
    if slate.size < action.params["min_items"]:
        return []
    return [Proposal(index, slate, _REORDER, quantity=context.quantity(int(slate[0])))]


_RECIPES: Mapping[str, Callable[[Context, int, Action], list[Proposal]]] = {
    "respond.sought": _sought,
    "checkout.cart": _cart,
    "reorder.item": _item,
    "reorder.basket": _basket,
}
