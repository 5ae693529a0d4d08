"""Kin of new items: as the formula says, of sold items alone, and what is borrowed gives way to what is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.journey import DAY, Item
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.kinship import kin_of
from cxreco.recognise.market import COMMON, market_of
from cxreco.recognise.population import Population, population_of
from cxreco.recognise.postings import postings_of, texts_of

AS_OF = 400 * DAY
WORDS = ("red", "blue", "tin", "bag", "jumbo", "lunch", "box", "tea", "rose")


def catalogue_of(rows, codes=None):
    """rows: (title, category, price, day on which it was put)"""
    catalogue = Catalogue(codes or Codes())
    for i, (title, category, price, day) in enumerate(rows):
        item = Item(item_id=f"i{i}", title=title, category=category, price=price, effective_at=round(day * DAY))
        catalogue.put(item, round(day * DAY))
    return catalogue


def by_the_formula(words, price, lends, code):
    """The kin of one item by a dense matrix of weighted words."""
    n, tokens = lends.size, words.starts.size - 1
    dense = np.zeros((n, tokens))
    for token in range(tokens):
        span = slice(words.starts[token], words.starts[token + 1])
        dense[words.codes[span], token] = words.weights[span]
    counted = (dense[lends] > 0).sum(axis=0)
    dense *= np.log1p(lends.sum() / np.maximum(counted, 1))
    cosine = dense @ dense[code] / np.maximum(np.linalg.norm(dense, axis=1), 1e-12)
    ratio = np.minimum(price, price[code]) / np.maximum(price, price[code])
    score = np.where(lends & (np.arange(n) != code), cosine**2 * np.sqrt(np.nan_to_num(ratio, nan=0.5)), 0.0)
    return score


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_kin_is_what_the_formula_says(seed):
    rng = np.random.default_rng(seed)
    n = 25
    rows = [(" ".join(rng.choice(WORDS, rng.integers(0, 4))), f"c{rng.integers(3)}", 1.0, 0) for _ in range(n)]
    shelf = catalogue_of(rows).shelf(AS_OF)
    price = np.where(rng.random(n) < 0.2, np.nan, rng.uniform(0.5, 9.0, n))
    lends, codes = rng.random(n) < 0.7, rng.permutation(n)[:6].astype(np.int32)
    words = postings_of(texts_of(shelf))
    kin = kin_of(words, price, lends, codes, 4)
    for row, code in enumerate(codes):
        score = by_the_formula(words, price, lends, code)
        best = np.sort(score[score > 0.0])[::-1][:4]
        named = kin.codes[row][kin.codes[row] >= 0]
        assert named.size == best.size and lends[named].all() and code not in named
        assert np.all(kin.shares[row][named.size :] == 0.0)
        if best.size:
            assert kin.shares[row, : best.size] == pytest.approx(best / best.sum(), rel=1e-4)
            assert score[named] == pytest.approx(best, rel=1e-5)


def test_among_equal_words_the_nearer_price_comes_first():
    rows = [("tin box", "c", 8.0, 0), ("tin box", "c", 2.2, 0), ("tin box", "c", 2.0, 0), ("rose tea", "d", 2.0, 0)]
    shelf = catalogue_of(rows).shelf(AS_OF)
    lends = np.array([True, True, False, True])
    kin = kin_of(postings_of(texts_of(shelf)), shelf.price, lends, np.array([2], np.int32))
    assert kin.codes[0, :3].tolist() == [1, 0, -1]
    assert kin.mean(np.array([3.0, 5.0, 99.0, 99.0]))[0] == pytest.approx(kin.shares[0, :2] @ [5.0, 3.0], rel=1e-6)


# Jumbo bags sell daily, rose tea once in ten days; a jumbo bag and a rose tea come onto the shelf.
ROWS = [
    ("jumbo bag red", "bags", 2.0, 0), ("jumbo bag blue", "bags", 2.0, 0), ("rose tea", "tea", 3.0, 0),
    ("rose tea tin", "tea", 3.0, 0), ("jumbo bag lunch", "bags", 2.0, 398), ("rose tea box", "tea", 3.0, 398),
]  # fmt: skip
HISTORY = [(day % 9, day % 2, day + 0.5) for day in range(300, 400)]
HISTORY += [(20 + day % 7, 2 + day // 10 % 2, day + 0.5) for day in range(300, 400, 10)]


def test_an_item_without_sales_takes_after_its_kin(sold):
    population = population_of(sold(HISTORY), catalogue_of(ROWS).shelf(AS_OF), AS_OF)
    assert population.new.tolist() == [4, 5] and population.popularity[4] == 0.0
    assert np.array_equal(population.expected[:4], population.popularity[:4])
    assert population.expected[4] > 3.0 * population.expected[5] > 0.0
    assert 0.5 * population.popularity[0] < population.expected[4] < population.popularity[0]
    assert population.latest[:2].min() <= population.latest[4] <= population.latest[:2].max()
    taste = population.factors[0] / np.linalg.norm(population.factors[0])
    assert population.factors[4] @ taste > 5.0 * abs(population.factors[5] @ taste)


def test_what_is_sold_takes_the_place_of_what_is_borrowed(sold):
    rows = [(*row[:3], min(row[3], 380)) for row in ROWS]
    shelf = catalogue_of(rows).shelf(AS_OF)
    none, many = (
        population_of(sold(HISTORY + more), shelf, AS_OF)
        for more in ([], [(30 + i % 40, 4, 381.0 + i / 10) for i in range(180)])
    )
    fresh = population_of(sold(HISTORY), catalogue_of(ROWS).shelf(AS_OF), AS_OF)
    # Three weeks without a sale say more than two days do; ten a day say more than the kin.
    assert none.expected[4] < 0.5 * fresh.expected[4]
    assert many.expected[4] > 3.0 * none.expected[4]
    assert np.array_equal(many.expected[:4], many.popularity[:4])


def test_what_shares_no_word_with_anything_sold_stays_as_it_sold(sold):
    rows = [*ROWS[:4], ("zebra", "zoo", 2.0, 390), ("jumbo bag lunch", "bags", 2.0, 390)]
    population = population_of(sold([*HISTORY, (1, 4, 395.5)]), catalogue_of(rows).shelf(AS_OF), AS_OF)
    plain = population_of(sold([*HISTORY, (1, 4, 395.5)]), catalogue_of(rows).shelf(AS_OF), AS_OF, dated=False)
    assert set(population.new.tolist()) == {4, 5}
    for name in ("expected", "latest", "factors"):
        one, other = getattr(population, name), getattr(plain, name)
        assert np.array_equal(one[:5], other[:5]) and not np.array_equal(one[5], other[5])


def test_without_dates_nothing_is_new(sold):
    population = population_of(sold(HISTORY), catalogue_of(ROWS).shelf(AS_OF), AS_OF, dated=False)
    assert not population.new.size
    assert np.array_equal(population.expected, population.popularity)


def test_a_new_item_reads_as_its_kin_does(sold):
    catalogue = catalogue_of(ROWS)
    shelf = catalogue.shelf(AS_OF)
    market = market_of(shelf, population_of(sold(HISTORY), shelf, AS_OF), catalogue.codes)
    read = dict(zip(COMMON, market.columns.common.T, strict=True))
    for name, column in (("popularity", market.population.expected), ("latest", market.population.latest)):
        assert np.array_equal(read[name], column) and read[name][4] > 0.5 * read[name][0] > 0.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_future_reaches_nothing_that_is_borrowed(seed, sold):
    rng = np.random.default_rng(seed)
    shelf = catalogue_of(ROWS).shelf(AS_OF)
    later = [(int(rng.integers(40)), int(rng.integers(6)), 400.0 + float(rng.uniform(0, 30))) for _ in range(60)]
    one, other = (population_of(sold(rows), shelf, AS_OF) for rows in (HISTORY, HISTORY + later))
    for name in ("expected", "factors"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_an_item_put_after_the_publication_takes_after_its_kin_at_once(sold):
    codes = Codes()
    catalogue = catalogue_of(ROWS[:4], codes)
    population = population_of(sold(HISTORY), catalogue.shelf(AS_OF), AS_OF)
    before = market_of(catalogue.shelf(AS_OF), population, codes)
    for number, (title, category, price, _) in enumerate(ROWS[4:], 4):
        item = Item(item_id=f"i{number}", title=title, category=category, price=price, effective_at=AS_OF + DAY)
        catalogue.put(item, AS_OF + DAY)
    shelf = catalogue.shelf(AS_OF + 2 * DAY)
    alone, following = market_of(shelf, population, codes), market_of(shelf, population, codes, before)
    assert sorted(alone.new.tolist()) == [4, 5]
    assert alone.population.expected[4] > 3.0 * alone.population.expected[5] > 0.0
    assert np.abs(alone.population.factors[4]).sum() > 0.0
    for name, column in alone.columns._asdict().items():
        assert np.array_equal(column, getattr(following.columns, name), equal_nan=name != "titled"), name


def changed(catalogue, rng, day):
    """Change one thing of a catalogue: a price, a title, what is to be had, or there is a new item."""
    n = len(catalogue.codes.item_ids)
    # What was put last changes most: it is what borrows.
    number = int(rng.integers(n - 4, n + 1) if rng.random() < 0.5 else rng.integers(n))
    item = Item(
        item_id=f"i{number}", title=" ".join(rng.choice(WORDS, rng.integers(0, 4))), category=f"c{rng.integers(4)}",
        price=float(rng.choice([1.0, 2.0, 5.0])), available=bool(rng.random() < 0.9),
    )  # fmt: skip
    if number < n and rng.random() < 0.6:
        shelf = catalogue.shelf(round(day * DAY))
        title, category = shelf.titles[number], shelf.category_names[shelf.category[number]]
        item = replace(item, title=title, category=category)
    catalogue.put(item, round(day * DAY))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_market_that_follows_another_is_the_same_to_the_bit(seed, sold):
    rng = np.random.default_rng(seed)
    catalogue = catalogue_of([(" ".join(rng.choice(WORDS, 2)), f"c{rng.integers(3)}", 2.0, 0) for _ in range(12)])
    rows = [(int(rng.integers(9)), int(rng.integers(12)), float(rng.uniform(300, 400))) for _ in range(150)]
    population = population_of(sold(rows), catalogue.shelf(AS_OF), AS_OF)
    for number in range(12, 16):
        catalogue.put(
            Item(item_id=f"i{number}", title=str(rng.choice(WORDS)), category="c1", price=2.0), AS_OF + DAY // 2
        )
    following = market_of(catalogue.shelf(AS_OF + DAY // 2), population, catalogue.codes)
    for step in range(8):
        changed(catalogue, rng, 401 + step)
        shelf = catalogue.shelf((401 + step) * DAY)
        alone = market_of(shelf, population, catalogue.codes)
        following = market_of(shelf, population, catalogue.codes, following)
        for name, column in alone.columns._asdict().items():
            assert np.array_equal(column, getattr(following.columns, name), equal_nan=name != "titled"), name
        for name, array in alone.population.to_arrays().items():
            assert np.array_equal(array, following.population.to_arrays()[name], equal_nan=True), name


def test_the_price_of_what_sells_moves_nothing_that_is_borrowed(sold):
    codes = Codes()
    catalogue = catalogue_of(ROWS[:4], codes)
    population = population_of(sold(HISTORY), catalogue.shelf(AS_OF), AS_OF)
    for number, (title, category, price, _) in enumerate(ROWS[4:], 4):
        catalogue.put(Item(item_id=f"i{number}", title=title, category=category, price=price), AS_OF + DAY)
    market = market_of(catalogue.shelf(AS_OF + DAY), population, codes)
    catalogue.put(Item(item_id="i0", title=ROWS[0][0], category="bags", price=9.0), AS_OF + 2 * DAY)
    dearer = market_of(catalogue.shelf(AS_OF + 2 * DAY), population, codes, market)
    assert dearer.population is market.population and dearer.columns.price[0] == 9.0
    catalogue.put(Item(item_id="i4", title=ROWS[4][0], category="bags", price=9.0), AS_OF + 3 * DAY)
    other = market_of(catalogue.shelf(AS_OF + 3 * DAY), population, codes, dearer)
    assert np.array_equal(
        other.borrowed.kin.shares[other.borrowed.late == 5], market.borrowed.kin.shares[market.borrowed.late == 5]
    )


def test_without_anything_sold_nothing_is_expected(sold):
    population = population_of(sold([]), catalogue_of(ROWS).shelf(AS_OF), AS_OF)
    assert np.all(population.expected == 0.0) and population.factors.shape == (6, 0)


def test_statistics_published_before_there_was_an_expectation_are_still_read(sold):
    population = population_of(sold(HISTORY), catalogue_of(ROWS).shelf(AS_OF), AS_OF)
    arrays = population.to_arrays()
    del arrays["expected"], arrays["price"]
    read = Population.from_arrays(arrays)
    assert np.array_equal(read.expected, population.popularity)
    assert np.all(np.isnan(read.price)) and read.price.shape == (len(ROWS),)
