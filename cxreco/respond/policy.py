"""From values to probabilities: closed form, so that the logged probability is exact.

Inverse gap weighting (SquareCB: Foster and Rakhlin 2020; Abe and Long 1999): of K options with values v and the best b,
p(a) = 1 / (K + gamma * (v_b - v_a)), and b has the rest. Mode first, by the best of each; then the action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.chance import drawn
from cxreco.compiled import compiled
from cxreco.declared import declared
from cxreco.errors import BadSpec
from cxreco.frozen import quick
from cxreco.journey import AUTOMATE, MODES

F64 = NDArray[np.float64]
I16 = NDArray[np.int16]
_MODES = len(MODES)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A policy's answer over n candidates: `joint` (n,) = `mode` (5,) at the candidate's mode × `action` (n,)."""

    joint: F64
    mode: F64
    action: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Inverse gap weighting with a floor.

    Attributes
    ----------
    scale
        Money that counts as one: the usual margin of an order.
    gamma, gamma_actions
        Steepness between modes; within a mode it is `gamma_actions` times that.
    floor
        Least probability of an admitted mode, automatic execution excepted.
    """

    name: str = "connected"
    scale: float = 1.0
    gamma: float = 1500.0
    gamma_actions: float = 2.0
    floor: float = 0.004
    gamma_rows: float = 2000.0
    gamma_most: float = 10000.0

    def __post_init__(self) -> None:
        if not (self.scale > 0.0 and self.gamma > 0.0 and self.gamma_actions > 0.0 and self.gamma_rows > 0.0):
            raise BadSpec("scale and gammas must be above zero", where="policy.toml")
        if not 0.0 <= self.floor <= 1.0 / len(MODES):
            raise BadSpec(f"floor must be in [0, {1 / len(MODES)}], got {self.floor}", where="policy.toml")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Policy":
        """Read `models/policy.toml`."""
        unknown = set(spec) - set(cls.__dataclass_fields__)
        if unknown:
            raise BadSpec(f"unknown keys {sorted(unknown)}", where="policy.toml")
        for name in set(spec) - {"name"}:
            declared(spec[name], f"policy.{name}")
        return cls(**spec)

    def after(self, rows: int, scale: float) -> "Policy":
        """Return the policy after `rows` logged decisions: it explores less, the more it knows."""
        gamma = min(self.gamma * float(np.sqrt(1.0 + rows / self.gamma_rows)), self.gamma_most)
        return replace(self, gamma=gamma, scale=max(scale, 1e-9))

    def distribution(self, over_hold: F64, mode: I16) -> Distribution:
        """Return the probabilities of the admitted candidates.

        Parameters
        ----------
        over_hold
            (n,) money over hold.
        mode
            (n,) mode codes; row 0 is hold.
        """
        given = (self.scale, self.gamma, self.gamma * self.gamma_actions, self.floor)
        joint, by_mode, action = _distribution(over_hold, mode, given)
        return Distribution(joint=joint, mode=by_mode, action=action)


@compiled
def _distribution(over_hold: F64, mode: I16, given: tuple[float, float, float, float]) -> tuple[F64, F64, F64]:
    scale, gamma, gamma_actions, floor = given
    best = np.full(_MODES, -np.inf)
    for row in range(mode.size):
        best[mode[row]] = max(best[mode[row]], over_hold[row])
    present = np.flatnonzero(best > -np.inf)
    weights = _floored(gap_weights(best[present] / scale, gamma), best[present], present, floor)
    by_mode, action = np.zeros(_MODES), np.zeros(mode.size)
    for k in range(present.size):
        by_mode[present[k]] = weights[k]
        rows = np.flatnonzero(mode == present[k])
        action[rows] = gap_weights(over_hold[rows] / scale, gamma_actions)
    joint = np.empty(mode.size)
    for row in range(mode.size):
        joint[row] = by_mode[mode[row]] * action[row]
    return joint, by_mode, action


@compiled
def _floored(weights: F64, best: F64, present: NDArray[np.int64], floor: float) -> F64:
    out = np.empty(weights.size)
    for k in range(weights.size):
        if present[k] != AUTOMATE:
            out[k] = max(weights[k], floor)
        else:
            # An order is placed because it pays, never to find out whether it would.
            out[k] = weights[k] if best[k] > 0.0 else 0.0
    top = np.argmax(best)
    out[top] = 0.0
    out[top] = 1.0 - out.sum()
    return out


@compiled
def gap_weights(values: F64, gamma: float) -> F64:
    """Return (k,) inverse gap weights of k options; ties go to the first."""
    k = values.size
    top = np.argmax(values)
    weights = np.empty(k)
    for i in range(k):
        weights[i] = 1.0 / (k + gamma * (values[top] - values[i]))
    weights[top] = 0.0
    weights[top] = 1.0 - weights.sum()
    return weights


@compiled
def pick(by_mode: F64, action: F64, mode: I16, at_mode: float, at_action: float) -> int:
    """Return the candidate drawn: a mode by its probability, then an action of it; -1 where none is possible.

    Parameters
    ----------
    at_mode, at_action
        Uniforms in [0, 1).
    """
    chosen = drawn(by_mode, at_mode)
    within = np.zeros(action.size)
    for row in range(action.size):
        if mode[row] == chosen:
            within[row] = action[row]
    return drawn(within, at_action)


def uniform(mode: I16) -> Distribution:
    """Return the random arm: a mode at random, then an action of it at random."""
    present, back, counts = np.unique(mode, return_inverse=True, return_counts=True)
    by_mode = np.zeros(len(MODES))
    by_mode[present] = 1.0 / present.size
    action = 1.0 / counts[back]
    return Distribution(joint=by_mode[mode] * action, mode=by_mode, action=np.asarray(action, dtype=np.float64))


def certain(row: int, mode: I16) -> Distribution:
    """Return a policy that does one thing: candidate `row`, with probability 1."""
    by_mode = np.zeros(len(MODES))
    by_mode[mode[row]] = 1.0
    action = np.zeros(mode.size)
    action[row] = 1.0
    return Distribution(joint=action.copy(), mode=by_mode, action=action)
