"""Recalls: which items could matter at a moment, each asked its own question, together at most about two hundred.

    personal     what they buy, by fading counts of the half-year and the month
    due          what is near the end of its gap, their own mixed with everyone's
    viewed       what they looked at lately and did not buy since
    category     the best sellers of the categories of the moment and of those that they buy most
    copurchase   what goes with the cart and the item looked at, else with what they bought last
    cf           what customers with the same taste buy and this one has not
    popular      what everybody buys; 1 for the best seller
    new          what of the new on the shelf promises most for their taste; 1 for the first, falling with the place
    query        what the query means; what they bought before is kept even if it is not to be had
    alike        what the buyers of what they bought also buy and this one has not

`recalling` computes them, all in one compiled pass; this is their one door.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import StalePlaybook
from cxreco.recognise.market import Market
from cxreco.recognise.reading import seconds
from cxreco.recognise.state import State
from cxreco.request.moment_codes import MomentCodes
from cxreco.request.recalling import recall

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

# In the order of the columns of `recalling`.
RECALLS: tuple[str, ...] = (
    "personal", "due", "viewed", "category", "copurchase", "cf", "popular", "new", "query",
    "alike",
)  # fmt: skip
# How many items each may name.
SIZES: Mapping[str, int] = MappingProxyType(
    {
        "personal": 80, "due": 40, "viewed": 20, "category": 30, "copurchase": 40, "cf": 40, "popular": 20, "new": 30,
        "query": 20, "alike": 40,
    }
)  # fmt: skip
MOST = 200
_NOTHING = (np.empty(0, dtype=np.int32), np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """How widely is recalled.

    Attributes
    ----------
    most
        Items together; beyond it those go that rank last in all their recalls.
    sizes
        How many items each recall may name.
    """

    most: int = MOST
    sizes: Mapping[str, int] = field(default_factory=lambda: SIZES)
    counts: I64 = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if set(self.sizes) != set(RECALLS) or self.most < 1 or min(self.sizes.values()) < 0:
            raise StalePlaybook(f"recalls need a size each of {', '.join(RECALLS)}, and at least one item together")
        object.__setattr__(self, "counts", np.array([self.sizes[name] for name in RECALLS], dtype=np.int64))

    def to_spec(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {"most": self.most, "sizes": dict(self.sizes)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recalled:
    """The recalled items.

    Attributes
    ----------
    codes
        (n,) item codes, ascending, each once.
    sources
        (n,) bit r is set where recall r named the item; 0 for what is only in the cart or looked at.
    scores
        (n, len(RECALLS)) by recall, 0 where it did not name the item; what costs nothing to know of the others
        (likeness of taste, goes together, alike, match of the query) is given for all.
    """

    codes: I32
    sources: NDArray[np.uint16]
    scores: F64


WIDE = Recall()


def recall_all(state: State, mc: MomentCodes, market: Market, how: Recall = WIDE) -> Recalled:
    """Return what any recall names that can be bought, and the item looked at and the cart in any case.

    A searched item that the customer has bought before is kept when it cannot be bought now: it is what they want, and
    the answer must deal with it.

    Parameters
    ----------
    state
        Of the customer, as of the moment.
    mc
        The moment, in the market's codes.
    market
        What is true for all customers.
    how
        How many items each recall may name, and all together.
    """
    there, asked = asked_of(mc, market)
    codes, sources, scores = recall(
        state.item_slots, seconds(mc.at), there, asked, market.search.tie, market.columns, how.counts, how.most
    )
    return Recalled(codes=codes, sources=sources, scores=scores)


def asked_of(mc: MomentCodes, market: Market) -> tuple[I32, tuple[I32, F64]]:
    """Return the cart and the item looked at; and what the query matches, ascending, and how well."""
    there = mc.cart
    if mc.item >= 0:
        there = np.empty(mc.cart.size + 1, dtype=np.int32)
        there[:-1] = mc.cart
        there[-1] = mc.item
    return there, market.search.found(mc.query) if mc.query else _NOTHING
