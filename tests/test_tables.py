import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadInput
from cxreco.tables import CANDIDATES, DECISIONS, DecisionLog, checked, contacts, empty


def some_log(n=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    joint = rng.dirichlet(np.ones(k), size=n)
    chosen = rng.integers(0, k, size=n)
    modes = np.tile(np.arange(k), n)
    row = np.arange(n)
    decisions = pd.DataFrame(
        {
            "decision_id": [f"d{i}" for i in row],
            "customer_id": [f"c{i % 2}" for i in row],
            "at": row * 1000,
            "seq": row,
            "arrival_cut": row,
            "arm": "champion",
            "policy_version": "1",
            "mode": chosen,
            "action_id": "a",
            "item_id": "",
            "item": -1,
            "surface": "home",
            "channel": "onsite",
            "expires_at": 0,
            "propensity_mode": joint[row, chosen],
            "propensity_action": 1.0,
            "propensity": joint[row, chosen],
            "expected_value": 0.0,
            "chosen": chosen,
            "n_admitted": k,
        }
    )
    candidates = pd.DataFrame(
        {
            "decision": np.repeat(row, k),
            "key": "k",
            "mode": modes,
            "action_id": "a",
            "item_id": "",
            "joint": joint.ravel(),
            "value": 0.0,
        }
    )
    return decisions, candidates, np.zeros((n * k, 2), dtype=np.float32)


def test_a_consistent_log_knows_its_chosen_rows():
    decisions, candidates, x = some_log()
    log = DecisionLog(decisions=decisions, candidates=candidates, x=x)
    np.testing.assert_allclose(log.joint[log.chosen_rows], log.decisions["propensity"])
    assert list(log.starts) == [0, 3, 6, 9]
    assert log.decisions["mode"].dtype == np.int16


def test_an_empty_log_is_consistent():
    log = DecisionLog(decisions=empty(DECISIONS), candidates=empty(CANDIDATES), x=np.empty((0, 5), dtype=np.float32))
    assert len(log) == 0
    assert len(log.take(np.zeros(0, dtype=bool))) == 0


def test_taking_some_renumbers_their_candidates():
    decisions, candidates, x = some_log()
    part = DecisionLog(decisions=decisions, candidates=candidates, x=x).take(np.array([1, 3]))
    assert list(part.decisions["decision_id"]) == ["d1", "d3"]
    assert list(part.decision) == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(part.joint, candidates["joint"].to_numpy()[[3, 4, 5, 9, 10, 11]])


@pytest.mark.parametrize(
    ("column", "row", "value", "said"),
    [
        ("chosen", 1, 7, "does not exist"),
        ("propensity", 2, 0.0, "above 0"),
        ("propensity", 2, 0.999999, "differs from the joint"),
        ("mode", 0, 4, "another mode"),
        ("n_admitted", 3, 2, "grouped by decision"),
    ],
)
def test_an_inconsistent_decision_is_refused(column, row, value, said):
    decisions, candidates, x = some_log()
    decisions.loc[row, column] = value
    with pytest.raises(BadInput, match=said):
        DecisionLog(decisions=decisions, candidates=candidates, x=x)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    decisions, candidates, x = some_log()
    other = 3 * 2 + (int(decisions["chosen"][2]) + 1) % 3
    candidates.loc[other, "joint"] += 0.01
    with pytest.raises(BadInput, match=r"does not sum to 1 \(decision d2"):
        DecisionLog(decisions=decisions, candidates=candidates, x=x)


def test_the_first_candidate_must_be_hold():
    decisions, candidates, x = some_log()
    candidates["mode"] = 1
    decisions["mode"] = 1
    with pytest.raises(BadInput, match="must be hold"):
        DecisionLog(decisions=decisions, candidates=candidates, x=x)


def test_features_must_be_aligned():
    decisions, candidates, x = some_log()
    with pytest.raises(BadInput, match="does not fit"):
        DecisionLog(decisions=decisions, candidates=candidates, x=x[1:])


def test_checked_converts_a_copy_keeps_what_is_more_and_names_what_is_wrong():
    frame = pd.DataFrame({"b": [1, 2], "more": ["x", "y"], "a": ["1", "2"]})
    made = checked(frame, {"a": "int64", "b": "float64"}, name="frame")
    assert list(made.columns) == ["a", "b", "more"]
    assert made["a"].dtype == np.int64
    assert list(frame["a"]) == ["1", "2"]
    with pytest.raises(BadInput, match="columns missing: c"):
        checked(frame, {"c": "str"}, name="frame")
    with pytest.raises(BadInput, match=r"frame\.more: cannot be read as int64"):
        checked(frame, {"more": "int64"}, name="frame")
    with pytest.raises(BadInput, match="missing value in row 1"):
        checked(pd.DataFrame({"a": ["x", None]}), {"a": "str"}, name="frame")


def test_contacts_are_coaching_orders_and_anything_outbound_but_hold():
    mode = np.array([0, 1, 2, 3, 4, 0, 1])
    surface = np.array(["home"] * 5 + ["outbound"] * 2, dtype=object)
    assert list(contacts(mode, surface)) == [False, False, False, True, True, False, True]
