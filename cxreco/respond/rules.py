"""The rules a good shop would write by hand: the standing comparison, and the fallback of last resort."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import MODE_CODE, Mode
from cxreco.request.candidates import VALUE_COLUMN, Candidates

Bool = NDArray[np.bool_]
Rule = Callable[[Candidates], Bool]


def _is(mode: Mode) -> Rule:
    return lambda candidates: candidates.mode == MODE_CODE[mode]


def _recipe(prefix: str) -> Rule:
    return lambda candidates: np.array([candidates.actions[a].startswith(prefix) for a in candidates.action])


def _above(feature: str, least: float) -> Rule:
    return lambda candidates: np.nan_to_num(candidates.x[:, VALUE_COLUMN[feature]]) >= least


def _outbound(yes: bool) -> Rule:
    return lambda candidates: (candidates.x[:, VALUE_COLUMN["on_outbound"]] > 0.0) == yes


# In this order: the first rule an admitted candidate meets decides, among several the highest `need`, then `buy`.
RULES: Sequence[tuple[str, tuple[Rule, ...]]] = (
    ("what was asked for", (_is(Mode.RESPOND), _above("query_match", 0.6), _outbound(False))),
    ("the item looked at", (_is(Mode.RESPOND), _above("is_sought", 0.5), _outbound(False))),
    ("delegated and due", (_is(Mode.AUTOMATE), _above("need", 0.5), _outbound(True))),
    ("due, remind", (_is(Mode.COACH), _above("need", 0.5), _outbound(True))),
    ("due, re-buy", (_is(Mode.RESPOND), _above("need", 0.5), _outbound(False))),
    ("goes with the cart", (_is(Mode.CURATE), _recipe("curate.complement"), _above("cart_size", 1), _outbound(False))),
    ("a shelf of their own", (_is(Mode.CURATE), _recipe("curate."), _outbound(False))),
)


def by_rules(candidates: Candidates) -> int:
    """Return the row that the rules choose; `hold` (row 0) where none applies."""
    need = np.nan_to_num(candidates.x[:, VALUE_COLUMN["need"]])
    buy = np.nan_to_num(candidates.x[:, VALUE_COLUMN["slate_buy"]])
    for _, conditions in RULES:
        met = np.all([condition(candidates) for condition in conditions], axis=0)
        if met.any():
            rows = np.flatnonzero(met)
            return int(rows[np.lexsort((rows, -buy[rows], -need[rows]))[0]])
    return 0
