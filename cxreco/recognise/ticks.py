"""Events and decisions as ticks: the flat records that the fold reads.

What a field means by kind, beyond `layout.TICK`:

==============  =====================================================================================================
ORDER_LINE      quantity, price and margin per unit of one line
ORDER           value: sum of quantity times price; quantity: number of lines; price: mean per unit; margin: of all
CANCELLED,      one tick per line, or a single one with item -1 where the event names none; mode: of the automatic
RETURNED        decision that the order came from
REMOVE          quantity NaN: all of it
DECIDED         flag 1: it is a contact, and reserved until `until`
ACCEPTED        flag 1: the item taken is item 0 of the decision
UNSUBSCRIBED    flag 1: from every channel
CONSENT         channel: code of the Purpose; flag: granted; value: largest order (NaN: no limit); until: orders a
                month (-1: no limit)
DELIVERED       until: when it was promised (0: not said)
==============  =====================================================================================================
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxreco.frozen import quick
from cxreco.journey import Event, Line
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes, channel_of, purpose_of, ref_of
from cxreco.recognise.layout import SURVEYS, TICK, Kind

NAN = float("nan")
# at, seq, customer, ref, until, kind, mode, channel, flag, item, category, quantity, price, value, margin
TickRow = tuple[int, int, int, int, int, int, int, int, int, int, int, float, float, float, float]

_DECIDED = int(Kind.DECIDED)
# `TICK` once more, byte for byte: a single tick is packed in a quarter of the time that numpy takes to fill it in.
_TICK = struct.Struct("<qqqQq4h2i4f")
_EVERYWHERE = frozenset({"all", "any", "*"})


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRef:
    """What the fold needs to know of a decision: its hash, what it offered, and whether it is a contact.

    `item` is the code of item 0 (-1: none), `quantity` its units, `until` when it expires and `at` its moment (us).
    """

    ref: int
    mode: int
    action: int = -1
    item: int = -1
    category: int = 0
    channel: int = 0
    until: int = 0
    contact: bool = False
    quantity: float = NAN
    at: int = 0


class _Context(NamedTuple):
    """One event and what is known around it, while its rows are made."""

    event: Event
    seq: int
    customer: int
    codes: Codes
    catalogue: Catalogue
    decision: DecisionRef | None

    def row(
        self,
        kind: Kind,
        *,
        item: int = -1,
        category: int | None = None,
        flag: int = 0,
        until: int = 0,
        channel: int | None = None,
        **numbers: float,
    ) -> TickRow:
        event, decision = self.event, self.decision
        if channel is None:
            named = event.fields.get("channel")
            channel = int(channel_of(named)) if named else (decision.channel if decision else 0)
        return (
            event.occurred_at,
            self.seq,
            self.customer,
            decision.ref if decision else ref_of(event.fields.get("decision_id") or ""),
            until,
            int(kind),
            decision.mode if decision else -1,
            channel,
            flag,
            item,
            self.catalogue.category_of(item) if category is None else category,
            numbers.get("quantity", NAN),
            numbers.get("price", NAN),
            numbers.get("value", NAN),
            numbers.get("margin", NAN),
        )


def ticks_of(
    event: Event, *, seq: int, customer: int, codes: Codes, catalogue: Catalogue, decision: DecisionRef | None
) -> NDArray[np.void]:
    """Return the ticks of one event, (k,) of TICK, k >= 1.

    Parameters
    ----------
    event
        The event, checked.
    seq
        Its place in the order of arrival.
    customer
        Code of the customer whose log it belongs to.
    codes
        Items it names are coded here, new ones assigned.
    catalogue
        For categories, and for prices and margins that an order line does not give.
    decision
        The decision that it names, or that its order came from, where that is known.
    """
    rows = rows_of(event, seq=seq, customer=customer, codes=codes, catalogue=catalogue, decision=decision)
    return ticks_from(rows)


def ticks_from(rows: Iterable[TickRow]) -> NDArray[np.void]:
    """Return rows as ticks, (n,) of TICK: many events at once, cheaper than one array an event."""
    return np.array(list(rows), dtype=TICK)


def rows_of(
    event: Event, *, seq: int, customer: int, codes: Codes, catalogue: Catalogue, decision: DecisionRef | None
) -> list[TickRow]:
    """Return the ticks of one event as plain tuples (see `ticks_of`)."""
    context = _Context(event, seq, customer, codes, catalogue, decision)
    kind, make = _MAKERS.get(event.type, _OTHER)
    return make(context, kind)


def tick_of_decision(ref: DecisionRef, *, at: int, seq: int, customer: int) -> NDArray[np.void]:
    """Return the tick of a decision that was made, (1,) of TICK; flag 1 where it is a contact."""
    packed = _TICK.pack(
        at, seq, customer, ref.ref, ref.until, _DECIDED, ref.mode, ref.channel, ref.contact, ref.item, ref.category,
        ref.quantity, NAN, NAN, NAN,
    )  # fmt: skip
    return np.frombuffer(bytearray(packed), TICK)


def _named_item(context: _Context) -> int:
    item_id = context.event.fields.get("item_id")
    return context.codes.item(item_id) if item_id else -1


def _quantity(context: _Context, default: float) -> float:
    quantity = context.event.fields.get("quantity")
    return default if quantity is None else float(quantity)


def _browse(context: _Context, kind: Kind) -> list[TickRow]:
    default = NAN if kind == Kind.REMOVE else 1.0
    return [context.row(kind, item=_named_item(context), quantity=_quantity(context, default))]


def _priced(context: _Context, line: Line) -> tuple[int, float, float]:
    """Return code, price and margin per unit of a line, filled in from the catalogue of the moment."""
    at = context.event.occurred_at
    item = context.codes.item(line.item_id)
    # Not known is NaN, which differs from itself: half the cost of asking numpy, and a log has many lines.
    price = context.catalogue.price_at(item, at) if line.price != line.price else line.price
    margin = context.catalogue.margin_at(item, at, price) if line.margin != line.margin else line.margin
    return item, price, margin


def _order(context: _Context, kind: Kind) -> list[TickRow]:
    lines = context.event.lines
    rows: list[TickRow] = []
    value, margin, units = 0.0, 0.0, 0.0
    # Most of a log is lines of orders: what they share is made once.
    at, seq, customer, ref, until, made, mode, channel, flag, *_ = context.row(Kind.ORDER_LINE)
    category_of = context.catalogue.category_of
    for line in lines:
        item, price, earned = _priced(context, line)
        shared = at, seq, customer, ref, until, made, mode, channel, flag
        rows.append((*shared, item, category_of(item), line.quantity, price, NAN, earned))
        value += line.quantity * price
        margin += line.quantity * earned
        units += line.quantity
    mean = value / units if units > 0.0 else NAN
    total = value if lines else NAN
    rows.append(context.row(kind, quantity=float(len(lines)), price=mean, value=total, margin=margin if lines else NAN))
    return rows


def _undone(context: _Context, kind: Kind) -> list[TickRow]:
    rows = []
    for line in context.event.lines:
        item, price, margin = _priced(context, line)
        rows.append(context.row(kind, item=item, quantity=line.quantity, price=price, margin=margin))
    return rows or [context.row(kind)]


def _of_decision(context: _Context, kind: Kind) -> list[TickRow]:
    decision, named = context.decision, _named_item(context)
    first = -1 if decision is None else decision.item
    item = named if named >= 0 else first
    same = decision is not None and item == first
    return [
        context.row(
            kind,
            item=item,
            category=decision.category if decision is not None and same else None,
            flag=int(kind == Kind.ACCEPTED and same and item >= 0),
            quantity=NAN if decision is None else decision.quantity,
        )
    ]


def _survey(context: _Context, kind: Kind) -> list[TickRow]:
    instrument = str(context.event.fields.get("instrument", "")).lower()
    if instrument not in SURVEYS:
        # What is in the log must fold: an instrument we cannot read moves no score.
        return [context.row(Kind.OTHER)]
    return [context.row(kind, flag=SURVEYS.index(instrument), value=_number(context, "score"))]


def _review(context: _Context, kind: Kind) -> list[TickRow]:
    return [context.row(kind, item=_named_item(context), value=_number(context, "rating"))]


def _complaint(context: _Context, kind: Kind) -> list[TickRow]:
    item = context.decision.item if context.decision else -1
    return [context.row(kind, item=item, value=_number(context, "score"))]


def _unsubscribed(context: _Context, kind: Kind) -> list[TickRow]:
    # Without a channel the stricter reading holds: they want to hear from us nowhere.
    name = str(context.event.fields.get("channel") or "all").strip().lower()
    return [context.row(kind, flag=int(name in _EVERYWHERE), channel=int(channel_of(name)))]


def _delivered(context: _Context, kind: Kind) -> list[TickRow]:
    return [context.row(kind, until=int(context.event.fields.get("promised_at") or 0))]


def _consent(context: _Context, kind: Kind) -> list[TickRow]:
    fields = context.event.fields
    limits = fields.get("limits") or {}
    value, orders = limits.get("max_order_value"), limits.get("max_orders_per_month")
    return [
        context.row(
            kind,
            channel=int(purpose_of(str(fields.get("purpose", "")))),
            flag=int(bool(fields.get("granted"))),
            value=NAN if value is None else float(value),
            until=-1 if orders is None else int(orders),
        )
    ]


def _number(context: _Context, name: str) -> float:
    value = context.event.fields.get(name)
    return NAN if value is None else float(value)


def _plain(context: _Context, kind: Kind) -> list[TickRow]:
    return [context.row(kind)]


_OTHER = (Kind.OTHER, _plain)
# By the type itself: one look-up an event.
_MAKERS: Mapping[str, tuple[Kind, Callable[[_Context, Kind], list[TickRow]]]] = MappingProxyType(
    {
        "products_searched": (Kind.SEARCH, _plain),
        "product_viewed": (Kind.VIEW, _browse),
        "product_added": (Kind.ADD, _browse),
        "product_removed": (Kind.REMOVE, _browse),
        "checkout_started": (Kind.CHECKOUT, _plain),
        "order_completed": (Kind.ORDER, _order),
        "order_cancelled": (Kind.CANCELLED, _undone),
        "order_returned": (Kind.RETURNED, _undone),
        "order_delivered": (Kind.DELIVERED, _delivered),
        "decision_shown": (Kind.SHOWN, _of_decision),
        "decision_accepted": (Kind.ACCEPTED, _of_decision),
        "decision_dismissed": (Kind.DISMISSED, _of_decision),
        "survey_answered": (Kind.SURVEY, _survey),
        "review_posted": (Kind.REVIEW, _review),
        "complaint_opened": (Kind.COMPLAINT, _complaint),
        "complaint_resolved": (Kind.RESOLVED, _plain),
        "unsubscribed": (Kind.UNSUBSCRIBED, _unsubscribed),
        "referral_made": (Kind.REFERRAL, _plain),
        "auto_order_confirmed": (Kind.AUTO_CONFIRMED, _of_decision),
        "auto_order_cancelled": (Kind.AUTO_CANCELLED, _of_decision),
        "auto_order_expired": (Kind.AUTO_EXPIRED, _of_decision),
        "auto_order_executed": (Kind.AUTO_EXECUTED, _of_decision),
        "auto_order_undone": (Kind.AUTO_UNDONE, _of_decision),
        "consent_changed": (Kind.CONSENT, _consent),
    }
)
