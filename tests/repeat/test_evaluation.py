"""A policy over a decision log: levels agree with each other and with the truth, and what is missing is said."""

import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadInput, NoSupport
from cxreco.journey import MODES
from cxreco.repeat.evaluation import HARMS, evaluate
from cxreco.repeat.support import SupportRules
from cxreco.tables import DecisionLog

# Two candidates of each mode but hold; money by candidate is known.
MODE = np.array([0, 1, 1, 2, 2, 3, 3])
MEAN = np.array([0.5, 1.0, 0.8, 1.5, 0.4, 0.2, 1.2])
K = MODE.size


def log_of(n=3_000, seed=0, logged=None, arm="champion", per=3):
    rng = np.random.default_rng(seed)
    logged = np.full(K, 1.0 / K) if logged is None else logged
    action = rng.choice(K, size=n, p=logged)
    row = np.arange(n)
    by_mode = np.bincount(MODE, weights=logged)
    names = {"decision_id": [f"d{i}" for i in row], "customer_id": [f"c{i // per}" for i in row]}
    decisions = pd.DataFrame(names).assign(
        at=row, seq=0, arrival_cut=0, arm=arm, policy_version="1", mode=MODE[action], action_id="a", item_id="",
        item=-1, surface="home", channel="onsite", expires_at=0, propensity_mode=by_mode[MODE[action]],
        propensity_action=logged[action] / by_mode[MODE[action]], propensity=logged[action], expected_value=0.0,
        chosen=action, n_admitted=K,
    )  # fmt: skip
    candidates = pd.DataFrame(
        {"decision": np.repeat(row, K), "mode": np.tile(MODE, n), "joint": np.tile(logged, n)}
    ).assign(key="k", action_id="a", item_id="", value=0.0)
    money = rng.normal(MEAN[action], 1.0)
    outcomes = pd.DataFrame({"decision_id": decisions["decision_id"], "money": money})
    outcomes = outcomes.assign(**{harm: (rng.random(n) < 0.02 * MODE[action]) * 1.0 for harm in HARMS})
    return DecisionLog(decisions=decisions, candidates=candidates, x=np.zeros((n * K, 1), dtype=np.float32)), outcomes


TARGET = np.array([0.1, 0.1, 0.1, 0.3, 0.1, 0.1, 0.2])


def test_money_overall_and_by_mode_is_the_truth_within_the_intervals():
    log, outcomes = log_of(n=12_000)
    n = len(log)
    report = evaluate(log, outcomes, np.tile(TARGET, n), q=np.tile(MEAN * 0.9, n), name="new")
    assert report.headline.name == "dr"
    assert report.headline.low < TARGET @ MEAN < report.headline.high
    for code, mode in enumerate(MODES[:4]):
        here = code == MODE
        truth = (TARGET @ (MEAN * here)) / TARGET[here].sum()
        for level in ("mode", "within mode"):
            got = report.rows[(report.rows["level"] == level) & (report.rows["subject"] == mode.value)].iloc[0]
            assert abs(got["value"] - truth) < 4 * got["stderr"], (level, mode)
            assert got["share"] == pytest.approx(TARGET[here].sum())
    choice = report.rows[report.rows["level"] == "choice of mode"].iloc[0]
    uniform_inside = sum(TARGET[code == MODE].sum() * MEAN[code == MODE].mean() for code in range(4))
    assert abs(choice["value"] - uniform_inside) < 4 * choice["stderr"]


def test_contacts_and_exposure_are_exact_and_harms_are_estimated():
    log, outcomes = log_of(n=9_000)
    n = len(log)
    groups = np.tile(np.array(["", "a", "b", "a", "b", "a", "b"]), n)
    report = evaluate(log, outcomes, np.tile(TARGET, n), groups=groups)
    assert report.contact.mean() == pytest.approx(TARGET[5:].sum())
    assert report.groups == ("a", "b")
    np.testing.assert_allclose(report.exposure.mean(axis=0), [0.5, 0.4])
    rate = report.rows[report.rows["subject"] == "returned"].iloc[0]
    assert abs(rate["value"] - TARGET @ (0.02 * MODE)) < 4 * rate["stderr"]


def test_the_logging_policy_earns_what_was_earned():
    log, outcomes = log_of(n=500)
    report = evaluate(log, outcomes, log.joint)
    assert report.headline.value == pytest.approx(outcomes["money"].mean())
    assert report.support.ess == pytest.approx(500)


def test_young_decisions_and_arms_that_do_not_explore_are_left_out_and_counted():
    log, outcomes = log_of(n=300)
    outcomes.loc[:49, "money"] = np.nan
    decisions = log.decisions.assign(arm=np.where(np.arange(300) >= 280, "holdout", "champion"))
    log = DecisionLog(decisions=decisions, candidates=log.candidates, x=log.x)
    report = evaluate(log, outcomes, log.joint)
    assert (report.left_out, report.support.n) == (70, 230)
    assert report.headline.value == pytest.approx(outcomes["money"][50:280].mean())
    with pytest.raises(NoSupport, match="no decision"):
        evaluate(log, outcomes.assign(money=np.nan), log.joint)


def test_what_the_log_never_tries_is_measured_and_refused():
    logged = np.array([0.3, 0.2, 0.2, 0.2, 0.1, 0.0, 0.0])
    log, outcomes = log_of(n=2_000, logged=logged)
    report = evaluate(log, outcomes, np.tile(TARGET, 2_000), name="bold")
    assert report.support.unsupported == pytest.approx(0.3)
    assert report.estimates == ()
    assert "30.0%" in report.words()[0]
    with pytest.raises(NoSupport, match=r"30\.0%"):
        _ = report.headline
    never = report.rows[(report.rows["level"] == "mode") & (report.rows["subject"] == "coach_behavior")].iloc[0]
    assert never["reason"] == "never chosen in the log"
    mild = evaluate(log, outcomes, np.tile(TARGET, 2_000), rules=SupportRules(max_unsupported=0.5))
    assert mild.headline.unsupported == pytest.approx(0.3)


def test_parts_that_do_not_fit_are_refused():
    log, outcomes = log_of(n=50)
    with pytest.raises(BadInput, match="sum to 1"):
        evaluate(log, outcomes, log.joint * 0.9)
    with pytest.raises(BadInput, match="must be probabilities"):
        evaluate(log, outcomes, -log.joint)
    with pytest.raises(BadInput, match="row by row"):
        evaluate(log, outcomes.iloc[::-1], log.joint)


def test_it_says_it_in_words():
    log, outcomes = log_of(n=2_000)
    said = evaluate(log, outcomes, np.tile(TARGET, 2_000), name="new").words("GBP")
    assert said[0].startswith("new would have earned 0.9")
    assert "GBP a decision" in said[0]
    assert any(line.startswith("coach_behavior: 30.0% of its choices") for line in said)
