"""Candidates as columns: everything that could be done at a moment, `hold` first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxreco.frozen import quick

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I16 = NDArray[np.int16]
Bool = NDArray[np.bool_]

# What the value heads see of a candidate, in this order. One list for training and serving; NaN: not known.
VALUE_FEATURES: tuple[str, ...] = (
    # the customer
    "orders", "days_since_order", "order_due", "orders_30", "spend_30", "margin_mean", "lines_mean",
    "visits_30", "days_since_visit", "views_7", "searches_7", "adds_7", "repeat_share", "tenure_days",
    "complaints_open", "rating_mean", "nps", "returned_share",
    # the customer and the candidate's mode
    "mode_shown_60", "mode_accepted_60", "mode_dismissed_60", "mode_days_since_dismissed", "contacts_7",
    "contacts_30", "trust",
    # the moment
    "has_query", "has_item", "cart_size", "on_outbound", "on_search", "on_product", "on_checkout", "hour",
    "need_top", "needs_due", "query_match_top", "buy_top",
    # the candidate and its first item
    "need", "need_3", "due_ratio", "item_orders", "item_days_since", "item_viewed_7", "item_in_cart", "item_returned",
    "item_dismissed", "item_margin", "item_price", "price_change", "quantity", "popularity", "return_rate",
    "query_match", "is_sought", "buy", "slate_buy", "slate_size", "certainty",
    # what was asked for, and how far the slate is about it (later additions stand at the end: older records lack them)
    "asked_rivals", "asked_usual", "topic_share", "slate_categories", "slate_margin",
    # of an order the shop would place: whether it is announced first; the trust ladder says so once it is admitted
    "announced",
    # how surely the need of item 0 is open now, whether or not the customer is about to act on it
    "need_open",
)  # fmt: skip
VALUE_COLUMN: Mapping[str, int] = MappingProxyType({name: i for i, name in enumerate(VALUE_FEATURES)})


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What could be done, a row a candidate; row 0 is `hold`.

    Attributes
    ----------
    mode
        (n,) code of the mode, index into `journey.MODES`.
    action
        (n,) index into `actions`.
    item
        (n,) code of item 0: the item sought, offered first, nudged or ordered; -1 for `hold`.
    quantity
        (n,) units of item 0 (NaN where it does not apply).
    slate
        (n, max_items) item codes in order, padded with -1.
    score
        (n, max_items) calibrated probability that the customer buys the item soon, 0 where padded.
    reason
        (n, max_items) index into `reasons`.
    x
        (n, len(VALUE_FEATURES)) what the value heads see.
    actions
        Names of the recipes (`reorder.item`, `curate.personal`, …); `hold` is 0.
    reasons
        Sentences a customer could read, shared by the rows.
    """

    mode: I16
    action: I16
    item: I32
    quantity: F64
    slate: I32
    score: F64
    reason: I32
    x: F64
    actions: Sequence[str]
    reasons: Sequence[str]

    def __len__(self) -> int:
        return int(self.mode.size)

    def __post_init__(self) -> None:
        n = self.mode.size
        columns = (self.action, self.item, self.quantity, self.slate, self.score, self.reason, self.x)
        if any(len(column) != n for column in columns):
            raise ValueError(f"columns have {[len(column) for column in columns]} rows, expected {n} each")
        if n == 0 or self.mode[0] != 0:
            raise ValueError("row 0 of the candidates must be hold")
        if self.x.shape[1] != len(VALUE_FEATURES):
            raise ValueError(f"x has {self.x.shape[1]} columns, expected {len(VALUE_FEATURES)}")
