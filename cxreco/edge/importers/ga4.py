"""GA4 e-commerce events as BigQuery exports them, one JSON object per line; numbers may be text, as BigQuery has it.

Used: `event_name`, `event_timestamp` (microseconds), `user_id` or else `user_pseudo_id`, `event_params`, `items`,
`ecommerce.transaction_id`. The first event that carries both ids joins their pasts. An event about several items
becomes one per item where our contract takes one. `search` and `view_search_results` of the same customer and term
within ten seconds are one search told twice. A `purchase` is known by its transaction: a reloaded receipt is no second
order.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxreco.edge.importers.batches import Batch, Raw, Report, Row, content_id, event_batches, item_batches
from cxreco.edge.importers.rows import number_or_as_is, read_rows
from cxreco.edge.importers.tracking import Identities, SeenProducts
from cxreco.journey import MICROS, NOTHING
from cxreco.recognise.contract import LATEST, write_time

TYPES = {
    "view_item": "product_viewed",
    "add_to_cart": "product_added",
    "remove_from_cart": "product_removed",
    "begin_checkout": "checkout_started",
    "purchase": "order_completed",
    "refund": "order_returned",
    "search": "products_searched",
    "view_search_results": "products_searched",
}
PAGES = ("view_item", "view_item_list", "select_item", "add_to_cart", "view_cart")
PER_ITEM = ("product_viewed", "product_added", "product_removed")
UNSET = (None, "", "(not set)", "(none)", "(not provided)")
SAME_SEARCH = 10 * MICROS


def read_ga4(path: Path, report: Report) -> Iterator[Batch]:
    """Read an export: first the catalogue it shows, then its events (the file is read twice).

    Raises
    ------
    BadInput
        If the file cannot be read at all; a broken event is counted in `report` instead.
    """
    products = SeenProducts()
    for raw in read_rows(path, Report(source=report.source)):
        for item in _items(raw.values):
            facts = {"item_id": _item_id(item), "title": _set(item.get("item_name")), "price": item.get("price")}
            facts |= {"category": _set(item.get("item_category")), "brand": _set(item.get("item_brand"))}
            products.see(facts, _time_of(raw.values), on_page=raw.values.get("event_name") in PAGES)
    yield from item_batches(products.rows(report), report)
    yield from event_batches(_events(read_rows(path, report), report), report)


def _set(value: object) -> object:
    return None if value in UNSET else value


def _items(row: Row) -> list[Mapping[str, Any]]:
    items = row.get("items")
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _item_id(item: Mapping[str, Any]) -> object:
    return _set(item.get("item_id")) or _set(item.get("item_name"))


def _time_of(row: Row) -> object:
    """Return the ISO time of the event; None where it has no readable one, for the contract to refuse."""
    micros = number_or_as_is(row.get("event_timestamp"))
    if isinstance(micros, bool) or not isinstance(micros, int | float) or not 0 <= micros < LATEST.timestamp() * MICROS:
        return None
    return write_time(int(micros))


def _params(row: Row) -> dict[str, object]:
    """Return the event parameters by name, whatever their type."""
    params: dict[str, object] = {}
    listed = row.get("event_params")
    for param in listed if isinstance(listed, list) else []:
        value = param.get("value") if isinstance(param, Mapping) else None
        if isinstance(value, Mapping):
            kinds = ("string_value", "int_value", "double_value", "float_value")
            params[str(param.get("key"))] = next((value[kind] for kind in kinds if value.get(kind) is not None), None)
    return params


@dataclass(slots=True)
class _Searches:
    """When each customer last searched for a term, in microseconds."""

    last: dict[tuple[object, object], int] = field(default_factory=dict)

    def told_twice(self, customer: object, term: object, at: int) -> bool:
        """Say whether this is the search of a moment ago, told by another event."""
        key = (customer, term)
        before, self.last[key] = self.last.get(key, -SAME_SEARCH - 1), at
        return abs(at - before) <= SAME_SEARCH


def _events(rows: Iterable[Raw], report: Report) -> Iterator[Raw]:
    identities, searches = Identities(), _Searches()
    for raw in rows:
        row = raw.values
        envelope: Row = {
            "event_id": content_id("ga4", row),
            "customer_id": _set(row.get("user_id")) or _set(row.get("user_pseudo_id")),
            "occurred_at": _time_of(row),
        }
        joined = identities.joined(envelope, _set(row.get("user_pseudo_id")), _set(row.get("user_id")), report)
        if joined is not None:
            yield Raw(raw.number, joined)
        kind = TYPES.get(str(row.get("event_name")))
        if kind is None:
            report.ignore(f"event {row.get('event_name')!r}", f"row {raw.number}")
        elif kind == "products_searched":
            yield from _search(raw, envelope, searches, report)
        else:
            yield from (Raw(raw.number, made) for made in _product_rows(kind, row, envelope))


def _search(raw: Raw, envelope: Row, searches: _Searches, report: Report) -> Iterator[Raw]:
    params = _params(raw.values)
    term = _set(params.get("search_term"))
    micros = number_or_as_is(raw.values.get("event_timestamp"))
    at = int(micros) if isinstance(micros, int | float) else 0
    if searches.told_twice(envelope["customer_id"], str(term), at):
        report.ignore("search told a second time", f"row {raw.number}")
        return
    query = None if term is None else str(term)
    yield Raw(raw.number, envelope | {"type": "products_searched", "query": query} | _session(params))


def _session(params: Mapping[str, object]) -> Row:
    session = _set(params.get("ga_session_id"))
    return {} if session is None else {"session_id": str(session)}


def _product_rows(kind: str, row: Row, envelope: Row) -> Iterator[Row]:
    params = _params(row)
    made = envelope | {"type": kind} | _session(params)
    items = _items(row)
    if kind in PER_ITEM:
        for place, item in enumerate(items or [NOTHING]):
            quantity = number_or_as_is(item.get("quantity"))
            own = {"event_id": f"{made['event_id']}-{place}", "item_id": _item_id(item), "quantity": quantity}
            yield made | own
        return
    made["items"] = [_line(item) for item in items]
    ecommerce = row.get("ecommerce")
    transaction = _set(ecommerce.get("transaction_id")) if isinstance(ecommerce, Mapping) else None
    transaction = transaction or _set(params.get("transaction_id"))
    if kind == "order_completed":
        made["order_id"] = transaction or made["event_id"]
        if transaction is not None:
            made["event_id"] = content_id("ga4-purchase", str(transaction))
        currency = _set(params.get("currency"))
        made |= {} if currency is None else {"currency": currency}
    elif kind == "order_returned" and transaction is not None:
        made["order_id"] = transaction
    yield made


def _line(item: Mapping[str, Any]) -> Row:
    price, quantity = number_or_as_is(item.get("price")), number_or_as_is(item.get("quantity"))
    return {"item_id": _item_id(item), "quantity": 1 if quantity is None else quantity, "price": price}
