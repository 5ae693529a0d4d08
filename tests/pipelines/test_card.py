"""What a card says of the change: specs, categories, what was learned; in words."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from cxreco.edge.specs import load_specs
from cxreco.journey import MODES
from cxreco.pipelines.card import card_of, changes
from cxreco.pipelines.trials import Trial, flat
from cxreco.respond.design import SIGNALS, WIDTH
from cxreco.respond.ladder import Ladder, Standing
from cxreco.respond.lift import Lift


def test_the_same_again_is_a_refresh_with_more_answers(playbook):
    specs = load_specs().tables
    said = list(changes(playbook, replace(playbook, decisions=1_200), specs, specs))
    assert said[0] == "it learned from 1,200 answered decisions more"
    assert "its specs are the same: a refresh" in said
    assert "what it believes of each mode moved by less than it is unsure of" in said


def test_a_changed_spec_is_named_with_what_it_was(playbook):
    before = load_specs().tables
    after = {**before, "policy": {**before["policy"], "floor": 0.01}}
    said = list(changes(playbook, playbook, before, after))
    assert f"models/policy.toml: floor, {before['policy']['floor']} became 0.01" in said
    assert not any("a refresh" in line for line in said)
    action = before["actions"]["action"][0]
    other = [{**action, "expires_hours": 99}, *before["actions"]["action"][1:]]
    said = list(changes(playbook, playbook, before, {**before, "actions": {"action": other}}))
    line = f"models/actions.toml: action.{action['id']}.expires_hours, {action['expires_hours']} became 99"
    assert line in said


def test_what_may_be_ordered_and_what_was_learned_is_told(playbook):
    head = playbook.value.heads["order"]
    theta, own = head.theta.copy(), head.theta.size - WIDTH * len(MODES)
    at = own + WIDTH * MODES.index("coach_behavior") + SIGNALS.index("fatigue")
    theta[at] -= 2.0
    learned = replace(head, theta=theta, covariance=np.eye(theta.size) * 0.01)
    value = replace(playbook.value, heads={**playbook.value.heads, "order": learned})
    ladder = replace(playbook.ladder, notice={"tea": 0.9, "drinks": 0.01})
    said = list(changes(playbook, replace(playbook, value=value, ladder=ladder), {}, {}))
    assert "orders may now be placed (notice) in tea" in said
    assert any(line.startswith("orders may no longer be placed (notice) in bakery") for line in said)
    moved = [line for line in said if "for an order" in line]
    assert len(moved) == 1 and moved[0].startswith("coach_behavior: “contacts of the last week” counts less")


def test_tables_lie_flat():
    nested = {"a": {"b": {"c": 1}, "d": [1, 2]}, "e": [{"id": "x", "f": 2}, {"g": 3}]}
    assert flat(nested) == {"a.b.c": 1, "a.d": [1, 2], "e.x.f": 2, "e.1.g": 3}


def test_the_card_says_which_learner_tells_messages_apart_or_why_none_does(playbook):
    trial = Trial(number=1, version="a", judged="b", cut=0, position=0, spec="c")
    judgement = SimpleNamespace(words=lambda currency: f"kept, in {currency}")

    def card(lift):
        book = replace(playbook, value=replace(playbook.value, lift=lift))
        return card_of(book, trial, judgement, "EUR", "champion", ())

    alone = card(Lift(said="3 messages were sent"))
    assert "No uplift learner tells messages apart, the pooled head stands alone: 3 messages were sent." in alone
    assert "The uplift learner T linear tells messages apart" in card(Lift(learner="T linear", said="it ranks"))


def test_the_card_says_how_far_each_category_has_come_and_what_the_next_rung_takes(playbook):
    trial = Trial(number=1, version="a", judged="b", cut=0, position=0, spec="c")
    judgement = SimpleNamespace(words=lambda currency: f"kept, in {currency}")
    standings = {
        "coffee": Standing(200, 8, 12, 1, against=False, more=150),
        "tea": Standing(90, 30, 0, 0, against=False, more=-1),
        "socks": Standing(80, 2, 60, 40, against=True, more=-1),
    }
    ladder = Ladder(notice={"coffee": 0.8}, standings=standings)
    card = card_of(replace(playbook, ladder=ladder), trial, judgement, "EUR", "champion", ())
    assert "At most 10% of the orders that are placed may be wrong, with 90% confidence for the whole shop." in card
    lines = {line.split("|")[1].strip(): line for line in card.splitlines() if line.startswith("| ")}
    assert "notice, from certainty 0.80 on | 8 of 200 (4%) | 1 of 12 (8%) | about 150 orders more" in lines["coffee"]
    assert "shadow | 30 of 90 (33%) | none yet | out of reach while as many go wrong" in lines["tea"]
    assert "closed: too many of those placed went wrong" in lines["socks"]
    none = card_of(replace(playbook, ladder=Ladder()), trial, judgement, "EUR", "champion", ())
    assert "There is no order yet that might have been placed." in none


def test_what_was_measured_says_what_it_means_in_which_unit_and_leaves_out_what_was_not(playbook):
    trial = Trial(number=1, version="a", judged="b", cut=0, position=0, spec="c")
    judgement = SimpleNamespace(words=lambda currency: f"kept, in {currency}")
    report = {"lifetime.value_next_year": 255.3, "soon.later_log_loss": 0.5567, "shadow_wrong_share": float("nan")}
    card = card_of(replace(playbook, report=report), trial, judgement, "CHF", "champion", ())
    assert "margin to come of a customer within the lifetime window, on average, CHF |" in card
    assert "| 0.5567 | an order soon if nobody acts: log loss on later moments, nats a moment" in card
    assert "shadow_wrong_share" not in card and "nan" not in card.partition("## Measured")[2]
