"""The event contract: whatever JSON comes in, an event or a reason comes out; what is written reads back the same."""

import json
import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.errors import BadEvent
from cxreco.journey import DAY, Event, Item
from cxreco.recognise.contract import MAX_SEQUENCE
from cxreco.recognise.events import (
    EVENTS,
    parse_event,
    parse_events,
    parse_item,
    parse_items,
    read_back,
    to_item_row,
    to_row,
)

VIEW = {
    "event_id": "e1",
    "type": "product_viewed",
    "customer_id": "c1",
    "occurred_at": "2026-03-01T12:00:00+01:00",
    "item_id": "A1",
}
ORDER = VIEW | {"type": "order_completed", "order_id": "o1", "items": [{"item_id": "A1", "quantity": 2, "price": 9.5}]}

IDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc")), min_size=1, max_size=20
)
IDS = IDS.filter(lambda text: not text.isspace())
TIMES = (
    st.datetimes(timezones=st.timezones()).filter(lambda stamp: 1971 < stamp.year < 2099).map(lambda t: t.isoformat())
)
PLAIN = (
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | IDS
)
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(IDS, inner, max_size=3), max_leaves=6
)
WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["nps", "A1", VIEW["occurred_at"]]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["item_id"]), inner, max_size=3)
    ),
    max_leaves=8,
)
MONEY = st.floats(0, 1e6)
LINES = st.lists(
    st.fixed_dictionaries(
        {"item_id": IDS, "quantity": st.floats(1e-3, 1e6), "price": st.none() | MONEY},
        optional={"margin": st.floats(-1e6, 1e6), "note": PLAIN},
    ),
    min_size=1,
    max_size=4,
)
VALUES = {
    "item_id": IDS,
    "decision_id": IDS,
    "order_id": IDS,
    "complaint_id": IDS,
    "channel": IDS,
    "session_id": IDS,
    "purpose": IDS,
    "currency": IDS,
    "anonymous_id": IDS.map("anonymous ".__add__),
    "query": IDS,
    "text": IDS,
    "items": LINES,
    "quantity": st.floats(1e-3, 1e6),
    "promised_at": TIMES,
    "instrument": st.sampled_from(["nps", "csat", "ces"]),
    "score": st.floats(0, 10),
    "rating": st.integers(0, 10),
    "granted": st.booleans(),
    "attributes": st.dictionaries(IDS, JSON, max_size=3),
    "properties": st.dictionaries(IDS, JSON, max_size=3),
    "limits": st.fixed_dictionaries(
        {}, optional={"max_order_value": MONEY, "max_orders_per_month": st.integers(0, 30)}
    ),
}


@st.composite
def rows(draw):
    kind = draw(st.sampled_from(sorted(EVENTS)))
    contract = EVENTS[kind]
    row = {"event_id": draw(IDS), "type": kind, "customer_id": draw(IDS)}
    row |= draw(
        st.fixed_dictionaries({"occurred_at": TIMES})
        | st.fixed_dictionaries({"sequence": st.integers(0, MAX_SEQUENCE)})
    )
    for name in sorted(contract.fields.keys() & VALUES.keys()):
        if name in contract.required or draw(st.booleans()):
            row[name] = draw(VALUES[name])
    unknown = draw(st.dictionaries(IDS.map("x_".__add__), JSON, max_size=2))
    return unknown | row


@given(rows())
@settings(max_examples=300, deadline=None)
def test_what_is_written_reads_back_the_same(row):
    event = parse_event(row)
    again = parse_event(json.loads(json.dumps(to_row(event), allow_nan=False)))
    # NaN (a price nobody gave) is one object in the parser, so that equal events are equal.
    assert again == event
    assert to_row(again) == to_row(event)


@given(rows(), st.none() | st.integers(0, MAX_SEQUENCE))
@settings(max_examples=300, deadline=None)
def test_a_row_of_our_own_is_read_without_checks_and_reads_the_same(row, place):
    # A dated row may say its sequence too.
    event = parse_event(row if place is None else {"sequence": place} | row)
    written = orjson.loads(orjson.dumps(to_row(event)))
    again = read_back(written, event.occurred_at)
    assert again == event
    assert repr(again) == repr(event)
    assert again == parse_event(written)


@given(rows(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_spoiled_row_is_refused_with_a_reason_or_taken_and_nothing_else(row, data):
    name = data.draw(st.sampled_from([*row, "sequence", "items", "limits"]))
    row[name] = data.draw(WILD)
    try:
        event = parse_event(row)
    except BadEvent as broken:
        assert broken.reason
        str(broken).encode()
    else:
        json.dumps(to_row(event), allow_nan=False).encode()


@given(WILD | st.dictionaries(st.sampled_from([*VALUES, "event_id", "type", "customer_id", "occurred_at"]), WILD))
@settings(max_examples=200, deadline=None)
def test_no_json_raises_anything_but_bad_event(value):
    for parse in (parse_event, parse_item):
        try:
            parse(value)
        except BadEvent as broken:
            str(broken).encode()


def test_every_type_of_the_contract_is_there():
    assert len(EVENTS) == 27
    assert all(
        {"event_id", "customer_id"} <= set(contract.required) <= set(contract.fields) for contract in EVENTS.values()
    )


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"type": "product_seen"}, "type"),
        ({"type": ["product_viewed"]}, "type"),
        ({"event_id": None}, "event_id"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "   "}, "event_id"),
        ({"customer_id": "x" * 257}, "customer_id"),
        ({"customer_id": True}, "customer_id"),
        ({"customer_id": 1.5}, "customer_id"),
        ({"customer_id": "a\x00b"}, "customer_id"),
        ({"customer_id": "\ud800"}, "customer_id"),
        ({"item_id": None}, "item_id"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": math.nan}, "quantity"),
        ({"quantity": math.inf}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": 10**400}, "quantity"),
        ({"occurred_at": None}, "occurred_at"),
        ({"occurred_at": "2026-03-01"}, "occurred_at"),
        ({"occurred_at": "2026-03-01T12:00:00"}, "occurred_at"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, "occurred_at"),
        ({"occurred_at": "2200-01-01T00:00:00Z"}, "occurred_at"),
        ({"occurred_at": 1772366400}, "occurred_at"),
        ({"occurred_at": None, "sequence": -1}, "sequence"),
        ({"occurred_at": None, "sequence": 1.0}, "sequence"),
        ({"properties": [1]}, "properties"),
        ({"properties": {"a": {"b": math.nan}}}, "properties"),
        ({"anything": {"a": 10**30}}, "fields outside the contract"),
    ],
)
def test_a_broken_field_is_named(change, where):
    with pytest.raises(BadEvent) as caught:
        parse_event(VIEW | change)
    assert caught.value.where == where
    assert caught.value.reason


@pytest.mark.parametrize(
    ("items", "where"),
    [
        ([], "items"),
        ({"item_id": "A1"}, "items"),
        (["A1"], "items[0]"),
        ([{"quantity": 1, "price": 1}], "items[0].item_id"),
        ([{"item_id": "A1", "price": 1}], "items[0].quantity"),
        ([{"item_id": "A1", "quantity": 1}], "items[0].price"),
        ([{"item_id": "A1", "quantity": 1, "price": -1}], "items[0].price"),
        ([{"item_id": "A1", "quantity": 0, "price": 1}], "items[0].quantity"),
    ],
)
def test_a_broken_line_is_named(items, where):
    with pytest.raises(BadEvent) as caught:
        parse_event(ORDER | {"items": items})
    assert caught.value.where == where


def test_times_become_microseconds_utc():
    assert parse_event(VIEW).occurred_at == 1772362800 * 10**6
    assert parse_event(VIEW | {"occurred_at": "1970-01-02T00:00:00.000001Z"}).occurred_at == DAY + 1


def test_a_sequence_is_nominal_days_and_its_first_place_is_not_never():
    placed = [parse_event({**VIEW, "occurred_at": None, "sequence": place}) for place in (0, 1, 7)]
    assert [event.occurred_at for event in placed[1:]] == [DAY, 7 * DAY]
    assert 0 < placed[0].occurred_at < DAY
    assert not any(event.dated for event in placed)
    assert [to_row(event)["sequence"] for event in placed] == [0, 1, 7]


def test_integers_are_ids_and_nulls_are_absent():
    event = parse_event(VIEW | {"customer_id": 17850, "item_id": 0, "quantity": None, "session_id": None})
    assert (event.customer_id, event.fields) == ("17850", {"item_id": "0"})


def test_unknown_fields_are_kept_of_events_of_lines_and_of_items():
    event = parse_event(
        ORDER | {"colour": "red", "items": [{"item_id": "A1", "quantity": 1, "price": None, "gift": True}]}
    )
    assert event.extra == {"item_id": "A1", "colour": "red", "line_extras": [{"gift": True}]}
    assert math.isnan(event.lines[0].price)
    item = parse_item(
        {"item_id": "A1", "title": "Tea", "category": "", "price": 3, "origin": "Assam", "attributes": {"g": 1}}
    )
    assert item.attributes == {"origin": "Assam", "g": 1}


def test_lines_may_be_bare_ids_where_the_contract_asks_for_no_more():
    event = parse_event(VIEW | {"type": "order_cancelled", "items": ["A1", {"item_id": "B2"}]})
    assert [(line.item_id, line.quantity) for line in event.lines] == [("A1", 1.0), ("B2", 1.0)]


def test_limits_nobody_enforces_are_refused():
    consent = VIEW | {"type": "consent_changed", "purpose": "automatic_execution", "granted": True}
    assert parse_event(consent | {"limits": {"max_order_value": 50}}).fields["limits"] == {"max_order_value": 50.0}
    for limits in ({"max_value": 50}, {"max_order_value": -1}, [50]):
        with pytest.raises(BadEvent):
            parse_event(consent | {"limits": limits})
    with pytest.raises(BadEvent):
        parse_event(consent | {"granted": "true"})


@pytest.mark.parametrize(("score", "taken"), [(0, True), (10, True), (10.01, False), (-1, False)])
def test_scores_lie_within_ten(score, taken):
    answer = VIEW | {"type": "survey_answered", "instrument": "nps", "score": score}
    events, rejections = parse_events([answer])
    assert (len(events), len(rejections)) == ((1, 0) if taken else (0, 1))


def test_nobody_is_their_own_past():
    with pytest.raises(BadEvent, match="anonymous_id"):
        parse_event(VIEW | {"type": "customer_identified", "anonymous_id": "c1"})


def test_a_broken_row_never_stops_the_good_ones_beside_it():
    events, rejections = parse_events([VIEW, {}, ORDER, None, VIEW | {"quantity": -1}])
    assert [event.type for event in events] == ["product_viewed", "order_completed"]
    assert [rejection.index for rejection in rejections] == [1, 3, 4]
    assert all(rejection.reason for rejection in rejections)
    assert isinstance(events[0], Event)


@given(
    st.fixed_dictionaries(
        {"item_id": IDS, "title": IDS, "category": IDS | st.just(""), "price": MONEY},
        optional={
            "brand": IDS,
            "margin": st.floats(-1e6, 1e6),
            "available": st.booleans(),
            "effective_at": TIMES,
            "attributes": st.dictionaries(IDS, JSON, max_size=2),
        },
    )
)
@settings(max_examples=100, deadline=None)
def test_an_item_that_is_written_reads_back_the_same(row):
    item = parse_item(row)
    again = parse_item(json.loads(json.dumps(to_item_row(item), allow_nan=False)))
    assert to_item_row(again) == to_item_row(item)
    assert isinstance(again, Item)


def test_broken_items_are_returned_with_their_place():
    good = {"item_id": "A1", "title": "Tea", "category": "drinks", "price": 3}
    items, rejections = parse_items([good | {"price": -1}, good, good | {"title": ""}, 3, {**good, "available": "yes"}])
    assert [item.item_id for item in items] == ["A1"]
    assert [rejection.index for rejection in rejections] == [0, 2, 3, 4]
