"""Why this item: short sentences a customer could read, each of them true of what the shop knows."""

from collections.abc import Mapping
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Reason(IntEnum):
    """Kinds of reason; `sentence` puts them into words."""

    CHOSEN = 0
    ASKED = 1
    MATCH = 2
    RHYTHM = 3
    BOUGHT = 4
    WITH = 5
    LIKE_YOU = 6
    LOOKED = 7
    IN_CART = 8
    CATEGORY = 9
    NEW = 10
    POPULAR = 11
    BACK = 12
    MISSED = 13


KINDS = len(Reason)


def preference(*kinds: Reason) -> NDArray[np.int64]:
    """Return kinds in order of preference, (KINDS,), ending in what always holds."""
    return np.array([*kinds, *[Reason.CHOSEN] * (KINDS - len(kinds))], dtype=np.int64)


def sentence(kind: int, facts: dict[str, str]) -> str:
    """Return a reason in words.

    Parameters
    ----------
    kind
        What is claimed: a `Reason`, or its number.
    facts
        What is known of the item: `title`, `category`, `gap` (days), `with` (title of what it goes with).
    """
    return _SENTENCES[kind].format_map(facts) if facts else _SENTENCES[kind]


def filled(template: str, facts: dict[str, str]) -> str:
    """Return an action's own template in words; empty where one of the facts it names is not known."""
    return template.format_map(facts) if all(facts.values()) else ""


_SENTENCES: Mapping[int, str] = {
    Reason.CHOSEN: "Chosen for you",
    Reason.ASKED: "The item you asked for",
    Reason.MATCH: "Matches your search",
    Reason.RHYTHM: "You buy this about every {gap}",
    Reason.BOUGHT: "You bought this before",
    Reason.WITH: "Goes with {with}",
    Reason.LIKE_YOU: "Often chosen by customers like you",
    Reason.LOOKED: "You looked at this lately",
    Reason.IN_CART: "In your cart",
    Reason.CATEGORY: "More from {category}",
    Reason.NEW: "New",
    Reason.POPULAR: "Popular right now",
    Reason.BACK: "Back in stock",
    Reason.MISSED: "It has been a while: still yours with one click",
}
