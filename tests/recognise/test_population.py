import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from cxreco.errors import BadInput
from cxreco.journey import AUTOMATE, DAY, HOUR, Item
from cxreco.recognise import affinity
from cxreco.recognise.catalogue import Catalogue
from cxreco.recognise.codes import Codes
from cxreco.recognise.layout import TICK, Kind
from cxreco.recognise.population import REPEAT_PRIOR, RETURN_PRIOR, Population, population_of

AS_OF = 400 * DAY


def shelf_of(n, categories=3, at=AS_OF, born=0):
    catalogue = Catalogue(Codes())
    for i in range(n):
        catalogue.put(Item(item_id=f"i{i}", title=f"item {i}", category=f"c{i % categories}", price=1.0), born)
    return catalogue.shelf(at)


def ticks_of(rows):
    """rows: (customer, item, day, kind, quantity)"""
    ticks = np.zeros(len(rows), TICK)
    for number, (customer, item, day, kind, quantity) in enumerate(rows):
        ticks[number]["customer"], ticks[number]["item"], ticks[number]["kind"] = customer, item, kind
        ticks[number]["at"], ticks[number]["quantity"], ticks[number]["seq"] = round(day * DAY), quantity, number
    return ticks


def bought(customer, item, *days):
    return [(customer, item, day, Kind.ORDER_LINE, 1.0) for day in days]


def test_what_the_shop_ordered_was_sold_but_is_nobodys_habit():
    rows = bought(1, 0, 300, 330, 360) + bought(2, 0, 310, 340) + bought(2, 1, 310)
    more = ticks_of(rows + bought(1, 0, 365) + bought(2, 1, 341))
    more["mode"][len(rows) :] = AUTOMATE
    without, with_them = (population_of(ticks, shelf_of(2), AS_OF) for ticks in (ticks_of(rows), more))
    for name in ("gap_mean", "gap_sd", "repeat_share", "buyers", "neighbours", "lift"):
        assert np.array_equal(getattr(with_them, name), getattr(without, name)), name
    assert np.all(with_them.popularity > without.popularity)
    assert np.all(with_them.last_sold_at > without.last_sold_at)


def random_ticks(seed, rows=400, items=12, customers=15, days=420):
    rng = np.random.default_rng(seed)
    ticks = np.zeros(rows, TICK)
    ticks["customer"], ticks["item"] = rng.integers(0, customers, rows), rng.integers(-1, items + 2, rows)
    ticks["at"] = rng.integers(0, days * DAY, rows)
    ticks["kind"] = rng.choice([Kind.ORDER_LINE, Kind.ORDER_LINE, Kind.VIEW, Kind.RETURNED, Kind.SEARCH], rows)
    ticks["quantity"] = rng.choice([1.0, 2.0, 500.0, np.nan], rows)
    return ticks


def same(a, b):
    one, other = a.to_arrays(), b.to_arrays()
    return all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), as_of=st.integers(1, 420 * DAY))
def test_what_happens_at_or_after_the_instant_never_changes_it(seed, as_of):
    ticks, shelf = random_ticks(seed), shelf_of(12)
    late = random_ticks(seed + 1)
    late["at"] = np.maximum(late["at"], as_of)
    before = population_of(ticks[ticks["at"] < as_of], shelf, as_of)
    assert same(before, population_of(np.concatenate([late, ticks]), shelf, as_of))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_array_is_right_sized_and_in_range(seed):
    p = population_of(random_ticks(seed), shelf_of(12), AS_OF)
    assert len(p) == 12
    for name in ("popularity", "trend", "buyers", "repeat_share", "gap_mean", "gap_sd", "return_rate", "rarity"):
        assert getattr(p, name).shape == (12,), name
    assert p.factors.shape[0] == 12 and p.neighbours.shape == p.lift.shape == (12, 16)
    for share in (p.repeat_share, p.return_rate, p.category_repeat_share):
        assert np.all((share >= 0.0) & (share <= 1.0))
    assert np.all((p.neighbours >= 0) == (p.lift > 1.0))
    assert not np.any(p.neighbours == np.arange(12)[:, None])
    assert np.all(p.last_sold_at < AS_OF)
    assert p.hour_rate.sum() == pytest.approx(1.0) and p.weekday_rate.sum() == pytest.approx(1.0)
    assert np.all(np.diff(p.popularity[p.top]) <= 0.0) and sorted(p.top) == list(range(12))
    assert np.array_equal(np.sort(np.concatenate([p.top_of_category(c) for c in range(4)])), np.arange(12))
    assert p.category_popularity.sum() == pytest.approx(p.popularity.sum())


@pytest.mark.parametrize("items", [0, 5])
def test_an_empty_log_and_an_empty_catalogue_have_priors(items):
    p = population_of(np.zeros(0, TICK), shelf_of(items), AS_OF)
    assert len(p) == items and p.factors.shape == (items, 0) and p.top.size == items
    assert np.all(p.popularity == 0.0) and np.all(p.trend == 1.0) and np.all(np.isnan(p.gap_mean))
    assert np.allclose(p.repeat_share, REPEAT_PRIOR) and np.allclose(p.return_rate, RETURN_PRIOR)
    assert p.hour_rate == pytest.approx(np.full(24, 1 / 24))
    assert p.top_of_category(99).size == 0


def test_a_log_of_items_that_the_shelf_does_not_have_is_an_empty_log():
    p = population_of(ticks_of(bought(1, 0, 10, 20)), shelf_of(0), AS_OF)
    assert len(p) == 0 and p.neighbours.shape == (0, 16)


def test_popularity_is_units_a_day_whatever_the_length_of_the_log():
    shelf = shelf_of(2)
    for first in (399, 390, 0):
        p = population_of(ticks_of(bought(1, 0, *np.arange(first, 400) + 0.0)), shelf, AS_OF)
        assert p.popularity[0] == pytest.approx(1.0, rel=0.05)
    one, many = (population_of(ticks_of([(1, 0, 399, Kind.ORDER_LINE, q)]), shelf, AS_OF).popularity[0] for q in (1, 7))
    assert many == pytest.approx(3.0 * one)


def test_trend_says_what_rises_and_falls():
    rows = bought(1, 0, *np.arange(370, 400)) + bought(1, 1, *np.repeat(np.arange(394, 400), 5))
    rows += bought(1, 2, *np.repeat(np.arange(371, 390), 2))
    trend = population_of(ticks_of(rows), shelf_of(4), AS_OF).trend
    assert trend[0] == pytest.approx(1.0, abs=0.05) and trend[1] > 2.0 and trend[2] < 0.5 and trend[3] == 1.0


def test_gaps_come_from_repeat_purchases_and_lean_on_the_category():
    rows = [row for c in range(60) for row in bought(c, 0, *np.arange(c % 7, 390, 14))]
    rows += bought(0, 1, 5, 45) + bought(1, 3, 10)
    p = population_of(ticks_of(rows), shelf_of(6), AS_OF)
    assert p.gap_mean[0] == pytest.approx(14.0, abs=0.1) and p.gap_sd[0] < 1.5
    assert 14.0 < p.gap_mean[1] < 40.0
    assert p.gap_mean[3] == pytest.approx(p.category_gap_mean[shelf_of(6).category[3]])
    assert p.repeat_share[0] > 0.9 > p.repeat_share[3]
    assert p.buyers[0] == 60 and p.buyers[4] == 0
    assert p.last_sold_at[1] == 45 * DAY


def test_lines_of_one_day_are_one_purchase():
    p = population_of(ticks_of(bought(1, 0, 10.1, 10.2, 10.9)), shelf_of(1), AS_OF)
    assert np.isnan(p.gap_mean[0]) and p.repeat_share[0] < REPEAT_PRIOR


def test_return_rate_is_shrunk_and_never_above_one():
    rows = bought(1, 0, *np.arange(1, 300)) + [(1, 0, d, Kind.RETURNED, 1.0) for d in np.arange(1.5, 150)]
    rows += bought(1, 1, 5) + [(1, 1, 6, Kind.RETURNED, 1.0)] * 5
    p = population_of(ticks_of(rows), shelf_of(3), AS_OF)
    assert p.return_rate[0] == pytest.approx(0.5, abs=0.02)
    assert p.return_rate[2] < p.return_rate[1] < p.return_rate[2] + 1 / 20
    assert p.return_rate[2] == pytest.approx(150 / 300, abs=0.04)


def test_orders_are_counted_once_in_the_hour_and_weekday_they_came():
    # Day 4 after the epoch is a Monday.
    ticks = ticks_of([(1, i % 3, 4 + 7 * w, Kind.ORDER_LINE, 1.0) for w in range(50) for i in range(3)])
    ticks["at"] += 9 * HOUR
    p = population_of(ticks, shelf_of(3), AS_OF)
    assert p.hour_rate.argmax() == 9 and p.weekday_rate.argmax() == 0
    assert p.hour_rate[9] == pytest.approx((50 + 1) / (50 + 24))


def test_new_items_are_those_first_seen_lately():
    catalogue = Catalogue(Codes())
    for name, born in (("old", 10), ("fresh", 390), ("late", 395), ("future", 500)):
        catalogue.put(Item(item_id=name, title=name, category="c", price=1.0, effective_at=born * DAY), born * DAY)
    p = population_of(ticks_of(bought(1, 0, 1, 399)), catalogue.shelf(AS_OF), AS_OF)
    assert p.new.tolist() == [2, 1]


def test_what_is_bought_together_or_soon_after_is_found_and_ranked():
    rng = np.random.default_rng(3)
    rows = []
    for c in range(300):
        for day in range(c % 30, 380, 60):
            rows += bought(c, int(rng.integers(6, 30)), day)
            if rng.random() < 0.4:
                rows += bought(c, 0, day) + bought(c, 1, day)
            if rng.random() < 0.4:
                rows += bought(c, 2, day) + bought(c, 3, day + 10)
    p = population_of(ticks_of(rows), shelf_of(30), AS_OF)
    assert p.neighbours[0, 0] == 1 and p.neighbours[1, 0] == 0 and p.neighbours[2, 0] == 3
    assert p.neighbours[3, 0] != 2


def lifts_by_matrices(purchases, n, k):
    """The same lifts by sparse products: baskets, and what their customers buy within the horizon after them."""
    key = purchases.customer * 10_000 + purchases.day
    keys, basket = np.unique(key, return_inverse=True)
    own = csr_array((np.ones(key.size), (basket, purchases.item)), shape=(keys.size, n)).toarray()
    apart = (keys % 10_000)[None, :] - (keys % 10_000)[:, None]
    link = (keys // 10_000)[None, :] == (keys // 10_000)[:, None]
    later = ((link & (apart > 0) & (apart <= affinity.HORIZON_DAYS)) @ own > 0).astype(float)
    lift = []
    for other in (own, later):
        expected = own.sum(axis=0)[:, None] * other.sum(axis=0)[None, :] / keys.size
        lift.append((own.T @ other + affinity.LIFT_STRENGTH) / (expected + affinity.LIFT_STRENGTH))
    best = np.maximum(lift[0], 1.0 + affinity.FOLLOWING_WEIGHT * (lift[1] - 1.0))
    np.fill_diagonal(best, 0.0)
    return np.sort(np.where(best > 1.0, best, 0.0), axis=1)[:, ::-1][:, :k]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_lifts_equal_those_of_sparse_products(seed):
    rng = np.random.default_rng(seed)
    triples = np.unique(rng.integers(0, (8, 14, 200), size=(250, 3)), axis=0)
    purchases = affinity.Purchases(customer=triples[:, 0], item=triples[:, 1], day=triples[:, 2])
    _, lift = affinity.neighbours_of(purchases, 14, 6)
    assert lift == pytest.approx(lifts_by_matrices(purchases, 14, 6), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_likeness_equals_that_of_sparse_products(seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers(0, (9, 14), size=(60, 2)), axis=0)
    owned = csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(9, 14)).toarray()
    codes, likeness = affinity.alike_of(pairs[:, 0], pairs[:, 1], (9, 14), 5)
    buyers = owned.sum(axis=0)
    both = owned.T @ (owned / np.sqrt(np.maximum(owned.sum(axis=1, keepdims=True), 1.0)))
    both /= (buyers + affinity.LIKENESS_STRENGTH)[:, None] * (buyers + 1.0) ** affinity.POPULAR_DISCOUNT
    np.fill_diagonal(both, 0.0)
    assert likeness == pytest.approx(np.sort(both, axis=1)[:, ::-1][:, :5], rel=1e-5)
    assert np.all((codes >= 0) == (likeness > 0.0)) and not np.any(codes == np.arange(14)[:, None])


def test_the_latest_orders_count_one_a_customer():
    rows = bought(1, 0, *range(300, 399)) + bought(1, 1, 399) + bought(2, 1, 399) + bought(3, 2, 369)
    p = population_of(ticks_of(rows), shelf_of(4), AS_OF)
    weight = np.exp2(-np.array([1.0, 1.0, 31.0]) / 30.0)
    assert p.latest == pytest.approx([0.0, weight[:2].sum() / weight.sum(), weight[2] / weight.sum(), 0.0])


def test_a_huge_basket_is_cut_and_costs_no_square():
    n = 5 * affinity.MOST_ITEMS
    rows = [row for i in range(n) for row in bought(1, i, 3, 4)]
    p = population_of(ticks_of(rows), shelf_of(n), AS_OF)
    assert np.count_nonzero((p.neighbours >= 0).any(axis=1)) <= 2 * affinity.MOST_ITEMS


@pytest.mark.parametrize("size", [40, 150])
def test_factors_span_the_best_subspace_and_are_the_same_again(size):
    rng = np.random.default_rng(size)
    group = rng.integers(0, 3, size)
    rows = [
        row
        for c in range(size)
        for i in rng.choice(np.flatnonzero(np.arange(size) % 3 == group[c]), 8)
        for row in bought(c, int(i), *rng.integers(300, 400, 2))
    ]
    ticks, shelf = ticks_of(rows), shelf_of(size)
    p, again = population_of(ticks, shelf, AS_OF), population_of(ticks[::-1].copy(), shelf, AS_OF)
    assert p.factors.shape[1] == 32 and p.factors.dtype == np.float32
    assert np.array_equal(p.factors, population_of(ticks, shelf, AS_OF).factors)
    assert np.abs(p.factors - again.factors).max() < 1e-3
    gram = p.factors.T @ p.factors
    assert np.abs(gram - np.eye(32)).max() < 1e-3
    like = p.factors[:, :3] @ p.factors[:, :3].T
    same_group = np.arange(size)[:, None] % 3 == np.arange(size)[None, :] % 3
    assert like[same_group].mean() > 10.0 * abs(like[~same_group].mean())


def test_arrays_go_out_and_come_back_without_pickles(tmp_path):
    p = population_of(random_ticks(1), shelf_of(12), AS_OF)
    np.savez(tmp_path / "p.npz", **p.to_arrays())
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        assert same(Population.from_arrays(dict(arrays)), p)
        with pytest.raises(BadInput, match="trend"):
            Population.from_arrays({name: arrays[name] for name in arrays if name != "trend"})


def test_it_is_padded_for_what_was_coded_later_and_refuses_another_shop():
    p = population_of(random_ticks(1), shelf_of(12), AS_OF)
    wide = p.widened(15, 6)
    assert len(wide) == 15 and wide.factors.shape == (15, p.factors.shape[1]) and wide.neighbours[14, 0] == -1
    assert np.array_equal(wide.popularity[:12], p.popularity) and wide.popularity[12] == 0.0
    assert wide.top_of_category(5).size == 0 and np.array_equal(wide.top_of_category(3), p.top_of_category(3))
    assert all(wide.to_arrays()[name].dtype == column.dtype for name, column in p.to_arrays().items())
    assert p.widened(12, 4) is p
    with pytest.raises(BadInput, match="belong"):
        p.widened(11, 4)
