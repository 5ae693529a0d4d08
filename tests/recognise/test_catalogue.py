"""The shelf of an instant is made of the versions in force then."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.journey import DAY, Item
from cxreco.recognise import catalogue as module
from cxreco.recognise.catalogue import Catalogue, Shelf
from cxreco.recognise.codes import Codes


def item(item_id="milk", price=2.0, category="dairy", **more):
    return Item(item_id=item_id, title=more.pop("title", item_id.title()), category=category, price=price, **more)


def test_the_first_version_holds_from_the_beginning_and_the_next_from_its_day_on():
    catalogue = Catalogue(Codes(), 0.25)
    assert not catalogue.put(item(price=2.0), arrived_at=10 * DAY)
    catalogue.put(item(price=3.0, margin=1.5, available=False, effective_at=20 * DAY), arrived_at=11 * DAY)
    early, later = catalogue.shelf(DAY), catalogue.shelf(20 * DAY)
    assert (early.price[0], early.margin[0], early.available[0]) == (2.0, 0.5, True)
    assert (later.price[0], later.margin[0], later.available[0]) == (3.0, 1.5, False)
    assert early.born_at[0] == later.born_at[0] == 10 * DAY
    assert catalogue.shelf(20 * DAY - 1) is early
    assert catalogue.shelf(99 * DAY) is later


def test_items_without_a_row_are_not_known():
    codes = Codes()
    catalogue = Catalogue(codes)
    ghost = codes.item("ghost")
    catalogue.put(item(brand="Alm"), 0)
    shelf = catalogue.shelf(0)
    assert len(shelf) == 2
    assert not shelf.known[ghost]
    assert not shelf.available[ghost]
    assert math.isnan(shelf.price[ghost])
    assert math.isnan(shelf.margin[ghost])
    assert shelf.titles == ["", "Milk"]
    assert shelf.brands == ["", "Alm"]
    assert shelf.category_names[shelf.category[1]] == "dairy"
    assert len(Catalogue(Codes()).shelf(0)) == 0


def test_a_new_code_widens_the_shelf():
    codes = Codes()
    catalogue = Catalogue(codes)
    catalogue.put(item(), 0)
    assert len(catalogue.shelf(0)) == 1
    codes.item("new")
    assert len(catalogue.shelf(0)) == 2


def test_put_says_when_states_must_be_folded_again():
    codes = Codes()
    catalogue = Catalogue(codes)
    codes.item("milk")
    assert catalogue.put(item(), 5)  # an event had named it: its category was unknown
    assert not catalogue.put(item(price=9.0), 6)
    assert catalogue.put(item(category="drinks"), 7)
    assert codes.category_names[catalogue.category_of(0)] == "drinks"
    assert catalogue.put(item(category="drinks", price=1.0, effective_at=3), 8)  # the past changed
    assert not catalogue.put(item("bread"), 9)


def test_the_category_is_the_latest_one_for_all_of_the_past():
    catalogue = Catalogue(Codes())
    catalogue.put(item(category="dairy"), 0)
    catalogue.put(item(category="drinks"), 10)
    assert catalogue.shelf(5).category[0] == catalogue.shelf(50).category[0] == catalogue.category_of(0)


versions = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.floats(0.5, 99.0), st.none() | st.floats(0.0, 9.0)),
    max_size=25,
)


@given(versions, st.integers(-1, 10))
def test_shelf_and_single_lookups_agree_with_the_rule(rows, at):
    catalogue = Catalogue(Codes(), 0.5)
    for name, effective_at, price, margin in rows:
        given_margin = math.nan if margin is None else margin
        catalogue.put(item(name, price=price, margin=given_margin, effective_at=effective_at), 0)
    shelf = catalogue.shelf(at)
    for code, name in enumerate(catalogue.codes.item_ids):
        mine = sorted((row for row in rows if row[0] == name), key=lambda row: row[1])
        price, margin = ([row for row in mine if row[1] <= at] or mine[:1])[-1][2:]
        margin = 0.5 * price if margin is None else margin
        assert shelf.price[code] == catalogue.price_at(code, at) == price
        assert shelf.margin[code] == catalogue.margin_at(code, at, price) == margin


def test_a_large_shelf_keeps_its_order():
    catalogue = Catalogue(Codes())
    for k in range(20_000):
        catalogue.put(item(f"i{k}", price=float(k), category=f"c{k % 7}"), k)
    shelf = catalogue.shelf(0)
    assert np.array_equal(shelf.price, np.arange(20_000.0))
    assert np.array_equal(shelf.category, 1 + np.arange(20_000) % 7)


puts = st.tuples(
    st.just("put"), st.integers(0, 4), st.integers(0, 9), st.sampled_from((1.0, 2.0)), st.booleans(),
    st.sampled_from(("a", "b")),
)  # fmt: skip
asks = st.tuples(st.just("ask"), st.integers(-1, 10))


@given(st.lists(st.one_of(puts, asks), max_size=40), st.sampled_from((0, 50)))
def test_a_shelf_made_from_the_one_before_is_the_one_made_of_all_versions(told, few):
    catalogue = Catalogue(Codes(), 0.25)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", few)
        for what, *rest in told:
            if what == "ask":
                shelf, whole = catalogue.shelf(rest[0]), catalogue._built(rest[0])
                for name in Shelf.__dataclass_fields__:
                    np.testing.assert_array_equal(getattr(shelf, name), getattr(whole, name), name)
            else:
                number, at, price, there, title = rest
                one = item(f"i{number}", price, title=title, brand=title, available=there, effective_at=at)
                catalogue.put(one, arrived_at=5)


def test_a_new_price_leaves_the_texts_alone_and_reads_no_other_item(monkeypatch):
    catalogue = Catalogue(Codes())
    for number in range(200):
        catalogue.put(item(f"i{number}"), arrived_at=0)
    before = catalogue.shelf(1)
    monkeypatch.setattr(Catalogue, "_built", lambda *_: pytest.fail("all versions were read"))
    catalogue.put(item("i7", 3.0), arrived_at=2)
    after = catalogue.shelf(2)
    assert after.titles is before.titles
    assert np.flatnonzero(after.price != before.price).tolist() == [7]
