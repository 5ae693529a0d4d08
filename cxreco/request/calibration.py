"""From a model's score to a probability that holds: centred isotonic regression, kept as its knots."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import StalePlaybook

F64 = NDArray[np.float64]

# Fewer than this many hits or misses say too little to bend a score by.
MIN_EACH = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """A non-decreasing map from score to probability, linear between its knots.

    Attributes
    ----------
    score
        (k,) knots, ascending.
    probability
        (k,) what holds there, non-decreasing, inside (0, 1).
    """

    score: F64
    probability: F64

    def apply(self, score: F64) -> F64:
        """Return the probabilities of scores of any shape; beyond the knots the ends hold."""
        return np.interp(score, self.score, self.probability)

    def to_json(self) -> bytes:
        """Return the knots as JSON, exact to the bit."""
        return json.dumps({"score": self.score.tolist(), "probability": self.probability.tolist()}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Calibrator":
        """Read what `to_json` wrote.

        Raises
        ------
        StalePlaybook
            If the knots are not a non-decreasing map.
        """
        read = json.loads(body)
        score = np.asarray(read["score"], dtype=np.float64)
        probability = np.asarray(read["probability"], dtype=np.float64)
        ordered = score.size > 0 and bool(np.all(np.diff(score) >= 0.0) and np.all(np.diff(probability) >= 0.0))
        if score.shape != probability.shape or not ordered:
            raise StalePlaybook("the calibrator's knots are not a non-decreasing map")
        return cls(score=score, probability=probability)


# No knots: leaves every probability as it is, for compiled callers.
STRAIGHT = Calibrator(score=np.empty(0), probability=np.empty(0))


def fit_calibrator(score: F64, label: F64) -> Calibrator | None:
    """Fit by isotonic regression (Zadrozny and Elkan, KDD 2002); None where either outcome is too rare to tell.

    Each flat stretch becomes one knot at its mean score, so that different scores stay different (centred isotonic
    regression: Oron and Flournoy 2017), with the share that half a hit and half a miss more would have given
    (Jeffreys): a few rows that went well are not a certainty.

    Parameters
    ----------
    score, label
        (n,) scores and what happened, 0 or 1.
    """
    from sklearn.isotonic import IsotonicRegression  # only training pays for this import

    hits = float(label.sum())
    if hits < MIN_EACH or label.size - hits < MIN_EACH:
        return None
    level = np.asarray(IsotonicRegression(out_of_bounds="clip").fit(score, label).predict(score), dtype=np.float64)
    _, block = np.unique(level, return_inverse=True)
    size = np.bincount(block).astype(np.float64)
    share = (np.bincount(block, weights=label) + 0.5) / (size + 1.0)
    return Calibrator(
        score=np.maximum.accumulate(np.bincount(block, weights=score) / size),
        probability=np.maximum.accumulate(share),
    )
