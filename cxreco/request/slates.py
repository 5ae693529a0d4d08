"""Slates as padded columns, with a score and a reason for each item in them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter

import numpy as np
from numpy.typing import NDArray

from cxreco.request.actions import Actions
from cxreco.request.context import Context, Proposal
from cxreco.request.reasons import Reason, filled, sentence
from cxreco.request.recalls import RECENT_ANCHORS

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

# A claim is only made where it is true: purchases before a rhythm is named, days a look is remembered, share of the
# best seller's sales from which an item is called popular, how well a match must match.
RHYTHM_ORDERS = 3.0
LOOKED_DAYS = 14.0
POPULAR_SHARE = 0.1
MATCH_LEAST = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Slates:
    """(rows, max_items) of all candidates, `hold` first; see `Candidates`."""

    item: I32
    score: F64
    reason: I32
    reasons: tuple[str, ...]


class _Words:
    """Sentences and their index, each kept once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.index: dict[str, int] = {"": 0}
        self._said: dict[tuple[int, int], int] = {}
        self._anchors: dict[int, str] | None = None

    def of(self, kind: int, position: int) -> int:
        """Return the index of the sentence that says `kind` of the item at a position."""
        key = (kind, position if kind in _FACTS_OF else -1)
        if key not in self._said:
            self._said[key] = self.put(sentence(Reason(kind), self.facts(_FACTS_OF.get(kind, ()), position)))
        return self._said[key]

    def put(self, text: str) -> int:
        return self.index.setdefault(text, len(self.index))

    def facts(self, names: Sequence[str], position: int) -> dict[str, str]:
        """Return these facts of the item at a position, in words; empty where not known."""
        return {name: _FACTS[name](self, position) for name in names}

    def gap(self, position: int) -> str:
        return every(float(self.context.column("item_gap_mean")[position]))

    def since(self, position: int) -> str:
        return span(float(self.context.column("item_days_since")[position]))

    def due(self, position: int) -> str:
        return span(float(self.context.model.median(self.context.grid[position : position + 1])[0]))

    def code(self, position: int) -> int:
        return int(self.context.codes[position])

    def anchors(self) -> dict[int, str]:
        """Return item code -> title of what is at hand that it goes with best."""
        if self._anchors is None:
            self._anchors = _anchors(self.context)
        return self._anchors


# The facts that a template may name (`actions.FACTS`), and those that the sentences of some kinds name.
_FACTS: Mapping[str, Callable[[_Words, int], str]] = {
    "title": lambda words, position: words.context.market.shelf.titles[words.code(position)],
    "brand": lambda words, position: words.context.market.shelf.brands[words.code(position)],
    "category": lambda words, position: words.context.market.shelf.category_names[
        int(words.context.category[position])
    ],
    "gap": lambda words, position: words.gap(position),
    "since": lambda words, position: words.since(position),
    "due": lambda words, position: words.due(position),
    "with": lambda words, position: words.anchors().get(words.code(position), ""),
}
_FACTS_OF: Mapping[int, tuple[str, ...]] = {
    int(Reason.RHYTHM): ("gap",),
    int(Reason.WITH): ("with",),
    int(Reason.CATEGORY): ("category",),
}


def slates(actions: Actions, context: Context, proposals: Sequence[Proposal]) -> Slates:
    """Return the proposals as padded columns, with an empty row for `hold` in front."""
    shape = (1 + len(proposals), context.moment.max_items)
    item = np.full(shape, -1, dtype=np.int32)
    score = np.zeros(shape)
    reason = np.zeros(shape, dtype=np.int32)
    words = _Words(context)
    if proposals:
        size = np.array([proposal.slate.size for proposal in proposals])
        flat = np.concatenate([proposal.slate for proposal in proposals])
        row = np.repeat(np.arange(1, shape[0]), size)
        place = np.arange(flat.size) - np.repeat(np.cumsum(size) - size, size)
        item[row, place] = context.codes[flat]
        score[row, place] = context.buy[flat]
        kinds = _kinds(_holds(context, words), proposals, flat, row - 1)
        reason[row, place] = [words.of(kind, at) for kind, at in zip(kinds.tolist(), flat.tolist(), strict=True)]
        for at, proposal in enumerate(proposals, start=1):
            own = _own_words(actions.actions[proposal.action - 1].reason, words, int(proposal.slate[0]))
            if own:
                reason[at, 0] = words.put(own)
    return Slates(item=item, score=score, reason=reason, reasons=tuple(words.index))


def span(days: float) -> str:
    """Return a span of days in words: "1 day", "24 days", "7 weeks"; empty where not known."""
    if math.isnan(days):
        return ""
    whole = max(round(days), 1)
    if whole == 1:
        return "1 day"
    return f"{whole} days" if whole < 42 else f"{round(whole / 7)} weeks"


def every(days: float) -> str:
    """Return the same as one says it after "every": "day" for a single one."""
    return span(days).removeprefix("1 ")


def _kinds(holds: NDArray[np.bool_], proposals: Sequence[Proposal], flat: I64, row: I64) -> I64:
    """Return for each place of each slate the first kind of reason that holds of its item, else `CHOSEN`.

    Parameters
    ----------
    holds
        (n, kinds) as `_holds` gives it.
    flat, row
        (places,) positions of the items, and which proposal each belongs to.
    """
    wanted = np.array([_padded(proposal.reasons) for proposal in proposals])[row]
    first = holds[flat[:, None], wanted].argmax(axis=1)
    return np.asarray(wanted[np.arange(flat.size), first])


def _padded(reasons: Sequence[Reason]) -> tuple[int, ...]:
    return (*reasons, *[Reason.CHOSEN] * (len(Reason) - len(reasons)))


def _holds(context: Context, words: _Words) -> NDArray[np.bool_]:
    """Return (n, kinds) which claims are true of which item; what a recipe alone can know is taken as true."""
    out = np.zeros((context.codes.size, len(Reason)), dtype=np.bool_)
    orders = context.column("item_orders")
    out[:, [Reason.CHOSEN, Reason.BACK, Reason.MISSED]] = True
    out[:, Reason.ASKED] = context.column("is_sought") > 0.0
    out[:, Reason.MATCH] = context.column("recall_query") >= MATCH_LEAST
    out[:, Reason.RHYTHM] = (orders >= RHYTHM_ORDERS) & (context.column("item_gap_mean") >= 0.5)
    out[:, Reason.BOUGHT] = orders > 0.0
    out[:, Reason.LIKE_YOU] = (context.column("recall_cf") > 0.0) & (context.readings[0] > 0.0)
    out[:, Reason.LOOKED] = context.column("item_days_since_view") <= LOOKED_DAYS
    out[:, Reason.IN_CART] = context.column("in_cart") > 0.0
    out[:, Reason.CATEGORY] = context.category > 0
    out[:, Reason.NEW] = context.column("recall_new") > 0.0
    out[:, Reason.POPULAR] = context.column("popularity_share") >= POPULAR_SHARE
    known = words.anchors()
    if known:
        goes = np.zeros(len(context.market.shelf), dtype=np.bool_)
        goes[list(known)] = True
        out[:, Reason.WITH] = goes[context.codes]
    return out


def _anchors(context: Context) -> dict[int, str]:
    """Return item code -> title of what is at hand that it goes with best: of highest lift."""
    population, titles = context.market.population, context.market.shelf.titles
    anchors = np.array([code for code in _at_hand(context) if code < len(titles) and titles[code]], dtype=np.int64)
    named, lift = population.neighbours[anchors].ravel(), population.lift[anchors].ravel()
    # Ascending, so that the best is the last said of an item and stays.
    order = np.argsort(lift, kind="stable")
    order = order[named[order] >= 0]
    said = anchors[order // max(population.neighbours.shape[1], 1)]
    return {code: titles[anchor] for code, anchor in zip(named[order].tolist(), said.tolist(), strict=True)}


def _at_hand(context: Context) -> list[int]:
    """Return the cart and the item looked at, else what was bought last: what co-purchases are recalled for."""
    at_hand = [*context.mc.cart.tolist(), *([context.mc.item] if context.mc.item >= 0 else [])]
    if at_hand:
        return at_hand
    slots = context.state.item_slots
    bought = slots[slots["orders"] > 0]
    latest = np.argsort(-bought["last_at"].astype(np.int64), kind="stable")[:RECENT_ANCHORS]
    return [int(code) for code in bought["key"][latest]]


def _own_words(template: str, words: _Words, position: int) -> str:
    if not template:
        return ""
    return filled(template, words.facts(_named_by(template), position))


@lru_cache(maxsize=256)
def _named_by(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)
