"""Segment, RudderStack or PostHog calls, one JSON object per line: `track`, `identify` and `alias`.

A track call whose name, in snake_case, is a type of our contract is taken with its properties as fields: the e-commerce
spec (Order Completed, Product Viewed, …) and our own additions (Decision Shown, Survey Answered, Consent Changed, …).
Older names are mapped by `ALIASES`; any other call is counted as ignored. `messageId` becomes the event id, `userId` or
else `anonymousId` the customer, `timestamp` the time; the first call that carries both ids joins their pasts. A product
is known by `product_id`, else `sku`; the catalogue is what was seen of the products.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cxreco.edge.importers.batches import Batch, Raw, Report, Row, content_id, event_batches, item_batches
from cxreco.edge.importers.rows import KINDS, number_or_as_is, read_rows
from cxreco.edge.importers.tracking import Identities, SeenProducts
from cxreco.journey import NOTHING
from cxreco.recognise.events import EVENTS

ALIASES = {
    "order_refunded": "order_returned",
    "refunded_order": "order_returned",
    "completed_order": "order_completed",
    "cancelled_order": "order_cancelled",
    "order_canceled": "order_cancelled",
    "viewed_product": "product_viewed",
    "added_product": "product_added",
    "removed_product": "product_removed",
    "searched_products": "products_searched",
    "started_checkout": "checkout_started",
    "product_reviewed": "review_posted",
}
TIMES = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
NOT_PROPERTIES = frozenset({"event_id", "type", "customer_id", "occurred_at", "sequence"})
ITEM_IDS = ("product_id", "item_id", "sku", "id")
# Calls that show a product with its list price, whether or not they are events to us.
PAGES = ("product_viewed", "product_added", "product_clicked", "product_list_viewed", "cart_viewed")


def read_segment(path: Path, report: Report) -> Iterator[Batch]:
    """Read calls: first the catalogue they show, then their events (the file is read twice).

    Raises
    ------
    BadInput
        If the file cannot be read at all; a broken call is counted in `report` instead.
    """
    products = SeenProducts()
    for raw in read_rows(path, Report(source=report.source)):
        _see(raw.values, products)
    yield from item_batches(products.rows(report), report)
    yield from event_batches(_events(read_rows(path, report), report), report)


def _name_of(call: Row) -> str:
    name = re.sub(r"[\s_\-]+", "_", str(call.get("event", "")).strip().lower())
    return ALIASES.get(name, name)


def _time_of(call: Row) -> object:
    return next((call[name] for name in TIMES if call.get(name)), None)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else NOTHING


def _products(properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    products = properties.get("products")
    return [_object(product) for product in products] if isinstance(products, list) else []


def _item_id(product: Mapping[str, Any]) -> object:
    return next((product[name] for name in ITEM_IDS if product.get(name) not in (None, "")), None)


def _see(call: Row, products: SeenProducts) -> None:
    properties = _object(call.get("properties"))
    if call.get("type", "track") != "track":
        return
    on_page = _name_of(call) in PAGES
    for product in [properties, *_products(properties)]:
        facts = {"item_id": _item_id(product), "title": product.get("name") or product.get("title")}
        facts |= {name: product.get(name) for name in ("category", "price", "brand")}
        products.see(facts, _time_of(call), on_page=on_page)


def _events(calls: Iterable[Raw], report: Report) -> Iterator[Raw]:
    identities = Identities()
    for raw in calls:
        call = raw.values
        envelope: Row = {
            "event_id": call.get("messageId") or call.get("message_id") or content_id("segment", call),
            "customer_id": call.get("userId") or call.get("anonymousId"),
            "occurred_at": _time_of(call),
        }
        anonymous = call.get("previousId") if call.get("type") == "alias" else call.get("anonymousId")
        joined = identities.joined(envelope, anonymous, call.get("userId"), report)
        if joined is not None:
            yield Raw(raw.number, joined)
        row = _row(call)
        if row is not None:
            yield Raw(raw.number, envelope | row)
        elif joined is None:
            report.ignore(f"{call.get('type', 'track')} call {call.get('event', '')}".strip(), f"row {raw.number}")


def _row(call: Row) -> Row | None:
    """Return the contract fields of a call beside the envelope; None for a call that is not an event to us."""
    sort = call.get("type", "track")
    traits = _object(call.get("traits"))
    if sort == "identify" and traits:
        return {"type": "customer_updated", "attributes": traits}
    name = _name_of(call) if sort == "track" else ""
    return _track_row(name, _object(call.get("properties"))) if name in EVENTS else None


def _track_row(kind: str, properties: Mapping[str, Any]) -> Row:
    known = EVENTS[kind].fields
    row: Row = {"type": kind}
    for name in known.keys() - NOT_PROPERTIES:
        if (value := properties.get(name)) is not None:
            row[name] = number_or_as_is(value) if KINDS[name] == "number" else value
    used = {"products", *known}
    if "item_id" in known:
        used |= set(ITEM_IDS)
        row["item_id"] = _item_id(properties)
    if "items" in known:
        row.setdefault("items", [_line(product) for product in _products(properties)])
    if kind == "order_completed":
        row.setdefault("order_id", properties.get("checkout_id"))
    left = {name: value for name, value in properties.items() if name not in used}
    return row | {"properties": left | dict(_object(row.get("properties")))} if left else row


def _line(product: Mapping[str, Any]) -> Row:
    quantity = number_or_as_is(product.get("quantity"))
    price = number_or_as_is(product.get("price"))
    return {"item_id": _item_id(product), "quantity": 1 if quantity is None else quantity, "price": price}
