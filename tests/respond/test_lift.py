"""What learners found of messages is served as it was learned, kept as text, and added to messages alone."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.errors import StalePlaybook
from cxreco.repeat.lift_training import served
from cxreco.repeat.uplift import Trial
from cxreco.repeat.uplift_learners import learners
from cxreco.request.candidates import VALUE_FEATURES
from cxreco.respond.lift import COACH, COLUMNS, SEEN, Lift, Line, Term, summed
from cxreco.respond.playbook import Playbook, sealed


def trial(n, seed):
    """A trial of messages dealt by chances that differ, of customers with several, with holes in what is known."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(SEEN)))
    x[rng.random(x.shape) < 0.2] = np.nan
    chance = 0.2 + 0.6 / (1.0 + np.exp(-np.nan_to_num(x[:, 0])))
    arm = (rng.random(n) < chance).astype(np.int64)
    outcome = 0.3 * np.nan_to_num(x[:, 0]) + arm * np.nan_to_num(x[:, 1]) + rng.normal(size=n)
    return Trial(x=x, arm=arm, outcome=outcome, propensity=np.column_stack([1.0 - chance, chance]),
                 group=rng.integers(0, n // 5, n))  # fmt: skip


@pytest.mark.parametrize("learner", learners(), ids=lambda own: own.name)
def test_every_learner_is_served_as_it_was_learned_and_read_back_as_it_was_kept(learner):
    data, fresh = trial(500, 1), trial(60, 2).x
    model = learner.fit(data, seed=3)
    lift = Lift(learner=learner.name, terms=served(model, data), kept=0.7, centre=0.05, low=-0.6, high=0.6)
    told = np.clip(0.7 * (model.effects(fresh)[:, 0] - 0.05), -0.6, 0.6)
    np.testing.assert_allclose(lift.of(fresh), told, rtol=1e-12, atol=1e-12)
    spec, files = lift.to_spec()
    back = Lift.from_spec(spec, files)
    assert back.of(fresh).tobytes() == lift.of(fresh).tobytes()
    # A message's lift does not depend on which others are looked at.
    assert np.concatenate([back.of(fresh[[k]]) for k in range(60)]).tobytes() == lift.of(fresh).tobytes()
    assert np.ptp(told) > 0.0


def test_it_is_added_to_messages_alone_and_nothing_is_where_none_is_kept():
    x = np.random.default_rng(1).normal(size=(6, len(VALUE_FEATURES)))
    mode = np.array([0, COACH, 1, COACH, 2, 4], dtype=np.int16)
    line = Line(usual=0.1, centre=np.zeros(len(SEEN)), slope=np.full(len(SEEN), 0.01))
    lift = Lift(terms=(Term(weight=2.0, of=line),), kept=1.0)
    found = lift.extra(x, mode)
    np.testing.assert_array_equal(found[mode == COACH], summed(lift.terms, x[mode == COACH][:, COLUMNS]))
    assert not found[mode != COACH].any()
    assert not Lift().extra(x, mode).any()


def test_it_travels_in_the_playbook_whose_version_tells_it(playbook: Playbook):
    data = trial(500, 1)
    lifts = [Lift(learner=own.name, terms=served(own.fit(data, 1), data), kept=1.0) for own in learners()[::5]]
    assert len(lifts) == 3
    versions = {playbook.version}
    for lift in lifts:
        book = sealed(replace(playbook, value=replace(playbook.value, lift=lift)))
        versions.add(book.version)
        fresh = trial(9, 4).x
        assert book.value.lift.learner == lift.learner and lift.learner in book.value.lift.words()
        assert book.value.lift.of(fresh).tobytes() == lift.of(fresh).tobytes()
    assert len(versions) == 4


def test_a_playbook_from_before_has_none_and_one_of_other_features_is_refused(playbook: Playbook):
    import json

    files = playbook.to_files()
    saved = json.loads(files["value.json"])
    old = {name: value for name, value in saved.items() if name != "lift"}
    assert Playbook.from_files({**files, "value.json": json.dumps(old).encode()}).value.lift == Lift()
    line = Line(usual=0.1, centre=np.zeros(len(SEEN)), slope=np.ones(len(SEEN)))
    spec, _ = Lift(terms=(Term(weight=1.0, of=line),)).to_spec()
    saved["lift"] = {**spec, "seen": ["orders"]}
    with pytest.raises(StalePlaybook, match="retrain"):
        Playbook.from_files({**files, "value.json": json.dumps(saved).encode()})
