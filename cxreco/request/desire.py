"""Respond to desire: the customer knows what they want; put exactly that first, with the fewest steps."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import RESPOND
from cxreco.request.actions import PARAM, RECIPE
from cxreco.request.context import CART, IN_CART, MATCH, Sight, best, greatest, needed
from cxreco.request.offers import Offers, add
from cxreco.request.reasons import Reason, preference

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_SOUGHT, _CHECKOUT, _ITEM, _BASKET = (
    RECIPE[name] for name in ("respond.sought", "checkout.cart", "reorder.item", "reorder.basket")
)
_MIN_MATCH, _ALTERNATIVES, _MIN_DUE, _MIN_NEED, _MIN_ITEMS = (
    PARAM[name] for name in ("min_match", "alternatives", "min_due", "min_need", "min_items")
)
_SAID_OF_SOUGHT = preference(Reason.ASKED, Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.CATEGORY, Reason.LIKE_YOU)
_SAID_OF_REORDER = preference(Reason.RHYTHM, Reason.BOUGHT)
_SAID_OF_CART = preference(Reason.IN_CART)
# Matches this close count as equally good: then the customer's own taste decides.
_TIE = 0.05


@compiled
def propose(s: Sight, action: int, recipe: int, params: F64, offers: Offers) -> None:
    """Add the candidates of one action of this mode, made by its recipe with its numbers."""
    if recipe == _SOUGHT:
        add(offers, RESPOND, action, _sought(s, params), _SAID_OF_SOUGHT, 1.0, np.nan)
    elif recipe == _CHECKOUT:
        add(offers, RESPOND, action, _cart(s), _SAID_OF_CART, 1.0, np.nan)
    elif recipe == _ITEM:
        slate = _item(s, params)
        add(offers, RESPOND, action, slate, _SAID_OF_REORDER, s.units[slate[0]] if slate.size else np.nan, np.nan)
    elif recipe == _BASKET:
        slate = greatest(s, s.need, needed(s, params[_MIN_NEED], s.offerable), s.most)
        if slate.size >= params[_MIN_ITEMS]:
            add(offers, RESPOND, action, slate, _SAID_OF_REORDER, s.units[slate[0]] if slate.size else np.nan, np.nan)


@compiled
def _sought(s: Sight, params: F64) -> I64:
    """Return the item named or searched for, with the next best answers to the same wish behind it."""
    first = -1
    for i in range(s.codes.size):
        if s.codes[i] == s.item and s.buyable[i]:
            first = i
    answers = np.empty(0, np.int64)
    if s.query:
        answers = _answers(s, params[_MIN_MATCH])
        # A search is a newer wish than the page it was made on.
        first = answers[0] if answers.size else first
    elif first >= 0:
        answers = best(s, s.buyable & (s.category == s.category[first]), s.most)
    if first < 0:
        return np.empty(0, np.int64)
    return _and_due(s, first, answers[answers != first], params)


@compiled
def _and_due(s: Sight, first: int, others: I64, params: F64) -> I64:
    """Return what was sought, a few other answers to the same wish, what else the customer is due to buy, the rest."""
    few = int(params[_ALTERNATIVES])
    due = needed(s, params[_MIN_DUE], s.offerable) & (s.category != s.category[first])
    due[others] = False
    also = greatest(s, s.need, due, s.most)
    return np.concatenate((np.array([first]), others[:few], also, others[few:]))[: s.most]


@compiled
def _answers(s: Sight, least: float) -> I64:
    match = s.x[:, MATCH]
    return greatest(s, np.rint(match / _TIE), s.buyable & (match >= least), s.most)


@compiled
def _cart(s: Sight) -> I64:
    """Return what is in the cart, to be paid for in one go: at the till that is what was asked for."""
    return best(s, s.buyable & (s.x[:, IN_CART] > 0.0), s.most)


@compiled
def _item(s: Sight, params: F64) -> I64:
    """Return the item most likely needed now of those bought before; of those that match, where there is a search."""
    where = needed(s, params[_MIN_NEED], s.buyable) & (s.x[:, CART] <= 0.0) & (s.x[:, IN_CART] == 0.0)
    if s.query:
        where &= s.x[:, MATCH] > 0.0
    return greatest(s, s.need, where, 1)
