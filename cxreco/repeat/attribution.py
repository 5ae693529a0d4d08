"""What followed a decision: each outcome of the customer in the decision's window, whichever decision it names.

Orders and unsubscribes count within the order window. A return, cancellation, complaint or survey stems from an order
(or a decision) and counts for every decision whose order window holds that origin, if it came within the harm window:
so an action is charged for the goods it sold, and not for older ones that happened to come back meanwhile.

Ticks are sorted by (customer, at, seq). A tick follows a decision if it is later, or at the same instant but arrived
after the decision's cut. Windows are half-open: [decision, decision + window).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.errors import BadInput
from cxreco.recognise.layout import Kind
from cxreco.repeat.origins import F64, I64, U64, Bool, Consequences, Judged, row_of, unit_money, when_of

_LINE, _ORDER, _UNSUBSCRIBED = int(Kind.ORDER_LINE), int(Kind.ORDER), int(Kind.UNSUBSCRIBED)
_CANCELLED, _RETURNED = int(Kind.CANCELLED), int(Kind.RETURNED)
_COMPLAINT, _SURVEY = int(Kind.COMPLAINT), int(Kind.SURVEY)
_LAST = np.iinfo(np.int64).max

# Kinds that may name a decision, and so can be orphans.
NAMING = (
    Kind.SHOWN, Kind.ACCEPTED, Kind.DISMISSED, Kind.CANCELLED, Kind.RETURNED, Kind.COMPLAINT, Kind.ORDER,
    Kind.AUTO_CONFIRMED, Kind.AUTO_CANCELLED, Kind.AUTO_EXPIRED, Kind.AUTO_EXECUTED, Kind.AUTO_UNDONE,
)  # fmt: skip
TAKEN = (Kind.ACCEPTED, Kind.ORDER, Kind.AUTO_CONFIRMED, Kind.AUTO_EXECUTED)
WRONG = (Kind.AUTO_CANCELLED, Kind.AUTO_UNDONE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bought:
    """What was ordered in the order window of each decision, (n,) each."""

    orders: F64
    lines: F64
    revenue: F64
    margin: F64
    unsubscribed: F64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Harm:
    """What came of those orders within the harm window, (n,) each; `delay` is the mean time to a return, us."""

    cancelled: F64
    cancelled_price: F64
    cancelled_margin: F64
    returned: F64
    returned_price: F64
    returned_margin: F64
    complained: F64
    surveyed: F64
    satisfied: F64
    delay: F64


def check_sorted(ticks: NDArray[np.void]) -> None:
    """Raise BadInput unless ticks are sorted by (customer, at, seq)."""
    customer, at, seq = ticks["customer"], ticks["at"], ticks["seq"]
    same = customer[1:] == customer[:-1]
    later = (at[1:] > at[:-1]) | ((at[1:] == at[:-1]) & (seq[1:] >= seq[:-1]))
    if not bool(((customer[1:] > customer[:-1]) | (same & later)).all()):
        raise BadInput("must be sorted by customer, at, seq", where="ticks")


def bought_after(ticks: NDArray[np.void], judged: Judged, *, window: int, margin_share: float) -> Bought:
    """Sum what each decision's customer ordered in the window after it.

    Parameters
    ----------
    ticks
        (n_ticks,) of TICK, sorted by customer, at, seq.
    judged
        The decisions.
    window
        Microseconds.
    margin_share
        Margin as a share of the price where a line has none.
    """
    kept = ticks[np.isin(ticks["kind"], (_LINE, _ORDER, _UNSUBSCRIBED))]
    when = when_of(kept)
    first, last = _windows(*when, judged.customer, judged.at, judged.cut, np.int64(window))
    price, margin = unit_money(kept, margin_share)
    quantity = np.nan_to_num(kept["quantity"].astype(np.float64), nan=1.0)
    line = kept["kind"] == _LINE
    columns = np.column_stack(
        [
            kept["kind"] == _ORDER,
            line,
            np.where(line, quantity * price, 0.0),
            np.where(line, quantity * margin, 0.0),
            kept["kind"] == _UNSUBSCRIBED,
        ]
    ).astype(np.float64)
    orders, lines, revenue, earned, left = _sums(first, last, columns).T
    return Bought(orders=orders, lines=lines, revenue=revenue, margin=earned, unsubscribed=np.minimum(left, 1.0))


def harm_after(found: Consequences, judged: Judged, *, order_window: int, harm_window: int) -> Harm:
    """Sum the consequences of what each decision's window holds, where they came within the harm window."""
    first, last = _windows(
        found.customer, found.at, found.seq, judged.customer, judged.at, judged.cut, np.int64(harm_window)
    )
    returned, cancelled = found.kind == _RETURNED, found.kind == _CANCELLED
    columns = np.column_stack(
        [
            cancelled, cancelled * found.price, cancelled * found.margin,
            returned, returned * found.price, returned * found.margin,
            found.kind == _COMPLAINT, found.kind == _SURVEY, found.pleased,
        ]
    ).astype(np.float64)  # fmt: skip
    origin = (found.origin_at, found.origin_seq)
    moment = (judged.at, judged.cut)
    sums = _stemming((first, last), columns, found.at, origin, moment, np.int64(order_window))
    delay = np.divide(sums[:, 9], sums[:, 3], out=np.full(len(sums), np.nan), where=sums[:, 3] > 0)
    return Harm(
        cancelled=sums[:, 0],
        cancelled_price=sums[:, 1],
        cancelled_margin=sums[:, 2],
        returned=sums[:, 3],
        returned_price=sums[:, 4],
        returned_margin=sums[:, 5],
        complained=np.minimum(sums[:, 6], 1.0),
        surveyed=np.minimum(sums[:, 7], 1.0),
        satisfied=np.minimum(sums[:, 8], 1.0),
        delay=delay,
    )


def naming(ticks: NDArray[np.void], judged: Judged, kinds: tuple[Kind, ...], *, window: int) -> Bool:
    """Tell which decisions are named by a tick of these kinds within the window after them."""
    kept = ticks[np.isin(ticks["kind"], kinds) & (ticks["ref"] != 0)]
    return named_by(kept["ref"], kept["at"], judged, window=window)


def named_by(ref: U64, at: I64, judged: Judged, *, window: int) -> Bool:
    """Tell which decisions these names, each with its time, hit within the window after the decision."""
    hit = np.zeros(judged.ref.size, dtype=np.bool_)
    row = row_of(ref, judged)
    inside = row >= 0
    row, at = row[inside], at[inside]
    timely = (at >= judged.at[row]) & (at < judged.at[row] + window)
    hit[row[timely]] = True
    return hit


def orphans(ticks: NDArray[np.void], judged: Judged) -> int:
    """Count events that name a decision nobody has heard of (an order's lines count once)."""
    kept = ticks[np.isin(ticks["kind"], NAMING) & (ticks["ref"] != 0)]
    return int((row_of(kept["ref"], judged) < 0).sum())


@compiled
def _after(customers: I64, ats: I64, seqs: I64, customer: int, at: int, seq: int) -> int:
    """First row after (customer, at, seq) in lexicographic order."""
    low, high = 0, customers.size
    while low < high:
        mid = (low + high) // 2
        if customers[mid] != customer:
            behind = customers[mid] < customer
        elif ats[mid] != at:
            behind = ats[mid] < at
        else:
            behind = seqs[mid] <= seq
        if behind:
            low = mid + 1
        else:
            high = mid
    return low


@compiled
def _windows(
    customers: I64, ats: I64, seqs: I64, customer: I64, at: I64, cut: I64, window: np.int64
) -> tuple[I64, I64]:
    """Rows [first, last) that follow each decision within the window."""
    first = np.empty(customer.size, dtype=np.int64)
    last = np.empty(customer.size, dtype=np.int64)
    for d in range(customer.size):
        first[d] = _after(customers, ats, seqs, customer[d], at[d], cut[d])
        last[d] = _after(customers, ats, seqs, customer[d], at[d] + window - 1, _LAST)
    return first, last


@compiled
def _sums(first: I64, last: I64, columns: F64) -> F64:
    out = np.zeros((first.size, columns.shape[1]))
    for d in range(first.size):
        for row in range(first[d], last[d]):
            for column in range(columns.shape[1]):
                out[d, column] += columns[row, column]
    return out


@compiled
def _stemming(
    rows: tuple[I64, I64], columns: F64, ats: I64, origin: tuple[I64, I64], moment: tuple[I64, I64], window: np.int64
) -> F64:
    """Sum the rows whose origin lies in the order window; the last column adds up the delays of returns."""
    (first, last), (origin_at, origin_seq), (at, cut) = rows, origin, moment
    width = columns.shape[1]
    out = np.zeros((first.size, width + 1))
    for d in range(first.size):
        for row in range(first[d], last[d]):
            start = origin_at[row]
            if start < at[d] or (start == at[d] and origin_seq[row] <= cut[d]) or start >= at[d] + window:
                continue
            for column in range(width):
                out[d, column] += columns[row, column]
            out[d, width] += columns[row, 3] * (ats[row] - at[d])
    return out
