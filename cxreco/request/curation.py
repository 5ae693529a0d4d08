"""Curated offering: the customer knows the need, not the option; a short, varied choice with a reason for each item."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import Mode
from cxreco.request.actions import Action
from cxreco.request.context import Context, Proposal
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.reasons import Preference, Reason, preference

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
EMPTY = np.empty(0, dtype=np.int64)

_PERSONAL = preference(
    Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.LOOKED, Reason.WITH, Reason.LIKE_YOU, Reason.CATEGORY,
    Reason.NEW, Reason.POPULAR,
)  # fmt: skip
_CATEGORY = preference(Reason.MATCH, Reason.RHYTHM, Reason.BOUGHT, Reason.LOOKED, Reason.CATEGORY, Reason.LIKE_YOU)
_COMPLEMENT = preference(Reason.WITH, Reason.RHYTHM, Reason.LIKE_YOU)
_DISCOVER = preference(Reason.LIKE_YOU, Reason.NEW, Reason.LOOKED, Reason.POPULAR)
# Of the items to discover, every fourth place goes to one that is new to the shop.
_FRESH_EVERY = 4
_ORDERS, _CF, _NEW = (RANKER_COLUMN[name] for name in ("item_orders", "recall_cf", "recall_new"))


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


def _personal(context: Context, action: Action) -> tuple[I64, Preference]:
    """Return what the ranker puts first; after a search the answers to it, with what else they may want behind."""
    match = context.column("recall_query")
    order = EMPTY
    if context.moment.query:
        order = _weighed(context.ranked, context.offerable, match, context.buy)
    rest = context.offerable if not order.size else context.offerable & (match == 0.0)
    order = np.concatenate((order, context.best(rest, context.codes.size)))
    return context.spread(order, context.moment.max_items, action.params["max_category_share"]), _PERSONAL


def _category(context: Context, action: Action) -> tuple[I64, Preference]:
    """Return the best of the category that the customer is looking at, or looked at most lately."""
    category = _current_category(context)
    if category <= 0:
        return EMPTY, _CATEGORY
    where = context.offerable & (context.category == category) & (context.codes != context.mc.item)
    return context.best(where, context.moment.max_items), _CATEGORY


def _current_category(context: Context) -> int:
    """Return the category of the item, of the best match, or of the latest view; 0 for none."""
    if context.mc.item >= 0:
        return int(context.market.shelf.category[context.mc.item])
    if context.moment.query:
        match = context.column("recall_query")
        return int(context.category[int(match.argmax())]) if match.size and match.max() > 0.0 else 0
    return int(_seen_last(context.state.category_slots))


@compiled
def _seen_last(categories: NDArray[np.void]) -> int:
    """Return the category that was viewed last, the first among equals; 0 for none."""
    best, last = 0, 0
    for i in range(categories.size):
        if categories[i].viewed_at > last:
            best, last = categories[i].key, categories[i].viewed_at
    return best


def _complement(context: Context, action: Action) -> tuple[I64, Preference]:
    """Return what goes with the cart or the item at hand: bought together with it more often than by chance."""
    where = context.offerable
    if context.mc.item >= 0:
        where = where & (context.codes != context.mc.item)
    order = _weighed(context.ranked, where, context.column("recall_copurchase"), context.buy)
    return context.spread(order, context.moment.max_items, action.params["max_category_share"]), _COMPLEMENT


@compiled
def _weighed(ranked: I64, where: Bool, sign: F64, buy: F64) -> I64:
    """Return positions where the sign is above 0, by it times the chance, then by score."""
    kept = np.empty(ranked.size, np.int64)
    weight = np.empty(ranked.size)
    n = 0
    for position in ranked:
        if where[position] and sign[position] > 0.0:
            kept[n] = position
            weight[n] = -sign[position] * buy[position]
            n += 1
    return kept[:n][np.argsort(weight[:n], kind="mergesort")]


def _discover(context: Context, action: Action) -> tuple[I64, Preference]:
    """Return what the customer never bought: by taste shared with others, with new items in between."""
    order = _undiscovered(context.ranked, context.offerable, context.x, context.buy)
    return context.spread(order, context.moment.max_items, action.params["max_category_share"]), _DISCOVER


@compiled
def _undiscovered(ranked: I64, offerable: Bool, x: F64, buy: F64) -> I64:
    open_, fresh = np.empty(offerable.size, np.bool_), np.empty(offerable.size, np.bool_)
    for i in range(offerable.size):
        unknown = offerable[i] and x[i, _ORDERS] == 0.0
        fresh[i] = unknown and x[i, _NEW] > 0.0
        open_[i] = unknown and not fresh[i]
    # Of whom no taste is known, there is nothing to lead away from: the personal slate is theirs.
    liked = _weighed(ranked, open_, x[:, _CF], buy)
    out = np.empty(ranked.size, np.int64)
    n = taken = 0
    for position in ranked:
        if not fresh[position]:
            continue
        # Every fourth place is for one that is new, as long as there are others to stand between.
        while taken < liked.size and n % _FRESH_EVERY != _FRESH_EVERY - 1:
            out[n] = liked[taken]
            n, taken = n + 1, taken + 1
        out[n] = position
        n += 1
    rest = liked[taken:]
    out[n : n + rest.size] = rest
    return out[: n + rest.size]


_RECIPES: Mapping[str, Callable[[Context, Action], tuple[I64, Preference]]] = {
    "curate.personal": _personal,
    "curate.category": _category,
    "curate.complement": _complement,
    "curate.discover": _discover,
}
