"""Curated offering: the customer knows the need, not the option; a short, varied choice with a reason for each item."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import Mode
from cxreco.request.actions import Action
from cxreco.request.context import Context, Proposal
from cxreco.request.reasons import Reason

I64 = NDArray[np.int64]

_PERSONAL = (
    Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.LOOKED, Reason.WITH, Reason.LIKE_YOU, Reason.CATEGORY,
    Reason.NEW, Reason.POPULAR,
)  # fmt: skip
_CATEGORY = (Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.LOOKED, Reason.CATEGORY, Reason.LIKE_YOU)
_COMPLEMENT = (Reason.WITH, Reason.RHYTHM, Reason.LIKE_YOU)
_DISCOVER = (Reason.LIKE_YOU, Reason.NEW, Reason.LOOKED, Reason.POPULAR)
# Of the items to discover, every fourth place goes to one that is new to the shop.
_FRESH_EVERY = 4


def propose(context: Context, actions: Sequence[tuple[int, Action]]) -> list[Proposal]:
    """Return the candidates of this mode; `actions` are those that fit the moment, with their index."""
    rows: list[Proposal] = []
    shown: set[bytes] = set()
    for index, action in actions:
        if action.mode is not Mode.CURATE:
            continue
        slate, reasons = _RECIPES[action.recipe](context, action)
        # The same slate under two names would be one offer with twice the chance.
        if slate.size >= action.params.get("min_items", 1.0) and slate.tobytes() not in shown:
            shown.add(slate.tobytes())
            rows.append(Proposal(index, slate, reasons))
    return rows


def _personal(context: Context, action: Action) -> tuple[I64, tuple[Reason, ...]]:
    """Return what the ranker puts first; among the answers to a search, where there are some."""
    where = context.offerable
    match = context.column("recall_query")
    if context.moment.query and bool((where & (match > 0.0)).any()):
        order = context.most(match * context.buy, where & (match > 0.0), where.size)
    else:
        order = context.best(where, where.size)
    return context.spread(order, context.moment.max_items, action.params["max_category_share"]), _PERSONAL


def _category(context: Context, action: Action) -> tuple[I64, tuple[Reason, ...]]:
    """Return the best of the category that the customer is looking at, or looked at most lately."""
    category = _current_category(context)
    where = context.offerable & (context.category == category) & (category > 0)
    return context.best(where & (context.codes != context.mc.item), context.moment.max_items), _CATEGORY


def _current_category(context: Context) -> int:
    """Return the category of the item, of the best match, or of the latest view; 0 for none."""
    if context.mc.item >= 0:
        return int(context.market.shelf.category[context.mc.item])
    if context.moment.query:
        match = context.column("recall_query")
        return int(context.category[int(match.argmax())]) if match.size and match.max() > 0.0 else 0
    seen = context.state.category_slots
    if not seen.size or int(seen["viewed_at"].max()) == 0:
        return 0
    return int(seen["key"][int(seen["viewed_at"].argmax())])


def _complement(context: Context, action: Action) -> tuple[I64, tuple[Reason, ...]]:
    """Return what goes with the cart or the item at hand: bought together with it more often than by chance."""
    together = context.column("recall_copurchase")
    where = context.offerable & (together > 0.0) & (context.codes != context.mc.item)
    order = context.most(together * context.buy, where, where.size)
    return context.spread(order, context.moment.max_items, action.params["max_category_share"]), _COMPLEMENT


def _discover(context: Context, action: Action) -> tuple[I64, tuple[Reason, ...]]:
    """Return what the customer never bought: by taste shared with others, with new items in between."""
    where = context.offerable & (context.column("item_orders") == 0.0)
    taste = context.column("recall_cf")
    new = where & (context.column("recall_new") > 0.0)
    # Of whom no taste is known, there is nothing to lead away from: the personal slate is theirs.
    liked = context.most(taste * context.buy, where & ~new & (taste > 0.0), where.size)
    order = _woven(liked, context.best(new, where.size))
    return context.spread(order, context.moment.max_items, action.params["max_category_share"]), _DISCOVER


def _woven(often: I64, seldom: I64) -> I64:
    """Return both orders as one, every fourth place from `seldom` as long as it lasts."""
    rank_often = np.arange(often.size) + np.arange(often.size) // (_FRESH_EVERY - 1)
    rank_seldom = np.arange(seldom.size) * _FRESH_EVERY + _FRESH_EVERY - 1
    ranks = np.concatenate((rank_often, rank_seldom))
    return np.concatenate((often, seldom))[np.argsort(ranks, kind="stable")]


_RECIPES: Mapping[str, Callable[[Context, Action], tuple[I64, tuple[Reason, ...]]]] = {
    "curate.personal": _personal,
    "curate.category": _category,
    "curate.complement": _complement,
    "curate.discover": _discover,
}
