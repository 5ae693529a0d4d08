"""What makes a slate: greedy on the margin expected of at least one purchase a need, to the definition."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreco.request.context import Sight
from cxreco.request.coverage import LEAST_MARGIN, covering
from cxreco.request.features import RANKER_COLUMN, RANKER_FEATURES

ALL = (1.0, 1.0)


def sight(category, chance, margin, most: int, score=None) -> Sight:
    n = len(category)
    chance = np.array(chance, dtype=np.float64)
    x = np.zeros((n, len(RANKER_FEATURES)))
    x[:, RANKER_COLUMN["price"]] = np.array(margin) * 4.0
    x[:, RANKER_COLUMN["margin_share"]] = 0.25
    score = chance if score is None else np.array(score, dtype=np.float64)
    zeros, yes = np.zeros(n), np.ones(n, np.bool_)
    return Sight(
        np.arange(n, dtype=np.int32), np.array(category, dtype=np.int32), x, score, chance, np.zeros((n, 4)),
        np.arange(5.0), zeros, zeros, zeros + 1.0, yes, yes, np.argsort(-score, kind="stable"), np.zeros(8), 0, -1,
        False, most,
    )  # fmt: skip


def chosen(s: Sight, substitution: float, money: float, where=None) -> list[int]:
    where = np.ones(s.codes.size, np.bool_) if where is None else np.array(where)
    return covering(s, where, s.buy, substitution, money).tolist()


def worth(s: Sight, slate, substitution: float, money: float) -> float:
    """Return what a slate is worth: looked down in order, each item met only by what the others left of its need."""
    total = 0.0
    needs = {c: s.buy[s.category == c].sum() for c in set(s.category.tolist())}
    unmet = dict.fromkeys(needs, 1.0)
    for i in slate:
        c = int(s.category[i])
        share = s.buy[i] / needs[c] if needs[c] > 0.0 else 0.0
        margin = max(s.x[i, RANKER_COLUMN["price"]] * 0.25, LEAST_MARGIN) ** money
        total += needs[c] * share * unmet[c] * margin
        unmet[c] *= 1.0 - substitution * share
    return total


ITEMS = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0.001, 1.0), st.floats(0.5, 20.0)), min_size=1, max_size=9
)  # fmt: skip


@given(items=ITEMS, most=st.integers(1, 6), substitution=st.floats(0.0, 1.0), money=st.sampled_from([0.0, 0.5, 1.0]))
def test_each_place_goes_to_the_item_that_adds_most(items, most, substitution, money) -> None:
    s = sight(*zip(*items, strict=True), most)
    slate = chosen(s, substitution, money)
    assert len(slate) == len(set(slate)) == min(most, len(items))
    for k, item in enumerate(slate):
        before = worth(s, slate[:k], substitution, money)
        gains = [
            worth(s, [*slate[:k], i], substitution, money) - before for i in range(len(items)) if i not in slate[:k]
        ]
        assert worth(s, [*slate[:k], item], substitution, money) - before == pytest.approx(max(gains), rel=1e-9)


@given(items=st.lists(st.tuples(st.integers(0, 2), st.floats(0.01, 1.0)), min_size=3, max_size=7))
def test_it_gets_what_greed_gets_of_a_submodular_worth(items) -> None:
    # With equal margins the worth of a set does not depend on its order.
    category, chance = zip(*items, strict=True)
    s = sight(category, chance, [1.0] * len(items), 3)
    got = worth(s, chosen(s, *ALL), *ALL)
    best = max(worth(s, slate, *ALL) for slate in combinations(range(len(items)), 3))
    assert got >= (1.0 - 1.0 / np.e) * best - 1e-12
    some = chosen(s, *ALL)
    assert all(worth(s, order, *ALL) == pytest.approx(got) for order in permutations(some))


@given(items=ITEMS, most=st.integers(1, 9))
def test_without_substitution_and_money_it_is_the_order_by_chance(items, most) -> None:
    category, chance, margin = zip(*items, strict=True)
    s = sight(category, chance, margin, most)
    assert chosen(s, 0.0, 0.0) == np.argsort(-s.buy, kind="stable")[:most].tolist()


def test_where_one_stands_out_the_others_of_its_need_wait() -> None:
    clear = sight([1, 1, 1, 2], [0.5, 0.06, 0.05, 0.04], [1.0] * 4, 3)
    assert chosen(clear, *ALL)[:2] == [0, 3]
    assert chosen(clear, 0.0, 1.0)[:3] == [0, 1, 2]


def test_where_it_is_open_which_is_wanted_several_of_a_need_are_shown() -> None:
    open_ = sight([1, 1, 1, 1, 2], [0.2, 0.2, 0.2, 0.2, 0.05], [1.0] * 5, 4)
    assert chosen(open_, *ALL) == [0, 1, 2, 3]


def test_money_brings_the_dearer_forward_and_what_earns_nothing_comes_last() -> None:
    s = sight([1, 2, 3], [0.3, 0.2, 0.4], [2.0, 8.0, 0.0], 3)
    assert chosen(s, 1.0, 1.0) == [1, 0, 2]
    assert chosen(s, 1.0, 0.0) == [2, 0, 1]
    s.x[1, RANKER_COLUMN["price"]] = np.nan
    assert chosen(s, 1.0, 1.0) == [0, 2, 1]


def test_of_equal_gains_the_better_score_comes_first_and_only_what_is_asked_for() -> None:
    s = sight([1, 2, 3, 4], [0.1] * 4, [1.0] * 4, 4, score=[0.1, 0.4, 0.2, 0.3])
    assert chosen(s, *ALL) == [1, 3, 2, 0]
    assert chosen(s, *ALL, where=[True, False, True, True]) == [3, 2, 0]
    assert chosen(s, *ALL, where=[False] * 4) == []
    assert chosen(sight([], [], [], 4), *ALL) == []
