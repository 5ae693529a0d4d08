"""The repeat loop on a log: who is judged was never learned from, and where there is too little, that is said."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cxreco.journey import DAY, Arm
from cxreco.pipelines import curves
from cxreco.pipelines.curves import loop_curves
from cxreco.repeat.support import SupportRules
from cxreco.repeat.training import Lessons
from cxreco.respond.worth import Worth

LOOSE = SupportRules(min_ess=2.0, min_customers=2)
# Who draws any of them alike is best judged where they were drawn alike.
AT_RANDOM = SupportRules(min_ess=2.0, min_customers=2, arms=(Arm.RANDOM.value,))


@pytest.fixture(scope="module")
def lessons(lived):
    """What the curves read of lessons: the log, some weeks later, when every decision is ripe."""
    log = replace(lived.log, now=lived.log.now + 40 * DAY)
    worth = Worth.from_spec(lived.specs["reward"])
    return Lessons(
        log=log, specs=lived.specs, since=0, training=None, request=None, live=None, revisited=None, worth=worth
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(lived):
    return replace(lived.playbook, decisions=10_000)


@pytest.fixture
def taught(monkeypatch, judged):
    """Stand in for the fitting, which has its own tests: note whose answers each fit was given."""
    seen = []

    def fit(lessons, *, salt, until):
        customers = lessons.log.decisions.decisions["customer_id"]
        seen.append((set(customers), until))
        return replace(judged, decisions=len(customers))

    monkeypatch.setattr(curves, "fit_playbook", fit)
    return seen


def test_customers_who_are_judged_were_not_learned_from_and_more_of_the_others_are_each_time(
    lessons, judged, taught, monkeypatch
):
    judgements = []
    evaluate = curves.evaluate

    def noted(log, *arguments, **options):
        judgements.append(set(log.decisions["customer_id"]))
        return evaluate(log, *arguments, **options)

    monkeypatch.setattr(curves, "evaluate", noted)
    cut = int(lessons.log.decisions.decisions["at"].min())
    loop = loop_curves(lessons, judged, cut, LOOSE)
    assert loop.reasons == {}
    own, new = judgements[:2], judgements[2:]
    assert len(new) == len(taught) == len(curves.SHARES) * curves.FOLDS
    for (known, until), asked in zip(taught, new, strict=True):
        assert until == cut and asked and not known & asked
    for fold in range(curves.FOLDS):
        rising = [known for known, _ in taught[fold :: curves.FOLDS]]
        assert rising[0] == set() and all(a < b for a, b in pairwise(rising))
    everybody = set(lessons.log.decisions.decisions["customer_id"])
    assert own == [everybody, everybody] and set().union(*new) == everybody
    # The same policy at every size: what is learned from is worth nothing, to the cent.
    assert loop.population is not None and (loop.population["size"].diff().dropna() > 0).all()
    np.testing.assert_allclose(loop.population["gain"], 0.0, atol=1e-9)


def test_masking_is_judged_on_the_same_decisions_and_a_policy_blind_to_history_loses_nothing(lessons, judged, taught):
    cut = int(lessons.log.decisions.decisions["at"].min())
    loop = loop_curves(lessons, judged, cut, LOOSE)
    assert loop.individual is not None
    total = loop.individual.iloc[-1]
    assert total["bin"] == "all" and loop.individual["n"].iloc[:-1].sum() == total["n"] > 50
    assert loop.individual["lift"].abs().max() > 0.0
    # All but certain of nothing: every admitted candidate alike, whatever is known.
    blind = replace(judged, policy=replace(judged.policy, gamma=1e-9, gamma_most=1e-9))
    same = loop_curves(lessons, blind, cut, AT_RANDOM).individual
    assert same is not None and abs(same["lift"]).max() < 1e-6
    assert {"loop.individual.all.lift", "loop.population.gain"} <= set(loop.metrics())
    files = loop.artifacts("EUR")
    assert files["loop/loop.png"].startswith(b"\x89PNG")
    assert b"Knowing a customer's own history is worth" in files["loop/loop.txt"]


def test_where_there_is_too_little_the_reason_is_said(lessons, judged):
    end = lessons.log.now
    loop = loop_curves(lessons, judged, end, LOOSE)
    assert loop.individual is None and loop.population is None and loop.metrics() == {}
    assert all("no decision was logged" in line for line in loop.words("EUR"))
    assert "loop/loop.png" not in loop.artifacts("EUR")
    first = int(lessons.log.decisions.decisions["at"].min())
    strict = loop_curves(lessons, replace(judged, decisions=3), first, SupportRules(min_ess=1e9))
    assert "effective sample size" in strict.reasons["individual"]
    assert "3 answers before these days" in strict.reasons["population"]
