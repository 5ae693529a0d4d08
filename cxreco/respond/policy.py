"""From values to probabilities: closed form, so that the logged probability is exact.

Inverse gap weighting (SquareCB: Foster and Rakhlin 2020; Abe and Long 1999): of K options with values v and the best b,
p(a) = 1 / (K + gamma * (v_b - v_a)), and b has the rest. Mode first, by the best of each; then the action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadSpec
from cxreco.journey import MODE_CODE, MODES, Mode

F64 = NDArray[np.float64]
I16 = NDArray[np.int16]
AUTOMATE = MODE_CODE[Mode.AUTOMATE]


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
    gamma: float = 60.0
    gamma_actions: float = 2.0
    floor: float = 0.004
    gamma_rows: float = 2000.0
    gamma_most: float = 1500.0

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
        present = np.unique(mode)
        best = np.array([over_hold[mode == code].max() for code in present])
        weights = gap_weights(best / self.scale, self.gamma)
        weights = self._floored(weights, best, present)
        by_mode = np.zeros(len(MODES))
        by_mode[present] = weights
        action = np.zeros(mode.size)
        for code in present:
            rows = mode == code
            action[rows] = gap_weights(over_hold[rows] / self.scale, self.gamma * self.gamma_actions)
        return Distribution(joint=by_mode[mode] * action, mode=by_mode, action=action)

    def _floored(self, weights: F64, best: F64, present: I16) -> F64:
        automatic = present == AUTOMATE
        top = int(np.argmax(best))
        floored = np.where(automatic, weights, np.maximum(weights, self.floor))
        # An order is placed because it pays, never to find out whether it would.
        floored = np.where(automatic & (best <= 0.0), 0.0, floored)
        floored[top] = 0.0
        floored[top] = 1.0 - floored.sum()
        return np.asarray(floored, dtype=np.float64)


def gap_weights(values: F64, gamma: float) -> F64:
    """Return (k,) inverse gap weights of k options; ties go to the first."""
    k = values.size
    top = int(np.argmax(values))
    weights = 1.0 / (k + gamma * (values[top] - values))
    weights[top] = 0.0
    weights[top] = 1.0 - weights.sum()
    return np.asarray(weights, dtype=np.float64)


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
