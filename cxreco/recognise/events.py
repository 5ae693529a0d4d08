"""The event contract: which fields each type has, and how a row becomes an `Event`, or a reason why not.

The table `EVENTS` is the contract; nothing else in the package decides what an event may hold. Scores of surveys,
reviews and complaints lie within 0 to 10 whatever the scale: an NPS uses all of it, a five-point CSAT a part. A shop
keeps to one scale per instrument.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cxreco.errors import BadEvent
from cxreco.journey import NOTHING, Event, Item, Line
from cxreco.recognise.contract import (
    ID,
    INSTRUMENT,
    LABEL,
    LIMITS_OBJECT,
    LINE_EXTRAS,
    MONEY,
    OBJECT,
    ORDER_LINES,
    QUANTITY,
    QUERY,
    SCORE,
    SEQUENCE,
    SIGNED,
    SOME_LINES,
    TEXT,
    TIME,
    TRUTH,
    Field,
    as_is,
    check_json,
    fail,
    line_extras,
    lines_back,
    shown,
    write_lines,
)

ENVELOPE: Mapping[str, Field] = MappingProxyType(
    {
        "event_id": ID,
        "type": ID,
        "customer_id": ID,
        "occurred_at": TIME,
        "sequence": SEQUENCE,
        "decision_id": ID,
        "channel": ID,
        "session_id": ID,
        "properties": OBJECT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What one type of event holds: every field it may have, and those it must have beside the envelope."""

    fields: Mapping[str, Field]
    required: tuple[str, ...]


def _contract(_required: Mapping[str, Field] = NOTHING, **optional: Field) -> Contract:
    return Contract(fields={**ENVELOPE, **_required, **optional}, required=("event_id", "customer_id", *_required))


_PRODUCT = _contract({"item_id": ID}, quantity=QUANTITY)
_UNDONE_ORDER = _contract(order_id=ID, items=SOME_LINES)
_PARCEL = _contract({"order_id": ID}, promised_at=TIME)
_DECISION = _contract({"decision_id": ID})
_AUTO_ORDER = _contract({"decision_id": ID}, order_id=ID)
_COMPLAINT = _contract(complaint_id=ID, text=TEXT, score=SCORE)

EVENTS: Mapping[str, Contract] = MappingProxyType(
    {
        "products_searched": _contract({"query": QUERY}),
        "product_viewed": _PRODUCT,
        "product_added": _PRODUCT,
        "product_removed": _PRODUCT,
        "checkout_started": _contract(items=SOME_LINES),
        "order_completed": _contract({"order_id": ID, "items": ORDER_LINES}, currency=ID),
        "order_cancelled": _UNDONE_ORDER,
        "order_returned": _UNDONE_ORDER,
        "order_shipped": _PARCEL,
        "order_delivered": _PARCEL,
        "decision_shown": _DECISION,
        "decision_dismissed": _DECISION,
        "decision_accepted": _contract({"decision_id": ID}, item_id=ID),
        "survey_answered": _contract({"instrument": INSTRUMENT, "score": SCORE}, text=TEXT),
        "review_posted": _contract({"rating": SCORE}, item_id=ID, text=TEXT),
        "complaint_opened": _COMPLAINT,
        "complaint_resolved": _COMPLAINT,
        "unsubscribed": _contract({"channel": ID}),
        "customer_updated": _contract({"attributes": OBJECT}),
        "customer_identified": _contract({"anonymous_id": ID}),
        "referral_made": _contract(),
        "auto_order_confirmed": _AUTO_ORDER,
        "auto_order_cancelled": _AUTO_ORDER,
        "auto_order_expired": _AUTO_ORDER,
        "auto_order_executed": _AUTO_ORDER,
        "auto_order_undone": _AUTO_ORDER,
        "consent_changed": _contract({"purpose": ID, "granted": TRUTH}, limits=LIMITS_OBJECT),
    }
)

_NAMES: Mapping[str, frozenset[str]] = {name: frozenset(contract.fields) for name, contract in EVENTS.items()}
# Fields that are written otherwise than they are kept, beside those of which every event has one.
_CONVERTED: Mapping[str, tuple[str, ...]] = {
    name: tuple(
        key
        for key, field in contract.fields.items()
        if field.write is not as_is and key not in ("occurred_at", "sequence", "items")
    )
    for name, contract in EVENTS.items()
}

ITEM: Mapping[str, Field] = MappingProxyType(
    {
        "item_id": ID,
        "title": TEXT,
        "category": LABEL,
        "price": MONEY,
        "brand": LABEL,
        "margin": SIGNED,
        "available": TRUTH,
        "effective_at": TIME,
        "attributes": OBJECT,
    }
)
ITEM_REQUIRED = ("item_id", "title", "category", "price")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that was not taken: its place among those handed in (from 0), and why."""

    index: int
    reason: str


def parse_event(row: Mapping[str, Any]) -> Event:
    """Check one row against the contract.

    Parameters
    ----------
    row
        A JSON object. A field that is null counts as absent; fields the contract does not name are kept in `extra`.

    Raises
    ------
    BadEvent
        Names the field, what was wrong and what to do. Nothing else is raised, whatever the JSON.
    """
    contract = _contract_of(row)
    known = contract.fields
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in row.items():
        field = known.get(key)
        if field is None:
            extra[key] = value
        elif value is not None:
            fields[key] = field.read(value, key)
    for name in contract.required:
        if name not in fields:
            fail(name, "is missing", f"a {fields['type']} needs it")
    return _event(row, fields, extra)


def _contract_of(row: Mapping[str, Any]) -> Contract:
    if type(row) is not dict and not isinstance(row, Mapping):
        raise BadEvent(f"an event is a JSON object, got {shown(row)}; write one object per event")
    kind = row.get("type")
    contract = EVENTS.get(kind) if isinstance(kind, str) else None
    if contract is None:
        wrong = "is missing" if kind is None else f"is not a type of event we know: {shown(kind)}"
        fail("type", wrong, f"use one of {', '.join(EVENTS)}")
    return contract


def _event(row: Mapping[str, Any], fields: dict[str, Any], extra: dict[str, Any]) -> Event:
    at = fields.pop("occurred_at", None)
    place = fields.pop("sequence", None)
    if at is not None and place is not None:
        extra["sequence"] = row["sequence"]
    elif at is None and place is None:
        fail(
            "occurred_at",
            "is missing",
            "give the time (ISO 8601 with offset), or an integer `sequence` if the log has no dates",
        )
    lines: tuple[Line, ...] = fields.pop("items", ())
    if lines and (unknown := line_extras(row["items"])) is not None:
        extra[LINE_EXTRAS] = unknown
    if extra:
        check_json(extra, "fields outside the contract")
    event = Event(
        event_id=fields.pop("event_id"),
        type=fields.pop("type"),
        customer_id=fields.pop("customer_id"),
        occurred_at=place if at is None else at,
        dated=at is not None,
        lines=lines,
        fields=fields or NOTHING,
        extra=extra or NOTHING,
    )
    if event.type == "customer_identified" and fields["anonymous_id"] == event.customer_id:
        fail("anonymous_id", "is the customer itself", "name the id whose past joins this customer's")
    return event


def parse_events(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Event], list[Rejection]]:
    """Check many rows; a broken one never stops the good ones beside it."""
    events: list[Event] = []
    rejections: list[Rejection] = []
    for index, row in enumerate(rows):
        try:
            events.append(parse_event(row))
        except BadEvent as broken:
            rejections.append(Rejection(index=index, reason=str(broken)))
    return events, rejections


def to_row(event: Event) -> dict[str, Any]:
    """Return the canonical JSON of an event: `parse_event` of it gives the same event back."""
    contract = EVENTS[event.type].fields
    when = "occurred_at" if event.dated else "sequence"
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "type": event.type,
        "customer_id": event.customer_id,
        when: ENVELOPE[when].write(event.occurred_at),
    }
    row.update((name, contract[name].write(value)) for name, value in event.fields.items())
    if event.lines:
        row["items"] = write_lines(event.lines)
    row.update(event.extra)
    return row


def read_back(row: Mapping[str, Any], at: int) -> Event:
    """Return the event whose `to_row` this is; what was checked when it came is not checked again.

    Parameters
    ----------
    at
        When it happened, which stands beside it in the log.
    """
    fields = dict(row)
    known = _NAMES[row["type"]]
    # Few rows have any, and the whole is compared at once.
    extra = {} if row.keys() <= known else {key: fields.pop(key) for key in row if key not in known}
    dated = fields.pop("occurred_at", None) is not None
    if (place := fields.pop("sequence", None)) is not None and dated:
        extra["sequence"] = place
    lines = fields.pop("items", None)
    for name in _CONVERTED[row["type"]]:
        if name in fields:
            fields[name] = EVENTS[row["type"]].fields[name].read(fields[name], name)
    return Event(
        event_id=fields.pop("event_id"),
        type=fields.pop("type"),
        customer_id=fields.pop("customer_id"),
        occurred_at=at,
        dated=dated,
        lines=lines_back(lines) if lines else (),
        fields=fields or NOTHING,
        extra=extra or NOTHING,
    )


def parse_item(row: Mapping[str, Any]) -> Item:
    """Check one version of a catalogue item; fields the contract does not name are kept among its attributes.

    Raises
    ------
    BadEvent
        Names the field, what was wrong and what to do. Nothing else is raised, whatever the JSON.
    """
    if not isinstance(row, Mapping):
        raise BadEvent(f"an item is a JSON object, got {shown(row)}; write one object per item")
    values: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    for key, value in row.items():
        field = ITEM.get(key)
        if field is None:
            unknown[key] = value
        elif value is not None:
            values[key] = field.read(value, key)
    for name in ITEM_REQUIRED:
        if name not in values:
            fail(name, "is missing", "an item needs it")
    if unknown:
        check_json(unknown, "fields outside the contract")
        values["attributes"] = unknown | dict(values.get("attributes", NOTHING))
    return Item(**values)


def parse_items(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Item], list[Rejection]]:
    """Check many item rows; a broken one never stops the good ones beside it."""
    items: list[Item] = []
    rejections: list[Rejection] = []
    for index, row in enumerate(rows):
        try:
            items.append(parse_item(row))
        except BadEvent as broken:
            rejections.append(Rejection(index=index, reason=str(broken)))
    return items, rejections


def to_item_row(item: Item) -> dict[str, Any]:
    """Return the canonical JSON of an item version: `parse_item` of it gives the same version back."""
    row: dict[str, Any] = {"item_id": item.item_id, "title": item.title, "category": item.category, "price": item.price}
    if item.brand:
        row["brand"] = item.brand
    if item.margin == item.margin:
        row["margin"] = item.margin
    if not item.available:
        row["available"] = False
    if item.effective_at is not None:
        row["effective_at"] = TIME.write(item.effective_at)
    if item.attributes:
        row["attributes"] = dict(item.attributes)
    return row
