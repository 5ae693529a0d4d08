"""A head: one calibrated number about what would follow, learned sparingly.

    logit p = offset + design @ theta + trees(moment)

`offset` is what is believed already (a base rate, a replenishment probability, what the customer would do if held);
`theta` are a few pooled coefficients with declared priors, fitted by maximum a posteriori, so that ten rows move
them a little and ten thousand move them freely; `trees` is LightGBM boosted from that point on, kept only where it
predicts later rows better by two standard errors; a last slope and intercept (Platt 1999) are fitted on the later rows.
Trees see the moment, never the candidate: candidates were chosen by a policy, and flexible learners take its taste for
an effect. So trees sharpen what everything is measured against, and lifts stay in `theta`.

With no rows at all a head *is* its prior: that is how the apprentice works before any decision was logged.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from cxreco.request.forest import Scorer

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
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

    def logit(self, moment: F64, design: F64, offset: F64, of: I64 | None = None) -> F64:
        """Return (n,) calibrated logits.

        Parameters
        ----------
        moment
            (m, F) features of the moments, those of their `hold` rows.
        design, offset
            (n, d) and (n,).
        of
            (n,) which moment each row belongs to; None: one each, in order.
        """
        raw = offset + design @ self.theta
        if self.trees is not None:
            score = self.trees.score(moment)
            raw = raw + (score if of is None else score[of])
        return np.asarray(self.intercept + self.slope * raw, dtype=np.float64)

    def probability(self, moment: F64, design: F64, offset: F64, of: I64 | None = None) -> F64:
        """Return (n,) calibrated probabilities; see `logit`."""
        return np.asarray(expit(self.logit(moment, design, offset, of)), dtype=np.float64)


def prior_head(prior: Prior) -> Head:
    """Return the head before any row was seen."""
    return Head(theta=prior.mean.copy(), covariance=np.diag(prior.sd**2))


def logit_of(probability: F64) -> F64:
    """Return logits of probabilities, kept away from certainty by 1e-4."""
    return np.asarray(logit(np.clip(probability, SMALLEST, 1.0 - SMALLEST)), dtype=np.float64)
