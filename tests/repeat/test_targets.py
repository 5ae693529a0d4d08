"""What another playbook would have done: the playbook that decided would have done what it did."""

from dataclasses import replace

import numpy as np
import pytest

from cxreco.repeat.targets import foresight_of, target_of
from cxreco.respond.policy import Policy


def test_the_playbook_that_decided_gives_the_logged_probabilities(lived):
    own = lived.log.decisions.take((lived.log.decisions.decisions["arm"] == "champion").to_numpy())
    target = target_of(lived.playbook, own)
    # The log keeps what was seen in single precision.
    assert np.allclose(target.joint, own.candidates["joint"].to_numpy(np.float64), atol=2e-4)
    assert np.abs(target.joint - own.candidates["joint"].to_numpy(np.float64)).mean() < 1e-5


def test_it_sums_to_one_in_every_decision_and_knows_its_chances(lived):
    log = lived.log.decisions
    target = target_of(lived.playbook, log)
    assert np.allclose(np.add.reduceat(target.joint, log.starts), 1.0, atol=1e-12)
    assert target.joint.min() >= 0.0 and np.isfinite(target.money).all()
    assert ((target.soon > 0.0) & (target.soon < 1.0)).all()


def test_a_steeper_policy_does_more_of_what_it_values(lived):
    log = lived.log.decisions
    # The same value model, without floors: only how boldly it acts differs.
    bold, shy = (
        target_of(replace(lived.playbook, policy=Policy(gamma=gamma, gamma_most=gamma, floor=0.0)), log)
        for gamma in (5_000.0, 5.0)
    )
    assert np.array_equal(bold.money, shy.money)
    worth = [np.add.reduceat(target.joint * target.money, log.starts) for target in (bold, shy)]
    assert (worth[0] >= worth[1] - 1e-9).all() and worth[0].sum() > worth[1].sum()


def test_nobody_foresees_better_than_themselves(lived):
    log = lived.log.decisions
    target = target_of(lived.playbook, log)
    ordered = np.random.default_rng(0).random(len(log.decisions)).round()
    assert not foresight_of(target, target, log, ordered).any()
    sure = replace(
        target, soon=np.where(np.repeat(ordered, np.diff(np.append(log.starts, target.joint.size))) > 0, 0.99, 0.01)
    )
    gain = foresight_of(target, sure, log, ordered)
    automatic = (log.decisions["mode"] == 4).to_numpy()
    assert (gain[~automatic] > 0.0).mean() == pytest.approx(1.0, abs=0.05) and not gain[automatic].any()
