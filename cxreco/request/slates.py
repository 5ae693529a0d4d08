"""Slates as padded columns, with a score and a reason for each item in them.

A reason is a number until somebody reads it: which kind holds of which item is found for all candidates at once, the
sentence is made of the few that are shown.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import overload

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.frozen import quick
from cxreco.recognise.market import Market, Wares
from cxreco.request.actions import Actions, Fitting
from cxreco.request.context import SINCE, Sight
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.need import NeedModel
from cxreco.request.offers import Offers
from cxreco.request.reasons import KINDS, Reason, filled, sentence
from cxreco.request.recalling import RECENT_ANCHORS

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# A claim is only made where it is true: purchases before a rhythm is named, days a look is remembered, share of the
# best seller's sales from which an item is called popular, how well a match must match.
RHYTHM_ORDERS = 3.0
RHYTHM_DAYS = 0.5
LOOKED_DAYS = 14.0
POPULAR_SHARE = 0.1
MATCH_LEAST = 0.3
_ORDERS, _GAP, _VIEWED = (RANKER_COLUMN[f"item_{name}"] for name in ("orders", "gap_mean", "days_since_view"))
_SOUGHT, _IN_CART, _SHARE = (RANKER_COLUMN[name] for name in ("is_sought", "in_cart", "popularity_share"))
_QUERY, _CF, _NEW = (RANKER_COLUMN[f"recall_{name}"] for name in ("query", "cf", "new"))
# As plain numbers, for compiled code.
ASKED, MATCH, RHYTHM, BOUGHT, WITH, LIKE_YOU, LOOKED, IN_CART, CATEGORY, NEW, POPULAR = range(1, 12)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What sentences are made of.

    Attributes
    ----------
    codes, x
        The (n,) items of the moment, and what the ranker sees of them.
    bought, grid
        Positions of what was ever bought, ascending; and how to find out when each of those is needed again.
    anchors
        Codes of what is at hand (`at_hand`).
    """

    codes: I32
    x: F64
    bought: NDArray[np.int64]
    grid: Callable[[], F64]
    anchors: I32
    market: Market


class Sentences(Sequence[str]):
    """The reasons that could be said at a moment, made into words when one is read.

    Index 0 is silence. Any other is ((action * KINDS) + kind) * n + position + 1: the action's own words, where it has
    some and all their facts are known (action 0: none), else what `kind` says of the item at a position.
    """

    __slots__ = ("_actions", "_known", "_n", "_need")

    def __init__(self, actions: Actions, known: Facts, need: NeedModel) -> None:
        self._actions = actions
        self._known = known
        self._need = need
        self._n = max(known.codes.size, 1)

    def __len__(self) -> int:
        return (1 + len(self._actions.actions)) * KINDS * self._n + 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return the sentence of an index."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if not 0 <= index < len(self):
            raise IndexError(f"there is no reason {index}")
        if index == 0:
            return ""
        what, position = divmod(index - 1, self._n)
        action, kind = divmod(what, KINDS)
        if action and (own := self._actions.actions[action - 1].reason):
            said = filled(own, self._facts(_named_by(own), position))
            if said:
                return said
        return sentence(kind, self._facts(_FACTS_OF[kind], position) if kind in _FACTS_OF else _NO_FACTS)

    def _facts(self, names: Sequence[str], position: int) -> dict[str, str]:
        """Return these facts of the item at a position, in words; empty where not known."""
        return {name: _FACTS[name](self, position) for name in names}

    def gap(self, position: int) -> str:
        """Return the gap between their purchases of the item, as said after "every"."""
        return every(float(self._known.x[position, _GAP]))

    def since(self, position: int) -> str:
        """Return how long ago they bought the item."""
        return span(float(self._known.x[position, SINCE]))

    def due(self, position: int) -> str:
        """Return in how long they need the item again."""
        (row,) = np.nonzero(self._known.bought == position)
        return span(float(self._need.median(self._known.grid()[row])[0])) if row.size else ""

    def text(self, name: str, position: int) -> str:
        """Return a text of the catalogue on the item."""
        shelf, code = self._known.market.shelf, int(self._known.codes[position])
        if name == "category":
            return shelf.category_names[int(shelf.category[code])]
        return (shelf.titles if name == "title" else shelf.brands)[code]

    def goes_with(self, position: int) -> str:
        """Return the title of what is at hand that the item goes with best: of highest lift, the last among equals."""
        market, code = self._known.market, int(self._known.codes[position])
        best, said = 0.0, ""
        for anchor in self._known.anchors.tolist():
            for lift in market.population.lift[anchor][market.population.neighbours[anchor] == code].tolist():
                if lift >= best:
                    best, said = lift, market.shelf.titles[anchor]
        return said


# The facts that a template may name (`actions.FACTS`), and those that the sentences of some kinds name.
_FACTS: Mapping[str, Callable[[Sentences, int], str]] = {
    "title": lambda words, position: words.text("title", position),
    "brand": lambda words, position: words.text("brand", position),
    "category": lambda words, position: words.text("category", position),
    "gap": Sentences.gap,
    "since": Sentences.since,
    "due": Sentences.due,
    "with": Sentences.goes_with,
}
_FACTS_OF: Mapping[int, tuple[str, ...]] = {
    int(Reason.RHYTHM): ("gap",),
    int(Reason.WITH): ("with",),
    int(Reason.CATEGORY): ("category",),
}
_NO_FACTS: dict[str, str] = {}


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


@compiled
def filled_slates(s: Sight, offers: Offers, fitting: Fitting, anchors: I32, m: Wares) -> tuple[I32, F64]:
    """Return the offers as padded columns, an empty row for `hold`.

    Items and reasons are (2, 1 + offers, max_items), scores (1 + offers, max_items).

    Parameters
    ----------
    anchors
        What is at hand, `at_hand`.
    """
    rows = offers.n[0]
    slates = np.zeros((2, 1 + rows, s.most), np.int32)
    slates[0] = -1
    score = np.zeros((1 + rows, s.most))
    _fill(s, offers, fitting, anchors, m, (slates[0], score, slates[1]))
    return slates, score


@compiled_inner
def _fill(s: Sight, offers: Offers, fitting: Fitting, anchors: I32, m: Wares, into: tuple[I32, F64, I32]) -> None:
    item, score, reason = into
    bought = s.readings[0] > 0.0
    n = max(s.codes.size, 1)
    for row in range(offers.n[0]):
        own = 0
        for k in range(fitting.action.size):
            if fitting.said[k] and fitting.action[k] == offers.action[row]:
                own = offers.action[row]
        for place in range(offers.size[row]):
            position = offers.slate[row, place]
            kind = 0
            for i in range(KINDS):
                kind = offers.kinds[row, i]
                if _holds(kind, s.x[position], s.category[position], s.codes[position], bought, anchors, m):
                    break
            action = own if place == 0 else 0
            item[1 + row, place] = s.codes[position]
            score[1 + row, place] = s.buy[position]
            reason[1 + row, place] = (action * KINDS + kind) * n + position + 1


@compiled_inner
def _holds(kind: int, x: F64, category: int, code: int, bought: bool, anchors: I32, m: Wares) -> bool:
    """Return whether a claim is true of an item; what a recipe alone can know is taken as true."""
    if kind == ASKED:
        return bool(x[_SOUGHT] > 0.0)
    if kind == MATCH:
        return bool(x[_QUERY] >= MATCH_LEAST)
    if kind == RHYTHM:
        return bool(x[_ORDERS] >= RHYTHM_ORDERS and x[_GAP] >= RHYTHM_DAYS)
    if kind == BOUGHT:
        return bool(x[_ORDERS] > 0.0)
    if kind == WITH:
        for anchor in anchors:
            for i in range(m.neighbours.shape[1]):
                if m.neighbours[anchor, i] == code:
                    return True
        return False
    return _holds_of_shop(kind, x, category, bought)


@compiled_inner
def _holds_of_shop(kind: int, x: F64, category: int, bought: bool) -> bool:
    if kind == LIKE_YOU:
        return bool(x[_CF] > 0.0 and bought)
    if kind == LOOKED:
        return bool(x[_VIEWED] <= LOOKED_DAYS)
    if kind == IN_CART:
        return bool(x[_IN_CART] > 0.0)
    if kind == CATEGORY:
        return category > 0
    if kind == NEW:
        return bool(x[_NEW] > 0.0)
    if kind == POPULAR:
        return bool(x[_SHARE] >= POPULAR_SHARE)
    return True


@compiled
def at_hand(there: I32, slots: NDArray[np.void], m: Wares) -> I32:
    """Return what reasons may name: the cart and the item looked at, else what was bought last; all with titles."""
    codes = there if there.size else _latest(slots, RECENT_ANCHORS)
    out = np.empty(codes.size, np.int32)
    n = 0
    for code in codes:
        if code < m.titled.size and m.titled[code]:
            out[n] = code
            n += 1
    return out[:n]


@compiled
def _latest(slots: NDArray[np.void], most: int) -> I32:
    """Return the items bought last, latest first."""
    out, when = np.empty(most, np.int32), np.zeros(most, np.int64)
    n = 0
    for i in range(slots.size):
        last = np.int64(slots[i].last_at)
        if slots[i].orders == 0 or (n == most and last <= when[n - 1]):
            continue
        n = min(n + 1, most)
        at = n - 1
        while at > 0 and when[at - 1] < last:
            when[at], out[at] = when[at - 1], out[at - 1]
            at -= 1
        when[at], out[at] = last, slots[i].key
    return out[:n]


@lru_cache(maxsize=256)
def _named_by(template: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in Formatter().parse(template) if name)
