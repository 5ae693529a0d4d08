"""The trust ladder: its guarantee, and what opens and closes a rung."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from cxreco.journey import Rung
from cxreco.respond.ladder import (
    PATIENCE,
    Bar,
    Evidence,
    Ladder,
    Standing,
    climb,
    lately_worse,
    least_orders,
    log_capital,
    open_threshold,
)

BAR = Bar(max_wrong_share=0.10, confidence=0.90)


def evidence(rng, n, wrong_share, category="tea", gain=3.0, loss=2.0):
    certainty = rng.uniform(0.5, 1.0, n)
    wrong = rng.random(n) < wrong_share(certainty)
    return Evidence(
        category=[category] * n, certainty=certainty, wrong=wrong, gain=np.full(n, gain), loss=np.full(n, loss)
    )


NUMBERS = ("certainty", "wrong", "gain", "loss")


def together(parts):
    numbers = {name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS}
    return Evidence(category=[name for part in parts for name in part.category], **numbers)


def recent(one, first, last):
    return Evidence(category=one.category[first:last], **{name: getattr(one, name)[first:last] for name in NUMBERS})


def both(one, other):
    return together([one, other])


def of(one, name):
    rows = np.array([category == name for category in one.category])
    numbers = {key: getattr(one, key)[rows] for key in ("certainty", "wrong", "gain", "loss")}
    return Evidence(category=[name] * int(rows.sum()), **numbers)


def test_a_rung_opens_wrongly_no_more_often_than_declared():
    # The truth sits just above the bar at every certainty, so that any opening is a mistake.
    runs = 600
    opened = sum(
        open_threshold(e.certainty, e.wrong, BAR) is not None
        for e in (evidence(np.random.default_rng(seed), 300, lambda c: np.full_like(c, 0.101)) for seed in range(runs))
    )
    allowed = 1 - BAR.confidence
    assert opened / runs <= allowed + 4 * np.sqrt(allowed * (1 - allowed) / runs)


def test_a_good_category_opens_and_a_bad_one_stays_shut():
    rng = np.random.default_rng(3)
    good = evidence(rng, 800, lambda c: np.full_like(c, 0.02), "tea")
    bad = evidence(rng, 800, lambda c: np.full_like(c, 0.5), "hats")
    ladder = climb(BAR, both(good, bad), Evidence.none())
    assert set(ladder.notice) == {"tea"}
    assert not ladder.automatic, "shadow evidence opens the notice rung only"
    assert ladder.rung("tea", 0.99) is Rung.NOTICE
    assert ladder.rung("hats", 0.99) is Rung.SHADOW


def test_the_automatic_rung_takes_orders_really_placed():
    rng = np.random.default_rng(4)
    ladder = climb(BAR, Evidence.none(), evidence(rng, 400, lambda c: np.full_like(c, 0.01)))
    assert ladder.rung("tea", 0.99) is Rung.AUTOMATIC


def test_placed_orders_that_go_wrong_close_the_notice_rung():
    rng = np.random.default_rng(5)
    shadow = evidence(rng, 400, lambda c: np.full_like(c, 0.01))
    placed = evidence(rng, 100, lambda c: np.full_like(c, 0.6))
    assert climb(BAR, shadow, placed).rung("tea", 0.99) is Rung.SHADOW


def test_a_rung_that_loses_money_stays_shut():
    rng = np.random.default_rng(6)
    ladder = climb(BAR, evidence(rng, 400, lambda c: np.full_like(c, 0.05), gain=0.1, loss=20.0), Evidence.none())
    assert not ladder.notice


def test_fewest_orders_are_those_that_just_open():
    least = least_orders(BAR)
    assert least == 29
    sure = np.ones(least), np.zeros(least, dtype=bool)
    assert open_threshold(*sure, BAR) is not None
    assert open_threshold(sure[0][1:], sure[1][1:], BAR) is None
    assert least_orders(BAR, among=6) > least


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 300), allowed=st.floats(0.01, 0.9), above=st.floats(0.0, 1.0))
def test_the_capital_is_expected_to_stay_one_at_the_allowed_share_and_to_fall_above_it(n, allowed, above):
    share = allowed + above * (1.0 - allowed)
    capital = np.exp([log_capital(wrong, n, allowed) for wrong in range(n + 1)])
    mean = {p: float(binom.pmf(np.arange(n + 1), n, p) @ capital) for p in (allowed, share)}
    assert mean[allowed] == pytest.approx(1.0, rel=1e-6)
    assert mean[share] <= 1.0 + 1e-6


def test_looking_every_week_for_half_a_year_opens_a_shop_wrongly_no_more_often_than_declared():
    # Six categories a hair above the bar, judged each week on the last nine weeks of orders: any opening is a mistake.
    shops, weeks, window, a_week = 60, 26, 9, 8
    bar = Bar(max_wrong_share=0.35, confidence=0.90)
    mistaken = 0
    for seed in range(shops):
        rng = np.random.default_rng([seed, 9])
        kinds = [evidence(rng, a_week * (weeks + window), lambda c: np.full_like(c, 0.355), f"k{k}") for k in range(6)]
        for week in range(weeks):
            late = [recent(one, a_week * week, a_week * (week + window)) for one in kinds]
            if climb(bar, together(late), Evidence.none()).notice:
                mistaken += 1
                break
    assert mistaken / shops <= 0.10 + 2.5 * np.sqrt(0.10 * 0.90 / shops)


def test_written_and_read_back():
    standings = {"tea": Standing(100, 3, 5, 1, against=False, more=60)}
    ladder = Ladder(bar=BAR, notice={"tea": 0.8}, automatic={"coffee": 0.9}, standings=standings)
    assert Ladder.from_spec(json.loads(json.dumps(ladder.to_spec()))) == ladder
    assert Ladder.from_spec({"bar": {}, "notice": {}, "automatic": {}}) == Ladder(), "a ladder of before"


def tea(orders, one_wrong_in):
    """Return orders of one category, equally sure."""
    ones = np.ones(orders)
    wrong = np.arange(orders) % one_wrong_in == one_wrong_in - 1
    return Evidence(category=["tea"] * orders, certainty=ones, wrong=wrong, gain=3.0 * ones, loss=2.0 * ones)


def test_a_standing_counts_what_there_is():
    hats = evidence(np.random.default_rng(10), 300, lambda c: np.full_like(c, 0.5), "hats")
    standings = climb(BAR, both(tea(100, 20), hats), tea(4, 4)).standings
    assert list(standings) == ["hats", "tea"], "those with most evidence first"
    assert standings["tea"][:4] == (100, 5, 4, 1) and standings["hats"][:4] == (300, hats.wrong.sum(), 0, 0)
    assert standings["hats"].more == -1, "one in two is never one in ten"


def test_a_standing_foretells_what_the_next_rung_takes():
    few = climb(BAR, tea(100, 20), Evidence.none())
    more = few.standings["tea"].more
    assert not few.notice and more > 0
    assert climb(BAR, tea(100 + more, 18), Evidence.none()).notice
    assert not climb(BAR, tea(100 + more // 2, 18), Evidence.none()).notice
    on_notice = climb(BAR, tea(400, 40), tea(20, 20))
    assert on_notice.notice and not on_notice.automatic
    assert climb(BAR, tea(400, 40), tea(20 + on_notice.standings["tea"].more, 40)).automatic


def test_placed_orders_that_close_a_category_are_held_against_it():
    rng = np.random.default_rng(5)
    ladder = climb(BAR, evidence(rng, 400, lambda c: 0.0 * c), evidence(rng, 100, lambda c: np.full_like(c, 0.6)))
    assert ladder.standings["tea"].against


@pytest.mark.parametrize("name", ["max_wrong_share", "confidence", "least_certainty"])
def test_a_bar_outside_its_range_is_named(name):
    with pytest.raises(Exception, match=name):
        Bar(**{name: 1.5})


def test_a_long_good_past_does_not_hide_a_bad_present():
    rng = np.random.default_rng(7)
    steady = rng.random(1_000) < 0.03
    drifted = np.r_[steady, rng.random(60) < 0.4]
    assert not lately_worse(steady, BAR)
    assert lately_worse(drifted, BAR)
    n = drifted.size
    placed = Evidence(
        category=["tea"] * n, certainty=np.ones(n), wrong=drifted, gain=np.full(n, 3.0), loss=np.full(n, 2.0)
    )
    shadow = evidence(rng, 400, lambda c: np.full_like(c, 0.01))
    assert climb(BAR, shadow, placed).rung("tea", 1.0) is Rung.SHADOW


def test_at_the_bar_a_rung_closes_by_chance_no_more_often_than_declared():
    # The expected number of orders till then is at least PATIENCE.
    def orders_until(seed):
        rng = np.random.default_rng(seed)
        wrong = rng.random(6_000) < BAR.max_wrong_share
        return next((n for n in range(20, 6_000, 20) if lately_worse(wrong[:n], BAR)), 6_000)

    taken = [orders_until(seed) for seed in range(10)]
    assert np.mean(taken) > PATIENCE


def announced(rng, categories, each, wrong_share):
    """Orders placed in many categories, few in each."""
    names = [f"kind {number}" for number in range(categories)] * each
    n = len(names)
    return Evidence(
        category=names, certainty=np.ones(n), wrong=rng.random(n) < wrong_share, gain=np.full(n, 3.0),
        loss=np.full(n, 2.0),
    )  # fmt: skip


def test_history_is_not_believed_where_what_was_placed_goes_wrong_across_categories():
    bar, rng = Bar(max_wrong_share=0.35), np.random.default_rng(8)
    shadow, placed = announced(rng, 20, 80, 0.05), announced(rng, 20, 3, 0.6)
    proven = evidence(rng, 400, lambda c: np.full_like(c, 0.01), "tea")
    for name in {*placed.category}:
        assert len(climb(bar, shadow, of(placed, name)).notice) >= 19, "one category closes itself at most"
    ladder = climb(bar, both(shadow, proven), both(placed, proven))
    assert not ladder.notice
    assert ladder.rung("tea", 0.99) is Rung.AUTOMATIC, "what placed orders have earned stays"


def test_what_goes_wrong_in_a_category_that_is_closed_is_not_held_against_the_others():
    rng = np.random.default_rng(9)
    shadow = announced(rng, 5, 200, 0.01)
    hats = evidence(rng, 60, lambda c: np.full_like(c, 0.7), "hats")
    assert set(climb(BAR, shadow, both(announced(rng, 5, 8, 0.0), hats)).notice) == {f"kind {n}" for n in range(5)}


def test_history_is_believed_on_while_what_was_placed_is_below_the_bar():
    bar = Bar(max_wrong_share=0.35)
    runs, open_still = 300, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        open_still += bool(climb(bar, announced(rng, 20, 80, 0.05), announced(rng, 20, 3, 0.34)).notice)
    least = bar.confidence
    assert open_still / runs >= least - 4 * np.sqrt(least * (1 - least) / runs)
