"""What the value heads see of each candidate, `candidates.VALUE_FEATURES`: the customer, the moment, the offer."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.journey import DAY, HOUR, Surface
from cxreco.recognise.market import Columns
from cxreco.recognise.reading import count_contacts, seconds
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.request.context import Context, Proposal
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.readings import READING, days_since, faded

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
# Matches this close answer a query equally well.
TIE = 0.05

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
_TO_READINGS = tuple(VALUE_COLUMN[name] for name, _ in _FROM_READINGS)
_READINGS = tuple(READING[name] for _, name in _FROM_READINGS)
_TO_RANKER = tuple(VALUE_COLUMN[name] for name, _ in _FROM_RANKER)
_RANKER = tuple(RANKER_COLUMN[name] for _, name in _FROM_RANKER)
_AT_MODE = VALUE_COLUMN["mode_shown_60"]
_AT_MOMENT = VALUE_COLUMN["has_query"]
_MOMENT = (
    "has_query", "has_item", "cart_size", "on_outbound", "on_search", "on_product", "on_checkout", "hour",
)  # fmt: skip
_CONTACTS_7, _CONTACTS_30, _TRUST = (VALUE_COLUMN[name] for name in ("contacts_7", "contacts_30", "trust"))
_NEED_TOP, _NEEDS_DUE, _MATCH_TOP, _BUY_TOP = (
    VALUE_COLUMN[name] for name in ("need_top", "needs_due", "query_match_top", "buy_top")
)
_RIVALS, _USUAL, _TOPIC, _CATEGORIES, _WORTH = (
    VALUE_COLUMN[name] for name in ("asked_rivals", "asked_usual", "topic_share", "slate_categories", "slate_margin")
)
_ORDERS = RANKER_COLUMN["item_orders"]
_NEED, _NEED_3, _BUY, _MARGIN = (VALUE_COLUMN[name] for name in ("need", "need_3", "buy", "item_margin"))
_QUANTITY, _CERTAINTY, _SIZE, _SLATE_BUY = (
    VALUE_COLUMN[name] for name in ("quantity", "certainty", "slate_size", "slate_buy")
)
_WIDTH = len(VALUE_FEATURES)
_MATCH = RANKER_COLUMN["recall_query"]


def value_features(
    context: Context, mode: NDArray[np.int16], proposals: Sequence[Proposal], flat: I64, size: I64
) -> F64:
    """Return (1 + len(proposals), len(VALUE_FEATURES)); row 0 is `hold`, NaN where not known or without meaning.

    Parameters
    ----------
    context
        The moment.
    mode
        (1 + len(proposals),) mode codes, 0 first.
    proposals
        The candidates but `hold`.
    flat, size
        Their slates one after another, and how long each is.
    """
    moment, surface, state = context.moment, context.moment.surface, context.state
    of_moment = np.array(
        [
            bool(moment.query), bool(moment.item_id), len(moment.cart), surface is Surface.OUTBOUND,
            surface is Surface.SEARCH, surface is Surface.PRODUCT, surface is Surface.CHECKOUT,
            moment.at % DAY // HOUR,
        ],
        dtype=np.float64,
    )  # fmt: skip
    given = np.array([(proposal.quantity, proposal.certainty) for proposal in proposals]).reshape(-1, 2)
    return _rows(
        mode, (flat, size, given), (state.head, state.category_slots, state.contact_slots, context.readings),
        (of_moment, seconds(moment.at), context.mc.item), (context.x, context.need, context.need_3, context.buy),
        (context.codes, context.category), context.market.columns,
    )  # fmt: skip


@compiled
def _rows(
    mode: NDArray[np.int16],
    proposals: tuple[I64, I64, F64],
    customer: tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void], F64],
    moment: tuple[F64, int, int],
    items: tuple[F64, F64, F64, F64],
    codes: tuple[I32, I32],
    m: Columns,
) -> F64:
    flat, size, given = proposals
    head, categories, contacts, known = customer
    x, need, need_3, buy = items
    at_s = moment[1]
    rivals, usual, topic = _asked(bool(moment[0][0]), moment[2], x, codes, m)
    out = np.full((mode.size, _WIDTH), np.nan)
    for row in range(mode.size):
        for i in range(len(_TO_READINGS)):
            out[row, _TO_READINGS[i]] = known[_READINGS[i]]
        _experience(out[row], head, mode[row], at_s)
        out[row, _AT_MOMENT : _AT_MOMENT + moment[0].size] = moment[0]
        out[row, _CONTACTS_7] = count_contacts(contacts, at_s, 7.0, -1)
        out[row, _CONTACTS_30] = count_contacts(contacts, at_s, 30.0, -1)
        out[row, _TRUST] = (head[0].auto_right + 1.0) / (head[0].auto_right + head[0].auto_wrong + 2.0)
        out[row, _SIZE] = 0.0
        out[row, _SLATE_BUY] = 0.0
        out[row, _RIVALS], out[row, _USUAL] = rivals, usual
    _best_of(out, x, need, need_3, buy)
    at = 0
    for k in range(size.size):
        row, first = out[1 + k], flat[at]
        for i in range(len(_TO_RANKER)):
            row[_TO_RANKER[i]] = x[first, _RANKER[i]]
        row[_NEED], row[_NEED_3], row[_BUY] = need[first], need_3[first], buy[first]
        row[_MARGIN] = m.margin[codes[0][first]]
        row[_QUANTITY], row[_CERTAINTY] = given[k, 0], given[k, 1]
        row[_SIZE] = size[k]
        row[_TRUST] = _trust_in(categories, codes[1][first], row[_TRUST])
        _of_slate(row, flat[at : at + size[k]], buy, codes, topic, m)
        at += size[k]
    return out


@compiled
def _asked(query: bool, item: int, x: F64, codes: tuple[I32, I32], m: Columns) -> tuple[float, float, int]:
    """Return how many items answer what was asked for about equally well, how usual one of them is, and its category.

    One where one item is meant; NaN, NaN and -1 if nothing was asked for, or nothing answers. An item page names one
    item to those who bought it before; to others it is one of its shelf. Usual is the share of the customer's orders
    among the answers that went to the most ordered one, with one order to none of them.
    """
    if not query and (item < 0 or item >= m.category.size):
        return np.nan, np.nan, -1
    best, topic = 0.0, -1
    for i in range(len(x)):
        if query and x[i, _MATCH] > best:
            best, topic = x[i, _MATCH], codes[1][i]
    rivals, most, orders = 0, 0.0, 1.0
    for i in range(len(x)):
        if (x[i, _MATCH] >= best - TIE and topic >= 0) if query else codes[0][i] == item:
            rivals += 1
            most = max(most, x[i, _ORDERS])
            orders += x[i, _ORDERS]
    if query:
        return (float(rivals), most / orders, topic) if topic >= 0 else (np.nan, np.nan, -1)
    topic = m.category[item]
    shelf = max(float(m.category_starts[topic + 1] - m.category_starts[topic]), 1.0)
    return 1.0 if most > 0.0 else shelf, most / orders, topic


@compiled
def _of_slate(row: F64, slate: I64, buy: F64, codes: tuple[I32, I32], topic: int, m: Columns) -> None:
    """Write what holds of a slate: items bought soon and their margin (expected), share on the topic, categories."""
    about = categories = 0
    margin = 0.0
    for i in range(slate.size):
        category = codes[1][slate[i]]
        row[_SLATE_BUY] += buy[slate[i]]
        worth = m.margin[codes[0][slate[i]]]
        margin += buy[slate[i]] * worth if worth == worth else 0.0
        about += category == topic
        seen = False
        for j in range(i):
            seen = seen or codes[1][slate[j]] == category
        categories += not seen
    row[_CATEGORIES], row[_WORTH] = categories, margin
    if topic >= 0:
        row[_TOPIC] = about / slate.size


@compiled
def _experience(out: F64, head: NDArray[np.void], mode: int, at_s: int) -> None:
    """Write the customer's experience with a mode: shown, accepted, dismissed, days since dismissed."""
    h = head[0]
    out[_AT_MODE] = faded(h.shown_60[mode], 60.0, h.decayed_at, at_s)
    out[_AT_MODE + 1] = faded(h.accepted_60[mode], 60.0, h.decayed_at, at_s)
    out[_AT_MODE + 2] = faded(h.dismissed_60[mode], 60.0, h.decayed_at, at_s)
    out[_AT_MODE + 3] = days_since(at_s, h.last_dismissed_at[mode])


@compiled
def _best_of(out: F64, x: F64, need: F64, need_3: F64, buy: F64) -> None:
    """Write what holds of the best of all items: need, needs due within three days, match, chance."""
    top = due = match = best = 0.0
    for i in range(need.size):
        top = max(top, need[i])
        # Expected number of needs falling due within three days.
        due += need_3[i]
        match = max(match, x[i, _MATCH])
        best = max(best, buy[i])
    for row in range(out.shape[0]):
        out[row, _NEED_TOP], out[row, _NEEDS_DUE], out[row, _MATCH_TOP], out[row, _BUY_TOP] = top, due, match, best


@compiled
def _trust_in(categories: NDArray[np.void], category: int, overall: float) -> float:
    """Return `recognise.reading.trust_in_category`, starting from the customer's trust as a whole."""
    for i in range(categories.size):
        c = categories[i]
        if c.key == category:
            return float((c.auto_right + 2.0 * overall) / (c.auto_right + c.auto_wrong + 2.0))
    return overall
