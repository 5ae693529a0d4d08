"""What another playbook would have done at logged moments, among the candidates that were admitted then."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.journey import AUTOMATE
from cxreco.respond.playbook import Playbook
from cxreco.tables import DecisionLog, contacts

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A playbook's answer to a log: (n_candidates,) each.

    Attributes
    ----------
    joint
        Its probability of each candidate; sums to 1 within a decision.
    money
        Expected money of each candidate in the window, by its own value model.
    soon
        Chance of an order soon, by its own value model.
    """

    joint: F64
    money: F64
    soon: F64


def target_of(playbook: Playbook, log: DecisionLog) -> Target:
    """Return what the playbook would have done at every moment of the log."""
    mode = log.candidates["mode"].to_numpy(np.int16)
    starts, decision = log.starts, log.decision
    surface = log.decisions["surface"].to_numpy(object)[decision]
    values = playbook.value.values_of(log.x.astype(np.float64), mode, contacts(mode, surface), starts[decision])
    joint = np.empty(mode.size)
    ends = np.append(starts[1:], mode.size)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        joint[start:end] = playbook.policy.distribution(values.over_hold[start:end], mode[start:end]).joint
    return Target(joint=joint, money=values.money, soon=values.parts["order_soon"])


def foresight_of(champion: Target, challenger: Target, log: DecisionLog, ordered: F64) -> F64:
    """Return (n,) by how many nats the challenger foresaw each decision's order, or none, better than the champion.

    Parameters
    ----------
    ordered
        (n,) whether the customer ordered soon (see `repeat/soon.py`), 0 or 1.

    Orders that the shop places itself are foreseen by another head and count as foreseen alike.
    """
    before, after = (np.clip(target.soon[log.chosen_rows], 1e-4, 1.0 - 1e-4) for target in (champion, challenger))
    gain = ordered * np.log(after / before) + (1.0 - ordered) * np.log((1.0 - after) / (1.0 - before))
    automatic = log.decisions["mode"].to_numpy() == AUTOMATE
    return np.where(automatic, 0.0, gain)
