"""A head: one calibrated number about what would follow, learned sparingly.

    logit p = offset + design @ theta + trees(x)

`offset` is what is believed already (a base rate, a replenishment probability, what the customer would do if held);
`theta` are a few pooled coefficients with declared priors, fitted by maximum a posteriori, so that ten rows move
them a little and ten thousand move them freely; `trees` is LightGBM boosted from that point on, kept only where it
predicts later rows better by two standard errors; a last slope and intercept (Platt 1999) are fitted on the later rows.

With no rows at all a head *is* its prior: that is how the apprentice works before any decision was logged.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from cxreco.request.forest import Scorer

F64 = NDArray[np.float64]
SMALLEST = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Gaussian prior of the pooled coefficients: `mean` and `sd`, both (d,)."""

    mean: F64
    sd: F64

    def __post_init__(self) -> None:
        if self.mean.shape != self.sd.shape:
            raise ValueError(f"prior mean has shape {self.mean.shape}, sd {self.sd.shape}")
        if np.any(self.sd <= 0.0):
            raise ValueError("prior standard deviations must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One calibrated probability; see the module.

    Attributes
    ----------
    theta
        (d,) coefficients of the design.
    covariance
        (d, d) Laplace approximation of their posterior covariance.
    trees
        Scorer of the boosted part, or None where it did not pay.
    slope, intercept
        Platt's calibration of the logit.
    rows
        Number of rows it learned from; 0 for a prior.
    """

    theta: F64
    covariance: F64
    trees: Scorer | None = None
    slope: float = 1.0
    intercept: float = 0.0
    rows: int = 0
    report: dict[str, float] = field(default_factory=dict)

    def logit(self, x: F64, design: F64, offset: F64) -> F64:
        """Return (n,) calibrated logits."""
        raw = offset + design @ self.theta
        if self.trees is not None:
            raw = raw + self.trees.score(x)
        return np.asarray(self.intercept + self.slope * raw, dtype=np.float64)

    def probability(self, x: F64, design: F64, offset: F64) -> F64:
        """Return (n,) calibrated probabilities."""
        return np.asarray(expit(self.logit(x, design, offset)), dtype=np.float64)

    def logit_sd(self, design: F64) -> F64:
        """Return (n,) posterior standard deviation of the pooled part of the logit."""
        variance: F64 = np.einsum("ij,jk,ik->i", design, self.covariance, design)
        return np.sqrt(np.maximum(variance, 0.0))


def prior_head(prior: Prior) -> Head:
    """Return the head before any row was seen."""
    return Head(theta=prior.mean.copy(), covariance=np.diag(prior.sd**2))


def logit_of(probability: F64) -> F64:
    """Return logits of probabilities, kept away from certainty by 1e-4."""
    return np.asarray(logit(np.clip(probability, SMALLEST, 1.0 - SMALLEST)), dtype=np.float64)
