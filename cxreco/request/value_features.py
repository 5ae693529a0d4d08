"""What the value heads see of each candidate, `candidates.VALUE_FEATURES`: the customer, the moment, the offer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import DAY, HOUR, Surface
from cxreco.recognise.reading import contacts_within, days_since, decayed, seconds, trust, trust_in_category
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.request.context import Context, Proposal
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.readings import READING

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Value feature <- reading of the customer.
_FROM_READINGS = (
    ("orders", "orders"), ("days_since_order", "days_since_order"), ("order_due", "order_due"),
    ("orders_30", "orders_30"), ("spend_30", "spend_30"), ("margin_mean", "margin_mean"),
    ("lines_mean", "lines_mean"), ("visits_30", "visits_30"), ("days_since_visit", "days_since_visit"),
    ("views_7", "views_7"), ("searches_7", "searches_7"), ("adds_7", "adds_7"), ("repeat_share", "repeat_share"),
    ("tenure_days", "tenure_days"), ("complaints_open", "complaints_open"), ("rating_mean", "rating_mean"),
    ("nps", "nps"), ("returned_share", "returned_share"),
)  # fmt: skip
# Value feature <- ranker feature of the candidate's first item.
_FROM_RANKER = (
    ("due_ratio", "item_due"), ("item_orders", "item_orders"), ("item_days_since", "item_days_since"),
    ("item_viewed_7", "item_viewed_7"), ("item_in_cart", "in_cart"), ("item_returned", "item_returned"),
    ("item_dismissed", "item_dismissed"), ("item_price", "price"), ("price_change", "price_change"),
    ("popularity", "popularity"), ("return_rate", "return_rate"), ("query_match", "recall_query"),
    ("is_sought", "is_sought"),
)  # fmt: skip
_TO_READINGS = np.array([VALUE_COLUMN[name] for name, _ in _FROM_READINGS])
_READINGS = np.array([READING[name] for _, name in _FROM_READINGS])
_TO_RANKER = np.array([VALUE_COLUMN[name] for name, _ in _FROM_RANKER])
_RANKER = np.array([RANKER_COLUMN[name] for _, name in _FROM_RANKER])
_MODE_COLUMNS = np.array(
    [
        VALUE_COLUMN[name]
        for name in ("mode_shown_60", "mode_accepted_60", "mode_dismissed_60", "mode_days_since_dismissed")
    ]
)
_ON = {
    Surface.OUTBOUND: "on_outbound", Surface.SEARCH: "on_search", Surface.PRODUCT: "on_product",
    Surface.CHECKOUT: "on_checkout",
}  # fmt: skip


def value_features(context: Context, mode: NDArray[np.int16], proposals: Sequence[Proposal]) -> F64:
    """Return (1 + len(proposals), len(VALUE_FEATURES)); row 0 is `hold`, NaN where not known or without meaning.

    Parameters
    ----------
    context
        The moment.
    mode
        (1 + len(proposals),) mode codes, 0 first.
    proposals
        The candidates but `hold`.
    """
    x = np.full((mode.size, len(VALUE_FEATURES)), np.nan)
    x[:, _TO_READINGS] = context.readings[_READINGS]
    for name, value in _of_moment(context).items():
        x[:, VALUE_COLUMN[name]] = value
    x[:, _MODE_COLUMNS] = _of_modes(context)[mode]
    if proposals:
        _offers(x[1:], context, proposals)
    return x


def _of_moment(context: Context) -> dict[str, float]:
    moment, state = context.moment, context.state
    any_item = context.codes.size > 0
    values = {
        "contacts_7": float(contacts_within(state, moment.at, 7.0)),
        "contacts_30": float(contacts_within(state, moment.at, 30.0)),
        "trust": trust(state.head[0]),
        "has_query": float(bool(moment.query)),
        "has_item": float(bool(moment.item_id)),
        "cart_size": float(len(moment.cart)),
        "hour": float(moment.at % DAY // HOUR),
        "need_top": float(context.need.max()) if any_item else 0.0,
        # Expected number of needs falling due within three days.
        "needs_due": float(context.need_3.sum()),
        "query_match_top": float(context.column("recall_query").max()) if any_item else 0.0,
        "buy_top": float(context.buy.max()) if any_item else 0.0,
        "slate_size": 0.0,
        "slate_buy": 0.0,
    }
    values.update({name: float(moment.surface is surface) for surface, name in _ON.items()})
    return values


def _of_modes(context: Context) -> F64:
    """Return (modes, 4) the customer's experience with each mode: shown, accepted, dismissed, days since dismissed."""
    head, now = context.state.head[0], seconds(context.moment.at)
    out = np.empty((len(head["shown_60"]), 4))
    for column, name in enumerate(("shown_60", "accepted_60", "dismissed_60")):
        out[:, column] = decayed(head[name], 60.0, int(head["decayed_at"]), now)
    out[:, 3] = days_since(head["last_dismissed_at"], now)
    return out


def _offers(x: F64, context: Context, proposals: Sequence[Proposal]) -> None:
    first = np.array([proposal.slate[0] for proposal in proposals])
    x[:, _TO_RANKER] = context.x[first][:, _RANKER]
    columns = {
        "need": context.need[first],
        "need_3": context.need_3[first],
        "buy": context.buy[first],
        "item_margin": context.market.shelf.margin[context.codes[first]],
        "quantity": np.array([proposal.quantity for proposal in proposals]),
        "certainty": np.array([proposal.certainty for proposal in proposals]),
        "slate_size": np.array([float(proposal.slate.size) for proposal in proposals]),
        # Expected number of its items bought soon.
        "slate_buy": np.array([context.buy[proposal.slate].sum() for proposal in proposals]),
        "trust": _trust(context, context.category[first]),
    }
    for name, values in columns.items():
        x[:, VALUE_COLUMN[name]] = values


def _trust(context: Context, category: NDArray[np.int32]) -> F64:
    known = {code: trust_in_category(context.state, code) for code in set(category.tolist())}
    return np.array([known[code] for code in category.tolist()])
