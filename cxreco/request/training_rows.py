"""The past as training rows: the same recalls and features as in serving, as of each moment, never a second later.

States come from the one fold by `recognise.replay`; what was known of all customers is the market as it had been
published by then. What happened afterwards is used for labels alone.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput
from cxreco.journey import AUTOMATE, DAY, MICROS, Moment
from cxreco.recognise.layout import Kind
from cxreco.recognise.market import Market
from cxreco.recognise.replay import moments_of, replay
from cxreco.recognise.state import State
from cxreco.request.cupboard import UNTOLD
from cxreco.request.cupboard_tables import Tables
from cxreco.request.features import RANKER_FEATURES, item_features
from cxreco.request.moment_codes import codes_of
from cxreco.request.need import NeedRows
from cxreco.request.need_features import NEED_FEATURES, category_need_features, item_need_features
from cxreco.request.ranker import RankerRows
from cxreco.request.recalls import recall_all

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

VISIT_GAP = 30 * 60 * MICROS
# A visit's label is the first order within this time of its start.
VISIT_WINDOW = DAY
# Share of the order moments that are learned from with a part of the order already in the cart.
CART_SHARE = 0.25
# An order that is learned from early is so at an instant since the order before it, and at most so long ahead.
LONGEST_AHEAD = 56 * DAY
# Nobody knows anything of them; only read, never folded into.
STRANGER = State.empty()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLog:
    """What happened, and what was published meanwhile.

    Attributes
    ----------
    ticks
        (n,) TICK by (customer, at, seq).
    markets
        (as_of, market) ascending: what was true for all customers, published at `as_of` from what came before.
    queries
        Arrival (`seq`) of a search -> its text, where that was kept.
    cupboard
        What a category's need is inferred by.
    """

    ticks: NDArray[np.void]
    markets: Sequence[tuple[int, Market]]
    queries: Mapping[int, str] = field(default_factory=dict)
    cupboard: Tables = UNTOLD

    def __post_init__(self) -> None:
        published = [as_of for as_of, _ in self.markets]
        if not published or published != sorted(published):
            raise BadInput("needs at least one market, by ascending time of publication", where="markets")

    def market_at(self, at: int) -> Market | None:
        """Return the latest market published at or before an instant, None before the first."""
        index = bisect_right([as_of for as_of, _ in self.markets], at)
        return self.markets[index - 1][1] if index else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """Moments to learn from: columns, and the order whose lines are the label (-1: none followed).

    `early` are instants of the shop's choosing, days or weeks ahead of the order; at `masked` ones the customer is
    taken for somebody whom nobody knows.
    """

    customer: I64
    at: I64
    order: I64
    early: NDArray[np.bool_]
    masked: NDArray[np.bool_]
    query: tuple[str, ...]

    def take(self, rows: I64) -> "_Past":
        return _Past(
            customer=self.customer[rows], at=self.at[rows], order=self.order[rows], early=self.early[rows],
            masked=self.masked[rows], query=tuple(self.query[row] for row in rows.tolist()),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orders:
    """Orders as spans of their lines."""

    customer: I64
    at: I64
    start: I64
    end: I64
    item: I32

    def lines(self, order: int) -> I32:
        return np.unique(self.item[self.start[order] : self.end[order]]) if order >= 0 else np.empty(0, np.int32)


def ranker_rows(
    log: TrainingLog,
    *,
    until: int,
    most: int = 4000,
    early_share: float = 0.0,
    masked_share: float = 0.0,
    seed: int = 7,
) -> RankerRows:
    """Return the candidates of past moments and which of them were bought.

    Moments are taken just before orders and, where browsing was logged, before visits, those without an order included.

    Parameters
    ----------
    until
        Nothing after it is looked at, for labels neither; microseconds.
    most
        Moments at most, drawn evenly by `seed`.
    early_share
        Share of the orders that are foretold from an instant between them and the order before, as a shop does that
        writes to its customers or ranks for all of them at once.
    masked_share
        Share of the moments at which the customer's history is hidden, so that having none is nothing strange to the
        ranker: what they then bought was bought by somebody whom nobody knew.
    """
    orders = _orders(log.ticks, until)
    past = _past_moments(log, orders, until, _early(orders, early_share, seed))
    published = np.flatnonzero(past.at >= log.markets[0][0])
    past = _masked(past.take(published[_sample(published.size, most, seed)]), masked_share, seed)
    # By moment: recalled codes, features, labels, and how many bought items no recall named.
    parts: dict[int, tuple[I32, F64, F64, int]] = {}
    for index, state in replay(log.ticks, moments_of(past.customer, past.at)):
        market = log.market_at(int(past.at[index]))
        if market is not None:
            bought = orders.lines(int(past.order[index]))
            seen = STRANGER if past.masked[index] else state
            parts[index] = _moment_rows(seen, past, index, (market, log.cupboard), bought, seed)
    kept = np.array(sorted(index for index, part in parts.items() if part[0].size), dtype=np.int64)
    chosen = [parts[index] for index in kept.tolist()]
    return RankerRows(
        x=np.concatenate([np.empty((0, len(RANKER_FEATURES))), *(part[1] for part in chosen)]),
        y=np.concatenate([np.empty(0), *(part[2] for part in chosen)]),
        code=np.concatenate([np.empty(0, np.int32), *(part[0] for part in chosen)]),
        group=np.array([part[0].size for part in chosen], dtype=np.int64),
        at=past.at[kept],
        customer=past.customer[kept],
        missed=np.array([part[3] for part in chosen], dtype=np.int64),
        early=past.early[kept],
        masked=past.masked[kept],
    )


def need_rows(
    log: TrainingLog, *, until: int, most: int = 40_000, items: int = 8, categories: int = 2, seed: int = 7
) -> NeedRows:
    """Return how long customers took to buy again, from instants spread evenly over the time they were known.

    Even instants, not orders: just before an order everything looks due.

    Parameters
    ----------
    until
        Nothing after it is looked at; what had not been bought again by then, or before the shop ordered it, counts as
        not seen.
    most
        Rows at most.
    items, categories
        Drawn of those the customer had bought, at each instant, at most.
    """
    lines = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["at"] <= until)]
    # What the shop ordered says nothing about when the customer would have.
    unprompted, shops = lines[lines["mode"] != AUTOMATE], lines[lines["mode"] == AUTOMATE]
    since = min(log.markets[0][0], until)
    customer, at = _instants(lines, since, until, max(most // (items + categories), 1), seed)
    parts: list[NeedRows] = []
    for index, state in replay(log.ticks, moments_of(customer, at)):
        now = int(at[index])
        market = log.market_at(now)
        if market is None:
            continue
        rng = np.random.default_rng((seed, int(customer[index]), now // MICROS))
        own, placed = (_lines_of(each, int(customer[index])) for each in (unprompted, shops))
        for name, slots, count in (("item", state.item_slots, items), ("category", state.category_slots, categories)):
            codes = _drawn(slots, count, rng)
            if not codes.size:
                continue
            until_placed = _days_to_next(placed, name, codes, now)
            read = item_need_features if name == "item" else category_need_features
            parts.append(
                NeedRows(
                    x=read(state, market, codes, now, log.cupboard),
                    days=_days_to_next(own, name, codes, now),
                    seen=np.minimum((until - now) / DAY, until_placed),
                    at=np.full(codes.size, now),
                    customer=np.full(codes.size, customer[index]),
                    code=codes,
                )
            )
    return _stacked(parts)


def _moment_rows(
    state: State, past: _Past, index: int, known: tuple[Market, Tables], bought: I32, seed: int
) -> tuple[I32, F64, F64, int]:
    market, cupboard = known
    at = int(past.at[index])
    rng = np.random.default_rng((seed, int(past.customer[index]), at // MICROS))
    # A cart is filled on the way to an order, not weeks ahead of it.
    cart, bought = (np.empty(0, np.int32), bought) if past.early[index] else _with_cart(bought, rng)
    ids = market.codes.item_ids
    moment = Moment(customer_id="", at=at, query=past.query[index], cart=tuple(ids[code] for code in cart.tolist()))
    mc = codes_of(moment, market)
    recalled = recall_all(state, mc, market)
    keep = ~np.isin(recalled.codes, cart)
    codes = recalled.codes[keep]
    x = item_features(state, mc, market, codes, recalled.scores[keep], cupboard)
    y = np.isin(codes, bought).astype(np.float64)
    return codes, x, y, int(bought.size - y.sum())


def _with_cart(bought: I32, rng: np.random.Generator) -> tuple[I32, I32]:
    """Return what is in the cart and what is still to be bought: for some moments, a part of the order comes first.

    Logs often hold orders alone; this is how the ranker learns what goes with a cart from them.
    """
    if bought.size < 3 or rng.random() >= CART_SHARE:
        return np.empty(0, np.int32), bought
    there = rng.random(bought.size) < 0.4
    return bought[there], bought[~there]


def _early(orders: _Orders, share: float, seed: int) -> I64:
    """Return (orders,) how long before each order it is learned from: 0, or a time since the order before."""
    gap = np.diff(orders.at, prepend=0)
    first = np.ones(gap.size, dtype=np.bool_)
    first[1:] = orders.customer[1:] != orders.customer[:-1]
    rng = np.random.default_rng((seed, 1))
    chosen = (rng.random(gap.size) < share) & ~first
    ahead = rng.random(gap.size) * np.minimum(gap - 1, LONGEST_AHEAD)
    return np.where(chosen, ahead, 0.0).astype(np.int64)


def _past_moments(log: TrainingLog, orders: _Orders, until: int, ahead: I64) -> _Past:
    ticks = log.ticks
    visits = _visits(ticks, until - VISIT_WINDOW)
    customer = np.concatenate((orders.customer, ticks["customer"][visits]))
    # Just before: what happens at the moment itself is not known yet.
    at = np.concatenate((orders.at - ahead, ticks["at"][visits])) - 1
    early = np.concatenate((ahead > 0, np.zeros(visits.size, dtype=np.bool_)))
    order = np.concatenate((np.arange(orders.at.size), _first_order(orders, ticks[visits])))
    queries = [log.queries.get(int(seq), "") for seq in ticks["seq"][visits]]
    return _Past(
        customer=customer, at=at, order=order, early=early, masked=np.zeros(at.size, dtype=np.bool_),
        query=(*([""] * orders.at.size), *queries),
    )  # fmt: skip


def _masked(past: _Past, share: float, seed: int) -> _Past:
    drawn = np.random.default_rng((seed, 2)).random(past.at.size) < share
    return replace(past, masked=drawn)


def _orders(ticks: NDArray[np.void], until: int) -> _Orders:
    lines = ticks[(ticks["kind"] == Kind.ORDER_LINE) & (ticks["item"] >= 0) & (ticks["at"] <= until)]
    # What the shop ordered is nobody's choice.
    lines = lines[lines["mode"] != AUTOMATE]
    new = np.ones(lines.size, dtype=np.bool_)
    new[1:] = (lines["customer"][1:] != lines["customer"][:-1]) | (lines["at"][1:] != lines["at"][:-1])
    start = np.flatnonzero(new)
    return _Orders(
        customer=lines["customer"][start],
        at=lines["at"][start],
        start=start,
        end=np.append(start[1:], lines.size),
        item=np.ascontiguousarray(lines["item"]),
    )


def _visits(ticks: NDArray[np.void], until: int) -> I64:
    """Return the rows of `ticks` that start a visit: browsing after half an hour without."""
    rows = np.flatnonzero((ticks["kind"] <= Kind.CHECKOUT) & (ticks["at"] <= until))
    customer, at = ticks["customer"][rows], ticks["at"][rows]
    starts = np.ones(rows.size, dtype=np.bool_)
    starts[1:] = (customer[1:] != customer[:-1]) | (at[1:] - at[:-1] > VISIT_GAP)
    return rows[starts]


def _first_order(orders: _Orders, visits: NDArray[np.void]) -> I64:
    """Return for each visit the customer's first order within the window after its start, -1 for none."""
    out = np.full(visits.size, -1, dtype=np.int64)
    low = np.searchsorted(orders.customer, visits["customer"], side="left")
    high = np.searchsorted(orders.customer, visits["customer"], side="right")
    for row, (first, last, at) in enumerate(zip(low.tolist(), high.tolist(), visits["at"].tolist(), strict=True)):
        found = first + int(np.searchsorted(orders.at[first:last], at, side="left"))
        if found < last and orders.at[found] <= at + VISIT_WINDOW:
            out[row] = found
    return out


def _sample(n: int, most: int, seed: int) -> I64:
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size=most, replace=False))


def _instants(lines: NDArray[np.void], since: int, until: int, most: int, seed: int) -> tuple[I64, I64]:
    """Return (customer, at): for each customer alike, instants even over the time from `since` or their first order."""
    who, first = np.unique(lines["customer"], return_index=True)
    born = np.maximum(lines["at"][first], since)
    if not who.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rng = np.random.default_rng(seed)
    each = max(most // who.size, 1)
    rows = np.sort(rng.choice(who.size, size=min(most, who.size), replace=False)).repeat(each)
    share = rng.random(rows.size)
    return who[rows], (born[rows] + share * (until - born[rows])).astype(np.int64)


def _drawn(slots: NDArray[np.void], count: int, rng: np.random.Generator) -> I32:
    keys = np.sort(slots["key"][slots["orders"] > 0])
    return keys if keys.size <= count else np.sort(rng.choice(keys, size=count, replace=False))


def _lines_of(lines: NDArray[np.void], customer: int) -> NDArray[np.void]:
    low, high = np.searchsorted(lines["customer"], [customer, customer + 1], side="left")
    return lines[low:high]


def _days_to_next(own: NDArray[np.void], name: str, codes: I32, now: int) -> F64:
    later = own[own["at"] > now]
    days = np.full(codes.size, np.inf)
    for row, code in enumerate(codes.tolist()):
        hits = later["at"][later[name] == code]
        if hits.size:
            days[row] = (int(hits[0]) - now) / DAY
    return days


def _stacked(parts: Sequence[NeedRows]) -> NeedRows:
    empty = NeedRows(
        x=np.empty((0, len(NEED_FEATURES))), days=np.empty(0), seen=np.empty(0), at=np.empty(0, np.int64),
        customer=np.empty(0, np.int64), code=np.empty(0, np.int32),
    )  # fmt: skip
    columns = {
        name: np.concatenate([getattr(part, name) for part in (empty, *parts)])
        for name in ("x", "days", "seen", "at", "customer", "code")
    }
    return NeedRows(**columns)
