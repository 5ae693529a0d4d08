"""The arithmetic of `design`, compiled: a row a candidate, no array for each step.

`signals` and `base_signals` are `design.signals` and `value.base_design`, to within rounding (a test holds them
together).
"""

import math

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.request.candidates import VALUE_COLUMN

F64 = NDArray[np.float64]
SIGNALS, BASE_SIGNALS = 23, 12
PSEUDO_ANSWERS, EXPECTED_ACCEPTANCE = 4.0, 0.2
_QUERY, _ITEM, _SOUGHT, _MATCH, _NEED, _NEED_OPEN, _BUY, _SLATE_BUY, _REPEAT, _CONTACTS = (
    VALUE_COLUMN[name]
    for name in (
        "has_query", "has_item", "is_sought", "query_match", "need", "need_open", "buy", "slate_buy",
        "repeat_share", "contacts_7",
    )
)  # fmt: skip
_SHOWN, _ACCEPTED, _REFUSED, _OUTBOUND, _CART, _IN_CART, _TRUST = (
    VALUE_COLUMN[name]
    for name in (
        "mode_shown_60", "mode_accepted_60", "mode_days_since_dismissed", "on_outbound", "cart_size", "item_in_cart",
        "trust",
    )
)  # fmt: skip
_RIVALS, _USUAL, _TOPIC, _CATEGORIES, _SLATE_MARGIN = (
    VALUE_COLUMN[name] for name in ("asked_rivals", "asked_usual", "topic_share", "slate_categories", "slate_margin")
)
_NEED_TOP, _DUE, _SEARCH, _PRODUCT, _MATCH_TOP, _ORDERS_30, _NEEDS_DUE = (
    VALUE_COLUMN[name]
    for name in ("need_top", "order_due", "on_search", "on_product", "query_match_top", "orders_30", "needs_due")
)


@compiled_inner
def known(value: float, neutral: float) -> float:
    """Return a value, or the neutral one where it is missing or infinite."""
    return value if math.isfinite(value) else neutral


@compiled_inner
def clipped(value: float, low: float, high: float) -> float:
    """Return a value within bounds."""
    return min(max(value, low), high)


@compiled_inner
def write_signals(out: F64, x: F64, usual: float) -> None:
    """Write the signals of one candidate; see `design.SIGNALS`."""
    asked = max(known(x[_QUERY], 0.0), known(x[_ITEM], 0.0))
    sought = max(known(x[_SOUGHT], 0.0), known(x[_MATCH], 0.0), known(x[_IN_CART], 0.0))
    sought = clipped(sought, 0.0, 1.0)
    buy = clipped(known(x[_BUY], 0.02), 0.001, 0.999)
    need = clipped(known(x[_NEED], 0.0), 0.0, 1.0)
    shown, accepted = known(x[_SHOWN], 0.0), known(x[_ACCEPTED], 0.0)
    answered = (accepted + PSEUDO_ANSWERS * EXPECTED_ACCEPTANCE) / (shown + PSEUDO_ANSWERS)
    named = asked / max(known(x[_RIVALS], np.inf), 1.0)
    same = asked * clipped(known(x[_USUAL], 0.0), 0.0, 1.0)
    topic = asked * clipped(known(x[_TOPIC], 0.0), 0.0, 1.0)
    out[0] = 1.0
    out[1] = sought
    out[2] = asked * (1.0 - sought)
    out[3] = need
    out[4] = clipped(known(x[_NEED_OPEN], 0.0), 0.0, 1.0)
    out[5] = clipped(math.log(buy / (1.0 - buy)) / 4.0, -1.5, 1.5)
    out[6] = clipped(clipped(known(x[_SLATE_BUY], 0.0), 0.0, 1.0) - buy, 0.0, 1.0)
    out[7] = clipped(known(x[_REPEAT], 0.0), 0.0, 1.0)
    out[8] = clipped(known(x[_CONTACTS], 0.0) / 3.0, 0.0, 2.0)
    out[9] = clipped(math.log(clipped(answered, 0.01, 1.0) / EXPECTED_ACCEPTANCE), -2.0, 2.0)
    out[10] = math.exp(-known(x[_REFUSED], 1e3) / 14.0)
    out[11] = known(x[_OUTBOUND], 0.0)
    out[12] = min(known(x[_CART], 0.0), 1.0)
    out[13] = clipped(known(x[_TRUST], 0.0), -1.0, 1.0)
    out[14] = named
    out[15] = sought * named
    out[16] = same
    out[17] = sought * same
    out[18] = topic
    out[19] = topic * (1.0 - named)
    out[20] = asked * (1.0 - named)
    out[21] = known(x[_CATEGORIES], 0.0) / 10.0
    out[22] = clipped(known(x[_SLATE_MARGIN], 0.0) / usual, 0.0, 1.5)


@compiled_inner
def write_base_signals(out: F64, x: F64) -> None:
    """Write what is told by a moment alone, from its `hold` row; see `value.BASE_SIGNALS`."""
    out[0] = 1.0
    out[1] = known(x[_OUTBOUND], 0.0)
    out[2] = max(known(x[_QUERY], 0.0), known(x[_ITEM], 0.0))
    out[3] = min(known(x[_CART], 0.0), 1.0)
    out[4] = clipped(known(x[_NEED_TOP], 0.0), 0.0, 1.0)
    out[5] = clipped(known(x[_DUE], 0.0) - 1.0, -1.0, 1.0)
    out[6] = known(x[_SEARCH], 0.0)
    out[7] = known(x[_PRODUCT], 0.0)
    out[8] = clipped(known(x[_REPEAT], 0.0), 0.0, 1.0)
    out[9] = clipped(known(x[_MATCH_TOP], 0.0), 0.0, 1.0)
    out[10] = math.log1p(max(known(x[_ORDERS_30], 0.0), 0.0))
    out[11] = clipped(known(x[_NEEDS_DUE], 0.0), 0.0, 3.0)


@compiled
def signals(x: F64, usual: float) -> F64:
    """Return (n, SIGNALS) signals of candidates."""
    out = np.empty((x.shape[0], SIGNALS))
    for row in range(x.shape[0]):
        write_signals(out[row], x[row], usual)
    return out


@compiled
def base_signals(moment: F64) -> F64:
    """Return (m, BASE_SIGNALS) signals of moments, from their `hold` rows."""
    out = np.empty((moment.shape[0], BASE_SIGNALS))
    for row in range(moment.shape[0]):
        write_base_signals(out[row], moment[row])
    return out
