import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreco.errors import BadInput, BadSpec
from cxreco.request.forest import BLOCK, FEW, BoosterScorer, Forest, verified
from cxreco.request.forests import Forests

SPECIAL = np.array([np.nan, 0.0, -0.0, np.inf, -np.inf, 1e-35, -1e-36, 1.0000000180025095e-35, 1e300, -1e300])


def trained(x, y, rounds=8, **parameters):
    data = lightgbm.Dataset(
        x, y, params={"verbosity": -1, "min_data_in_bin": 1, "feature_pre_filter": False} | parameters
    )
    fixed = {"objective": "regression", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2, "min_data_in_bin": 1}
    return lightgbm.train(fixed | parameters, data, num_boost_round=rounds)


def table(seed, rows=300, features=5, missing=0.2):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    x[:, 0] = np.round(x[:, 0])
    x[:, 1] = np.where(rng.random(rows) < 0.5, 0.0, x[:, 1])
    x[rng.random(x.shape) < missing] = np.nan
    y = np.where(np.isnan(x[:, 2]), 2.0, x[:, 2]) * np.nan_to_num(x[:, 0]) + rng.normal(size=rows)
    return x, y


def same_bits(forest, booster, rows):
    theirs = booster.predict(rows, raw_score=True, num_threads=1)
    return np.array_equal(forest.score(rows).view(np.int64), theirs.view(np.int64))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    leaves=st.sampled_from([2, 3, 31, 33, 64, 65, 130]),
    rounds=st.integers(1, 12),
    missing=st.sampled_from([0.0, 0.3]),
    zero_as_missing=st.booleans(),
    use_missing=st.booleans(),
    size=st.sampled_from([1, FEW - 1, FEW, 10, 50, BLOCK, BLOCK + 3]),
)
def test_scores_equal_lightgbm_to_the_bit(seed, leaves, rounds, missing, zero_as_missing, use_missing, size):
    x, y = table(seed, missing=missing)
    booster = trained(
        x, y, rounds, num_leaves=leaves, zero_as_missing=zero_as_missing and use_missing, use_missing=use_missing
    )
    forest = Forest.from_text(booster.model_to_string())
    rng = np.random.default_rng(seed + 1)
    limits = np.array([t for t in forest_thresholds(booster) if np.isfinite(t)] or [0.0])
    near = np.concatenate([SPECIAL, limits, np.nextafter(limits, -np.inf), np.nextafter(limits, np.inf)])
    rows = np.where(rng.random((size, 5)) < 0.6, rng.choice(near, (size, 5)), rng.normal(size=(size, 5)))
    assert same_bits(forest, booster, rows)


@pytest.mark.parametrize(("values", "word"), [(256, np.uint8), (257, np.uint16), (900, np.uint16)])
def test_a_value_above_every_threshold_is_counted_whole(values, word):
    # As many thresholds as a byte counts, and one more.
    x = np.tile(np.arange(values, dtype=np.float64), 4)[:, None]
    y = np.random.default_rng(values).normal(size=len(x))
    booster = trained(x, y, 300, num_leaves=64, max_bin=2_000, bagging_fraction=0.5, bagging_freq=1)
    forest = Forest.from_text(booster.model_to_string())
    assert forest.limits[1].size == values - 1
    assert forest.quick[1].dtype == word
    rows = np.append(np.arange(-1.0, values + 1.0, 0.5), [np.nan, np.inf, -np.inf])[:, None]
    assert same_bits(forest, booster, rows)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), leaves=st.lists(st.sampled_from([None, 1, 4, 31, 40, 64, 70]), max_size=5))
def test_forests_asked_together_say_what_each_says_alone(seed, leaves):
    x, y = table(seed)
    parts = [None if n is None else Forest.from_text(grown(x, y, n)) for n in leaves]
    rows = np.vstack([x[:6], np.resize(SPECIAL, (2, x.shape[1]))])
    for row in rows:
        alone = [0.0 if part is None else float(part.score(row[None, :])[0]) for part in parts]
        assert Forests(parts=parts).scores(row).tolist() == alone


def grown(x, y, leaves):
    """Return a small model as text; of one leaf, it is constant."""
    if leaves == 1:
        return trained(x, np.full(y.size, 2.0), 2).model_to_string()
    return trained(x, y, 5, num_leaves=leaves).model_to_string()


def forest_thresholds(booster):
    return booster.trees_to_dataframe()["threshold"].dropna().to_numpy(dtype=float)


@pytest.mark.parametrize("decision", [0, 4, 6, 8, 10])
def test_a_split_of_missing_against_the_rest_sends_infinity_with_the_rest(decision):
    x, y = table(1)
    text = trained(x, y, 1, num_leaves=2).model_to_string()
    for field, value in (("threshold", "inf"), ("decision_type", str(decision))):
        text = text.replace(f"{field}={text.split(f'{field}=')[1].splitlines()[0]}", f"{field}={value}")
    rows = np.repeat(SPECIAL[:, None], 5, axis=1)
    assert same_bits(Forest.from_text(text), lightgbm.Booster(model_str=text), rows)


@pytest.mark.parametrize("rounds", [1, 3])
def test_constant_models_have_one_leaf(rounds):
    x, _ = table(3)
    booster = trained(x, np.full(len(x), 2.5), rounds)
    forest = Forest.from_text(booster.model_to_string())
    assert same_bits(forest, booster, x)
    assert forest.leaves.shape[1] == 1


def test_a_model_that_stops_early_mixes_trees_of_all_sizes():
    x, y = table(5, rows=40)
    booster = trained(x, y, 40, num_leaves=31, min_gain_to_split=0.5)
    assert same_bits(Forest.from_text(booster.model_to_string()), booster, x)


def test_no_rows_give_no_scores_and_other_layouts_are_copied():
    x, y = table(7)
    booster = trained(x, y)
    forest = verified(booster.model_to_string(), x)
    assert forest.reason == ""
    assert forest.trees == booster.num_trees() and forest.features == 5
    assert forest.score(np.empty((0, 5))).shape == (0,)
    assert np.array_equal(forest.score(np.asfortranarray(x)), forest.score(x))
    with pytest.raises(BadInput, match="expected"):
        forest.score(x[:, :4])


@pytest.mark.parametrize(("kind", "word"), [("categorical", "categorical"), ("linear", "linear")])
def test_what_it_cannot_score_is_refused_and_lightgbm_stands_in(kind, word):
    x, y = table(9, missing=0.0)
    x[:, 0] = np.abs(x[:, 0])
    data = lightgbm.Dataset(
        x,
        y + 3.0 * (x[:, 0] == 1),
        params={"verbosity": -1, "linear_tree": kind == "linear"},
        categorical_feature=[0] if kind == "categorical" else [],
    )
    fixed = {"num_leaves": 8, "verbosity": -1, "num_threads": 1, "cat_smooth": 1.0, "min_data_per_group": 5}
    booster = lightgbm.train(fixed | {"linear_tree": kind == "linear"}, data, 10)
    text = booster.model_to_string()
    with pytest.raises(BadSpec, match=word):
        Forest.from_text(text)
    scorer = verified(text, x)
    assert isinstance(scorer, BoosterScorer) and word in scorer.reason
    assert np.array_equal(scorer.score(x), booster.predict(x, raw_score=True, num_threads=1))
    assert scorer.trees == 10 and scorer.features == 5
    assert scorer.score(np.empty((0, 5))).shape == (0,)


def test_a_compiled_form_that_differs_by_one_bit_is_not_used(monkeypatch):
    x, y = table(11)
    text = trained(x, y).model_to_string()
    honest = Forest.score
    monkeypatch.setattr(Forest, "score", lambda self, rows: np.nextafter(honest(self, rows), np.inf))
    assert "differed" in verified(text, x).reason


DAMAGES = [
    lambda text: text[: len(text) // 3],
    lambda text: "",
    lambda text: text.replace("tree", "bush", 1),
    lambda text: text.replace("leaf_value=", "leaf_valve="),
    lambda text: text.replace("max_feature_idx=4", "max_feature_idx=x"),
    lambda text: text.replace("max_feature_idx=4", "max_feature_idx=1"),
    lambda text: text.replace("threshold=", "threshold=1 "),
    lambda text: text.replace("left_child=1", "left_child=0"),
    lambda text: text.replace("Tree=1", "Three=1"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_a_bad_spec_and_never_ends_the_process(damage):
    x, y = table(13)
    text = trained(x, y).model_to_string()
    assert damage(text) != text
    with pytest.raises(BadSpec, match=r"model|tree"):
        verified(damage(text), x)


def test_a_threshold_that_is_not_a_number_is_left_to_lightgbm():
    x, y = table(15)
    text = trained(x, y, 1, num_leaves=2).model_to_string()
    limit = text.split("threshold=")[1].split("\n")[0]
    assert "threshold" in verified(text.replace(f"threshold={limit}", "threshold=nan"), x).reason


def test_more_than_one_score_a_row_is_refused():
    x, y = table(17)
    booster = trained(x, (y > 0).astype(int) + (y > 1), 2, objective="multiclass", num_class=3)
    with pytest.raises(BadSpec, match="one score"):
        verified(booster.model_to_string(), x)
    with pytest.raises(BadSpec, match="one score"):
        Forest.from_text(booster.model_to_string())
