"""Events become the ticks that the contract asks for."""

import math

import numpy as np
import pytest

from cxreco.journey import COACH, DAY, MICROS, Event, Item, Line
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes, ref_of
from cxreco.recognise.layout import TICK, Channel, Kind, Purpose
from cxreco.recognise.ticks import DecisionRef, rows_of, tick_of_decision, ticks_from, ticks_of

AT = 100 * DAY
NUDGE = DecisionRef(
    ref=ref_of("d1"), mode=COACH, item=0, category=1, channel=int(Channel.EMAIL), contact=True, until=AT
)


@pytest.fixture
def catalogue():
    shop = Catalogue(Codes(), 0.5)
    shop.put(Item(item_id="milk", title="Milk", category="dairy", price=2.0, margin=0.25), 0)
    shop.put(Item(item_id="bread", title="Bread", category="bakery", price=3.0), 0)
    return shop


def ticks(catalogue, kind, decision=None, lines=(), **fields):
    event = Event(event_id="e", type=kind, customer_id="c", occurred_at=AT, lines=tuple(lines), fields=fields)
    made = ticks_of(event, seq=7, customer=3, codes=catalogue.codes, catalogue=catalogue, decision=decision)
    assert made.dtype == TICK
    assert set(made["at"]) == {AT}
    assert set(made["seq"]) == {7}
    assert set(made["customer"]) == {3}
    return made


def test_an_order_is_its_lines_and_then_itself(catalogue):
    lines = [
        Line(item_id="milk", quantity=2, price=2.5),
        Line(item_id="bread", quantity=1),
        Line(item_id="ghost", quantity=1, price=4.0, margin=1.0),
    ]
    made = ticks(catalogue, "order_completed", lines=lines, order_id="o")
    assert made["kind"].tolist() == [Kind.ORDER_LINE] * 3 + [Kind.ORDER]
    assert made["item"].tolist() == [0, 1, 2, -1]
    assert made["category"].tolist() == [1, 2, 0, 0]
    assert made["price"].tolist() == [2.5, 3.0, 4.0, 3.0]
    assert made["margin"].tolist() == [0.25, 1.5, 1.0, 3.0]
    assert made["value"][3] == 12.0
    assert made["quantity"].tolist() == [2.0, 1.0, 1.0, 3.0]


def test_an_order_without_lines_or_prices_is_an_order_of_unknown_value(catalogue):
    bare = ticks(catalogue, "order_completed")
    assert bare["kind"].tolist() == [Kind.ORDER]
    assert math.isnan(bare["value"][0])
    priceless = ticks(catalogue, "order_completed", lines=[Line(item_id="ghost")])
    assert np.isnan(priceless["price"]).all()
    assert np.isnan(priceless["margin"]).all()


@pytest.mark.parametrize(("kind", "code"), [("order_cancelled", Kind.CANCELLED), ("order_returned", Kind.RETURNED)])
def test_what_comes_back(catalogue, kind, code):
    assert ticks(catalogue, kind, order_id="o")["item"].tolist() == [-1]
    made = ticks(catalogue, kind, lines=[Line(item_id="milk"), Line(item_id="bread")], decision=NUDGE)
    assert made["kind"].tolist() == [code, code]
    assert made["item"].tolist() == [0, 1]
    assert set(made["mode"]) == {COACH}


def test_browsing(catalogue):
    view = ticks(catalogue, "product_viewed", item_id="bread")[0]
    assert (view["kind"], view["item"], view["category"], view["mode"], view["ref"]) == (Kind.VIEW, 1, 2, -1, 0)
    assert ticks(catalogue, "product_added", item_id="milk")["quantity"][0] == 1.0
    assert ticks(catalogue, "product_added", item_id="milk", quantity=3)["quantity"][0] == 3.0
    assert math.isnan(ticks(catalogue, "product_removed", item_id="milk")["quantity"][0])
    assert ticks(catalogue, "products_searched", query="x")["kind"][0] == Kind.SEARCH


def test_answers_carry_the_decision_they_name(catalogue):
    shown = ticks(catalogue, "decision_shown", decision=NUDGE, decision_id="d1")[0]
    assert (shown["ref"], shown["mode"], shown["item"], shown["category"]) == (ref_of("d1"), NUDGE.mode, 0, 1)
    assert shown["channel"] == Channel.EMAIL
    unknown = ticks(catalogue, "decision_shown", decision_id="d9")[0]
    assert (unknown["ref"], unknown["mode"], unknown["item"]) == (ref_of("d9"), -1, -1)
    flags = [
        ticks(catalogue, "decision_accepted", decision=NUDGE, decision_id="d1", **fields)["flag"][0]
        for fields in ({}, {"item_id": "milk"}, {"item_id": "bread"})
    ]
    assert flags == [1, 1, 0]
    other = ticks(catalogue, "decision_accepted", decision=NUDGE, decision_id="d1", item_id="bread")[0]
    assert (other["item"], other["category"]) == (1, 2)


def test_consent_carries_its_purpose_and_limits(catalogue):
    limits = {"max_order_value": 50.0, "max_orders_per_month": 4}
    given = ticks(catalogue, "consent_changed", purpose="automatic_execution", granted=True, limits=limits)[0]
    assert (given["channel"], given["flag"], given["value"], given["until"]) == (
        Purpose.AUTOMATIC_EXECUTION, 1, 50.0, 4,
    )  # fmt: skip
    bare = ticks(catalogue, "consent_changed", purpose="marketing", granted=False)[0]
    assert (bare["channel"], bare["flag"], bare["until"]) == (Purpose.MARKETING, 0, -1)
    assert math.isnan(bare["value"])


def test_voices(catalogue):
    nps = ticks(catalogue, "survey_answered", instrument="csat", score=4.0)[0]
    assert (nps["kind"], nps["flag"], nps["value"]) == (Kind.SURVEY, 1, 4.0)
    assert ticks(catalogue, "survey_answered", instrument="tea leaves", score=4.0)["kind"][0] == Kind.OTHER
    assert ticks(catalogue, "review_posted", item_id="milk", rating=5)["value"][0] == 5.0
    assert ticks(catalogue, "unsubscribed", channel="email")["channel"][0] == Channel.EMAIL
    assert ticks(catalogue, "unsubscribed", channel="email")["flag"][0] == 0
    assert ticks(catalogue, "unsubscribed", channel="all")["flag"][0] == 1
    delivered = ticks(catalogue, "order_delivered", order_id="o", promised_at=AT - MICROS)
    assert delivered["until"][0] == AT - MICROS


@pytest.mark.parametrize("kind", ["order_shipped", "customer_updated", "customer_identified"])
def test_what_does_not_fold_still_leaves_a_tick(catalogue, kind):
    assert ticks(catalogue, kind)["kind"].tolist() == [Kind.OTHER]


def test_a_decision_is_a_tick_and_many_events_are_one_array(catalogue):
    made = tick_of_decision(NUDGE, at=AT, seq=8, customer=3)[0]
    assert (made["kind"], made["flag"], made["until"], made["channel"]) == (Kind.DECIDED, 1, AT, Channel.EMAIL)
    event = Event(event_id="e", type="product_viewed", customer_id="c", occurred_at=AT, fields={"item_id": "milk"})
    rows = rows_of(event, seq=1, customer=0, codes=catalogue.codes, catalogue=catalogue, decision=None)
    assert ticks_from(rows * 3).size == 3
    assert ticks_from([]).dtype == TICK
