"""What is said to drive a model drives it: attributions add up, a planted cause comes first, the idle is worth 0."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxreco.journey import MODES
from cxreco.pipelines.explanations import SAID
from cxreco.repeat.explanations import (
    attributed,
    head_coefficients,
    mode_drivers,
    need_attributions,
    ranker_attributions,
    thinned,
    tree_attributions_of,
    tree_contributions,
    without,
)
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.request.features import RANKER_COLUMN, RANKER_FEATURES
from cxreco.request.forest import verified
from cxreco.request.growing import grow
from cxreco.request.need import NeedModel
from cxreco.request.odds import WIDTH as ODDS
from cxreco.request.odds import Odds
from cxreco.request.ranker import Blend, Ranker, RankerRows
from cxreco.respond.design import SIGNALS, WIDTH
from cxreco.respond.value import BASE_SIGNALS
from cxreco.tables import DecisionLog

SMALL = {"rounds": 30, "num_leaves": 8, "learning_rate": 0.2, "min_data_in_leaf": 20}


def rows_of(moments=60, items=20, seed=0):
    """Items of moments; what is bought follows the popularity, and the price the other way."""
    rng = np.random.default_rng(seed)
    n = moments * items
    x = rng.normal(size=(n, len(RANKER_FEATURES)))
    want = 2.0 * x[:, RANKER_COLUMN["popularity"]] - 1.0 * x[:, RANKER_COLUMN["price"]] + rng.normal(size=n)
    y = (want.reshape(moments, items) == want.reshape(moments, items).max(axis=1, keepdims=True)).ravel() * 1.0
    # The same for every item of a moment: it cannot set one apart.
    x[:, 0] = np.repeat(rng.normal(size=moments), items)
    return RankerRows(
        x=x, y=y, code=np.arange(n, dtype=np.int32), group=np.full(moments, items), at=np.arange(moments),
        customer=np.arange(moments), missed=np.zeros(moments, dtype=np.int64), early=np.zeros(moments, dtype=np.bool_),
        masked=np.zeros(moments, dtype=np.bool_),
    )  # fmt: skip


def test_contributions_and_the_base_add_up_to_the_score():
    rows = rows_of()
    text = grow(rows.x, rows.y, objective="binary", params=SMALL, names=RANKER_FEATURES)
    scorer = verified(text, rows.x[:10])
    np.testing.assert_allclose(tree_contributions(text, rows.x).sum(axis=1), scorer.score(rows.x), atol=1e-9)


def test_what_moves_the_ranker_comes_first_with_its_direction():
    rows = rows_of()
    text = grow(rows.x, rows.y, objective="lambdarank", params=SMALL, names=RANKER_FEATURES, group=rows.group)
    ranker = Ranker(forest=verified(text, rows.x[:10]), odds=Odds(weight=np.zeros(ODDS), intercept=0.0))
    found = ranker_attributions(ranker, rows).set_index("feature")
    assert list(found.index[:2]) == ["popularity", "price"]
    assert found.loc["popularity", "direction"] > 0.5
    assert found.loc["price", "direction"] < -0.5
    assert found["share"].sum() == pytest.approx(1.0)
    assert abs(found["mean"]).max() < 1e-9


def test_the_blend_explains_itself_by_what_it_would_say_without_each_sign():
    rows = rows_of()
    rows = replace(rows, x=np.abs(rows.x))
    found = ranker_attributions(Blend(), rows).set_index("feature")
    used = set(found.index[found["importance"] > 0.0])
    assert "item_renewal_7" in used and "price" not in used and found.index[0] in used


def test_fewer_items_of_the_same_moments_are_kept():
    rows = rows_of()
    kept = thinned(rows, most=7, seed=1)
    assert kept.group.tolist() == [7] * len(rows) and len(kept.y) == 7 * len(rows)
    assert (kept.code // 20 == np.repeat(np.arange(len(rows)), 7)).all()
    assert (thinned(rows, most=50, seed=1).code == rows.code).all()


def test_a_need_model_that_learned_nothing_has_nothing_to_explain():
    assert need_attributions(NeedModel(), None) is None


def test_no_rows_attribute_nothing():
    found = attributed(np.empty((0, 2)), np.empty((0, 2)), ("a", "b"))
    assert found["importance"].tolist() == [0.0, 0.0]


def test_a_coefficient_is_the_shared_part_and_the_modes(playbook):
    head = playbook.value.heads["order"]
    rng = np.random.default_rng(0)
    theta = rng.normal(size=head.theta.size)
    root = rng.normal(size=(theta.size, theta.size)) / 10.0
    head = replace(head, theta=theta, covariance=root @ root.T)
    phi = rng.normal(size=(50, WIDTH))
    mode = rng.integers(0, 3, 50).astype(np.int16)
    found = head_coefficients(head, None, phi, mode).set_index(["mode", "signal"])
    own = theta.size - WIDTH * len(MODES)
    for code, k in ((1, 1), (2, 5), (3, 0)):
        row = found.loc[(MODES[code].value, SIGNALS[k])]
        at = [own + k, own + WIDTH * code + k]
        assert row["coefficient"] == pytest.approx(theta[at].sum())
        assert row["sd"] == pytest.approx(np.sqrt(head.covariance[np.ix_(at, at)].sum()))
        assert row["decisions"] == (mode == code).sum()
        if (mode == code).any():
            mean = phi[mode == code, k].mean()
            assert row["contribution"] == pytest.approx(theta[at].sum() * mean)
        else:
            assert np.isnan(row["contribution"])
    assert (found.index.get_level_values("mode") == "every moment").sum() == own
    base = head_coefficients(playbook.value.heads["base"], None, phi, mode)
    assert set(base["mode"]) == {"every moment"}


def test_what_was_believed_and_how_far_it_moved(playbook):
    from cxreco.edge.specs import load_specs
    from cxreco.repeat.value_training import ValueSpec

    prior = ValueSpec.from_spec(load_specs()["value"]).beliefs["order"].prior()
    none = np.empty((0, WIDTH)), np.empty(0, dtype=np.int16)
    head = playbook.value.heads["order"]
    found = head_coefficients(head, prior, *none)
    here = found[found["mode"] != "every moment"]
    np.testing.assert_allclose(here["believed"], here["coefficient"])
    np.testing.assert_allclose(here["moved"], 0.0)
    assert found.loc[found["mode"] == "every moment", "believed"].isna().all()


def log_of(n=40, seed=0):
    """Decisions between hold and one candidate of a mode, every one of which acted."""
    rng = np.random.default_rng(seed)
    code = rng.integers(1, 4, n)
    x = np.zeros((2 * n, len(VALUE_FEATURES)), dtype=np.float32)
    x[:, VALUE_COLUMN["item_margin"]], x[:, VALUE_COLUMN["item_price"]] = 4.0, 10.0
    x[1::2, VALUE_COLUMN["need"]] = rng.random(n)
    x[:, VALUE_COLUMN["mode_days_since_dismissed"]] = 1e3
    decisions = pd.DataFrame({"decision_id": [f"d{i}" for i in range(n)], "customer_id": "c"}).assign(
        at=np.arange(n), seq=0, arrival_cut=0, arm="champion", policy_version="1", mode=code, action_id="a",
        item_id="", item=-1, surface="home", channel="onsite", expires_at=0, propensity_mode=0.5,
        propensity_action=1.0, propensity=0.5, expected_value=0.0, chosen=1, n_admitted=2,
    )  # fmt: skip
    candidates = pd.DataFrame({"decision": np.repeat(np.arange(n), 2), "joint": 0.5}).assign(
        key="k", mode=np.column_stack([np.zeros(n, dtype=int), code]).ravel(), action_id="a", item_id="", value=0.0
    )
    return DecisionLog(decisions=decisions, candidates=candidates, x=x)


def test_a_signal_is_worth_what_its_absence_costs_and_an_idle_one_nothing(playbook):
    log, value = log_of(), playbook.value
    found = mode_drivers(value, log).set_index(["mode", "signal"])["money"]
    # Need raises coaching by belief; nobody was on the outbound surface, nothing was in a cart.
    assert found["coach_behavior"]["need"] > 0.0
    for mode in set(found.index.get_level_values("mode")):
        assert found[mode]["cart"] == found[mode]["outbound"] == 0.0
    assert set(found.index.get_level_values("mode")) == {MODES[c].value for c in set(log.decisions["mode"])}
    again = mode_drivers(without(value, SIGNALS.index("need")), log).set_index(["mode", "signal"])["money"]
    assert again["coach_behavior"]["need"] == 0.0


def test_a_head_is_explained_by_what_its_trees_read(playbook):
    rng = np.random.default_rng(0)
    moment = rng.normal(size=(400, len(VALUE_FEATURES)))
    text = grow(moment, (moment[:, 3] > 0) * 1.0, objective="binary", params=SMALL, names=VALUE_FEATURES)
    trees = verified(text, moment[:10])
    heads = {name: replace(playbook.value.heads[name], trees=trees) for name in ("order", "returned")}
    found = tree_attributions_of(heads | {"wrong": playbook.value.heads["wrong"]}, VALUE_FEATURES, moment)
    assert set(found) == {"order", "returned"}
    for table in found.values():
        direct = attributed(tree_contributions(text, moment)[:, :-1], moment, VALUE_FEATURES)
        pd.testing.assert_frame_equal(table, direct)
        assert table["feature"][0] == VALUE_FEATURES[3]


def test_where_nobody_acted_there_is_nothing_to_explain(playbook):
    log = log_of()
    held = log.decisions.assign(mode=0, chosen=0)
    assert mode_drivers(playbook.value, DecisionLog(decisions=held, candidates=log.candidates, x=log.x)).empty


def test_every_signal_has_a_name_for_people():
    assert {*SIGNALS, *BASE_SIGNALS} <= set(SAID)
