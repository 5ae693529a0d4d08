"""The ranker: ahead of popularity and frequency on a shop of habits, calibrated, read back to the bit."""

import tomllib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreco.errors import BadSpec, StalePlaybook
from cxreco.journey import DAY
from cxreco.request.features import RANKER_COLUMN, RANKER_FEATURES
from cxreco.request.ranker import (
    Blend,
    ItemRanker,
    Ranker,
    RankerRows,
    RankerSpec,
    fit_ranker,
    load_ranker,
)
from cxreco.request.training_rows import TrainingLog, ranker_rows

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]
SMALL = {"rounds": 60, "num_leaves": 15, "learning_rate": 0.1, "min_data_in_leaf": 30, "lambda_l2": 1.0}


@pytest.fixture(scope="module")
def log(habits) -> TrainingLog:
    markets = [(int(day * DAY), habits.shop.market(day)) for day in range(60, 220, 20)]
    return TrainingLog(ticks=habits.shop.ticks, markets=markets)


@pytest.fixture(scope="module")
def earlier(log: TrainingLog) -> RankerRows:
    return ranker_rows(log, until=170 * DAY, most=900)


@pytest.fixture(scope="module")
def later(log: TrainingLog) -> RankerRows:
    rows = ranker_rows(log, until=219 * DAY, most=10**6)
    return rows.take(np.flatnonzero(rows.at > 170 * DAY))


@pytest.fixture(scope="module")
def fitted(earlier: RankerRows) -> ItemRanker:
    return fit_ranker(earlier, RankerSpec(lightgbm=SMALL))


def spans(rows: RankerRows) -> list[slice]:
    ends = np.cumsum(rows.group)
    return [slice(end - size, end) for end, size in zip(ends, rows.group, strict=True)]


def recalls_at_3(rows: RankerRows, score: Score) -> NDArray[np.float64]:
    found = []
    for span in spans(rows):
        y = rows.y[span]
        if y.any():
            best = np.argsort(-score(rows.x[span]), kind="stable")[:3]
            found.append(y[best].sum() / min(y.sum(), 3))
    return np.array(found)


def test_it_beats_popularity_and_frequency(fitted: ItemRanker, later: RankerRows) -> None:
    assert isinstance(fitted, Ranker)
    learned = recalls_at_3(later, fitted.scores)
    for name in ("popularity", "item_bought_180"):
        other = recalls_at_3(later, lambda x, name=name: np.nan_to_num(x[:, RANKER_COLUMN[name]]))
        gain = learned - other
        assert gain.mean() > 2 * gain.std() / np.sqrt(gain.size), name


def test_the_blend_beats_popularity_without_learning(later: RankerRows) -> None:
    gain = recalls_at_3(later, Blend().scores) - recalls_at_3(later, lambda x: x[:, RANKER_COLUMN["popularity"]])
    assert gain.mean() > 4 * gain.std() / np.sqrt(gain.size)


def test_what_it_calls_likely_is_bought(fitted: ItemRanker, later: RankerRows) -> None:
    p = np.concatenate([fitted.buy(later.x[span], fitted.scores(later.x[span])) for span in spans(later)])
    assert np.all((p > 0.0) & (p < 1.0))
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 1.0)):
        part = (p >= low) & (p < high)
        error = 4 * np.sqrt(0.25 / max(part.sum(), 1)) + 0.05
        assert abs(p[part].mean() - later.y[part].mean()) < error


def test_orders_foretold_weeks_ahead_teach_the_order_of_items_not_how_soon(log: TrainingLog, later: RankerRows) -> None:
    rows = ranker_rows(log, until=170 * DAY, most=900, early_share=0.6)
    assert rows.early.mean() > 0.3
    # As if everything were bought in the weeks after an early moment: the probabilities are of what is bought soon.
    flooded = replace(rows, y=np.where(np.repeat(rows.early, rows.group), 1.0, rows.y))
    for given in (rows, flooded):
        ranker = fit_ranker(given, RankerSpec(lightgbm=SMALL, most_negatives=0))
        assert isinstance(ranker, Ranker)
        p = np.concatenate([ranker.buy(later.x[span], ranker.scores(later.x[span])) for span in spans(later)])
        assert p.mean() == pytest.approx(later.y.mean(), rel=0.25)


def test_masked_moments_leave_the_odds_as_they_are(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=170 * DAY, most=900, masked_share=0.3)
    assert rows.masked.mean() > 0.2
    ranker = fit_ranker(rows, RankerSpec(lightgbm=SMALL))
    # Whatever was bought at the masked moments of the calibration part: no probability changes.
    order = np.argsort(rows.at, kind="stable")
    late = np.zeros(len(rows), dtype=np.bool_)
    late[order[round(0.75 * len(rows)) :]] = True
    lied = replace(rows, y=np.where(np.repeat(rows.masked & late, rows.group), 1.0, rows.y))
    other = fit_ranker(lied, RankerSpec(lightgbm=SMALL))
    assert isinstance(ranker, Ranker) and isinstance(other, Ranker)
    assert ranker.odds.to_json() == other.odds.to_json()
    assert ranker.forest.text != other.forest.text


def test_moments_as_served_are_neither_early_nor_masked(log: TrainingLog) -> None:
    rows = ranker_rows(log, until=170 * DAY, most=300, early_share=0.5, masked_share=0.3)
    served = rows.as_served()
    assert 0 < len(served) == int((~rows.early & ~rows.masked).sum())
    assert not served.early.any() and not served.masked.any()
    assert served.y.size == served.group.sum() == len(served.x)


def test_the_order_of_scores_is_that_of_probabilities(fitted: ItemRanker, later: RankerRows) -> None:
    for span in spans(later)[:50]:
        scores = fitted.scores(later.x[span])
        p = fitted.buy(later.x[span], scores)
        assert np.all(np.diff(p[np.argsort(scores)]) >= -1e-12)


@pytest.mark.parametrize("learned", [True, False])
def test_it_is_read_back_to_the_bit(learned: bool, fitted: ItemRanker, later: RankerRows) -> None:
    ranker = fitted if learned else Blend()
    read = load_ranker(ranker.to_files())
    x = later.x[:60]
    assert np.array_equal(read.scores(x), ranker.scores(x))
    assert np.array_equal(read.buy(x, read.scores(x)), ranker.buy(x, ranker.scores(x)))
    assert type(read) is type(ranker)


def test_other_features_are_refused(fitted: ItemRanker) -> None:
    files = fitted.to_files()
    files["ranker.json"] = files["ranker.json"].replace(b"item_due", b"item_moon")
    with pytest.raises(StalePlaybook):
        load_ranker(files)


def test_with_little_or_nothing_the_blend_stands(earlier: RankerRows) -> None:
    for groups in (0, 1, 20):
        few = fit_ranker(earlier.take(np.arange(groups)), RankerSpec())
        assert isinstance(few, Blend)
        nothing = np.empty((0, len(RANKER_FEATURES)))
        assert few.buy(nothing, few.scores(nothing)).size == 0


def test_an_empty_moment_has_no_scores(fitted: ItemRanker) -> None:
    nothing = np.empty((0, len(RANKER_FEATURES)))
    assert fitted.buy(nothing, fitted.scores(nothing)).size == 0


def test_the_default_spec_is_read_and_a_wrong_one_named(specs) -> None:
    spec = RankerSpec.from_spec(tomllib.loads((specs / "ranker.toml").read_text()))
    assert spec.lightgbm["rounds"] == 300
    with pytest.raises(BadSpec):
        RankerSpec.from_spec({"luck": 1})
