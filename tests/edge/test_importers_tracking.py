"""Segment calls and GA4 exports become the same contract."""

import json

import pytest

from cxreco.edge.importers import Report, read

AT = "2026-03-01T12:00:00.000Z"


def _read(tmp_path, kind, rows):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = Report(source="log")
    batches = list(read(kind, path, report=report))
    return [i for b in batches for i in b.parsed_items], [e for b in batches for e in b.parsed_events], report


def _track(number, event, properties=None, **envelope):
    call = {"type": "track", "messageId": f"m{number}", "event": event, "timestamp": AT, "properties": properties or {}}
    return call | ({"userId": "u1"} if "anonymousId" not in envelope else {}) | envelope


TEA = {"product_id": "p1", "sku": "s1", "name": "Tea", "category": "drinks", "brand": "B", "price": "3.50"}


def test_segment_track_calls(tmp_path):
    calls = [
        _track(1, "Products Searched", {"query": "tea"}),
        _track(2, "Product Viewed", TEA),
        _track(3, "Viewed Product", {"sku": "s9", "price": 1}),
        _track(4, "Product Added", TEA | {"quantity": 2, "cart_id": "k1"}),
        _track(5, "Checkout Started", {"products": [TEA]}),
        _track(
            6, "Order Completed", {"order_id": "o1", "currency": "EUR", "total": 9, "products": [TEA | {"quantity": 2}]}
        ),
        _track(7, "Order Refunded", {"order_id": "o1", "products": [{"product_id": "p1", "quantity": 1}]}),
        _track(8, "Order Cancelled", {"order_id": "o2"}),
        _track(9, "Decision Shown", {"decision_id": "d1"}),
        _track(10, "Survey Answered", {"instrument": "nps", "score": "9"}),
        _track(11, "Product List Viewed", {"products": [TEA | {"price": 3.75}]}),
        {"type": "page", "messageId": "m12", "userId": "u1", "timestamp": AT},
        _track(13, "Product Viewed", {}),
    ]
    items, events, report = _read(tmp_path, "segment", calls)
    assert [event.type for event in events] == [
        "products_searched",
        "product_viewed",
        "product_viewed",
        "product_added",
        "checkout_started",
        "order_completed",
        "order_returned",
        "order_cancelled",
        "decision_shown",
        "survey_answered",
    ]
    assert [event.event_id for event in events[:2]] == ["m1", "m2"]
    assert events[2].fields["item_id"] == "s9"
    assert events[3].fields["quantity"] == 2.0
    assert events[3].fields["properties"]["cart_id"] == "k1"
    order = events[5]
    assert [(line.item_id, line.quantity, line.price) for line in order.lines] == [("p1", 2.0, 3.5)]
    assert (order.fields["order_id"], order.fields["properties"]) == ("o1", {"total": 9})
    assert events[6].lines[0].price != events[6].lines[0].price
    assert {name: reason.count for name, reason in report.ignored.items()} == {
        "track call Product List Viewed": 1,
        "page call": 1,
    }
    assert report.rejected["item_id: is missing"].count == 1
    assert [(item.item_id, item.title, item.category, item.price, item.brand) for item in items] == [
        ("p1", "Tea", "drinks", 3.5, "B"),
        ("s9", "s9", "", 1.0, ""),
    ]


def test_segment_joins_an_anonymous_past_once_and_to_one_customer(tmp_path):
    calls = [
        _track(1, "Product Viewed", TEA, anonymousId="a1"),
        {
            "type": "identify",
            "messageId": "m2",
            "userId": "u1",
            "anonymousId": "a1",
            "timestamp": AT,
            "traits": {"age": 40},
        },
        _track(3, "Product Viewed", TEA, anonymousId="a1", userId="u1"),
        _track(4, "Product Viewed", TEA, anonymousId="a1", userId="u2"),
        {"type": "alias", "messageId": "m5", "previousId": "old", "userId": "u1", "timestamp": AT},
        {"type": "identify", "messageId": "m6", "userId": "u1", "timestamp": AT},
    ]
    _, events, report = _read(tmp_path, "segment", calls)
    assert [(event.type, event.customer_id) for event in events] == [
        ("product_viewed", "a1"),
        ("customer_identified", "u1"),
        ("customer_updated", "u1"),
        ("product_viewed", "u1"),
        ("product_viewed", "u2"),
        ("customer_identified", "u1"),
    ]
    assert [event.fields["anonymous_id"] for event in events if event.type == "customer_identified"] == ["a1", "old"]
    assert report.ignored["identify call"].count == 1
    assert sum(report.notes.values()) == 1


def test_a_catalogue_seen_in_passing_has_a_version_per_day_of_change(tmp_path):
    calls = [
        _track(number, event, TEA | {"price": price}, timestamp=f"2026-03-0{day}T10:00:00Z")
        for number, (event, price, day) in enumerate(
            [
                ("Product Viewed", 3, 1),
                ("Product Viewed", 3, 2),
                ("Product Viewed", 4, 3),
                ("Order Completed", 1, 4),
                ("Product Viewed", 3, 5),
            ]
        )
    ]
    items, _, _ = _read(tmp_path, "segment", calls)
    assert [item.price for item in items] == [3.0, 4.0, 3.0]


def _ga4(name, second=0, items=(), params=None, **row):
    listed = [{"key": key, "value": {"string_value": value}} for key, value in (params or {}).items()]
    micros = 1_772_366_400_000_000 + second * 10**6
    return {
        "event_name": name,
        "event_timestamp": str(micros),
        "user_pseudo_id": "px",
        "event_params": listed,
        "items": list(items),
    } | row


COFFEE = {
    "item_id": "g1",
    "item_name": "Coffee",
    "item_category": "drinks",
    "item_brand": "(not set)",
    "price": 5.0,
    "quantity": "2",
}


def test_ga4_events(tmp_path):
    bought = {"ecommerce": {"transaction_id": "t1"}, "user_id": "u1"}
    rows = [
        _ga4("view_search_results", 0, params={"search_term": "coffee"}),
        _ga4("search", 1, params={"search_term": "coffee"}),
        _ga4("view_item", 2, [COFFEE, COFFEE | {"item_id": "g2"}]),
        _ga4("add_to_cart", 3, [COFFEE]),
        _ga4("remove_from_cart", 4, [COFFEE]),
        _ga4("begin_checkout", 5, [COFFEE]),
        _ga4("purchase", 6, [COFFEE], params={"currency": "EUR"}, **bought),
        _ga4("purchase", 9, [COFFEE], params={"currency": "EUR"}, **bought),
        _ga4("refund", 10, ecommerce={"transaction_id": "t1"}, user_id="u1"),
        _ga4("scroll", 11),
        _ga4("view_item", 12),
        _ga4("search", 40, params={"search_term": "coffee"}) | {"event_timestamp": None},
    ]
    items, events, report = _read(tmp_path, "ga4", rows)
    assert [event.type for event in events] == [
        "products_searched",
        "product_viewed",
        "product_viewed",
        "product_added",
        "product_removed",
        "checkout_started",
        "customer_identified",
        "order_completed",
        "order_completed",
        "order_returned",
    ]
    first, again = (event for event in events if event.type == "order_completed")
    assert first.event_id == again.event_id
    assert (first.customer_id, first.fields["order_id"], first.fields["currency"]) == ("u1", "t1", "EUR")
    assert [(line.item_id, line.quantity, line.price) for line in first.lines] == [("g1", 2.0, 5.0)]
    assert events[-1].fields["order_id"] == "t1"
    assert events[0].occurred_at == 1_772_366_400_000_000
    assert {name: reason.count for name, reason in report.ignored.items()} == {
        "search told a second time": 1,
        "event 'scroll'": 1,
    }
    assert {name: reason.count for name, reason in report.rejected.items()} == {
        "item_id: is missing": 1,
        "occurred_at: is missing": 1,
    }
    assert [(item.item_id, item.title, item.brand) for item in items] == [("g1", "Coffee", ""), ("g2", "Coffee", "")]


@pytest.mark.parametrize("kind", ["segment", "ga4"])
def test_rows_of_any_shape_are_counted_not_thrown(tmp_path, kind):
    shapes = [None, 3, [], {}, "x", {"a": {"b": []}}]
    names = [
        "properties",
        "products",
        "event",
        "event_name",
        "items",
        "event_params",
        "ecommerce",
        "traits",
        "timestamp",
        "userId",
    ]
    rows = [
        {"type": "track", "event": "Order Completed", "event_name": "purchase", "event_timestamp": 1, name: shape}
        for name in names
        for shape in shapes
    ]
    rows += [
        {
            "type": sort,
            "event": "Product Viewed",
            "event_name": "view_item",
            "items": [3],
            "properties": {"products": shape},
        }
        for sort in shapes
        for shape in shapes
    ]
    rows += [
        {"event_name": "search", "event_timestamp": shape, "event_params": [shape, {"key": shape, "value": shape}]}
        for shape in shapes
    ]
    _, events, report = _read(tmp_path, kind, rows)
    assert report.rows == len(rows)
    assert not events
    assert sum(reason.count for reason in [*report.rejected.values(), *report.ignored.values()]) >= len(rows)
