"""Training rows: what serving would have seen at the moment, and never a second later."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.errors import BadInput
from cxreco.journey import AUTOMATE, DAY, Moment
from cxreco.recognise.layout import Kind
from cxreco.recognise.replay import moments_of, replay
from cxreco.request.cupboard import UNTOLD
from cxreco.request.features import RANKER_COLUMN, item_features
from cxreco.request.moment_codes import codes_of
from cxreco.request.need_features import NEED_FEATURES
from cxreco.request.ranker import RankerRows
from cxreco.request.recalls import recall_all
from cxreco.request.training_rows import CART_SHARE, LONGEST_AHEAD, TrainingLog, need_rows, ranker_rows

CUT = 120 * DAY


@pytest.fixture(scope="module")
def log(habits) -> TrainingLog:
    markets = [(int(day * DAY), habits.shop.market(day)) for day in range(40, 120, 20)]
    return TrainingLog(ticks=habits.shop.ticks, markets=markets)


def changed_after(log: TrainingLog, at: int) -> TrainingLog:
    """Return the log with everything after an instant changed: other items, dearer, a third of it gone."""
    ticks = log.ticks.copy()
    after = ticks["at"] > at
    ticks["item"][after] = (ticks["item"][after] + 7) % 40
    ticks["price"][after] *= 3.0
    keep = ~after | (np.arange(ticks.size) % 3 > 0)
    return TrainingLog(ticks=ticks[keep], markets=log.markets)


def test_the_future_reaches_no_ranker_row(log: TrainingLog) -> None:
    rows, others = (ranker_rows(each, until=CUT, most=10**6) for each in (log, changed_after(log, CUT)))
    assert len(rows) > 100
    assert np.array_equal(rows.at, others.at)
    assert np.array_equal(rows.x, others.x, equal_nan=True)
    assert np.array_equal(rows.y, others.y)


def test_nothing_after_a_moment_reaches_its_features(log: TrainingLog) -> None:
    rows, others = (ranker_rows(each, until=CUT, most=10**6) for each in (log, changed_after(log, 90 * DAY)))
    past = [each.take(np.flatnonzero(each.at < 89 * DAY)) for each in (rows, others)]
    assert len(past[0]) > 50
    assert np.array_equal(past[0].x, past[1].x, equal_nan=True)
    assert np.array_equal(past[0].code, past[1].code)


def test_the_future_reaches_no_need_row(log: TrainingLog) -> None:
    rows, others = (need_rows(each, until=CUT) for each in (log, changed_after(log, CUT)))
    assert len(rows) > 500
    for name in ("x", "days", "seen", "at", "customer", "code"):
        assert np.array_equal(getattr(rows, name), getattr(others, name), equal_nan=name in ("x", "days"))


def test_rows_are_what_serving_sees(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=CUT, most=200)
    starts = np.cumsum(rows.group) - rows.group
    checked = 0
    for index, state in replay(log.ticks, moments_of(rows.customer, rows.at)):
        group = index
        market = log.market_at(int(rows.at[group]))
        assert market is not None
        mc = codes_of(Moment(customer_id="", at=int(rows.at[group])), market)
        recalled = recall_all(state, mc, market)
        span = slice(starts[group], starts[group] + rows.group[group])
        if not np.array_equal(recalled.codes, rows.code[span]):
            continue
        if np.array_equal(
            item_features(state, mc, market, recalled.codes, recalled.scores, UNTOLD), rows.x[span], equal_nan=True
        ):
            checked += 1
    # The others are those that were given a part of the order as a cart.
    assert checked >= (1.0 - 2 * CART_SHARE) * len(rows)


def test_labels_are_what_was_bought(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=CUT, most=10**6)
    lines = log.ticks[log.ticks["kind"] == Kind.ORDER_LINE]
    bought = {(int(t["customer"]), int(t["item"])): [] for t in lines}
    for tick in lines:
        bought[int(tick["customer"]), int(tick["item"])].append(int(tick["at"]))
    owner, at = np.repeat(rows.customer, rows.group), np.repeat(rows.at, rows.group)
    for row in np.flatnonzero(rows.y)[:300]:
        times = bought[int(owner[row]), int(rows.code[row])]
        assert any(at[row] < time <= at[row] + 1 + DAY for time in times)


def test_an_order_may_be_foretold_from_an_instant_since_the_one_before(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=CUT, most=10**6, early_share=0.5)
    plain = ranker_rows(log, until=CUT, most=10**6)
    assert not plain.early.any() and 0.2 < rows.early.mean() < 0.6
    orders = log.ticks[log.ticks["kind"] == Kind.ORDER]
    starts = np.cumsum(rows.group) - rows.group
    for group in np.flatnonzero(rows.early)[:200]:
        own = orders["at"][orders["customer"] == rows.customer[group]]
        before, after = own[own <= rows.at[group]], own[own > rows.at[group]]
        assert before.size and 0 < after.min() - rows.at[group] <= LONGEST_AHEAD
        span = slice(starts[group], starts[group] + rows.group[group])
        lines = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["at"] == after.min())]
        lines = lines["item"][lines["customer"] == rows.customer[group]]
        assert np.array_equal(rows.y[span] > 0, np.isin(rows.code[span], lines))
        assert (rows.x[span, RANKER_COLUMN["cart_size"]] == 0.0).all()


def test_an_early_row_is_what_serving_would_have_seen_then(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=CUT, most=300, early_share=1.0)
    starts = np.cumsum(rows.group) - rows.group
    early = np.flatnonzero(rows.early)
    assert early.size > 50
    for index, state in replay(log.ticks, moments_of(rows.customer[early], rows.at[early])):
        group = early[index]
        market = log.market_at(int(rows.at[group]))
        assert market is not None
        mc = codes_of(Moment(customer_id="", at=int(rows.at[group])), market)
        recalled = recall_all(state, mc, market)
        span = slice(starts[group], starts[group] + rows.group[group])
        assert np.array_equal(recalled.codes, rows.code[span])
        x = item_features(state, mc, market, recalled.codes, recalled.scores, UNTOLD)
        assert np.array_equal(x, rows.x[span], equal_nan=True)


def spans(rows: RankerRows) -> list[slice]:
    ends = np.cumsum(rows.group)
    return [slice(end - size, end) for end, size in zip(ends, rows.group, strict=True)]


def test_a_masked_row_is_what_serving_sees_of_somebody_whom_nobody_knows(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=CUT, most=300, masked_share=0.4)
    masked = np.flatnonzero(rows.masked)
    assert 0.25 < rows.masked.mean() < 0.55
    # Someone who appears nowhere in the log, at the very same moments.
    nobody = np.full(masked.size, int(log.ticks["customer"].max()) + 1)
    checked = 0
    for index, state in replay(log.ticks, moments_of(nobody, rows.at[masked])):
        group = masked[index]
        market = log.market_at(int(rows.at[group]))
        assert market is not None
        span = spans(rows)[group]
        if (rows.x[span, RANKER_COLUMN["cart_size"]] > 0.0).any():
            continue
        mc = codes_of(Moment(customer_id="", at=int(rows.at[group])), market)
        recalled = recall_all(state, mc, market)
        assert np.array_equal(recalled.codes, rows.code[span])
        x = item_features(state, mc, market, recalled.codes, recalled.scores, UNTOLD)
        assert np.array_equal(x, rows.x[span], equal_nan=True)
        checked += 1
    assert checked > 50


def test_masking_changes_nothing_else(log: TrainingLog) -> None:
    plain, none, some = (
        ranker_rows(log, until=CUT, most=400, early_share=0.5, **given)
        for given in ({}, {"masked_share": 0.0}, {"masked_share": 0.3})
    )
    assert not plain.masked.any() and some.masked.any()
    for name in RankerRows.__dataclass_fields__:
        assert np.array_equal(getattr(plain, name), getattr(none, name), equal_nan=name == "x")
    for name in ("at", "customer", "early"):
        assert np.array_equal(getattr(plain, name), getattr(some, name))
    lines = log.ticks[log.ticks["kind"] == Kind.ORDER_LINE]
    for group, (one, other) in enumerate(zip(spans(plain), spans(some), strict=True)):
        if not some.masked[group]:
            assert np.array_equal(plain.x[one], some.x[other], equal_nan=True)
        # Of an item that both name, both say alike whether it was bought; and all that was bought is accounted for.
        _, mine, theirs = np.intersect1d(plain.code[one], some.code[other], return_indices=True)
        assert np.array_equal(plain.y[one][mine], some.y[other][theirs])
        assert plain.y[one].sum() + plain.missed[group] == some.y[other].sum() + some.missed[group]
        bought = lines["item"][(lines["customer"] == some.customer[group]) & (lines["at"] > some.at[group])]
        assert np.isin(some.code[other][some.y[other] > 0], bought).all()


def test_who_is_masked_is_drawn_by_seed(log: TrainingLog) -> None:
    one, same, other = (ranker_rows(log, until=CUT, most=200, masked_share=0.3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.masked, same.masked)
    assert np.array_equal(one.x, same.x, equal_nan=True)
    assert not np.array_equal(one.masked, other.masked)


def test_days_to_the_next_purchase_are_counted_from_the_instant(log: TrainingLog) -> None:
    rows = need_rows(log, until=CUT, most=500)
    lines = log.ticks[(log.ticks["kind"] == Kind.ORDER_LINE) & (log.ticks["at"] <= CUT)]
    for row in range(0, len(rows), 7):
        name = "category" if rows.x[row, NEED_FEATURES.index("is_category")] == 1.0 else "item"
        own = lines[(lines["customer"] == rows.customer[row]) & (lines[name] == rows.code[row])]["at"]
        later = own[own > rows.at[row]]
        truth = (later.min() - rows.at[row]) / DAY if later.size else np.inf
        assert rows.days[row] == truth
        assert rows.seen[row] == (CUT - rows.at[row]) / DAY


def shops_own(log: TrainingLog, since: int, share: float) -> TrainingLog:
    """Return the log with a share of the order lines from an instant on placed by the shop."""
    ticks = log.ticks.copy()
    lines = np.flatnonzero((ticks["kind"] == Kind.ORDER_LINE) & (ticks["at"] > since))
    ticks["mode"][lines[np.random.default_rng(3).random(lines.size) < share]] = AUTOMATE
    return replace(log, ticks=ticks)


def test_what_the_shop_ordered_is_no_purchase_and_ends_what_was_seen(log: TrainingLog) -> None:
    since = 90 * DAY
    before, rows = (need_rows(each, until=CUT, most=2_000) for each in (log, shops_own(log, since, 0.3)))
    then, now = (np.flatnonzero(each.at <= since) for each in (before, rows))
    assert then.size > 300 and np.array_equal(rows.at[now], before.at[then])
    assert np.array_equal(rows.x[now], before.x[then], equal_nan=True)
    days, seen, own_days, own_seen = before.days[then], before.seen[then], rows.days[now], rows.seen[now]
    next_is_the_shops = own_days > days
    assert 0.02 < next_is_the_shops[np.isfinite(days)].mean() < 0.5
    assert np.array_equal(own_seen[next_is_the_shops], days[next_is_the_shops])
    assert np.all(own_seen <= seen) and np.all(own_days >= days)


def test_the_shops_own_orders_are_nobodys_choice(log: TrainingLog) -> None:
    rows = ranker_rows(shops_own(log, 0, 1.0), until=CUT, most=10**6)
    assert len(rows) and not rows.y.any()


def test_sampling_is_by_seed_and_bounded(log: TrainingLog) -> None:
    one, same, other = (ranker_rows(log, until=CUT, most=50, seed=seed) for seed in (1, 1, 2))
    assert len(one) <= 50
    assert np.array_equal(one.x, same.x, equal_nan=True)
    assert not np.array_equal(one.at, other.at)
    assert len(need_rows(log, until=CUT, most=300)) <= 300


def test_before_anything_was_published_nothing_is_learned(log: TrainingLog) -> None:
    assert ranker_rows(log, until=CUT, most=10**6).at.min() >= 40 * DAY
    with pytest.raises(BadInput):
        TrainingLog(ticks=log.ticks, markets=[])
    with pytest.raises(BadInput):
        TrainingLog(ticks=log.ticks, markets=log.markets[::-1])


def test_an_empty_log_gives_empty_rows(log: TrainingLog) -> None:
    empty = TrainingLog(ticks=log.ticks[:0], markets=log.markets)
    assert len(ranker_rows(empty, until=CUT)) == len(need_rows(empty, until=CUT)) == 0
