"""An uplift learner serves messages where the log carries one, and nothing does where it does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxreco.errors import BadSpec
from cxreco.repeat import lift_training
from cxreco.repeat.lift_training import LiftRules, fit_lift
from cxreco.repeat.messages import Messages, messages_of
from cxreco.repeat.uplift_learners import DR, Boosted, Ridge, S, T, X
from cxreco.request.candidates import VALUE_COLUMN, VALUE_FEATURES
from cxreco.respond.lift import COACH, COLUMNS, Lift
from cxreco.tables import CANDIDATES, DECISIONS, DecisionLog

FEW = (S(base=Ridge()), X(base=Ridge()), DR(base=Ridge()), T(base=Ridge()), T(base=Boosted(name="stumps", leaves=2)))
PER_CUSTOMER = 8
MARGIN, WON = 8.0, 0.6


def messages(pooled, seed, n, effect, won=WON):
    """Messages that add `effect` of what is known to what is believed; and what each adds, truly and as believed.

    Who is thought to answer is written to more often, so that what followed differs for two reasons. Of an order soon
    `won` is money that would not have come later.
    """
    rng = np.random.default_rng(seed)
    x = np.abs(rng.normal(size=(n, len(VALUE_FEATURES))))
    for name in ("need", "need_3", "need_top", "buy", "repeat_share", "on_outbound"):
        x[:, VALUE_COLUMN[name]] = rng.random(n).round(3)
    plain = {"on_outbound": 1.0, "orders": 50.0, "lines_mean": 2.0, "margin_mean": MARGIN, "item_margin": MARGIN / 2.0,
             "quantity": 1.0, "returned_share": 0.0, "return_rate": 0.0}  # fmt: skip
    for name, value in plain.items():
        x[:, VALUE_COLUMN[name]] = value
    # Of an open need nobody knows here: the pooled head would tell messages apart by it, and the learner is to.
    x[:, VALUE_COLUMN["need_open"]] = np.nan
    hold = x.copy()
    hold[:, VALUE_COLUMN["need"] : VALUE_COLUMN["certainty"] + 1] = np.nan
    chance = 0.1 + 0.7 * x[:, VALUE_COLUMN["need"]]
    sent = rng.random(n) < chance
    rows = np.concatenate([hold, x])
    mode = np.repeat(np.array([0, COACH], np.int16), n)
    believed = pooled.values_of(rows, mode, mode == COACH, np.tile(np.arange(n), 2)).parts["order_soon"].reshape(2, n)
    base = 0.25 + 0.3 * x[:, VALUE_COLUMN["need"]]
    extra = effect(x)
    true = np.clip(base + sent * (believed[1] - believed[0] + extra), 0.0, 1.0)
    soon = (rng.random(n) < true).astype(np.float64)
    customer = rng.integers(0, n // PER_CUSTOMER, n)
    money = MARGIN * won * soon - pooled.worth.contact * sent
    found = Messages(
        x=x, hold_x=hold, sent=sent, chance=chance, soon=soon, money=money, customer=customer, at=np.arange(n)
    )
    return found, extra + believed[1] - believed[0], believed[1] - believed[0]


def halves(x):
    """Messages work for those who seldom visit, and harm those who often do."""
    return np.where(x[:, VALUE_COLUMN["visits_30"]] < 0.67, 0.2, -0.2)


def fitted(playbook, found, **rules) -> Lift:
    return fit_lift(found, lambda _: playbook.value, playbook.value, LiftRules(**rules), FEW)


def test_where_messages_work_for_one_half_and_harm_the_other_it_is_kept_and_decides_better(playbook):
    found, _, _ = messages(playbook.value, 1, 5_000, halves)
    lift = fitted(playbook, found)
    assert lift.learner and lift.report["gain_low"] > 0.0 and lift.report["judged"] == 2_500
    fresh, true, believed = messages(playbook.value, 2, 4_000, halves)
    told = believed + lift.of(fresh.x[:, COLUMNS])
    assert np.corrcoef(told, true)[0, 1] > 0.6 > np.corrcoef(believed, true)[0, 1] + 0.4
    sending, before = (np.where(way > 0.0, true, 0.0) for way in (told, believed))
    gained = sending - before
    assert gained.mean() > 0.04 + 4.0 * gained.std() / np.sqrt(gained.size)
    # The same log gives the same lift.
    assert fitted(playbook, found).to_spec() == lift.to_spec()


def test_a_small_log_of_the_same_shop_falls_back_to_the_pooled_head(playbook):
    few = fitted(playbook, messages(playbook.value, 3, 150, halves)[0])
    assert not few.terms and "100 of each are the least" in few.said
    thin = fitted(playbook, messages(playbook.value, 3, 400, lambda x: 0.25 * halves(x))[0], alpha=0.01)
    assert not thin.terms and thin.report["gain_low"] <= 0.0 and "not shown to earn more" in thin.said


def test_orders_that_would_have_come_anyway_speak_for_nothing_however_evident_they_are(playbook):
    found, _, _ = messages(playbook.value, 1, 5_000, halves, won=0.0)
    lift = fitted(playbook, found)
    assert lift.report["t"] > 2.0 * lift.report["needed_t"]
    assert not lift.terms and lift.report["gain_low"] < 0.0


def test_money_whose_window_is_not_over_is_learned_from_and_judges_nothing(playbook):
    found, _, _ = messages(playbook.value, 1, 2_000, halves)
    young = found.at >= 1_900
    lift = fitted(playbook, replace(found, money=np.where(young, np.nan, found.money)))
    assert lift.report["judged"] == 900 and lift.report["sent"] == found.sent.sum()
    none = fitted(playbook, replace(found, money=np.full(2_000, np.nan)))
    assert not none.terms and "could not be judged" in none.said


def test_it_is_never_below_the_pooled_head_by_more_than_noise(playbook):
    apart, kept = [], 0
    for seed in range(16):
        strength = (0.0, 0.0, 0.1, 0.3)[seed % 4]
        found, _, _ = messages(playbook.value, 100 + seed, 1_500, lambda x, by=strength: by / 0.2 * halves(x))
        lift = fitted(playbook, found)
        kept += bool(lift.terms) and strength == 0.0
        fresh, true, believed = messages(playbook.value, 200 + seed, 2_000, lambda x, by=strength: by / 0.2 * halves(x))
        told = believed + lift.of(fresh.x[:, COLUMNS])
        apart.append(((believed - true) ** 2 - (told - true) ** 2).mean())
    # 5 % of 8 shops without a difference are 0.4, four standard errors above are 2.9.
    assert kept <= 2
    assert np.mean(apart) > 0.0 and np.min(apart) > -0.005


def test_what_was_best_earlier_and_no_longer_is_falls_back(playbook):
    early, _, _ = messages(playbook.value, 4, 3_000, halves)
    late, _, _ = messages(playbook.value, 5, 1_000, lambda x: -halves(x))
    both = Messages(**{
        name: np.concatenate([getattr(early, name), getattr(late, name)]) for name in
        ("x", "hold_x", "sent", "chance", "soon", "money", "customer")}, at=np.arange(4_000))  # fmt: skip
    lift = fitted(playbook, both)
    assert not lift.terms and "not shown to earn more" in lift.said and lift.report["gain_low"] < 0.0


def log(joint, modes, chosen):
    """A log of decisions: their candidates' probabilities and modes, and which was chosen."""
    n = len(joint)
    flat = [(k, m, p) for k in range(n) for m, p in zip(modes[k], joint[k], strict=True)]
    decisions = pd.DataFrame({name: pd.Series([0] * n, dtype=kind) for name, kind in DECISIONS.items()})
    decisions = decisions.assign(
        decision_id=[f"d{k}" for k in range(n)], customer_id=[f"c{k % 3}" for k in range(n)], at=np.arange(n)[::-1],
        chosen=chosen, n_admitted=[len(row) for row in joint], mode=[modes[k][chosen[k]] for k in range(n)],
        propensity=[joint[k][chosen[k]] for k in range(n)],
    )  # fmt: skip
    candidates = pd.DataFrame({name: pd.Series([0] * len(flat), dtype=kind) for name, kind in CANDIDATES.items()})
    candidates = candidates.assign(
        decision=[row[0] for row in flat], mode=[row[1] for row in flat], joint=[row[2] for row in flat]
    )
    x = np.tile(np.arange(len(flat), dtype=np.float32)[:, None], (1, len(VALUE_FEATURES)))
    return DecisionLog(decisions=decisions, candidates=candidates, x=x)


def test_the_trial_is_what_chance_dealt_and_what_might_have_been_said_is_drawn_as_the_policy_would():
    joint = [[0.5, 0.3, 0.1, 0.1]] * 4_000 + [[0.6, 0.4], [1.0], [0.2, 0.4, 0.4], [0.999, 0.001]]
    modes = [[0, COACH, COACH, 2]] * 4_000 + [[0, COACH], [0], [0, COACH, 2], [0, COACH]]
    chosen = [0] * 4_000 + [1, 0, 2, 0]
    n = len(joint)
    soon, settled, money = np.arange(n) % 2.0, np.ones(n, np.bool_), np.arange(n) / 2.0
    settled[0] = False
    found = messages_of(log(joint, modes, chosen), soon, settled, money, least=0.01, seed=1)
    # Neither what is not settled, nor what had no message, nor another mode's, nor what was next to certain.
    assert len(found) == 4_000 and found.sent.sum() == 1
    assert found.chance[found.sent] == pytest.approx([0.4])
    assert found.chance[~found.sent] == pytest.approx(0.4 / 0.9)
    assert set(found.money * 2.0 % 2.0) == {0.0, 1.0} and np.array_equal(found.money * 2.0 % 2.0, found.soon)
    assert np.all(np.diff(found.at) >= 0) and np.array_equal(found.hold_x[0], np.full(len(VALUE_FEATURES), 16_000.0))
    place = (found.x - found.hold_x)[~found.sent][:, 0]
    assert set(place) == {1.0, 2.0}
    assert abs((place == 1.0).mean() - 0.75) < 4.0 * np.sqrt(0.75 * 0.25 / 4_000)
    nobody = messages_of(log([[1.0]], [[0]], [0]), np.zeros(1), np.ones(1, np.bool_), np.zeros(1), least=0.01, seed=1)
    assert len(nobody) == 0


def test_rules_that_cannot_be_are_named():
    for wrong in ({"alpha": 0.0}, {"alpha": 1.0}, {"least_chance": 0.5}, {"least": 0}, {"folds": 1}):
        with pytest.raises(BadSpec, match="lift"):
            LiftRules.from_spec(wrong)
    with pytest.raises(BadSpec, match="alfa"):
        LiftRules.from_spec({"alfa": 0.1})


def test_what_had_not_shown_by_a_cut_is_not_learned_from(playbook, monkeypatch):
    found, _, _ = messages(playbook.value, 6, 2_000, halves)
    asked, known = [], []
    choose = lift_training.choose

    def early(until):
        asked.append(until)
        return playbook.value

    def noted(trial, **options):
        known.append(len(trial.x))
        return choose(trial, **options)

    monkeypatch.setattr(lift_training, "choose", noted)
    fit_lift(found, early, playbook.value, LiftRules(), FEW, shows=150)
    cuts = [round(2_000 * share) for share in lift_training.JUDGED_FROM]
    # Messages come a microsecond apart: as many are known as there are microseconds.
    assert asked == known[: len(cuts)] == [cut - 150 for cut in cuts]
