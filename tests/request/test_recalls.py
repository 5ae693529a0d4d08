"""Which items are recalled, by whom, and that nothing is recalled that cannot be bought."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.journey import DAY, Moment
from cxreco.recognise.state import State
from cxreco.request.moment_codes import codes_of
from cxreco.request.recalls import MOST, RECALLS, SIZES, recall_all


@pytest.fixture
def corner(shop):
    for item in ("tea", "milk", "cup", "spoon", "rice", "salt", "soap"):
        shop.put(item, "kitchen" if item in ("cup", "spoon") else "food")
    for customer in range(20):
        shop.order(customer, 20.0 + customer / 5, "cup", "spoon")
        shop.order(customer, 40.0 + customer / 5, "milk")
    for day in (10.0, 30.0, 50.0, 70.0):
        shop.order(99, day, "tea")
    shop.order(99, 85.0, "rice")
    shop.note("product_viewed", 99, 88.0, item_id="soap")
    return shop


def recalled(shop, customer=99, at=90.0, **moment):
    market = shop.market(at)
    found = recall_all(
        shop.state(customer, at), codes_of(Moment(customer_id="c", at=round(at * DAY), **moment), market), market
    )
    ids = shop.codes.item_ids
    return {
        ids[code]: {name: score for name, score, r in zip(RECALLS, row, range(10), strict=True) if source >> r & 1}
        for code, source, row in zip(found.codes.tolist(), found.sources.tolist(), found.scores.tolist(), strict=True)
    }


def test_each_recall_names_its_own(corner):
    found = recalled(corner)
    assert found["tea"]["personal"] > found["rice"]["personal"]
    assert found["tea"]["due"] > 0.6 > found["rice"]["due"]
    assert found["soap"].keys() >= {"viewed", "category"}
    assert "personal" not in found["soap"] and "viewed" not in found["tea"]
    assert found["milk"]["popular"] == 1.0 or found["cup"]["popular"] == 1.0
    assert "category" not in found["cup"]


def test_the_moment_brings_its_category_and_what_goes_with_it(corner):
    found = recalled(corner, item_id="cup")
    assert found["spoon"]["copurchase"] > 1.0 and found["spoon"]["category"] > 0.0
    assert "cup" in found and "copurchase" not in found["cup"]
    assert "copurchase" in recalled(corner, cart=("spoon",))["cup"]
    assert recalled(corner, query="soaps")["soap"]["query"] > 0.5


def test_a_new_item_is_recalled_from_its_first_minute(corner):
    corner.put("novelty", "toys", at=round(89.9 * DAY))
    assert recalled(corner)["novelty"]["new"] == 1.0


def test_of_the_new_items_those_come_first_that_suit_the_customer(shop):
    for kind in ("coffee", "thread"):
        for i in range(4):
            shop.put(f"{kind}{i}", kind, title=f"{kind} sort {i}")
    for customer in range(20):
        for day in (10.0, 40.0, 70.0):
            kind = "coffee" if customer % 2 else "thread"
            shop.order(customer, day + customer / 10, *(f"{kind}{i}" for i in range(4) if (customer + i) % 3))
    for number in range(SIZES["new"]):
        shop.put(f"new-coffee{number}", "coffee", at=80 * DAY, title="coffee sort late")
        shop.put(f"new-thread{number}", "thread", at=81 * DAY, title="thread sort late")
    for customer, kind in ((1, "coffee"), (2, "thread")):
        new = {item for item, names in recalled(shop, customer=customer).items() if "new" in names}
        assert len(new) == SIZES["new"] and all(item.startswith(f"new-{kind}") for item in new)
    # Nobody's taste: what such items sell, and then the latest.
    assert any("new" in names for names in recalled(shop, customer=12345).values())


def test_only_what_can_be_bought_but_what_is_asked_for_again(corner):
    for item in ("tea", "salt", "spoon"):
        corner.put(item, "food", at=80 * DAY, available=False)
    assert not recalled(corner).keys() & {"tea", "salt", "spoon"}
    asked = recalled(corner, query="tea")
    assert asked["tea"].keys() == {"query"}
    assert "salt" not in recalled(corner, query="salt")
    assert recalled(corner, cart=("spoon",))["spoon"] == {}


def test_a_stranger_gets_what_everybody_buys(corner):
    found = recalled(corner, customer=12345)
    assert found and all(names.keys() <= {"popular", "new"} for names in found.values())


def test_an_empty_shop_recalls_nothing(shop):
    assert recalled(shop, query="anything", item_id="x", cart=("y",)) == {}


def test_customers_of_one_taste_lend_each_other_ideas(habits):
    market = habits.shop.market(habits.days)
    named = RECALLS.index("cf")
    for customer in range(5):
        state = habits.shop.state(customer, habits.days)
        found = recall_all(state, codes_of(Moment(customer_id="c", at=round(habits.days * DAY)), market), market)
        bought = state.item_slots["key"][state.item_slots["orders"] > 0]
        by_taste = found.codes[found.sources >> named & 1 == 1]
        assert by_taste.size and not np.isin(by_taste, bought).any()
        own = np.isin(found.codes, bought)
        assert found.scores[own, named].mean() > found.scores[~own, named].mean()


def test_what_the_buyers_of_their_items_also_buy_is_recalled(shop):
    for item in ("tea", "lemon", "rice", "salt"):
        shop.put(item, "food")
    for customer in range(12):
        shop.order(customer, 10.0 + customer, "tea")
        # Never in the same basket, and not within the month after it.
        shop.order(customer, 60.0 + customer, "lemon")
        shop.order(100 + customer, 10.0 + customer, "rice")
        shop.order(100 + customer, 60.0 + customer, "salt")
    shop.order(99, 70.0, "tea")
    found = recalled(shop, customer=99)
    assert "alike" in found["lemon"] and "alike" not in found["salt"] and "alike" not in found["tea"]
    market = shop.market(90.0)
    mc = codes_of(Moment(customer_id="c", at=90 * DAY), market)
    scores = recall_all(shop.state(3, 90.0), mc, market)
    of = dict(zip(scores.codes.tolist(), scores.scores[:, RECALLS.index("alike")].tolist(), strict=True))
    # What they own is no idea, but how alike it is to the rest of what they own is known.
    assert of[shop.codes.item_code("lemon")] > 0.0 == of[shop.codes.item_code("salt")]


@settings(max_examples=30, deadline=None)
@given(
    customer=st.integers(0, 119),
    at=st.floats(1.0, 219.0),
    item=st.integers(-1, 39),
    cart=st.sets(st.integers(0, 39), max_size=4),
)
def test_codes_ascend_once_each_and_scores_are_of_the_sources(habits, customer, at, item, cart):
    market = habits.shop.market(200.0)
    moment = Moment(
        customer_id="c", at=round(at * DAY), item_id=f"i{item}" if item >= 0 else "", cart=tuple(f"i{c}" for c in cart)
    )
    state = habits.shop.state(customer, at)
    found = recall_all(state, codes_of(moment, market), market)
    again = recall_all(state.copy(), codes_of(moment, market), market)
    assert np.all(np.diff(found.codes) > 0) and found.codes.size <= MOST
    assert found.scores.shape == (found.codes.size, len(RECALLS)) and found.sources.dtype == np.uint16
    assert np.isfinite(found.scores).all() and found.scores.min(initial=0.0) >= 0.0
    assert found.scores.tobytes() == again.scores.tobytes() and np.array_equal(found.codes, again.codes)
    for column, name in enumerate(RECALLS):
        named = found.sources >> column & 1 == 1
        assert named.sum() <= SIZES[name]
        assert np.all(found.scores[named, column] > 0.0)
        if name not in ("cf", "copurchase", "query", "alike"):
            assert np.all(found.scores[~named, column] == 0.0)


def test_too_many_items_are_cut_to_the_heads_of_all_recalls(shop):
    for i in range(900):
        shop.put(f"i{i}", f"c{i % 3}", at=(i % 50) * DAY)
    rng = np.random.default_rng(5)
    for customer in range(30):
        for day in range(5, 60, 5):
            shop.order(customer, day + customer / 100, *(f"i{i}" for i in rng.choice(900, 12, replace=False)))
    market = shop.market(60.0)
    mc = codes_of(Moment(customer_id="c", at=60 * DAY, item_id="i7", cart=("i8", "i9"), query="c1"), market)
    found = recall_all(shop.state(3, 60.0), mc, market)
    assert found.codes.size == MOST
    assert {7, 8, 9} <= set(found.codes.tolist())
    for column, name in enumerate(RECALLS):
        if name != "viewed":
            assert (found.sources >> column & 1).sum() >= min(SIZES[name], 12), name


def test_items_coded_after_the_market_was_built_are_left_out(corner):
    market = corner.market(90.0)
    corner.put("later", "food", at=91 * DAY)
    corner.order(99, 91.0, "later")
    mc = codes_of(Moment(customer_id="c", at=92 * DAY), market)
    assert recall_all(corner.state(99, 92.0), mc, market).codes.max() < len(market)
    assert recall_all(State.empty(), mc, market).codes.size
