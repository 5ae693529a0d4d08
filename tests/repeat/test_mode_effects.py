"""What a mode earned over hold: the truth is found whatever the policy was, and where it cannot be, that is said."""

import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadInput
from cxreco.repeat.mode_effects import effect_words, mode_effects
from cxreco.tables import DecisionLog


def shop(n=4_000, seed=0, effect=1.0, per=4, sure=0.0):
    """Moments that differ in how much is bought anyway; the policy curates where more is, so a plain mean misleads."""
    rng = np.random.default_rng(seed)
    customer = np.arange(n) // per
    rich = rng.exponential(2.0, n // per + 1)[customer]
    p = np.clip(0.1 + 0.2 * rich, 0.05, 0.9)
    p = np.where(rng.random(n) < sure, 1.0, p)
    curated = rng.random(n) < p
    money = rng.normal(3.0 * rich + effect * (1.0 + 0.5 * rich) * curated, 1.0)
    chosen = curated * 1
    decisions = pd.DataFrame({"decision_id": [f"d{i}" for i in range(n)], "customer_id": [f"c{c}" for c in customer]})
    decisions = decisions.assign(
        at=np.arange(n), seq=0, arrival_cut=0, arm="champion", policy_version="1", mode=2 * chosen, action_id="a",
        item_id="", item=-1, surface="home", channel="onsite", expires_at=0,
        propensity_mode=np.where(curated, p, 1 - p), propensity_action=1.0, propensity=np.where(curated, p, 1 - p),
        expected_value=0.0, chosen=chosen, n_admitted=2,
    )  # fmt: skip
    candidates = pd.DataFrame(
        {"decision": np.repeat(np.arange(n), 2), "joint": np.column_stack([1 - p, p]).ravel()}
    ).assign(key="k", mode=np.tile([0, 2], n), action_id="a", item_id="", value=0.0)
    log = DecisionLog(decisions=decisions, candidates=candidates, x=np.zeros((2 * n, 1), dtype=np.float32))
    on_treated = effect * (1.0 + 0.5 * rich[curated & (p < 1.0)].mean())
    naive = money[curated].mean() - money[~curated].mean()
    return log, money, float(on_treated), float(naive)


def curated(effects):
    return effects.set_index("mode").loc["curated_offering"]


def test_the_effect_at_the_moments_it_was_chosen_is_found_and_a_plain_mean_is_not():
    log, money, truth, naive = shop()
    row = curated(mode_effects(log, money))
    assert abs(row["over_hold"] - truth) < 4 * row["stderr"]
    assert abs(naive - truth) > 4 * row["stderr"]
    assert row["over_hold"] == pytest.approx(row["earned"] - row["held"])
    assert row["low"] > 0.0
    assert "it pays" in " ".join(effect_words(mode_effects(log, money)))


def test_its_intervals_cover():
    hit = 0
    for seed in range(200):
        log, money, truth, _ = shop(n=400, seed=seed)
        row = curated(mode_effects(log, money))
        hit += row["low"] <= truth <= row["high"]
    assert hit >= 0.92 * 200


def test_nothing_from_nothing():
    wrong = 0
    for seed in range(200):
        log, money, _, _ = shop(n=400, seed=1_000 + seed, effect=0.0)
        row = curated(mode_effects(log, money))
        wrong += row["low"] > 0.0 or row["high"] < 0.0
    assert wrong <= 0.08 * 200


def test_decisions_that_left_no_choice_or_are_too_young_say_nothing():
    log, money, truth, _ = shop(sure=0.3)
    young = np.where(np.arange(money.size) % 5 == 0, np.nan, money)
    row = curated(mode_effects(log, young))
    assert abs(row["over_hold"] - truth) < 4 * row["stderr"] + 0.1
    assert row["decisions"] < (log.decisions["mode"] == 2).sum() * 0.8


def test_too_few_are_said_to_be_too_few():
    log, money, _, _ = shop(n=20)
    effects = mode_effects(log, money)
    assert effects["reason"].str.contains("are the least").all()
    assert all("not enough to tell yet" in line for line in effect_words(effects))
    with pytest.raises(BadInput, match="amounts"):
        mode_effects(log, money[1:])
