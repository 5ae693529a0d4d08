"""What comparators see of a moment: the candidates' value features, squashed, by what they are about."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cxreco.request.candidates import VALUE_COLUMN, Candidates

F32 = NDArray[np.float32]
# Vowpal Wabbit's namespaces: m the moment, u the customer, c the candidate and the experience with its mode.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "m": (
        "has_query", "has_item", "cart_size", "on_outbound", "on_search", "on_product", "on_checkout", "need_top",
        "needs_due", "query_match_top", "buy_top", "asked_rivals", "asked_usual",
    ),
    "u": (
        "orders", "days_since_order", "order_due", "orders_30", "margin_mean", "lines_mean", "visits_30",
        "days_since_visit", "repeat_share", "tenure_days", "complaints_open", "rating_mean", "nps", "returned_share",
        "contacts_7", "contacts_30",
    ),
    "c": (
        "mode_shown_60", "mode_accepted_60", "mode_dismissed_60", "mode_days_since_dismissed", "trust", "need",
        "need_3", "due_ratio", "item_orders", "item_days_since", "item_viewed_7", "item_in_cart", "item_returned",
        "item_dismissed", "item_margin", "item_price", "price_change", "quantity", "popularity", "return_rate",
        "query_match", "is_sought", "buy", "slate_buy", "slate_size", "certainty", "topic_share", "slate_categories",
        "slate_margin",
    ),
}  # fmt: skip
NAMES = tuple(name for group in GROUPS.values() for name in group)
_COLUMNS = np.array([VALUE_COLUMN[name] for name in NAMES])


def sight(candidates: Candidates) -> F32:
    """Return (n, len(NAMES)) features as signed log(1 + |x|): counts, days and money on one scale; unknown is 0."""
    x = np.nan_to_num(candidates.x[:, _COLUMNS])
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)), dtype=np.float32)


def groups() -> dict[str, list[int]]:
    """Return the columns of `sight` that each namespace has."""
    place = {name: i for i, name in enumerate(NAMES)}
    return {key: [place[name] for name in names] for key, names in GROUPS.items()}
