"""Who acts because of it: the trial that uplift is learned from, and the protocol of what learns it.

A trial has an arm 0 (nothing is done) and any number of others, dealt by known chances. A learner reads a trial and
returns a model of what each other arm adds to the outcome of a customer over arm 0, on the outcome's own scale.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadInput

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Customers who were dealt an arm at random, and what followed.

    Attributes
    ----------
    x
        (n, d) what was known before; NaN where it was not.
    arm
        (n,) what each got, 0 to K - 1; 0 is to do nothing.
    outcome
        (n,) what followed: 0 or 1, or money.
    propensity
        (n, K) chance that each arm had of being dealt; known, above 0, rows summing to 1.
    group
        (n,) code of whom each row is of, where somebody may have several: folds and errors go by groups. None: each row
        is of somebody else.
    """

    x: F64
    arm: I64
    outcome: F64
    propensity: F64
    group: I64 | None = None

    def __post_init__(self) -> None:
        n = self.arm.size
        if self.group is not None and self.group.shape != (n,):
            raise BadInput(f"{self.group.size} codes for {n} rows", where="trial.group")
        if self.x.shape[:1] != (n,) or self.outcome.shape != (n,) or self.propensity.shape[:1] != (n,):
            raise BadInput(
                f"x {self.x.shape}, arm {self.arm.shape}, outcome {self.outcome.shape} and propensity "
                f"{self.propensity.shape} are not of the same customers", where="trial",
            )  # fmt: skip
        if not np.isfinite(self.outcome).all():
            raise BadInput("holds what is not a finite number", where="trial.outcome")
        if n and (self.arm.min() < 0 or self.arm.max() >= self.arms):
            raise BadInput(f"names arms outside 0 to {self.arms - 1}, the columns of propensity", where="trial.arm")
        if np.any(self.propensity <= 0.0) or np.any(np.abs(self.propensity.sum(axis=1) - 1.0) > 1e-6):
            raise BadInput("every arm needs a chance above 0, and they must sum to 1", where="trial.propensity")

    @classmethod
    def dealt(cls, x: F64, arm: I64, outcome: F64, shares: F64) -> "Trial":
        """Return a trial whose arms were dealt by the same (K,) shares to everybody."""
        chances = np.tile(np.asarray(shares, np.float64) / np.sum(shares), (arm.size, 1))
        return cls(x=x, arm=arm, outcome=outcome, propensity=chances)

    def __len__(self) -> int:
        return int(self.arm.size)

    @property
    def arms(self) -> int:
        """Number of arms, doing nothing included."""
        return int(self.propensity.shape[1])

    @property
    def weight(self) -> F64 | None:
        """(n,) inverse of the chance of what was dealt, 1 on average within each arm; None where all weigh alike."""
        chance = self.propensity[np.arange(len(self)), self.arm]
        if all(np.ptp(chance[self.arm == arm]) == 0.0 for arm in np.unique(self.arm)):
            return None
        weight = 1.0 / chance
        dealt = np.maximum(np.bincount(self.arm, minlength=self.arms), 1)
        usual: F64 = np.bincount(self.arm, weights=weight, minlength=self.arms) / dealt
        return np.asarray(weight / usual[self.arm], dtype=np.float64)

    def take(self, rows: NDArray[Any]) -> "Trial":
        """Return the rows of a mask or an index."""
        return Trial(
            x=self.x[rows], arm=self.arm[rows], outcome=self.outcome[rows], propensity=self.propensity[rows],
            group=None if self.group is None else self.group[rows],
        )  # fmt: skip

    def pair(self, arm: int) -> "Trial":
        """Return the trial of one arm against arm 0 alone; in it that arm is 1."""
        part = self.take((self.arm == 0) | (self.arm == arm))
        chances = part.propensity[:, [0, arm]]
        return Trial(
            x=part.x, arm=(part.arm == arm).astype(np.int64), outcome=part.outcome,
            propensity=chances / chances.sum(axis=1, keepdims=True), group=part.group,
        )  # fmt: skip

    def folds(self, k: int, seed: int) -> I64:
        """Return (n,) a fold for each row, 0 to k - 1, dealt evenly within each arm; groups stay together.

        Raises
        ------
        BadInput
            If an arm has too few customers for it.
        """
        least = int(np.bincount(self.arm, minlength=self.arms).min())
        if least < 2 * k:
            raise BadInput(f"an arm has {least} customers, and {k} folds need {2 * k}", where="trial.arm")
        if self.group is not None:
            return self._whole(self.group, k, seed)
        order = np.lexsort((np.random.default_rng(seed).random(len(self)), self.arm))
        fold = np.empty(len(self), dtype=np.int64)
        fold[order] = np.arange(len(self)) % k
        return fold

    def _whole(self, group: I64, k: int, seed: int) -> I64:
        names, who = np.unique(group, return_inverse=True)
        dealt = np.empty(names.size, dtype=np.int64)
        dealt[np.random.default_rng(seed).permutation(names.size)] = np.arange(names.size) % k
        fold: I64 = dealt[who]
        table = np.bincount(fold * self.arms + self.arm, minlength=k * self.arms)
        if int(table.min()) < 2:
            raise BadInput(f"too few groups had every arm for {k} folds", where="trial.group")
        return fold


class UpliftModel(Protocol):
    """What each arm adds over arm 0."""

    def effects(self, x: F64) -> F64:
        """Return (n, K - 1) what arms 1 to K - 1 add to the outcome of each customer, over arm 0."""
        ...


class Learner(Protocol):
    """Reads a trial, returns a model; the same trial and seed give the same model."""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    def fit(self, trial: Trial, seed: int) -> UpliftModel:
        """Learn from a trial."""
        ...
