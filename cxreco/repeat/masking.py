"""A customer without their history: what is known of them replaced by what is usual, the moment and the items kept."""

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.recognise.layout import Kind
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# What a moment and an item say of themselves, whoever is asking; every other feature is the customer's own.
IMPERSONAL = frozenset(
    {
        "has_query", "has_item", "cart_size", "on_outbound", "on_search", "on_product", "on_checkout", "hour",
        "query_match_top", "item_in_cart", "item_margin", "item_price", "quantity", "popularity", "return_rate",
        "query_match", "is_sought", "slate_size", "asked_rivals", "topic_share", "slate_categories",
    }
)  # fmt: skip
PERSONAL = tuple(name for name in VALUE_FEATURES if name not in IMPERSONAL)
_OWN = np.array([VALUE_COLUMN[name] for name in PERSONAL])


def masked(x: F64, mode: NDArray[np.int16]) -> F64:
    """Return the features with each customer's own history replaced by what is usual for a candidate of that mode.

    The usual value (the mean of what is known) lies inside what models were trained on, so that a masked history is
    nothing strange to them. What nobody knows stays unknown.

    Parameters
    ----------
    x
        (n, len(VALUE_FEATURES)) of candidates of many customers.
    mode
        (n,) mode codes.
    """
    if x.shape != (mode.size, len(VALUE_FEATURES)):
        raise BadInput(f"shape {x.shape} does not fit {mode.size} candidates", where="x")
    out = x.astype(np.float64)
    for code in np.unique(mode):
        rows = np.flatnonzero(mode == code)
        own = out[np.ix_(rows, _OWN)]
        known = np.isfinite(own)
        count = known.sum(axis=0)
        usual = np.where(known, own, 0.0).sum(axis=0) / np.maximum(count, 1)
        out[np.ix_(rows, _OWN)] = np.where(count > 0, usual, np.nan)
    return out


def interactions_before(ticks: NDArray[np.void], customer: I64, at: I64) -> I64:
    """Return (n,) how many events of each customer lie before an instant; an order counts once, whatever its lines.

    Parameters
    ----------
    ticks
        (n_ticks,) of TICK, sorted by customer, at, seq.
    """
    kept = ticks[(ticks["kind"] != Kind.ORDER_LINE) & (ticks["kind"] != Kind.DECIDED)]
    out = np.empty(customer.size, dtype=np.int64)
    starts = np.searchsorted(kept["customer"], customer, "left")
    ends = np.searchsorted(kept["customer"], customer, "right")
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        out[row] = np.searchsorted(kept["at"][start:end], at[row], "left")
    return out
