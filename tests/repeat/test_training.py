"""Training: what comes later teaches nothing, and without an answered decision it is the apprentice."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.errors import BadSpec
from cxreco.journey import DAY, HOUR
from cxreco.recognise.layout import Kind
from cxreco.repeat.return_risk import usual_returns
from cxreco.repeat.soon import Soon
from cxreco.repeat.training import TrainingSpec, answers_of, fit_playbook, learn, spec_hash
from cxreco.respond.worth import Worth

SMALL = {"later_days": 21.0, "window_days": 50.0, "publish_every_days": 14, "ranker_moments": 150, "need_rows": 1_500,
         "revisited": 150, "shadow_days": 14.0, "evaluation_days": 3.0, "seed": 7}  # fmt: skip


@pytest.fixture(scope="module")
def specs(lived):
    ranker, need = ({**lived.specs[name]} for name in ("ranker", "need"))
    for table in (ranker, need):
        if "lightgbm" in table:
            table["lightgbm"] = {**table["lightgbm"], "rounds": 20}
    return {**lived.specs, "training": SMALL, "ranker": ranker, "need": need}


@pytest.fixture(scope="module")
def lessons(lived, specs):
    return learn(lived.log, specs)


def test_what_happened_after_the_request_models_were_taught_does_not_reach_them(lived, specs, lessons):
    log = lived.log
    ticks = log.ticks.copy()
    later = ticks["at"] >= lessons.since
    ticks["item"][later & (ticks["kind"] == Kind.ORDER_LINE)] = 0
    ticks["quantity"][later] = 50.0
    assert later.any()
    other = learn(replace(log, ticks=ticks), specs)
    assert other.since == lessons.since
    assert other.request.to_files() == lessons.request.to_files()


def test_the_judged_twin_never_saw_the_days_it_is_judged_on(lived, lessons):
    log, until = lived.log, lived.log.now - 2 * DAY
    ticks = log.ticks.copy()
    later = (ticks["at"] >= until) & np.isin(ticks["kind"], [Kind.ORDER, Kind.ORDER_LINE, Kind.RETURNED])
    assert later.any()
    ticks["margin"][later] = 1_000.0
    changed = replace(lessons, log=replace(log, ticks=ticks))
    one, two = (fit_playbook(found, salt="s", until=until) for found in (lessons, changed))
    assert one.to_files() == two.to_files()
    assert one.trained_to == until


def test_without_decisions_it_is_the_apprentice(lived, specs):
    log = lived.log
    nothing = log.decisions.take(np.zeros(len(log.decisions.decisions), dtype=bool))
    alone = replace(log, decisions=nothing, ticks=log.ticks[log.ticks["kind"] != Kind.DECIDED], order=None)
    made = fit_playbook(learn(alone, specs), salt="s")
    assert made.apprentice and made.decisions == 0
    for name in ("order", "returned", "complained", "unsubscribed", "satisfied", "wrong"):
        assert made.value.heads[name].rows == 0
        assert made.value.heads[name].trees is None
    assert made.value.heads["base"].rows > 0


def test_the_same_log_makes_the_same_playbook(lived, lessons):
    one, two = (fit_playbook(lessons, salt="s") for _ in range(2))
    assert one.version == two.version
    assert fit_playbook(lessons, salt="another").version != one.version
    assert one.position == lived.log.position and one.spec == spec_hash(lessons.specs)


def test_an_answer_counts_once_it_is_settled(lived, lessons):
    log, worth, soon = lived.log, Worth.from_spec(lived.specs["reward"]), Soon(visit=1.0, message=1.0)
    made = log.decisions.decisions["at"].to_numpy(np.int64)
    sizes = []
    for as_of in (int(made.min()), int(made.min()) + 2 * DAY, log.now + worth.order_window):
        answers, _ = answers_of(log, worth, soon, as_of=as_of)
        assert np.all(answers.at + HOUR <= as_of) and np.all(np.diff(answers.at) >= 0)
        assert np.array_equal(answers.window_over, answers.at + worth.order_window <= as_of)
        assert not answers.margin[~answers.window_over].any()
        assert np.all(answers.outcomes["order"][answers.window_over] <= answers.ordered[answers.window_over])
        assert not len(answers) or {len(y) for y in answers.outcomes.values()} == {len(answers)}
        sizes.append(len(answers))
    assert sizes[0] == 0 and sizes[0] < sizes[1] <= sizes[2] == made.size


def test_the_share_of_returns_leans_on_the_prior_where_little_is_known(lived):
    log, worth = lived.log, Worth.from_spec(lived.specs["reward"])
    assert usual_returns(log.ticks, worth, as_of=log.start) == pytest.approx(worth.return_rate)
    assert 0.0 < usual_returns(log.ticks, worth, as_of=log.now) < 1.0


def test_the_hash_is_of_what_decides():
    tables = {name: {"a": 1} for name in ("actions", "guardrails", "need", "policy", "ranker", "reward", "training",
                                          "value", "promotion")}  # fmt: skip
    assert spec_hash(tables) == spec_hash({**tables, "promotion": {"a": 2}})
    assert spec_hash(tables) != spec_hash({**tables, "value": {"a": 2}})
    with pytest.raises(BadSpec, match="revisted"):
        TrainingSpec.from_spec({"revisted": 3})


@pytest.mark.parametrize("name", ["early_share", "masked_share"])
def test_a_share_that_is_none_is_named(name):
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(BadSpec, match=name):
            TrainingSpec.from_spec({name: share})
    assert getattr(TrainingSpec.from_spec({name: 1.0}), name) == 1.0
