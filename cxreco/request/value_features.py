"""What the value heads see of each candidate, `candidates.VALUE_FEATURES`: the customer, the moment, the offer."""

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled, compiled_inner
from cxreco.journey import DAY, HOUR, Moment, Surface
from cxreco.recognise.market import Wares
from cxreco.recognise.reading import count_contacts
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.request.context import Sight
from cxreco.request.cupboard import category_share
from cxreco.request.features import RANKER_COLUMN
from cxreco.request.offers import Offers
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
_NEED_OPEN = VALUE_COLUMN["need_open"]
_OPEN, _CATEGORY_ORDERS = RANKER_COLUMN["need_open"], RANKER_COLUMN["category_orders"]
_WIDTH = len(VALUE_FEATURES)
_MATCH = RANKER_COLUMN["recall_query"]


def moment_features(moment: Moment) -> F64:
    """Return (len(_MOMENT),) what the heads see of where and when the customer is, and of what they asked for."""
    surface = moment.surface
    return np.array(
        [
            bool(moment.query), bool(moment.item_id), len(moment.cart), surface is Surface.OUTBOUND,
            surface is Surface.SEARCH, surface is Surface.PRODUCT, surface is Surface.CHECKOUT,
            moment.at % DAY // HOUR,
        ],
        dtype=np.float64,
    )  # fmt: skip


@compiled
def value_rows(
    s: Sight,
    offers: Offers,
    customer: tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void]],
    moment: tuple[F64, int],
    m: Wares,
) -> F64:
    """Return (1 + offers, len(VALUE_FEATURES)); row 0 is `hold`, NaN where not known or without meaning.

    Parameters
    ----------
    s
        The moment.
    offers
        The candidates but `hold`.
    customer
        Head, category and contact records of the state.
    moment
        `moment_features`, and the instant in seconds.
    """
    asked = _asked(s.query, s.item, s.x, (s.codes, s.category), m)
    out = np.full((1 + offers.n[0], _WIDTH), np.nan)
    contacts, at_s = customer[2], moment[1]
    contacted = (count_contacts(contacts, at_s, 7.0, -1), count_contacts(contacts, at_s, 30.0, -1))
    _write_rows(out, s, offers, customer[:2], moment, asked, contacted, m)
    return out


@compiled_inner
def _write_rows(
    out: F64,
    s: Sight,
    offers: Offers,
    customer: tuple[NDArray[np.void], NDArray[np.void]],
    moment: tuple[F64, int],
    asked: tuple[float, float, int],
    contacted: tuple[int, int],
    m: Wares,
) -> None:
    """Write the rows of `value_rows`, all NaN so far; `contacted` is how often within 7 and within 30 days."""
    (head, categories), (rivals, usual, topic) = customer, asked
    codes = (s.codes, s.category)
    for row in range(out.shape[0]):
        for i in range(len(_TO_READINGS)):
            out[row, _TO_READINGS[i]] = s.readings[_READINGS[i]]
        _experience(out[row], head, offers.mode[row - 1] if row > 0 else 0, moment[1])
        for i in range(moment[0].size):
            out[row, _AT_MOMENT + i] = moment[0][i]
        out[row, _CONTACTS_7], out[row, _CONTACTS_30] = contacted
        out[row, _TRUST] = (head[0].auto_right + 1.0) / (head[0].auto_right + head[0].auto_wrong + 2.0)
        out[row, _SIZE] = 0.0
        out[row, _SLATE_BUY] = 0.0
        out[row, _RIVALS], out[row, _USUAL] = rivals, usual
    _best_of(out, s.x, s.need, s.need_3, s.buy)
    for k in range(offers.n[0]):
        row, slate = out[1 + k], offers.slate[k, : offers.size[k]]
        first = slate[0]
        for i in range(len(_TO_RANKER)):
            row[_TO_RANKER[i]] = s.x[first, _RANKER[i]]
        row[_NEED], row[_NEED_3], row[_BUY] = s.need[first], s.need_3[first], s.buy[first]
        row[_NEED_OPEN] = s.x[first, _OPEN] * category_share(s.x[first, _ORDERS], s.x[first, _CATEGORY_ORDERS])
        row[_MARGIN] = m.margin[s.codes[first]]
        row[_QUANTITY], row[_CERTAINTY] = offers.quantity[k], offers.certainty[k]
        row[_SIZE] = slate.size
        row[_TRUST] = _trust_in(categories, s.category[first], row[_TRUST])
        _of_slate(row, slate, s.buy, codes, topic, m)


@compiled
def _asked(query: bool, item: int, x: F64, codes: tuple[I32, I32], m: Wares) -> tuple[float, float, int]:
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


@compiled_inner
def _of_slate(row: F64, slate: I64, buy: F64, codes: tuple[I32, I32], topic: int, m: Wares) -> None:
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


@compiled_inner
def _experience(out: F64, head: NDArray[np.void], mode: int, at_s: int) -> None:
    """Write the customer's experience with a mode: shown, accepted, dismissed, days since dismissed."""
    h = head[0]
    out[_AT_MODE] = faded(h.shown_60[mode], 60.0, h.decayed_at, at_s)
    out[_AT_MODE + 1] = faded(h.accepted_60[mode], 60.0, h.decayed_at, at_s)
    out[_AT_MODE + 2] = faded(h.dismissed_60[mode], 60.0, h.decayed_at, at_s)
    out[_AT_MODE + 3] = days_since(at_s, h.last_dismissed_at[mode])


@compiled_inner
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


@compiled_inner
def _trust_in(categories: NDArray[np.void], category: int, overall: float) -> float:
    """Return `recognise.reading.trust_in_category`, starting from the customer's trust as a whole."""
    for i in range(categories.size):
        c = categories[i]
        if c.key == category:
            return float((c.auto_right + 2.0 * overall) / (c.auto_right + c.auto_wrong + 2.0))
    return overall
