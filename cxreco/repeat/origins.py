"""Where trouble comes from: every return, cancellation, complaint and survey traced to the order it is about."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.compiled import compiled
from cxreco.errors import BadInput
from cxreco.recognise.layout import Kind

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

_LINE, _ORDER = int(Kind.ORDER_LINE), int(Kind.ORDER)
_CANCELLED, _RETURNED = int(Kind.CANCELLED), int(Kind.RETURNED)
_COMPLAINT, _SURVEY = int(Kind.COMPLAINT), int(Kind.SURVEY)

# What a consequence stems from, where it is not the row of an order.
NOTHING, ITSELF, DECISION = -1, -2, -3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """The decisions to be judged, as columns (n,): who, when, up to which arrival, and the hash of its id."""

    customer: I64
    at: I64
    cut: I64
    ref: U64

    def __post_init__(self) -> None:
        if len({self.customer.size, self.at.size, self.cut.size, self.ref.size}) != 1:
            raise BadInput("columns of the judged decisions differ in length", where="judged")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Consequences:
    """Returns, cancellations, complaints and surveys with what each stems from, (m,) each.

    Attributes
    ----------
    customer, at, seq, kind
        Of the tick itself.
    origin_at, origin_seq
        When what it stems from happened; -1 where nothing was found.
    blamed
        Hash of the decision it names, or that the order it stems from names; 0: none.
    price, margin
        Of the goods that came back.
    pleased
        A survey with a score that counts as pleased.
    """

    customer: I64
    at: I64
    seq: I64
    kind: I64
    origin_at: I64
    origin_seq: I64
    blamed: U64
    price: F64
    margin: F64
    pleased: Bool


def consequences_of(
    ticks: NDArray[np.void],
    judged: Judged,
    *,
    pleased: tuple[float, float, float],
    margin_share: float,
    harm_window: int,
    order: U64 | None = None,
) -> Consequences:
    """Trace every return, cancellation, complaint and survey to what it stems from.

    In this order: the order that names the same decision; the order of the same id; the named decision itself, where
    no order of the item followed it; the customer's latest order of the item (of anything, where no item is named).
    A complaint or survey with no order behind it, or none within the harm window, stems from its own instant.

    Parameters
    ----------
    ticks
        (n_ticks,) of TICK, sorted.
    judged
        The decisions that may be named.
    pleased
        Lowest pleased score by instrument, in the order of `layout.SURVEYS`.
    margin_share
        Margin as a share of the price where a line has none.
    harm_window
        Microseconds.
    order
        (n_ticks,) hash of the order id of each tick, 0 where none; None where ids are not kept.
    """
    kept, which = _kept(ticks, order)
    named_at, named_seq = _named(kept["ref"], judged)
    price, margin = unit_money(kept, margin_share)
    kind, item = kept["kind"].astype(np.int64), kept["item"].astype(np.int64)
    rows = np.flatnonzero((kind != _LINE) & (kind != _ORDER))
    customer, at, seq = when_of(kept)
    ref = np.ascontiguousarray(kept["ref"])
    origin = _origins(customer, at, (kind, item), (ref, which), named_at, rows, np.int64(harm_window))
    units = np.nan_to_num(kept["quantity"].astype(np.float64), nan=1.0)
    back = _came_back((customer, at, seq), kind, units, np.column_stack([price, margin]), rows, origin)
    found, picks = np.maximum(origin, 0), [origin >= 0, origin == ITSELF, origin == DECISION]
    least = np.asarray(pleased)[np.clip(kept["flag"][rows], 0, 2)]
    return Consequences(
        customer=customer[rows],
        at=at[rows],
        seq=seq[rows],
        kind=kind[rows],
        origin_at=np.select(picks, [at[found], at[rows], named_at[rows]], -1),
        origin_seq=np.select(picks, [seq[found], seq[rows], named_seq[rows]], -1),
        blamed=np.where(ref[rows] != 0, ref[rows], np.where(origin >= 0, ref[found], np.uint64(0))),
        price=back[:, 0],
        margin=back[:, 1],
        pleased=(kind[rows] == _SURVEY) & (kept["value"][rows] >= least),
    )


def _kept(ticks: NDArray[np.void], order: U64 | None) -> tuple[NDArray[np.void], U64]:
    keep = np.isin(ticks["kind"], (_LINE, _ORDER, _CANCELLED, _RETURNED, _COMPLAINT, _SURVEY))
    which = np.zeros(int(keep.sum()), dtype=np.uint64) if order is None else order[keep].astype(np.uint64)
    return ticks[keep], which


def when_of(ticks: NDArray[np.void]) -> tuple[I64, I64, I64]:
    """Return customer, instant and arrival of each tick, contiguous."""
    customer, at, seq = (np.ascontiguousarray(ticks[name], dtype=np.int64) for name in ("customer", "at", "seq"))
    return customer, at, seq


def unit_money(ticks: NDArray[np.void], margin_share: float) -> tuple[F64, F64]:
    """Price and margin per unit; a missing price is 0, a missing margin the declared share of the price."""
    price = np.nan_to_num(ticks["price"].astype(np.float64), nan=0.0)
    margin = ticks["margin"].astype(np.float64)
    return price, np.where(np.isnan(margin), margin_share * price, margin)


def row_of(ref: U64, judged: Judged) -> I64:
    """Row of the decision of each hash, -1 where there is none."""
    if judged.ref.size == 0:
        return np.full(ref.size, -1, dtype=np.int64)
    by_ref = np.argsort(judged.ref, kind="stable")
    place = np.minimum(np.searchsorted(judged.ref[by_ref], ref), judged.ref.size - 1)
    row = by_ref[place]
    return np.where((judged.ref[row] == ref) & (ref != 0), row, -1).astype(np.int64)


def _named(ref: U64, judged: Judged) -> tuple[I64, I64]:
    """Instant right after the named decision, as (at, seq); -1 where none is named."""
    row = row_of(ref, judged)
    if judged.ref.size == 0:
        return row, row
    return np.where(row >= 0, judged.at[row], -1), np.where(row >= 0, judged.cut[row] + 1, -1)


@compiled
def _orders_before(j: int, customer: I64, goods: tuple[I64, I64], names: tuple[U64, U64]) -> tuple[int, int, int]:
    """Latest earlier order (line) of row j's item that names the same decision, the same order, or just the item."""
    kind, item = goods
    ref, which = names
    named, ordered, latest = -1, -1, -1
    wanted = _LINE if item[j] >= 0 else _ORDER
    i = j - 1
    while i >= 0 and customer[i] == customer[j] and named < 0:
        if kind[i] == wanted and (item[j] < 0 or item[i] == item[j]):
            if ref[j] != 0 and ref[i] == ref[j]:
                named = i
            if which[j] != 0 and which[i] == which[j] and ordered < 0:
                ordered = i
            if latest < 0:
                latest = i
            if ref[j] == 0 and (which[j] == 0 or ordered >= 0):
                break
        i -= 1
    return named, ordered, latest


@compiled
def _origins(
    customer: I64, at: I64, goods: tuple[I64, I64], names: tuple[U64, U64], named_at: I64, rows: I64, span: np.int64
) -> I64:
    """Row of the order (line) that each consequence stems from, or ITSELF, DECISION or NOTHING."""
    kind, item = goods
    out = np.full(rows.size, NOTHING, dtype=np.int64)
    for k in range(rows.size):
        j = rows[k]
        named, ordered, latest = _orders_before(j, customer, goods, names)
        of_goods = kind[j] == _RETURNED or kind[j] == _CANCELLED
        if not of_goods and item[j] < 0 and latest >= 0 and at[j] - at[latest] >= span:
            latest = -1
        if named >= 0 or ordered >= 0:
            out[k] = named if named >= 0 else ordered
        elif named_at[j] >= 0 and (latest < 0 or at[latest] < named_at[j]):
            out[k] = DECISION
        elif latest >= 0:
            out[k] = latest
        elif not of_goods:
            out[k] = ITSELF
    return out


@compiled
def _came_back(when: tuple[I64, I64, I64], kind: I64, units: F64, money: F64, rows: I64, origin: I64) -> F64:
    """Price and margin of the goods each return or cancellation took back; a line gives back what it sold, once."""
    out = np.zeros((rows.size, 2))
    left = units.copy()
    for k in range(rows.size):
        j, line = rows[k], origin[k]
        if kind[j] != _RETURNED and kind[j] != _CANCELLED:
            continue
        if line == DECISION:
            out[k] = units[j] * money[j]
        elif line >= 0 and kind[line] == _LINE:
            taken = min(units[j], left[line])
            left[line] -= taken
            out[k] = taken * money[line]
        elif line >= 0:
            out[k] = _whole(line, when, kind, left, money)
    return out


@compiled
def _whole(order: int, when: tuple[I64, I64, I64], kind: I64, left: F64, money: F64) -> F64:
    """Take back all of an order: its lines carry the same instant and arrival, on either side of its own row."""
    customer, at, seq = when
    out = np.zeros(2)
    for step in (-1, 1):
        i = order + step
        while 0 <= i < at.size and customer[i] == customer[order] and at[i] == at[order] and seq[i] == seq[order]:
            if kind[i] == _LINE:
                out += left[i] * money[i]
                left[i] = 0.0
            i += step
    return out
