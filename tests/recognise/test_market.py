import numpy as np
import pytest

from cxreco.errors import BadInput
from cxreco.journey import DAY, Item, Moment, Surface
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.market import COMMON, market_of
from cxreco.recognise.population import population_of
from cxreco.request.moment_codes import codes_of

AS_OF = 100 * DAY


def shop():
    codes = Codes()
    catalogue = Catalogue(codes)
    for i in range(6):
        item = Item(item_id=f"i{i}", title=f"thing {i}", category=f"c{i % 2}", price=1.0, available=i != 2)
        catalogue.put(item, 0)
    ticks = np.zeros(12, TICK)
    ticks["kind"], ticks["quantity"] = Kind.ORDER_LINE, 1.0
    ticks["item"] = [2, 2, 2, 2, 4, 4, 4, 1, 1, 3, 0, 0]
    ticks["at"], ticks["customer"] = np.arange(12) * DAY + 80 * DAY, np.arange(12) % 5
    return codes, catalogue, ticks


def test_its_lists_hold_what_can_be_bought():
    codes, catalogue, ticks = shop()
    shelf = catalogue.shelf(AS_OF)
    market = market_of(shelf, population_of(ticks, shelf, AS_OF), codes)
    assert len(market) == 6
    assert 2 not in market.top.tolist() and sorted(market.top.tolist()) == [0, 1, 3, 4, 5]
    assert [market.top_of_category(c).tolist() for c in (1, 2)] == [[4, 0], [1, 3, 5]]
    assert market.top_of_category(0).size == market.top_of_category(-1).size == market.top_of_category(7).size == 0
    assert np.array_equal(market.columns.tastes, market.population.factors.T)
    common = dict(zip(COMMON, market.columns.common.T, strict=True))
    assert np.array_equal(common["price"], shelf.price) and np.isnan(common["price_change"]).all()
    assert np.array_equal(common["popularity_share"], market.population.popularity / market.columns.best_sold)
    assert all(
        part.flags.c_contiguous and part.flags.writeable for part in market.columns if isinstance(part, np.ndarray)
    )
    assert all(getattr(market.wares, name) is getattr(market.columns, name) for name in market.wares._fields)


def test_what_is_put_on_the_shelf_after_publication_takes_part_at_once():
    codes, catalogue, ticks = shop()
    population = population_of(ticks, catalogue.shelf(AS_OF), AS_OF)
    for name, at in (("fresh", 101), ("fresher", 102)):
        catalogue.put(Item(item_id=name, title="brand new", category="c9", price=1.0), at * DAY)
    market = market_of(catalogue.shelf(103 * DAY), population, codes)
    assert len(market) == len(market.population) == 8
    assert market.new.tolist()[:2] == [7, 6] and market.top.tolist()[-2:] == [7, 6]
    assert market.top_of_category(codes.category_code("c9")).tolist() == [7, 6]
    assert market.search.match("brand new", 5)[0].tolist() == [6, 7]
    assert market.population.popularity[6] == 0.0


def test_search_is_built_again_only_when_a_text_changed():
    codes, catalogue, ticks = shop()
    shelf = catalogue.shelf(AS_OF)
    population = population_of(ticks, shelf, AS_OF)
    first = market_of(shelf, population, codes)
    catalogue.put(Item(item_id="i0", title="thing 0", category="c0", price=9.0, available=False), AS_OF)
    second = market_of(catalogue.shelf(AS_OF), population, codes, first)
    assert second.search is first.search and 0 not in second.top.tolist()
    catalogue.put(Item(item_id="i0", title="other", category="c0", price=9.0), AS_OF)
    assert market_of(catalogue.shelf(AS_OF), population, codes, second).search is not first.search


def test_a_market_is_the_same_whatever_went_before_it():
    codes, catalogue, ticks = shop()
    shelf = catalogue.shelf(AS_OF)
    before = market_of(shelf, population_of(ticks[:5], shelf, AS_OF - 10 * DAY), codes)
    catalogue.put(Item(item_id="i6", title="another thing", category="c1", price=1.0), AS_OF)
    later = catalogue.shelf(AS_OF)
    population = population_of(ticks, shelf, AS_OF)
    for shown in (shelf, later):
        ours, fresh = market_of(shown, population, codes, before), market_of(shown, population, codes)
        assert ours.search.tie.tobytes() == fresh.search.tie.tobytes()
        for query in ("thing", "another thing", "i3"):
            assert [part.tolist() for part in ours.search.match(query, 9)] == [
                part.tolist() for part in fresh.search.match(query, 9)
            ]
        for ours_part, fresh_part in zip(ours.columns, fresh.columns, strict=True):
            assert np.array_equal(ours_part, fresh_part, equal_nan=True)


def test_what_does_not_belong_together_is_refused():
    _, catalogue, ticks = shop()
    shelf = catalogue.shelf(AS_OF)
    population = population_of(ticks, shelf, AS_OF)
    with pytest.raises(BadInput, match="coded"):
        market_of(shelf, population, Codes())
    with pytest.raises(BadInput, match="belong"):
        market_of(Catalogue(Codes()).shelf(AS_OF), population, Codes())


def test_a_moment_is_coded_and_unknown_ids_are_dropped():
    codes, catalogue, ticks = shop()
    shelf = catalogue.shelf(AS_OF)
    market = market_of(shelf, population_of(ticks, shelf, AS_OF), codes)
    codes.item("coded later")
    moment = Moment(
        customer_id="x",
        at=4 * DAY + 13 * 3_600_000_000,
        surface=Surface.CART,
        query="  mug ",
        item_id="i3",
        cart=("i5", "nowhere", "coded later", "i1", "i5"),
    )
    mc = codes_of(moment, market)
    assert (mc.item, mc.category, mc.query, mc.surface, mc.hour, mc.weekday) == (3, 2, "mug", 3, 13, 0)
    assert mc.cart.tolist() == [5, 1] and mc.cart.dtype == np.int32
    for item_id in ("", "nowhere", "coded later"):
        nothing = codes_of(Moment(customer_id="x", at=0, item_id=item_id), market)
        assert (nothing.item, nothing.category, nothing.cart.size) == (-1, -1, 0)


def test_a_market_after_a_new_price_is_the_one_made_from_nothing():
    codes, catalogue, ticks = shop()
    shelf = catalogue.shelf(AS_OF)
    population = population_of(ticks, shelf, AS_OF)
    before = market_of(shelf, population, codes)
    changes = [
        Item(item_id="i1", title="thing 1", category="c1", price=3.0),
        Item(item_id="i4", title="thing 4", category="c0", price=1.0, available=False),
        Item(item_id="i5", title="thing 5", category="c0", price=1.0, margin=0.9),
    ]
    for when, change in enumerate(changes):
        catalogue.put(change, AS_OF + when)
        shelf = catalogue.shelf(AS_OF + when)
        after, anew = market_of(shelf, population, codes, before), market_of(shelf, population, codes)
        for name, column in after.columns._asdict().items():
            np.testing.assert_array_equal(column, getattr(anew.columns, name), name)
        assert after.columns.titled is before.columns.titled
        before = after
    assert before.columns.common[1, COMMON.index("price")] == 3.0
