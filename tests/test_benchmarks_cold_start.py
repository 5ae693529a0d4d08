"""The cold start benchmark: what is withheld is not there before its day, and measures are what they say."""

from pathlib import Path

import numpy as np
import pytest

from cxreco.journey import DAY, Item
from cxreco.pipelines.shop_figures import cut_log
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.repeat.log import Log, market_at
from cxreco.tables import CANDIDATES, DECISIONS, DecisionLog, empty

BENCH = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """Return the script and its parts, imported as the script imports them."""
    monkeypatch.syspath_prepend(str(BENCH))
    import cold.peers as peers
    import cold.withheld as withheld
    import cold_start

    return {"script": cold_start, "peers": peers, "withheld": withheld}


def catalogue_of(titles):
    catalogue = Catalogue(Codes())
    for i, title in enumerate(titles):
        catalogue.put(Item(item_id=f"i{i}", title=title, category=f"c{i % 2}", price=2.0), 0)
    return catalogue


def test_withheld_items_come_onto_the_shelf_the_day_before(bench):
    inner = catalogue_of(["tin box", "rose tea", "jumbo bag"])
    late = np.array([False, True, False])
    catalogue = bench["withheld"].LateCatalogue(inner, late, 90 * DAY)
    before, after = catalogue.shelf(80 * DAY), catalogue.shelf(95 * DAY)
    assert before.known.tolist() == before.available.tolist() == [True, False, True]
    assert after.known.all() and after.available.all()
    assert after.born_at.tolist() == [0, 90 * DAY, 0] and after.titles == inner.shelf(0).titles


def test_a_market_at_the_cut_knows_of_withheld_items_their_content_alone(bench, sold):
    catalogue = catalogue_of(["tin box red", "rose tea", "tin box blue", "rose tea pot"])
    none = DecisionLog(decisions=empty(DECISIONS), candidates=empty(CANDIDATES), x=np.empty((0, 0), np.float32))
    log = Log(
        ticks=sold([(day % 7, day % 4, day + 0.5) for day in range(60)]), customers=[str(i) for i in range(7)],
        catalogue=catalogue, codes=catalogue.codes, decisions=none, position=60, now=60 * DAY,
    )  # fmt: skip
    cut, item = 50 * DAY, catalogue.codes.item_code("i2")
    rest = bench["withheld"].without(log, cut, np.array([item], np.int32))
    of_item = log.ticks[log.ticks["item"] == item]
    assert (of_item["at"] < cut).any() and (of_item["at"] >= cut).any()
    kept = rest.ticks[rest.ticks["item"] == item]
    assert np.array_equal(kept, of_item[of_item["at"] >= cut])
    assert np.array_equal(rest.ticks[rest.ticks["item"] != item], log.ticks[log.ticks["item"] != item])
    population = market_at(cut_log(rest, cut), cut).population
    assert population.popularity[item] == population.buyers[item] == 0 and population.new.tolist() == [item]
    # It takes after the other tin box.
    assert population.expected[item] == pytest.approx(population.popularity[catalogue.codes.item_code("i0")], rel=0.2)


def test_orders_are_placed_as_the_measures_say(bench):
    placed = bench["script"].placed
    order = np.array([5, 3, 8, 1, 9, 0], np.int32)
    first = placed(order, np.array([5], np.int32))
    assert first == {"AUC": 1.0, "MRR": 1.0, "recall@10": 1.0, "recall@50": 1.0}
    assert placed(order, np.array([0], np.int32))["AUC"] == 0.0
    two = placed(order, np.array([3, 1], np.int32))
    # Of the eight pairs of a wanted and another, 3 stands before three others and 1 before two.
    assert two["AUC"] == pytest.approx(5 / 8) and two["MRR"] == 0.5
    long = np.arange(60, dtype=np.int32)
    assert placed(long, np.array([9, 10, 55], np.int32))["recall@10"] == pytest.approx(1 / 3)
    assert placed(long, np.array([9, 10, 55], np.int32))["recall@50"] == pytest.approx(2 / 3)


def test_best_sellers_are_counted_in_orders(bench, sold):
    lines = sold([(1, 0, 1.0), (1, 1, 2.0), (2, 1, 3.0), (3, 2, 3.0), (3, 2, 3.0), (3, 2, 3.0)])
    assert bench["peers"].best_sellers(lines, 4, 2).tolist() == [1, 0]


def test_content_neighbours_know_words_and_categories_their_sales(bench, sold):
    shelf = catalogue_of(["tin box red", "rose tea", "tin box blue", "rose tea pot"]).shelf(0)
    likeness = bench["peers"].Content(shelf).likeness(np.array([0], np.int32), np.ones(1), np.arange(4, dtype=np.int32))
    assert likeness[0] > likeness[2] > likeness[3] >= 0.0
    lines = sold([(1, 0, 1.0), (2, 2, 1.0), (2, 2, 2.0), (3, 1, 1.0)])
    sales = bench["peers"].category_sales(lines, shelf, np.array([3, 0], np.int32))
    assert sales.tolist() == [1.0, 1.5]


def test_the_mean_is_over_customers_and_the_difference_is_paired(bench):
    values = {"recall@10": {"cxreco": [0.5, 0.7, 0.9, 0.3], "other": [0.4, 0.6, 0.8, 0.2]}}
    found = bench["script"].summed(values, np.array([1, 2, 3, 1]))
    assert found["orders"] == 4 and found["customers"] == 3
    apart = found["measures"]["recall@10"]["cxreco_less"]["other"]
    assert apart["mean"] == pytest.approx(0.1) and apart["low"] == pytest.approx(0.1) == apart["high"]
